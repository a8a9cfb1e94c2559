//! A block's chunk files.
//!
//! ```text
//! chunks/000001 …  := 85BD40DD | version 1 | 0 0 0 | chunk*
//! chunk            := length uvarint | encoding u8 | data [u8; length] | crc32c u32 BE
//! ```
//! The checksum covers encoding and data. A chunk's reference is its file's index, from 0, in the
//! upper 32 bits and its offset in the lower.
//! - Source: Prometheus `tsdb/docs/format/chunks.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::growing_file::GrowingFile;
use crate::codec::{Decoder, put_uvarint};
use crate::mapped::Mapped;

const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
const FILE_BYTES_MAX: u64 = 512 << 20;

#[derive(Debug)]
pub(super) struct ChunkWriter {
    dir: PathBuf,
    file: Option<GrowingFile>,
    files: u64,
    buffer: Vec<u8>,
}

impl ChunkWriter {
    pub(super) fn create(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir(&dir)?;
        Ok(Self { dir, file: None, files: 0, buffer: Vec::new() })
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

        let is_full = |file: &GrowingFile| file.bytes() + self.buffer.len() as u64 > FILE_BYTES_MAX;
        if self.file.as_ref().is_none_or(is_full) {
            self.close()?;
            self.files += 1;
            let mut file = GrowingFile::create(&self.dir.join(format!("{:06}", self.files)))?;
            file.write(&HEADER)?;
            self.file = Some(file);
        }
        let file = self.file.as_mut().expect("a file was opened");
        let reference = (self.files - 1) << 32 | file.bytes();
        file.write(&self.buffer)?;
        Ok(reference)
    }

    /// Brings the last file to the disk.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), GrowingFile::finish)
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
