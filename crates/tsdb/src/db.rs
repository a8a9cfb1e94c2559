//! The database: one data directory, opened.

mod batch;
mod committer;
mod read;
mod replay;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Metadata, Sample, TimeRange, Timestamp};
use parking_lot::{Mutex, RwLock};
use storage::{
    Append, AppendError, Appended, Appender, LabelQuery, Query, QueryError, Selection, SeriesSet,
};
use tracing::info;

use crate::head::Head;
use crate::lock::DirLock;
use crate::log::{LogPosition, LogReader};
use crate::metrics::Metrics;
use crate::wal::record::RecordBuilder;
use crate::wal::writer::LogWriter;
use crate::wal::{SEGMENT_BYTES, checkpoint, list_segments, segment_path};
use batch::Batch;
use committer::{Committer, Pending, Rules, logged_metadata};

/// The head is cleaned once retention has moved on by this part of itself.
const RETENTION_STEPS: u32 = 10;

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
    /// A log segment is left for the next one at this size.
    pub segment_bytes_max: u64,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retention: Some(Duration::from_secs(15 * 24 * 3600)),
            out_of_order_window: Duration::ZERO,
            sync_before_ack: false,
            segment_bytes_max: SEGMENT_BYTES,
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

pub struct Db {
    options: Options,
    log_dir: PathBuf,
    metrics: Metrics,
    head: Head,
    committer: Mutex<Committer>,
    /// The end of what is logged and applied.
    log_end: Mutex<LogPosition>,
    holds: Mutex<HashMap<String, LogPosition>>,
    hooks: RwLock<Vec<Box<dyn Fn() + Send + Sync>>>,
    spare_batches: Mutex<Vec<Vec<Pending>>>,
    maintenance: Mutex<()>,
    _lock: DirLock,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Opening and looking after.
impl Db {
    /// Opens or makes a data directory and replays its log, which may take a while.
    pub fn open(options: Options, metrics: Metrics) -> Result<Arc<Self>, OpenError> {
        let log_dir = options.dir.join("wal");
        let io_error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { action, path, source }
        };
        fs::create_dir_all(&log_dir).map_err(io_error("create", &log_dir))?;
        let lock_path = options.dir.join("lock");
        let lock = DirLock::take(&lock_path).map_err(io_error("lock", &lock_path))?;
        let lock = lock.ok_or_else(|| OpenError::Locked { dir: options.dir.clone() })?;

        let head = Head::new();
        let next_segment =
            replay::replay(&head, &metrics, &log_dir).map_err(io_error("replay", &log_dir))?;
        let writer = LogWriter::create(&log_dir, next_segment, options.segment_bytes_max)
            .map_err(io_error("create a segment in", &log_dir))?;
        let log_end = writer.position();
        let db = Self {
            committer: Mutex::new(Committer::new(writer, options.sync_before_ack)),
            options,
            log_dir,
            metrics,
            head,
            log_end: Mutex::new(log_end),
            holds: Mutex::default(),
            hooks: RwLock::default(),
            spare_batches: Mutex::default(),
            maintenance: Mutex::default(),
            _lock: lock,
        };
        db.update_gauges();
        Ok(Arc::new(db))
    }

