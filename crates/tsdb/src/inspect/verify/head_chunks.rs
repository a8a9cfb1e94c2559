//! `chunks_head/`: chunks of the head, in the format that `head/spill.rs` tells.
//!
//! The newest file may end within a chunk: a server writes it, or a crash ended it, and then the log
//! has what it would hold. Prometheus makes its files long beforehand: zeros end them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::Timestamp;

use super::{Check, chunk_contents};
use crate::codec::Decoder;
use crate::head::spill::HEADER;
use crate::inspect::InspectError;

/// A file is read as a whole: one that is larger than any server makes it is not.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Series, start, end, encoding.
const FIXED_BYTES: usize = 8 + 8 + 8 + 1;
const CHECKSUM_BYTES: usize = 4;
/// With the encoding Prometheus says by this bit that the chunk arrived out of order.
const LATE: u8 = 0x80;

pub(super) fn verify(dir: &Path, check: &mut Check<'_>) -> Result<(), InspectError> {
    let files = match list(dir) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(InspectError::List { dir: dir.to_owned(), source }),
    };
    for (at, path) in files.iter().enumerate() {
        match read(path) {
            Ok(bytes) => {
                let is_newest = at + 1 == files.len();
                verify_file(path, &bytes, is_newest, check);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // a server removed it meanwhile
            Err(error) => check.problem(path, None, error.to_string()),
        }
    }
    Ok(())
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::other("the file is too large to be one of these"));
    }
    fs::read(path)
}

fn verify_file(path: &Path, bytes: &[u8], is_newest: bool, check: &mut Check<'_>) {
    let written = bytes.len() - bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    if !bytes.starts_with(&HEADER[..5]) {
        if !is_newest || written > 0 {
            check.problem(path, 0, "this is no file of chunks of version 1");
        }
        return;
    }
    let mut rest = Decoder::new(&bytes[HEADER.len().min(bytes.len())..]);
    loop {
        let start = bytes.len() - rest.bytes.len();
        if start >= written {
            return;
        }
        let Some(chunk) = HeadChunk::take(&mut rest) else {
            if !is_newest {
                check.problem(path, start as u64, "a chunk is not all there");
            }
            return;
        };
        check.verified.head_chunks += 1;
        let end = bytes.len() - rest.bytes.len();
        if !chunk.is_intact() && is_newest && end > written {
            return;
        }
        if let Err(what) = chunk.verify() {
            check.problem(path, start as u64, what);
        }
    }
}

struct HeadChunk<'a> {
    start: i64,
    end: i64,
    encoding: u8,
    data: &'a [u8],
    checked: &'a [u8],
    checksum: &'a [u8],
}

impl<'a> HeadChunk<'a> {
    fn take(rest: &mut Decoder<'a>) -> Option<Self> {
        let begin = rest.bytes;
        let mut fixed = Decoder::new(rest.take(FIXED_BYTES)?);
        let (_series, start, end) = (fixed.u64()?, fixed.i64()?, fixed.i64()?);
        let encoding = fixed.u8()? & !LATE;
        let length = usize::try_from(rest.uvarint()?).ok()?;
        let data = rest.take(length)?;
        let checked = &begin[..begin.len() - rest.bytes.len()];
        let checksum = rest.take(CHECKSUM_BYTES)?;
        Some(Self { start, end, encoding, data, checked, checksum })
    }

    fn is_intact(&self) -> bool {
        crc32c::crc32c(self.checked).to_be_bytes() == self.checksum
    }

    fn verify(&self) -> Result<(), &'static str> {
        if !self.is_intact() {
            return Err("the checksum of a chunk is wrong");
        }
        let contents = chunk_contents(self.encoding, self.data)?;
        let said = (Timestamp::from_millis(self.start), Timestamp::from_millis(self.end));
        let is_true = (contents.start, contents.end) == said;
        if is_true { Ok(()) } else { Err("a chunk holds other times than it says") }
    }
}
