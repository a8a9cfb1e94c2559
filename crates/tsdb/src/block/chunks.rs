//! A block's chunk files.
//!
//! ```text
//! chunks/000001 …  := 85BD40DD | version 1 | 0 0 0 | chunk*
//! chunk            := length uvarint | encoding u8 | data [u8; length] | crc32c u32 BE
//! ```
//! The checksum covers encoding and data. A chunk's reference is its file's index, from 0, in the
//! upper 32 bits and its offset in the lower.
//! - Source: Prometheus `tsdb/docs/format/chunks.md`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::codec::{Decoder, put_uvarint};
use crate::mapped::Mapped;

const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
const FILE_BYTES_MAX: u64 = 512 << 20;

#[derive(Debug)]
pub(super) struct ChunkWriter {
    dir: PathBuf,
    file: Option<BufWriter<File>>,
    files: u64,
    offset: u64,
    buffer: Vec<u8>,
}

impl ChunkWriter {
    pub(super) fn create(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir(&dir)?;
        Ok(Self { dir, file: None, files: 0, offset: 0, buffer: Vec::new() })
    }

    /// Appends a chunk; gives its reference.
    pub(super) fn write(&mut self, encoding: u8, data: &[u8]) -> io::Result<u64> {
        self.buffer.clear();
        put_uvarint(&mut self.buffer, data.len() as u64);
        let checked_from = self.buffer.len();
        self.buffer.push(encoding);
        self.buffer.extend_from_slice(data);
        let checksum = crc32c::crc32c(&self.buffer[checked_from..]);
        self.buffer.extend(checksum.to_be_bytes());

        if self.file.is_none() || self.offset + self.buffer.len() as u64 > FILE_BYTES_MAX {
            self.close()?;
            self.files += 1;
            let path = self.dir.join(format!("{:06}", self.files));
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            file.write_all(&HEADER)?;
            self.file = Some(file);
            self.offset = HEADER.len() as u64;
        }
        let reference = (self.files - 1) << 32 | self.offset;
        let file = self.file.as_mut().expect("a file was opened");
        file.write_all(&self.buffer)?;
        self.offset += self.buffer.len() as u64;
        Ok(reference)
    }

    /// Brings the last file to the disk.
    pub(super) fn close(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some(file) => file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// The chunk files of a block, in the order in which references count them.
pub(crate) fn chunk_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[derive(Debug)]
pub(crate) struct ChunkReader {
    files: Vec<Mapped>,
}

impl ChunkReader {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let files = chunk_files(dir)?.into_iter().map(|path| {
            let file = Mapped::open(&path)?;
            let valid = file.starts_with(&HEADER[..5]);
            let invalid = || format!("{} is not a chunk file of version 1", path.display());
            if valid { Ok(file) } else { Err(io::Error::other(invalid())) }
        });
        Ok(Self { files: files.collect::<io::Result<_>>()? })
    }

    /// Encoding and data of a chunk; `None` where the reference leads nowhere or the checksum is
    /// wrong.
    pub(crate) fn get(&self, reference: u64) -> Option<(u8, &[u8])> {
        let file = self.files.get((reference >> 32) as usize)?;
        let mut rest = Decoder::new(file.get((reference & 0xffff_ffff) as usize..)?);
        let length = usize::try_from(rest.uvarint()?).ok()?;
        let checked = rest.take(length.checked_add(1)?)?;
        let checksum = u32::from_be_bytes(rest.take(4)?.try_into().ok()?);
        (crc32c::crc32c(checked) == checksum).then(|| (checked[0], &checked[1..]))
    }
}
