//! The log as senders see it: what was appended, in the order in which it was appended.

use std::fmt;
use std::io;
use std::str::FromStr;

use model::{Labels, Metadata, Sample};

/// A place between two records of the log. Survives a restart; `Display` and `FromStr` are for
/// cursor files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    pub segment: u32,
    pub offset: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}:{}", self.segment, self.offset)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log position {0:?}: want SEGMENT:OFFSET")]
pub struct ParsePositionError(String);

impl FromStr for LogPosition {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParsePositionError(text.to_owned());
        let (segment, offset) = text.split_once(':').ok_or_else(error)?;
        let segment = segment.parse().map_err(|_| error())?;
        let offset = offset.parse().map_err(|_| error())?;
        Ok(Self { segment, offset })
    }
}

/// A series' number in the log. Unlike a series reference it stays the same over a restart, and one
/// series may have had several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogSeries(pub u64);

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedSample {
    pub series: LogSeries,
    pub sample: Sample,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("read log segment {segment}")]
    Io { segment: u32, source: io::Error },
}

/// Reads the log from a position onwards. Made by [`crate::Db::log_reader`].
#[derive(Debug)]
pub struct LogReader {}

impl LogReader {
    /// Appends what comes next to `batch`, until that holds at least `max` samples or the end is
    /// reached; gives the number of samples added, 0 when caught up. Reads whole commits, so a batch
    /// may exceed `max` by one of those. A damaged stretch of the log is stepped over (replay has
    /// reported it); a position whose segment is gone continues with the oldest one there is.
    pub fn read(&mut self, _batch: &mut Vec<LoggedSample>, _max: usize) -> Result<usize, LogError> {
        unimplemented!()
    }

    /// Everything before it has been given out. Persist it once that was delivered.
    pub fn position(&self) -> LogPosition {
        unimplemented!()
    }

    /// The labels of a series named by a sample that was read and is still held
    /// ([`crate::Db::hold_log`]).
    pub fn labels(&self, _series: LogSeries) -> Option<Labels> {
        unimplemented!()
    }

    /// What is known of the metric family of `series`.
    pub fn metadata(&self, _series: LogSeries) -> Option<Metadata> {
        unimplemented!()
    }
}
