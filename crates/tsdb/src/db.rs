//! The database: one data directory, opened.

mod admin;
mod batch;
mod blocks;
mod committer;
mod compact;
mod delete;
mod durable;
mod grouped;
pub(crate) mod merged;
mod open;
mod past;
mod query;
pub(crate) mod read;
pub(crate) mod replay;
mod saved;
mod snapshot;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{TimeRange, Timestamp};
use parking_lot::{Mutex, MutexGuard, RwLock};
use storage::{Append, AppendError, Appended, Appender};
use tracing::info;

use crate::block::directory_bytes;
#[cfg(test)]
use crate::block::meta::BlockMeta;
use crate::head::Head;
use crate::head::spill::Spill;
use crate::head::truncation::Truncation;
use crate::lock::DirLock;
use crate::log::{LogPosition, LogReader};
use crate::metrics::Metrics;
use crate::wal::compression::Compression;
use crate::wal::record::RecordBuilder;
use crate::wal::{SEGMENT_BYTES, checkpoint, list_segments, segment_path};
use batch::Batch;
use blocks::Blocks;
use committer::{Committer, Given, Pending, Rules, logged_metadata};
use durable::Durable;

/// How far ahead of the clock samples may be.
const AHEAD_MAX: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub struct Options {
    pub dir: PathBuf,
    /// Samples older than this, counted from the newest one, may go. `None` keeps everything.
    pub retention: Option<Duration>,
    /// The oldest blocks go while blocks and log take more than this on disk. `None`: no limit.
    pub retention_bytes: Option<u64>,
    /// How far behind the newest sample others may arrive out of order. Zero: not at all.
    pub out_of_order_window: Duration,
    /// So many exemplars are kept, the newest ones. Zero: none.
    pub exemplars_max: usize,
    /// Whether a commit waits for the disk (`--storage.wal-sync=0`). Otherwise [`Db::sync`] does,
    /// whenever it is called.
    pub sync_before_ack: bool,
    /// How new records of the log are compressed. All that there are can be read.
    pub log_compression: Compression,
    /// A log segment is left for the next one at this size.
    pub segment_bytes_max: u64,
    /// Tells the time. With it, samples dated more than ten minutes ahead are refused: retention and
    /// compaction go by the newest sample, so one bad clock would take all data away.
    pub clock: Option<fn() -> Timestamp>,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            retention: Some(Duration::from_secs(15 * 24 * 3600)),
            retention_bytes: None,
            out_of_order_window: Duration::ZERO,
            exemplars_max: 100_000,
            sync_before_ack: false,
            log_compression: Compression::default(),
            segment_bytes_max: SEGMENT_BYTES,
            clock: None,
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
    late_log_dir: PathBuf,
    metrics: Metrics,
    head: Arc<Head>,
    blocks: Blocks,
    committer: Mutex<Committer>,
    /// The end of what is logged and applied.
    log_end: Mutex<LogPosition>,
    holds: Mutex<HashMap<String, LogPosition>>,
    hooks: RwLock<Vec<Box<dyn Fn() + Send + Sync>>>,
    spare_batches: Mutex<Vec<Vec<Pending>>>,
    durable: Durable,
    /// Held by whoever maintains the database.
    maintenance: Mutex<Spill>,
    _lock: DirLock,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Opening and looking after.
impl Db {
    /// Moves what is old enough into blocks, merges blocks, drops what retention no longer keeps and
    /// shortens the log. Call it every minute or so, off the async threads; it returns at once when
    /// there is nothing to do, and after minutes when there is much.
    pub fn maintain(&self) -> io::Result<()> {
        let mut spill = self.maintenance.lock();
        if self.committer.lock().is_closed {
            return Ok(()); // what was saved of the head stands
        }
        // Each is tried, whatever became of the others: on a full disk retention makes room.
        let steps = [
            self.compact_what_is_due(),
            self.remove_expired_blocks(),
            self.compact_blocks(),
            self.clean_late_log(),
            spill.run(&self.head),
        ];
        self.update_gauges();
        steps.into_iter().collect()
    }

    /// From now on keeps so many exemplars.
    pub fn set_exemplars_max(&self, max: usize) {
        self.head.exemplars.write().resize(max);
    }

    /// The number of series in the head.
    pub fn series_count(&self) -> usize {
        self.head.index.read().len()
    }

    /// The oldest and newest sample, where there is any. The oldest is a lower bound.
    pub fn time_range(&self) -> Option<TimeRange> {
        let blocks = self.blocks.range();
        let head = self.head.bounds.oldest().zip(self.head.bounds.newest());
        let head = head.map(|(oldest, newest)| TimeRange::new(oldest, newest));
        match (blocks, head) {
            (Some(a), Some(b)) => Some(TimeRange::new(a.start.min(b.start), a.end.max(b.end))),
            (a, b) => a.or(b),
        }
    }

    /// Retention counts from the newest sample.
    fn remove_expired_blocks(&self) -> io::Result<()> {
        let newest = self.time_range().map(|range| range.end);
        let since = newest.zip(self.options.retention).map(|(newest, kept)| newest.minus(kept));
        let bytes_max = match self.options.retention_bytes {
            Some(max) => max.saturating_sub(self.bytes_beside_blocks()?),
            None => u64::MAX,
        };
        let expired = self.blocks.expired(since.unwrap_or(Timestamp::MIN), bytes_max);
        self.blocks.remove(&expired);
        for block in &expired {
            info!(block = block.meta().ulid.as_str(), "a block is past retention");
            block.remove()?;
            self.metrics.blocks_expired.inc();
        }
        Ok(())
    }

    /// Of the logs and of the head's chunks.
    fn bytes_beside_blocks(&self) -> io::Result<u64> {
        let dirs =
            [self.log_dir.clone(), self.late_log_dir.clone(), self.options.dir.join("chunks_head")];
        let there = dirs.iter().filter(|dir| dir.exists());
        there.map(|dir| directory_bytes(dir)).sum()
    }

    fn truncate_head(&self, before: Timestamp) {
        self.head.readers.wait();
        let mut committer = self.committer.lock();
        let mut truncation = Truncation::begin(&self.head, before);
        loop {
            let forwarded_until = (!self.holds.lock().is_empty()).then(|| *self.log_end.lock());
            if !truncation.step(forwarded_until) {
                break;
            }
            MutexGuard::bump(&mut committer); // whoever waits to commit
        }
        drop(committer);
        truncation.forget();
        self.metrics.series_removed.inc_by(truncation.removed);
        info!(%before, removed_series = truncation.removed, "head truncated");
    }

    /// Drops the segments of the late log before `late_first`, and moves what is needed of the older
    /// two thirds of the log, as far as nobody holds it, into a checkpoint.
    fn shorten_log(&self, since: Timestamp, late_first: Option<u32>) -> io::Result<()> {
        let current = {
            let mut committer = self.committer.lock();
            if committer.writer.position().offset > 0 {
                committer.writer.next_segment()?;
                *self.log_end.lock() = committer.writer.position();
            }
            committer.writer.position().segment
        };
        self.sync()?; // what was written before is durable before its segments may go
        self.drop_late_log_before(late_first)?;
        let Some(&first) = list_segments(&self.log_dir)?.first() else { return Ok(()) };
        let held = self.holds.lock().values().map(|held| held.segment).min().unwrap_or(current);
        let end = (current - (current - first).div_ceil(3)).min(held);
        if end <= first {
            return Ok(());
        }
        let keep = |number| self.head.index.read().knows_number(number);
        let compression = self.options.log_compression;
        let metadata = self.metadata_record();
        let lost = checkpoint::write(&self.log_dir, end - 1, compression, since, keep, &metadata)?;
        self.metrics.log_damage.inc_by(lost.segments);
        self.metrics.log_damage_bytes.inc_by(lost.bytes);
        self.metrics.log_damage_records.inc_by(lost.records);
        self.metrics.checkpoints.inc();
        info!(segments_before = end, "checkpoint of the log written");
        Ok(())
    }

    /// Drops the segments of the late log before `first`.
    fn drop_late_log_before(&self, first: Option<u32>) -> io::Result<()> {
        if let Some(last) = first.and_then(|first| first.checked_sub(1)) {
            checkpoint::remove_covered(&self.late_log_dir, last)?;
        }
        self.committer.lock().late_times.former_are_gone();
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
        self.metrics.exemplars.set(self.head.exemplars.read().len() as i64);
        if let Some(range) = self.time_range() {
            self.metrics.oldest_seconds.set(range.start.as_millis() / 1000);
            self.metrics.newest_seconds.set(range.end.as_millis() / 1000);
        }
        self.metrics.log_segment.set(self.log_end().segment.into());
        self.metrics.blocks.set(self.blocks.len() as i64);
        self.metrics.blocks_bytes.set(self.blocks.bytes() as i64);
        self.metrics.blocks_tombstones.set(self.blocks.tombstones() as i64);
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
        let mut holds = self.holds.lock();
        holds.remove(destination);
        let oldest = holds.values().min().copied();
        drop(holds);
        self.head.index.write().forget_departed(oldest.unwrap_or_else(|| self.log_end()));
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

    /// From now on every full chunk leaves memory at the next maintenance.
    #[cfg(test)]
    pub(crate) fn spill_eagerly(&self) {
        self.maintenance.lock().make_eager();
    }

    #[cfg(test)]
    pub(crate) fn blocks_for_test(&self) -> Vec<BlockMeta> {
        self.blocks.all().iter().map(|block| block.meta().clone()).collect()
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
    fn commit(&self, given: Given<'_>) -> Result<Appended, AppendError> {
        let mut committer = self.committer.lock();
        let appended =
            committer.commit(&self.head, &self.blocks, &self.metrics, self.rules(), given)?;
        let (number, has_stored) = (committer.commits(), committer.has_stored());
        let log_end = committer.writer.position();
        *self.log_end.lock() = log_end;
        drop(committer);
        if has_stored {
            self.hooks.read().iter().for_each(|wake| wake());
        }
        if self.options.sync_before_ack {
            self.sync_until(number).map_err(|cause| {
                self.metrics.log_write_errors.inc();
                AppendError::Log { segment: log_end.segment, cause }
            })?;
        }
        Ok(appended)
    }

    fn rules(&self) -> Rules {
        let window = self.options.out_of_order_window;
        let newest = self.time_range().map_or(Timestamp::MIN, |range| range.end);
        Rules {
            valid_from: self.head.bounds.valid_from(),
            valid_until: self.options.clock.map_or(Timestamp::MAX, |now| now().plus(AHEAD_MAX)),
            late_from: (!window.is_zero()).then(|| newest.minus(window)),
        }
    }
}

#[cfg(test)]
#[path = "db/tests.rs"]
mod tests;
