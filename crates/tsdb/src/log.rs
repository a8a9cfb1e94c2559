//! The log as senders see it: what was appended, in the order in which it was appended.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use model::{Exemplar, Labels, Metadata, Point, Sample, Timestamp};
use tracing::error;

use crate::db::Db;
use crate::wal::list_segments;
use crate::wal::record::{BadRecord, Record};
use crate::wal::segment::{SegmentError, SegmentReader};

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

impl LogSeries {
    /// Nobody counts further than this: a log with larger numbers does not tell which are free.
    const COUNTED_MAX: u64 = 1 << 62;

    pub(crate) const fn is_counted(self) -> bool {
        self.0 <= Self::COUNTED_MAX
    }
}

/// Something that was appended to a series.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub series: LogSeries,
    pub item: LogItem,
}

const _: () = assert!(size_of::<LogEntry>() == 32, "senders hold thousands of them");

#[derive(Clone, Debug, PartialEq)]
pub enum LogItem {
    Point(Point),
    Exemplar(Arc<Exemplar>),
}

impl LogItem {
    pub fn timestamp(&self) -> Timestamp {
        match self {
            Self::Point(point) => point.timestamp,
            Self::Exemplar(exemplar) => exemplar.timestamp,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoggedSample {
    pub series: LogSeries,
    pub sample: Sample,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoggedExemplar {
    pub(crate) series: LogSeries,
    pub(crate) exemplar: Exemplar,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("list log segments")]
    List(#[source] io::Error),
    #[error("read log segment {segment}")]
    Read { segment: u32, source: io::Error },
}

/// Reads the log from a position onwards. Made by [`Db::log_reader`].
///
/// - READER-1: gives each sample, histogram and exemplar logged after the position once, in the order of
///   the log.
#[derive(Debug)]
pub struct LogReader {
    db: Arc<Db>,
    segment: u32,
    /// The open segment; `None` before the first read and after one was finished.
    reader: Option<SegmentReader>,
    /// Where to start in a segment that is not open yet.
    offset: u64,
}

impl LogReader {
    /// A position behind the end belongs to a log that is gone: the one there is is new from its
    /// start.
    pub(crate) fn new(db: Arc<Db>, from: LogPosition) -> Self {
        let from = if from > db.log_end() { LogPosition::default() } else { from };
        Self { db, segment: from.segment, reader: None, offset: from.offset }
    }

    /// Appends what comes next to `batch`, until that holds at least `max` entries or the end is
    /// reached; gives the number of entries added, 0 when caught up. Reads whole records, so a batch
    /// may exceed `max` by one of those. A damaged stretch of the log is stepped over, reported and
    /// counted; a position whose segment is gone continues with the oldest one there is.
    pub fn read(&mut self, batch: &mut Vec<LogEntry>, max: usize) -> Result<usize, LogError> {
        let before = batch.len();
        let end = self.db.log_end();
        while batch.len() < max && self.position() < end {
            let segment = self.segment;
            let Some(reader) = self.open()? else { break };
            let limit = if segment == end.segment {
                end.offset
            } else {
                reader.file_bytes().map_err(|source| LogError::Read { segment, source })?
            };
            let damage = match reader.next(limit) {
                Ok(Some(record)) => match put_entries(record, batch) {
                    Ok(()) => continue,
                    Err(BadRecord) => Some("a record does not decode".to_owned()),
                },
                Ok(None) => None,
                Err(SegmentError::Io(source)) => return Err(LogError::Read { segment, source }),
                Err(damage) => Some(damage.to_string()),
            };
            if let Some(reason) = damage {
                self.db.metrics().log_damage.inc();
                error!(segment, reason, "the log is damaged; the rest of this segment is skipped");
            }
            let next = LogPosition { segment: segment + 1, offset: 0 };
            self.go_to(next.min(end));
        }
        Ok(batch.len() - before)
    }

    /// Everything before it has been given out. Persist it once that was delivered.
    pub fn position(&self) -> LogPosition {
        let offset = self.reader.as_ref().map_or(self.offset, SegmentReader::offset);
        LogPosition { segment: self.segment, offset }
    }

    /// The labels of a series named by a sample that was read and is still held
    /// ([`Db::hold_log`]).
    pub fn labels(&self, series: LogSeries) -> Option<Labels> {
        self.db.head().index.read().labels_of_number(series)
    }

    /// What is known of the metric family of `series`.
    pub fn metadata(&self, series: LogSeries) -> Option<Metadata> {
        let labels = self.labels(series)?;
        self.db.head().metadata.lock().of_metric(labels.metric_name()).cloned()
    }

    /// The reader of the segment at the position, or of the next one that exists.
    fn open(&mut self) -> Result<Option<&mut SegmentReader>, LogError> {
        if self.reader.is_none() {
            let dir = self.db.log_dir();
            let segments = list_segments(dir).map_err(LogError::List)?;
            let Some(segment) = segments.into_iter().find(|&s| s >= self.segment) else {
                return Ok(None);
            };
            let offset = if segment == self.segment { self.offset } else { 0 };
            let reader = SegmentReader::open(dir, segment, offset)
                .map_err(|source| LogError::Read { segment, source })?;
            self.segment = segment;
            self.reader = Some(reader);
        }
        Ok(self.reader.as_mut())
    }

    fn go_to(&mut self, position: LogPosition) {
        self.reader = None;
        (self.segment, self.offset) = (position.segment, position.offset);
    }
}

fn put_entries(record: &[u8], batch: &mut Vec<LogEntry>) -> Result<(), BadRecord> {
    match Record::parse(record)? {
        Record::Samples(samples) => {
            for logged in samples {
                let LoggedSample { series, sample } = logged?;
                batch.push(LogEntry { series, item: LogItem::Point(sample.into()) });
            }
        }
        Record::Histograms(histograms) => {
            for logged in histograms {
                let (series, point) = logged?;
                batch.push(LogEntry { series, item: LogItem::Point(point) });
            }
        }
        Record::Exemplars(exemplars) => {
            for logged in exemplars {
                let LoggedExemplar { series, exemplar } = logged?;
                batch.push(LogEntry { series, item: LogItem::Exemplar(Arc::new(exemplar)) });
            }
        }
        Record::Series(_) | Record::Metadata(_) | Record::Tombstones(_) | Record::Other(_) => {}
    }
    Ok(())
}
