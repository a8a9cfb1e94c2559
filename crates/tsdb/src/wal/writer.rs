//! Appends records to the newest segment.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compression::{Compression, Compressor};
use super::{FIRST, FULL, HEADER_BYTES, LAST, MIDDLE, PAGE_BYTES, segment_path, sync_dir, usable};
use crate::log::LogPosition;

/// Owns the end of the log. A write that fails leaves the log as it was (WRITER-1): what it may have
/// left behind the end is cut off before anything else is written.
#[derive(Debug)]
pub(crate) struct LogWriter {
    dir: PathBuf,
    segment: u32,
    segment_bytes_max: u64,
    file: Arc<File>,
    offset: u64,
    /// The file may hold something behind `offset`.
    tail_is_dirty: bool,
    /// The directory may not name the file yet, once power fails.
    is_new: bool,
    unsynced: Vec<UnsyncedTail>,
    fragments: Vec<u8>,
    compressor: Compressor,
}

/// The end of a segment that no sync has covered.
#[derive(Debug)]
pub(crate) struct UnsyncedTail {
    file: Arc<File>,
    /// The directory, where the file is new in it.
    new_in: Option<PathBuf>,
    start: u64,
    /// A sync failed: who knows what of it the kernel still means to write.
    is_uncertain: bool,
}

impl UnsyncedTail {
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.new_in.as_deref().map_or(Ok(()), sync_dir)
    }
}

impl LogWriter {
    /// Starts segment `segment`, which must not exist yet.
    pub(crate) fn create(
        dir: &Path,
        segment: u32,
        segment_bytes_max: u64,
        compression: Compression,
    ) -> io::Result<Self> {
        let compressor = Compressor::new(compression)?;
        let file = create_segment(dir, segment)?;
        Ok(Self {
            dir: dir.to_owned(),
            segment,
            segment_bytes_max,
            file,
            offset: 0,
            tail_is_dirty: false,
            is_new: true,
            unsynced: Vec::new(),
            fragments: Vec::new(),
            compressor,
        })
    }

    pub(crate) const fn position(&self) -> LogPosition {
        LogPosition { segment: self.segment, offset: self.offset }
    }

    /// Writes `records`, in order, by one call to the operating system; all of them or none. Gives
    /// the position of the first.
    pub(crate) fn write(&mut self, records: &[&[u8]]) -> io::Result<LogPosition> {
        self.cut_dirty_tail()?;
        self.frame(records)?;
        if self.offset > 0 && self.offset + self.fragments.len() as u64 > self.segment_bytes_max {
            self.next_segment()?;
            self.frame(records)?;
        }
        let start = self.position();
        self.tail_is_dirty = true;
        self.file.write_all_at(&self.fragments, self.offset)?;
        self.tail_is_dirty = false;
        self.offset += self.fragments.len() as u64;
        if self.unsynced.last().is_none_or(|tail| !Arc::ptr_eq(&tail.file, &self.file)) {
            let new_in = mem::take(&mut self.is_new).then(|| self.dir.clone());
            let file = Arc::clone(&self.file);
            let start = start.offset;
            self.unsynced.push(UnsyncedTail { file, new_in, start, is_uncertain: false });
        }
        Ok(start)
    }

    /// Leaves the current segment for a new one, so that the former can be dropped one day.
    pub(crate) fn next_segment(&mut self) -> io::Result<()> {
        self.cut_dirty_tail()?;
        let page_used = self.offset % PAGE_BYTES as u64;
        let whole_pages = self.offset + (PAGE_BYTES as u64 - page_used) % PAGE_BYTES as u64;
        let file = create_segment(&self.dir, self.segment + 1)?;
        self.file.set_len(whole_pages)?; // zeros: "the rest of the page is empty"
        self.file = file;
        self.is_new = true;
        self.segment += 1;
        self.offset = 0;
        Ok(())
    }

    /// Takes back the newest write, which began at `position`.
    pub(crate) fn rewind(&mut self, position: LogPosition) {
        assert_eq!(position.segment, self.segment, "only the newest write can be taken back");
        self.offset = position.offset;
        self.tail_is_dirty = true;
    }

    /// What to sync so that all written so far is durable. If that fails, give it back by
    /// [`LogWriter::still_unsynced`].
    pub(crate) fn take_unsynced(&mut self) -> io::Result<Vec<UnsyncedTail>> {
        for tail in &mut self.unsynced {
            if tail.is_uncertain {
                write_again(&tail.file, tail.start)?;
                tail.is_uncertain = false;
            }
        }
        Ok(mem::take(&mut self.unsynced))
    }

    pub(crate) fn still_unsynced(&mut self, mut tails: Vec<UnsyncedTail>) {
        tails.iter_mut().for_each(|tail| tail.is_uncertain = true);
        self.unsynced.splice(0..0, tails);
    }

    fn cut_dirty_tail(&mut self) -> io::Result<()> {
        if self.tail_is_dirty {
            self.file.set_len(self.offset)?;
            self.tail_is_dirty = false;
        }
        Ok(())
    }

    /// Lays `records` out in pages, from `offset` on, into `fragments`.
    pub(crate) fn frame(&mut self, records: &[&[u8]]) -> io::Result<()> {
        self.fragments.clear();
        for record in records {
            let (flag, data) = self.compressor.compress(record)?;
            put_fragments(&mut self.fragments, self.offset, flag, data);
        }
        Ok(())
    }
}

/// From the kernel's cache, which has it still.
fn write_again(file: &File, start: u64) -> io::Result<()> {
    let mut at = start;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        file.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
}

/// Appends `data` to `out`, whose first byte will lie at `start` of its segment.
fn put_fragments(out: &mut Vec<u8>, start: u64, flag: u8, data: &[u8]) {
    let mut rest = data;
    let mut is_first = true;
    loop {
        let page_left = PAGE_BYTES - ((start + out.len() as u64) % PAGE_BYTES as u64) as usize;
        if page_left <= HEADER_BYTES {
            out.resize(out.len() + page_left, 0);
            continue;
        }
        let (fragment, after) = rest.split_at(rest.len().min(page_left - HEADER_BYTES));
        let kind = match (is_first, after.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        out.push(kind | flag);
        out.extend((fragment.len() as u16).to_be_bytes());
        out.extend(crc32c::crc32c(fragment).to_be_bytes());
        out.extend_from_slice(fragment);
        if after.is_empty() {
            return;
        }
        (rest, is_first) = (after, false);
    }
}

fn create_segment(dir: &Path, segment: u32) -> io::Result<Arc<File>> {
    let path = segment_path(dir, usable(segment)?);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    Ok(Arc::new(file))
}

#[cfg(test)]
#[path = "writer/tests.rs"]
mod tests;
