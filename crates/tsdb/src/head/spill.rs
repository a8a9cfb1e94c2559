//! Full chunks in files instead of memory.
//!
//! ```text
//! chunks_head/000001 … := 0130BC91 | version 1 | 0 0 0 | chunk*
//! chunk := series u64 | start i64 | end i64 | encoding u8 | length uvarint | data | crc32c u32 BE
//! ```
//! The checksum covers all of the chunk before it. The files only stand in for memory: the log has
//! all that is in them, and each is left when nothing of it is used any more. When the database opens
//! those go that a saved head does not refer to. They have Prometheus' format, for one that finds them
//! after us.
//!
//! - SPILL-1: the files' numbers have no gap, or a Prometheus would not start: one that is not used any
//!   more is empty until all before it are gone.
//! - Source: Prometheus `tsdb/docs/format/head_chunks.md`, `tsdb/chunks/head_chunks.go`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Timestamp;

use super::full_chunk::FullChunk;
use super::{Head, Place};
use crate::codec::put_uvarint;
use crate::log::LogSeries;
use crate::mapped::Mapped;
use crate::wal::sync_dir;

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
    number: u32,
    bytes: Mapped,
    path: PathBuf,
    /// Whether a saved head refers to the file.
    is_kept: AtomicBool,
}

impl Drop for SpillFile {
    /// Gives the room back. The file itself goes when all before it are gone (SPILL-1).
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            let _ = make_empty(&self.path); // or else at the next start
        }
    }
}

impl SpillFile {
    const fn new(number: u32, bytes: Mapped, path: PathBuf) -> Self {
        Self { number, bytes, path, is_kept: AtomicBool::new(false) }
    }
}

/// The files that a saved head refers to, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct SpillFiles(BTreeMap<u32, Arc<SpillFile>>);

impl SpillFiles {
    /// Gives the number of the chunk's file, and where in it the data begins.
    pub(crate) fn add(&mut self, chunk: &SpilledChunk) -> (u32, u32) {
        let number = chunk.file.number;
        self.0.entry(number).or_insert_with(|| Arc::clone(&chunk.file));
        (number, chunk.offset)
    }

    /// `None` where there is no such chunk.
    pub(crate) fn chunk(&self, file: u32, offset: u32, length: u32) -> Option<SpilledChunk> {
        let file = self.0.get(&file)?;
        let end = u64::from(offset) + u64::from(length);
        let is_inside = end <= file.bytes.len() as u64;
        is_inside.then(|| SpilledChunk { file: Arc::clone(file), offset, length })
    }

    /// Finds a file of the data directory `dir`; gives how long it is.
    pub(crate) fn open(&mut self, dir: &Path, number: u32) -> io::Result<u64> {
        let path = file_path(&chunks_head(dir), number);
        let file = SpillFile::new(number, Mapped::open(&path)?, path);
        let length = file.bytes.len() as u64;
        self.0.insert(number, Arc::new(file));
        Ok(length)
    }

    /// Of the oldest and the newest of them.
    fn numbers(&self) -> Option<(u32, u32)> {
        let (oldest, _) = self.0.first_key_value()?;
        let (newest, _) = self.0.last_key_value()?;
        Some((*oldest, *newest))
    }

    pub(crate) fn bytes(&self, number: u32) -> Option<&[u8]> {
        Some(&self.0.get(&number)?.bytes)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.iter().map(|(&number, file)| (number, &*file.bytes))
    }

    /// Brings the files to the disk. They stay when they are not used any more.
    pub(crate) fn keep(&self) -> io::Result<()> {
        for file in self.0.values() {
            File::open(&file.path)?.sync_all()?;
        }
        if let Some(file) = self.0.values().next() {
            sync_dir(file.path.parent().unwrap_or(Path::new(".")))?;
        }
        self.0.values().for_each(|file| file.is_kept.store(true, Ordering::Relaxed));
        Ok(())
    }
}

/// Removes the files of the data directory `dir` that are not among `used`; those between others are made
/// empty (SPILL-1).
pub(crate) fn clean_up(dir: &Path, used: &SpillFiles) -> io::Result<()> {
    let entries = match fs::read_dir(chunks_head(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let is_between = number
            .zip(used.numbers())
            .is_some_and(|(number, (oldest, newest))| oldest < number && number < newest);
        match number {
            Some(number) if used.bytes(number).is_some() => {}
            _ if is_between => make_empty(&path)?,
            _ => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// The room is given back, but the file stays.
fn make_empty(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.set_len(HEADER.len() as u64)
}

fn chunks_head(dir: &Path) -> PathBuf {
    dir.join("chunks_head")
}

fn file_path(chunks_head: &Path, number: u32) -> PathBuf {
    chunks_head.join(format!("{number:06}"))
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
        Self::after(dir, &SpillFiles::default())
    }

    /// Goes on where files are.
    pub(crate) fn after(dir: &Path, files: &SpillFiles) -> Self {
        let (oldest, next) =
            files.numbers().map_or((1, 1), |(oldest, newest)| (oldest, newest + 1));
        Self { dir: chunks_head(dir), oldest, next, bytes_min: FILE_BYTES_MIN }
    }

    #[cfg(test)]
    pub(crate) const fn make_eager(&mut self) {
        self.bytes_min = 0;
    }

    /// Moves the full chunks of `head` out of memory, if there are enough of them.
    pub(crate) fn run(&mut self, head: &Head) -> io::Result<()> {
        self.run_from(self.bytes_min, head)
    }

    /// Moves all full chunks of `head` out of memory.
    pub(crate) fn run_to_the_end(&mut self, head: &Head) -> io::Result<()> {
        self.run_from(0, head)
    }

    fn run_from(&mut self, bytes_min: usize, head: &Head) -> io::Result<()> {
        self.remove_empty_files()?;
        let mut leaving = Vec::new();
        head.visit(|place, series| {
            let number = series.number;
            let chunks = series.chunks_in_memory().cloned();
            leaving.extend(chunks.map(|chunk| Leaving { place, number, chunk }));
        });
        let bytes: usize = leaving.iter().map(|leaving| leaving.chunk.bytes().len()).sum();
        if leaving.is_empty() || bytes < bytes_min {
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
        file_path(&self.dir, file)
    }

    /// Writes as many of `leaving` as fit into a file; gives their chunks there.
    fn write_file(&mut self, leaving: &[Leaving]) -> io::Result<Vec<SpilledChunk>> {
        let path = self.path(self.next);
        let written = write_chunks(&path, leaving);
        let written = written.and_then(|written| Ok((written, Mapped::open(&path)?)));
        let (written, bytes) = written.inspect_err(|_| {
            let _ = fs::remove_file(&path); // on a full disk it would only make that worse
        })?;
        let file = Arc::new(SpillFile::new(self.next, bytes, path));
        self.next += 1;
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
