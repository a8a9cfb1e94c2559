//! Opens a data directory.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tracing::warn;

use super::blocks::Blocks;
use super::committer::Committer;
use super::committer::late_log::LateTimes;
use super::durable::Durable;
use super::replay::{LogSegments, Replay};
use super::{Db, OpenError, Options, snapshot};
use crate::head::Head;
use crate::head::spill::Spill;
use crate::lock::DirLock;
use crate::metrics::Metrics;
use crate::wal::checkpoint;
use crate::wal::writer::LogWriter;

/// What is derived from the log, ours or Prometheus': stale after a start, and made anew.
const DERIVED: [&str; 2] = ["chunks_head", "chunk_snapshot."];

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
        remove_derived(&options.dir).map_err(failed("clean", &options.dir))?;
        checkpoint::clean_up(&log_dir).map_err(failed("clean", &log_dir))?;
        snapshot::clean_up(&options.dir).map_err(failed("clean", &options.dir))?;

        let blocks =
            Blocks::open(&options.dir, &metrics).map_err(failed("open blocks in", &options.dir))?;
        let head = Head::new(options.exemplars_max);
        if let Some(end) = blocks.in_order_end() {
            head.bounds.written(end);
        }
        let Replayed { next, late_next, late_times } =
            replay(&head, &options, &metrics, has_late_log)?;
        let writer = |dir: &Path, segment| {
            let (bytes_max, compression) = (options.segment_bytes_max, options.log_compression);
            LogWriter::create(dir, segment, bytes_max, compression)
                .map_err(failed("create a segment in", dir))
        };
        let log_writer = writer(&log_dir, next)?;
        let late_writer = late_next.map(|next| writer(&late_log_dir, next)).transpose()?;
        let mut spill = Spill::new(&options.dir);
        if let Err(error) = spill.run(&head) {
            warn!(%error, "full chunks stay in memory for now");
        }
        let log_end = log_writer.position();
        let db = Self {
            committer: Mutex::new(Committer::new(log_writer, late_writer, late_times)),
            options,
            log_dir,
            late_log_dir,
            metrics,
            head,
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

fn remove_derived(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| DERIVED.iter().any(|prefix| name.starts_with(prefix))) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

struct Replayed {
    /// The segment to write next.
    next: u32,
    /// That of the late log, if there is one.
    late_next: Option<u32>,
    late_times: LateTimes,
}

fn replay(
    head: &Head,
    options: &Options,
    metrics: &Metrics,
    has_late_log: bool,
) -> Result<Replayed, OpenError> {
    let (dir, late_dir) = (options.dir.join("wal"), options.dir.join("wbl"));
    let log = LogSegments::of_log(&dir, metrics).map_err(failed("list segments in", &dir))?;
    let late_log = match has_late_log {
        true => LogSegments::from(&late_dir, 0, metrics),
        false => Ok(LogSegments::default()),
    };
    let late_log = late_log.map_err(failed("list segments in", &late_dir))?;
    let began = options.clock.map(|now| now());
    let mut replay = Replay::new(head, metrics);
    replay.announce([&log, &late_log]);
    log.sync().and_then(|()| replay.log(&log)).map_err(failed("replay", &dir))?;
    let synced = late_log.sync();
    synced.and_then(|()| replay.late_log(&late_log)).map_err(failed("replay", &late_dir))?;
    replay.report();
    if let Some((began, now)) = began.zip(options.clock) {
        metrics.replay.took(now().millis_since(began) as f64 / 1000.0);
    }
    let late_next = has_late_log.then_some(late_log.next);
    Ok(Replayed { next: log.next, late_next, late_times: replay.late_times })
}
