//! The database: one data directory, opened.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Metadata, Timestamp};
use storage::{Append, Appender, LabelQuery, Query, QueryError, Selection, SeriesSet};

use crate::log::{LogPosition, LogReader};
use crate::metrics::Metrics;

#[derive(Clone, Debug)]
pub struct Options {
    pub dir: PathBuf,
    /// Samples older than this, counted from the newest one, may go. `None` keeps everything.
    pub retention: Option<Duration>,
    /// How far behind the newest sample others may arrive out of order. Zero: not at all.
    pub out_of_order_window: Duration,
    /// Whether a commit waits for the disk (`--storage.wal-sync=0`). Otherwise [`Db::sync`] does,
    /// whenever it is called.
    pub sync_before_ack: bool,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retention: Some(Duration::from_secs(15 * 24 * 3600)),
            out_of_order_window: Duration::ZERO,
            sync_before_ack: false,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data directory {dir} is in use by another process", dir = .dir.display())]
    Locked { dir: PathBuf },
    #[error("{action} {path}", path = .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

#[derive(Debug)]
pub struct Db {}

impl Db {
    pub fn open(_options: Options, _metrics: Metrics) -> Result<Arc<Self>, OpenError> {
        unimplemented!()
    }

    /// Brings everything acknowledged to the disk. Cheap when nothing was written since.
    pub fn sync(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Drops what retention no longer keeps and shortens the log. Call it every minute or so, off
    /// the async threads; it returns at once when there is nothing to do.
    pub fn maintain(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// Refuses further commits and brings the log to the disk. The directory is unlocked when the
    /// last reference goes.
    pub fn close(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// The number of series in the head.
    pub fn series_count(&self) -> usize {
        unimplemented!()
    }

    /// The oldest and newest sample, where there is any.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        unimplemented!()
    }

    /// Where the next commit will be written.
    pub fn log_end(&self) -> LogPosition {
        unimplemented!()
    }

    /// The oldest position that can still be read.
    pub fn log_start(&self) -> LogPosition {
        unimplemented!()
    }

    pub fn log_reader(self: &Arc<Self>, _from: LogPosition) -> LogReader {
        unimplemented!()
    }

    /// Keeps the log from `position` on, in the name of one destination; each call replaces that
    /// destination's last one. Holds do not survive a restart: ask again before `maintain` is called.
    pub fn hold_log(&self, _destination: &str, _position: LogPosition) {
        unimplemented!()
    }

    pub fn release_log(&self, _destination: &str) {
        unimplemented!()
    }

    /// Bytes of log from `position` to the end: a sender's backlog.
    pub fn log_bytes_since(&self, _position: LogPosition) -> u64 {
        unimplemented!()
    }

    /// `wake` is called after every commit that stored something, on the committer's thread: it must
    /// not block.
    pub fn on_commit(&self, _wake: Box<dyn Fn() + Send + Sync>) {
        unimplemented!()
    }
}

impl Append for Db {
    fn appender(&self) -> Box<dyn Appender + '_> {
        unimplemented!()
    }
}

impl Query for Db {
    fn select(&self, _selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        unimplemented!()
    }

    fn label_names(&self, _query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unimplemented!()
    }

    fn label_values(&self, _name: &str, _query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unimplemented!()
    }

    fn metadata(&self, _metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        unimplemented!()
    }
}