    /// Brings everything acknowledged to the disk. Cheap when nothing was written since.
    pub fn sync(&self) -> io::Result<()> {
        let files = self.committer.lock().writer.take_unsynced();
        for file in &files {
            if let Err(error) = file.sync_data() {
                self.committer.lock().writer.still_unsynced(files);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Drops what retention no longer keeps and shortens the log. Call it every minute or so, off
    /// the async threads; it returns at once when there is nothing to do.
    pub fn maintain(&self) -> io::Result<()> {
        let _alone = self.maintenance.lock();
        self.update_gauges();
        if let Some(before) = self.retention_due() {
            self.truncate_head(before);
            self.checkpoint(before)?;
        }
        Ok(())
    }

    /// Refuses further commits and brings the log to the disk. The directory is unlocked when the
    /// last reference goes.
    pub fn close(&self) -> io::Result<()> {
        self.committer.lock().is_closed = true;
        self.sync()
    }

    /// The number of series in the head.
    pub fn series_count(&self) -> usize {
        self.head.index.read().len()
    }

    /// The oldest and newest sample, where there is any. The oldest is a lower bound.
    pub fn time_range(&self) -> Option<TimeRange> {
        Some(TimeRange::new(self.head.bounds.oldest()?, self.head.bounds.newest()?))
    }

    /// Where retention begins, if enough has fallen behind it to be worth a pass over all series.
    fn retention_due(&self) -> Option<Timestamp> {
        let retention = self.options.retention?;
        let before = self.head.bounds.newest()?.minus(retention);
        let slack = retention / RETENTION_STEPS;
        (self.head.bounds.oldest()? < before.minus(slack)).then_some(before)
    }

    fn truncate_head(&self, before: Timestamp) {
        let _committer = self.committer.lock();
        let forwarded_until = (!self.holds.lock().is_empty()).then(|| *self.log_end.lock());
        let removed = self.head.truncate(before, forwarded_until);
        self.metrics.series_removed.inc_by(removed as u64);
        info!(%before, removed_series = removed, "head truncated");
    }

    /// Moves what is needed of the older two thirds of the log, as far as nobody holds it, into a
    /// checkpoint.
    fn checkpoint(&self, since: Timestamp) -> io::Result<()> {
        let current = {
            let mut committer = self.committer.lock();
            if committer.writer.position().offset > 0 {
                committer.writer.next_segment()?;
                *self.log_end.lock() = committer.writer.position();
            }
            committer.writer.position().segment
        };
        self.sync()?; // what was written before is durable before its segments may go
        let Some(&first) = list_segments(&self.log_dir)?.first() else { return Ok(()) };
        let held = self.holds.lock().values().map(|held| held.segment).min().unwrap_or(current);
        let last = (first + (current - first) * 2 / 3).min(held);
        if last <= first {
            return Ok(());
        }
        let keep = |number| self.head.index.read().knows_number(number);
        checkpoint::write(&self.log_dir, last - 1, since, keep, &self.metadata_record())?;
        self.metrics.checkpoints.inc();
        info!(segments_before = last, "checkpoint of the log written");
        Ok(())
    }

    fn metadata_record(&self) -> RecordBuilder {
        let mut record = RecordBuilder::new();
        let index = self.head.index.read();
        for (family, metadata) in self.head.metadata.lock().iter() {
            if let Some((_, logged)) = logged_metadata(&index, family, metadata) {
                record.metadata(&logged);
            }
        }
        record
    }

    fn update_gauges(&self) {
        self.metrics.series.set(self.series_count() as i64);
        if let Some(range) = self.time_range() {
            self.metrics.oldest_seconds.set(range.start.as_millis() / 1000);
            self.metrics.newest_seconds.set(range.end.as_millis() / 1000);
        }
        self.metrics.log_segment.set(self.log_end().segment.into());
    }
}

/// The log, for those who forward it.
impl Db {
    /// Where the next commit will be written.
    pub fn log_end(&self) -> LogPosition {
        *self.log_end.lock()
    }

    /// The oldest position that can still be read.
    pub fn log_start(&self) -> LogPosition {
        let first = self.segments().first().copied();
        LogPosition { segment: first.unwrap_or_else(|| self.log_end().segment), offset: 0 }
    }

    pub fn log_reader(self: &Arc<Self>, from: LogPosition) -> LogReader {
        LogReader::new(Arc::clone(self), from)
    }

    /// Keeps the log from `position` on, and the labels of what is in it, in the name of one
    /// destination; each call replaces that destination's last one. Holds do not survive a restart:
    /// ask again before `maintain` is called.
    pub fn hold_log(&self, destination: &str, position: LogPosition) {
        let mut holds = self.holds.lock();
        let previous = holds.insert(destination.to_owned(), position);
        let passed_segment = previous.is_some_and(|previous| previous.segment < position.segment);
        let oldest = holds.values().min().copied();
        drop(holds);
        if let Some(oldest) = oldest.filter(|_| passed_segment) {
            self.head.index.write().forget_departed(oldest);
        }
    }

    pub fn release_log(&self, destination: &str) {
        self.holds.lock().remove(destination);
    }

    /// Bytes of log from `position` to the end: a sender's backlog.
    pub fn log_bytes_since(&self, position: LogPosition) -> u64 {
        let end = self.log_end();
        if position >= end {
            return 0;
        }
        let between = self.segments().into_iter();
        let full = between.filter(|segment| (position.segment..end.segment).contains(segment));
        let bytes =
            |segment| fs::metadata(segment_path(&self.log_dir, segment)).map_or(0, |m| m.len());
        (end.offset + full.map(bytes).sum::<u64>()).saturating_sub(position.offset)
    }

    /// None where the directory cannot be read: whoever opens a segment hears of that.
    fn segments(&self) -> Vec<u32> {
        list_segments(&self.log_dir).unwrap_or_default()
    }

    /// `wake` is called after every commit that stored something, on the committer's thread: it must
    /// not block.
    pub fn on_commit(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.hooks.write().push(wake);
    }

    pub(crate) fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }
}

impl Append for Db {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(Batch::new(self))
    }
}

impl Db {
    fn commit(
        &self,
        samples: &mut [Pending],
        metadata: &[(String, Metadata)],
    ) -> Result<Appended, AppendError> {
        let mut committer = self.committer.lock();
        let appended =
            committer.commit(&self.head, &self.metrics, self.rules(), samples, metadata)?;
        let stored = committer.stored();
        *self.log_end.lock() = committer.writer.position();
        drop(committer);
        if stored > 0 {
            self.hooks.read().iter().for_each(|wake| wake());
        }
        Ok(appended)
    }

    fn rules(&self) -> Rules {
        let window = self.options.out_of_order_window;
        let newest = self.head.bounds.newest().unwrap_or(Timestamp::MIN);
        Rules {
            valid_from: self.head.bounds.valid_from(),
            late_from: (!window.is_zero()).then(|| newest.minus(window)),
        }
    }
}

impl Query for Db {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        Ok(Box::new(read::select(&self.head, selection)))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        if !self.overlaps(query.range) {
            return Ok(Vec::new());
        }
        let index = self.head.index.read();
        let among = index.select_any(&query.matcher_sets);
        Ok(sorted(index.label_names(among.as_ref()), query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        if !self.overlaps(query.range) {
            return Ok(Vec::new());
        }
        let index = self.head.index.read();
        let among = index.select_any(&query.matcher_sets);
        Ok(sorted(index.label_values(name, among.as_ref()), query.limit))
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        Ok(self.head.metadata.lock().list(metric))
    }

    fn latest(&self, selection: &Selection) -> Result<Vec<(Labels, Sample)>, QueryError> {
        read::latest(&self.head, selection)
    }
}

impl Db {
    fn overlaps(&self, range: TimeRange) -> bool {
        self.time_range().is_some_and(|held| held.overlaps(&range))
    }
}

fn sorted(mut texts: Vec<&str>, limit: Option<usize>) -> Vec<String> {
    texts.sort_unstable();
    texts.truncate(limit.unwrap_or(usize::MAX));
    texts.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "db/tests.rs"]
mod tests;
