//! The write-ahead log on disk: Prometheus' own format, so that either can read the other's.
//!
//! ```text
//! wal/00000000 …        segments: pages of 32 KiB, the last one possibly partial
//! page     := fragment* zeros
//! fragment := type u8 | length u16 BE | crc32c u32 BE | data
//! type     := 0 rest of page is empty, 1 full, 2 first, 3 middle, 4 last; +8 snappy, +16 zstd
//! wal/checkpoint.NNNNNNNN/   what is still needed of the segments up to NNNNNNNN, as segments
//! ```
//! - WAL-1: records replay in the order in which they were acknowledged; one writer at a time.
//! - WAL-2: a record lies within one segment; a segment whose rest is too small for it is left.
//! - WAL-3: damage ends a segment: what comes before it counts, what comes after it is reported.
//! - Source: Prometheus `tsdb/docs/format/wal.md`, `tsdb/wlog`.

pub(crate) mod checkpoint;
pub(crate) mod compression;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod writer;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub(crate) const PAGE_BYTES: usize = 32 * 1024;
pub(crate) const SEGMENT_BYTES: u64 = 128 << 20;
/// Before each fragment: type, length, checksum.
pub(crate) const HEADER_BYTES: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
const KIND_MASK: u8 = 7;

pub(crate) fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

/// There is a number after every one that is used.
fn usable(segment: u32) -> io::Result<u32> {
    if segment == u32::MAX {
        return Err(io::Error::other("the numbers for segments of the log are used up"));
    }
    Ok(segment)
}

/// The segments in `dir`, in order.
pub(crate) fn list_segments(dir: &Path) -> io::Result<Vec<u32>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let Some(segment) = name.to_str().filter(|name| name.len() >= 6)
            && let Ok(segment) = segment.parse()
        {
            segments.push(usable(segment)?);
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Makes a directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
