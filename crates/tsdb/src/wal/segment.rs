//! Reads the records of one segment.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::compression::Decompressor;
use super::{FIRST, FULL, HEADER_BYTES, KIND_MASK, LAST, MIDDLE, PAGE_BYTES, segment_path};

/// Why a segment ends before its file does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error("{reason} at byte {offset}")]
    Damaged { offset: u64, reason: &'static str },
    #[error("read")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    /// After the last record that was read whole.
    offset: u64,
    page: Box<[u8]>,
    page_start: u64,
    page_bytes: usize,
    joined: Vec<u8>,
    decompressor: Decompressor,
}

impl SegmentReader {
    /// `offset` must lie between two records.
    pub(crate) fn open(dir: &Path, segment: u32, offset: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(segment_path(dir, segment))?,
            offset,
            page: vec![0; PAGE_BYTES].into(),
            page_start: 0,
            page_bytes: 0,
            joined: Vec::new(),
            decompressor: Decompressor::default(),
        })
    }

    /// After the last record that was read.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The next record before byte `end` of the file, decompressed; `None` where there is none.
    pub(crate) fn next(&mut self, end: u64) -> Result<Option<&[u8]>, SegmentError> {
        self.joined.clear();
        let mut at = self.offset;
        let mut kinds_wanted = [FULL, FIRST];
        loop {
            let page_left = PAGE_BYTES - (at % PAGE_BYTES as u64) as usize;
            if at >= end {
                return self.end_at(at);
            }
            if page_left < HEADER_BYTES {
                at += page_left as u64;
                continue;
            }
            let fragment = self.fragment(at, end)?;
            let Some((flags, range)) = fragment else {
                if !self.joined.is_empty() {
                    return Err(damaged(at, "a record breaks off"));
                }
                at += page_left as u64; // the rest of the page is empty
                continue;
            };
            let kind = flags & KIND_MASK;
            if !kinds_wanted.contains(&kind) {
                return Err(damaged(at, "a fragment is out of place"));
            }
            kinds_wanted = [MIDDLE, LAST];
            at += (HEADER_BYTES + range.len()) as u64;
            self.joined.extend_from_slice(&self.page[range]);
            if kind == FULL || kind == LAST {
                return self.finish(flags, at).map(Some);
            }
        }
    }

    /// How many records there seem to be from `start` on, where the first damaged one begins.
    pub(crate) fn lost_records(&mut self, start: u64, end: u64) -> io::Result<u64> {
        let (mut lost, mut at) = (1, start);
        while at < end {
            let page_end = at - at % PAGE_BYTES as u64 + PAGE_BYTES as u64;
            if page_end - at < HEADER_BYTES as u64 {
                at = page_end;
                continue;
            }
            at = match self.fragment(at, end) {
                Ok(None) => page_end,
                Ok(Some((flags, range))) => {
                    let begins = [FULL, FIRST].contains(&(flags & KIND_MASK));
                    lost += u64::from(begins && at > start);
                    at + (HEADER_BYTES + range.len()) as u64
                }
                Err(SegmentError::Damaged { .. }) => self.behind_damage(at).unwrap_or(page_end),
                Err(SegmentError::Io(error)) => return Err(error),
            };
        }
        Ok(lost)
    }

    /// Where the damaged fragment at `at` says that it ends, if there is more of its page.
    fn behind_damage(&self, at: u64) -> Option<u64> {
        let within = (at % PAGE_BYTES as u64) as usize;
        let header = self.page[within..self.page_bytes].first_chunk::<HEADER_BYTES>()?;
        let length = HEADER_BYTES + usize::from(u16::from_be_bytes([header[1], header[2]]));
        let is_plausible = header[0] & KIND_MASK <= LAST && within + length < self.page_bytes;
        is_plausible.then(|| at + length as u64)
    }

    /// No further fragment: fine between records.
    fn end_at(&mut self, at: u64) -> Result<Option<&[u8]>, SegmentError> {
        if self.joined.is_empty() { Ok(None) } else { Err(damaged(at, "a record breaks off")) }
    }

    /// The flags of the fragment at `at` and where its data lies in the page; `None` where the rest
    /// of the page is empty.
    fn fragment(
        &mut self,
        at: u64,
        end: u64,
    ) -> Result<Option<(u8, std::ops::Range<usize>)>, SegmentError> {
        self.load_page(at, end)?;
        let within = (at % PAGE_BYTES as u64) as usize;
        let bytes = &self.page[within..self.page_bytes];
        let flags = bytes[0];
        if flags & KIND_MASK == 0 {
            let empty = bytes.iter().all(|&byte| byte == 0);
            return if empty { Ok(None) } else { Err(damaged(at, "bytes where none belong")) };
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged(at, "a fragment's header breaks off"));
        };
        let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let checksum = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        let data = rest.get(..length).ok_or_else(|| damaged(at, "a fragment breaks off"))?;
        if crc32c::crc32c(data) != checksum {
            return Err(damaged(at, "a checksum is wrong"));
        }
        let start = within + HEADER_BYTES;
        Ok(Some((flags, start..start + length)))
    }

    fn load_page(&mut self, at: u64, end: u64) -> io::Result<()> {
        let start = at - at % PAGE_BYTES as u64;
        let wanted = (end - start).min(PAGE_BYTES as u64) as usize;
        if start != self.page_start || self.page_bytes < wanted {
            self.file.read_exact_at(&mut self.page[..wanted], start)?;
            self.page_start = start;
        }
        self.page_bytes = wanted;
        Ok(())
    }

    fn finish(&mut self, flags: u8, end: u64) -> Result<&[u8], SegmentError> {
        let start = self.offset;
        let record = self.decompressor.decompress(flags, &self.joined);
        let record = record.map_err(|reason| damaged(start, reason))?;
        self.offset = end;
        Ok(record)
    }
}

const fn damaged(offset: u64, reason: &'static str) -> SegmentError {
    SegmentError::Damaged { offset, reason }
}
