//! Full chunks in files instead of memory.
//!
//! ```text
//! chunks_head/000001 … := 0130BC91 | version 1 | 0 0 0 | chunk*
//! chunk := series u64 | start i64 | end i64 | encoding u8 | length uvarint | data | crc32c u32 BE
//! ```
//! The checksum covers all of the chunk before it. The files only stand in for memory: the log has
//! all that is in them, they are removed when the database opens, and each when nothing of it is used
//! any more. They have Prometheus' format, for one that finds them after a crash of ours.
//!
//! - SPILL-1: the files' numbers have no gap, or a Prometheus would not start: one that is not used any
//!   more is empty until all before it are gone.
//! - Source: Prometheus `tsdb/docs/format/head_chunks.md`, `tsdb/chunks/head_chunks.go`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Timestamp;

use super::full_chunk::FullChunk;
use super::{Head, Place, SHARDS};
use crate::codec::put_uvarint;
use crate::log::LogSeries;
use crate::mapped::Mapped;

pub(crate) const HEADER: [u8; 8] = [0x01, 0x30, 0xBC, 0x91, 1, 0, 0, 0];
/// It takes this much to be worth a file.
const FILE_BYTES_MIN: usize = 1 << 20;
/// A file is finished at this size.
const FILE_BYTES_MAX: usize = 128 << 20;

/// A chunk in a file.
#[derive(Clone, Debug)]
pub(crate) struct SpilledChunk {
    file: Arc<SpillFile>,
    offset: u32,
    length: u32,
}

impl SpilledChunk {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.file.bytes[self.offset as usize..][..self.length as usize]
    }
}

#[derive(Debug)]
struct SpillFile {
    bytes: Mapped,
    path: PathBuf,
}

impl Drop for SpillFile {
    /// Gives the room back. The file itself goes when all before it are gone (SPILL-1).
    fn drop(&mut self) {
        let file = File::options().write(true).open(&self.path);
        let _ = file.and_then(|file| file.set_len(HEADER.len() as u64)); // or else at the next start
    }
}

/// Writes the files of one database.
#[derive(Debug)]
pub(crate) struct Spill {
    dir: PathBuf,
    /// The numbers of the oldest file that is there, and of the next one.
    oldest: u32,
    next: u32,
    bytes_min: usize,
}

impl Drop for Spill {
    fn drop(&mut self) {
        let _ = self.remove_empty_files(); // what stays is removed when the database opens
    }
}

/// A chunk on its way into a file.
#[derive(Debug)]
struct Leaving {
    place: Place,
    number: LogSeries,
    chunk: FullChunk,
}

impl Spill {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.join("chunks_head"), oldest: 1, next: 1, bytes_min: FILE_BYTES_MIN }
    }

    #[cfg(test)]
    pub(crate) fn eager(dir: &Path) -> Self {
        let mut spill = Self::new(dir);
        spill.bytes_min = 0;
        spill
    }

    /// Moves the full chunks of `head` out of memory, if there are enough of them.
    pub(crate) fn run(&mut self, head: &Head) -> io::Result<()> {
        self.remove_empty_files()?;
        let mut leaving = Vec::new();
        for shard in 0..SHARDS {
            for (place, series) in head.shard(shard).iter(shard) {
                let number = series.number;
                let chunks = series.chunks_in_memory().cloned();
                leaving.extend(chunks.map(|chunk| Leaving { place, number, chunk }));
            }
        }
        let bytes: usize = leaving.iter().map(|leaving| leaving.chunk.bytes().len()).sum();
        if leaving.is_empty() || bytes < self.bytes_min {
            return Ok(());
        }
        fs::create_dir_all(&self.dir)?;
        let mut rest = leaving.as_slice();
        while !rest.is_empty() {
            let chunks = self.write_file(rest)?;
            let (written, after) = rest.split_at(chunks.len());
            for (leaving, chunk) in written.iter().zip(chunks) {
                if let Some(series) = head.shard_of(leaving.place).get_mut(leaving.place) {
                    series.spilled(leaving.chunk.start, chunk);
                }
            }
            rest = after;
        }
        Ok(())
    }

    /// Removes the oldest files as far as nothing is in them.
    fn remove_empty_files(&mut self) -> io::Result<()> {
        while self.oldest < self.next {
            let path = self.path(self.oldest);
            if fs::metadata(&path)?.len() > HEADER.len() as u64 {
                break;
            }
            fs::remove_file(path)?;
            self.oldest += 1;
        }
        Ok(())
    }

    fn path(&self, file: u32) -> PathBuf {
        self.dir.join(format!("{file:06}"))
    }

    /// Writes as many of `leaving` as fit into a file; gives their chunks there.
    fn write_file(&mut self, leaving: &[Leaving]) -> io::Result<Vec<SpilledChunk>> {
        let path = self.path(self.next);
        let written = write_chunks(&path, leaving);
        let written = written.and_then(|written| Ok((written, Mapped::open(&path)?)));
        let (written, bytes) = written.inspect_err(|_| {
            let _ = fs::remove_file(&path); // on a full disk it would only make that worse
        })?;
        self.next += 1;
        let file = Arc::new(SpillFile { bytes, path });
        let chunk = |(offset, length)| SpilledChunk { file: Arc::clone(&file), offset, length };
        Ok(written.into_iter().map(chunk).collect())
    }
}

/// Gives where in the file the data of each chunk begins, and its length.
fn write_chunks(path: &Path, leaving: &[Leaving]) -> io::Result<Vec<(u32, u32)>> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&HEADER)?;
    let (mut offset, mut written, mut buffer) = (HEADER.len(), Vec::new(), Vec::new());
    for leaving in leaving {
        let bytes = leaving.chunk.bytes();
        buffer.clear();
        buffer.extend(leaving.number.0.to_be_bytes());
        for time in [leaving.chunk.start, leaving.chunk.end] {
            buffer.extend(Timestamp::as_millis(time).to_be_bytes());
        }
        buffer.push(leaving.chunk.encoding);
        put_uvarint(&mut buffer, bytes.len() as u64);
        written.push(((offset + buffer.len()) as u32, bytes.len() as u32));
        buffer.extend_from_slice(bytes);
        buffer.extend(crc32c::crc32c(&buffer).to_be_bytes());
        out.write_all(&buffer)?;
        offset += buffer.len();
        if offset > FILE_BYTES_MAX {
            break;
        }
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(written)
}
