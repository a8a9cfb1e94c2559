//! The head in a file, written at shutdown, so that the next start need not replay the log.
//!
//! ```text
//! saved_head := magic | section*                      the last one ends it
//! 1 position := log segment u32, offset u64 | late log segment u32, offset u64 | flags u8 | late times i64*2
//!               | bounds i64*4 | next number u64 | pairs u64 | series u64
//!    flags   := 1 there is a late log | 2 it holds something | 4 of that, something is deleted
//! 2 files    := (number uvarint | length uvarint | crc32c u32)*            of `chunks_head`
//! 3 names    := text*                                                      sorted
//! 4 pairs    := (name uvarint | value text)*                               names as they are counted
//! 5 index    := (number uvarint | aliases uvarint, number uvarint* | pairs uvarint, pair uvarint*)*
//! 6 data     := first series u32 | series*            in the order of the index, see `series::saved`
//! 7 departed := (number uvarint | segment u32 | offset u64 | pairs uvarint, (name text | value text)*)*
//! 8 record   := a record of the log: metadata, exemplars
//! ```
//! Not Prometheus' `chunk_snapshot`: that has no place for numbers of departed series, nor for samples
//! out of order; it spells out the labels of each series, which to read takes most of a start; and a
//! Prometheus that finds one relies on our `chunks_head`, where it replays the log otherwise.
//!
//! - SAVED-1: it appears whole, when all that it refers to is on the disk.
//! - SAVED-2: it is used only where both logs end where it was taken, and if every byte of it and of the
//!   chunk files is as it was written. Otherwise nothing of it is used.
//! - SAVED-3: it is used once: it goes before anything is written.

mod load;
mod section;
mod write;

use std::path::{Path, PathBuf};

use model::TimeRange;

use crate::log::LogPosition;

pub(crate) use load::{Loaded, Unusable, load};
pub(crate) use section::is_whole;
pub(crate) use write::write;

const MAGIC: [u8; 8] = *b"WSHEAD\0\x01";
const UNFINISHED: &str = "saved_head.tmp";

const HAS_LATE_LOG: u8 = 1;
const HAS_LATE: u8 = 2;
const HAS_DELETED_LATE: u8 = 4;

const POSITION: u8 = 1;
const FILES: u8 = 2;
const NAMES: u8 = 3;
const PAIRS: u8 = 4;
const INDEX: u8 = 5;
const DATA: u8 = 6;
const DEPARTED: u8 = 7;
const RECORD: u8 = 8;

/// Where the logs end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogEnds {
    pub(crate) log: LogPosition,
    pub(crate) late_log: Option<LogPosition>,
}

/// What is known of the late log's contents, which may be more than the head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SavedLate {
    pub(crate) times: Option<TimeRange>,
    pub(crate) has_deleted: bool,
}

/// What is saved of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logs {
    pub(crate) ends: LogEnds,
    pub(crate) late: SavedLate,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("saved_head")
}

/// Where one is written until it is whole.
pub(crate) fn unfinished(dir: &Path) -> PathBuf {
    dir.join(UNFINISHED)
}
