//! Opens a data directory.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use model::Timestamp;
use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::blocks::Blocks;
use super::committer::Committer;
use super::committer::late_log::LateTimes;
use super::durable::Durable;
use super::replay::{LogSegments, Replay};
use super::{Db, OpenError, Options, saved, snapshot};
use crate::head::Head;
use crate::head::saved::LogEnds;
use crate::head::spill::Spill;
use crate::lock::DirLock;
use crate::metrics::Metrics;
use crate::wal::checkpoint;
use crate::wal::writer::LogWriter;

/// Prometheus' saved head: stale as soon as we write.
const CHUNK_SNAPSHOT: &str = "chunk_snapshot.";

impl Db {
    /// Opens or makes a data directory and replays its log, which may take a while; meanwhile
    /// [`Metrics::replay_progress`] tells how far that is.
    pub fn open(options: Options, metrics: Metrics) -> Result<Arc<Self>, OpenError> {
        let (log_dir, late_log_dir) = (options.dir.join("wal"), options.dir.join("wbl"));
        fs::create_dir_all(&log_dir).map_err(failed("create", &log_dir))?;
        let lock_path = options.dir.join("lock");
        let lock = DirLock::take(&lock_path).map_err(failed("lock", &lock_path))?;
        let lock = lock.ok_or_else(|| OpenError::Locked { dir: options.dir.clone() })?;
        let has_late_log = !options.out_of_order_window.is_zero() || late_log_dir.exists();
        if has_late_log {
            fs::create_dir_all(&late_log_dir).map_err(failed("create", &late_log_dir))?;
        }
        remove_chunk_snapshots(&options.dir).map_err(failed("clean", &options.dir))?;
        checkpoint::clean_up(&log_dir).map_err(failed("clean", &log_dir))?;
        snapshot::clean_up(&options.dir).map_err(failed("clean", &options.dir))?;

        let blocks =
            Blocks::open(&options.dir, &metrics).map_err(failed("open blocks in", &options.dir))?;
        let logs = Logs::find(&options, &metrics, has_late_log)?;
        let Back { head, late_times, spill } =
            logs.bring_back_head(&options, &metrics, blocks.in_order_end())?;
        let writer = |dir: &Path, segment| {
            let (bytes_max, compression) = (options.segment_bytes_max, options.log_compression);
            LogWriter::create(dir, segment, bytes_max, compression)
                .map_err(failed("create a segment in", dir))
        };
        let log_writer = writer(&log_dir, logs.log.next)?;
        let late_log = logs.late_log.as_ref();
        let late_writer = late_log.map(|log| writer(&late_log_dir, log.next)).transpose()?;
        let log_end = log_writer.position();
        let db = Self {
            committer: Mutex::new(Committer::new(log_writer, late_writer, late_times)),
            options,
            log_dir,
            late_log_dir,
            metrics,
            head: Arc::new(head),
            blocks,
            log_end: Mutex::new(log_end),
            holds: Mutex::default(),
            hooks: RwLock::default(),
            spare_batches: Mutex::default(),
            durable: Durable::default(),
            maintenance: Mutex::new(spill),
            _lock: lock,
        };
        db.update_gauges();
        Ok(Arc::new(db))
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}

fn remove_chunk_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(CHUNK_SNAPSHOT)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// What there is of both logs.
struct Logs {
    log: LogSegments,
    late_log: Option<LogSegments>,
}

impl Logs {
    fn find(options: &Options, metrics: &Metrics, has_late_log: bool) -> Result<Self, OpenError> {
        let (dir, late_dir) = (options.dir.join("wal"), options.dir.join("wbl"));
        let log = LogSegments::of_log(&dir, metrics).map_err(failed("list segments in", &dir))?;
        let late_log = has_late_log.then(|| LogSegments::from(&late_dir, 0, metrics)).transpose();
        let late_log = late_log.map_err(failed("list segments in", &late_dir))?;
        Ok(Self { log, late_log })
    }

    /// From where it was saved, or from the logs. `written_until`: what is older is in blocks.
    fn bring_back_head(
        &self,
        options: &Options,
        metrics: &Metrics,
        written_until: Option<Timestamp>,
    ) -> Result<Back, OpenError> {
        let began = options.clock.map(|now| now());
        let late_log = self.late_log.as_ref().map(|log| log.end);
        let ends = LogEnds { log: self.log.end, late_log };
        let taken_over = saved::take_over(options, ends, metrics)
            .map_err(failed("take over the saved head in", &options.dir))?;
        let back = match taken_over {
            Some(back) => back,
            None => self.replay(options, metrics, written_until)?,
        };
        if let Some(end) = written_until {
            back.head.bounds.written(end);
        }
        if let Some((began, now)) = began.zip(options.clock) {
            metrics.replay.took(now().millis_since(began) as f64 / 1000.0);
        }
        Ok(back)
    }

    fn replay(
        &self,
        options: &Options,
        metrics: &Metrics,
        written_until: Option<Timestamp>,
    ) -> Result<Back, OpenError> {
        let head = Head::new(options.exemplars_max);
        if let Some(end) = written_until {
            head.bounds.written(end);
        }
        let none = LogSegments::default();
        let (log, late_log) = (&self.log, self.late_log.as_ref().unwrap_or(&none));
        let (dir, late_dir) = (options.dir.join("wal"), options.dir.join("wbl"));
        let mut replay = Replay::new(&head, metrics);
        replay.announce([log, late_log]);
        log.sync().and_then(|()| replay.log(log)).map_err(failed("replay", &dir))?;
        let synced = late_log.sync();
        synced.and_then(|()| replay.late_log(late_log)).map_err(failed("replay", &late_dir))?;
        replay.report();
        let late_times = replay.late_times;
        let mut spill = Spill::new(&options.dir);
        if let Err(error) = spill.run(&head) {
            warn!(%error, "full chunks stay in memory for now");
        }
        Ok(Back { head, late_times, spill })
    }
}

/// What an earlier database had in memory.
pub(super) struct Back {
    pub(super) head: Head,
    pub(super) late_times: LateTimes,
    /// Where its next chunks go.
    pub(super) spill: Spill,
}
