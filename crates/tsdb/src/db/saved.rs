//! The end of a database and the start of the next one on its directory: the head goes from one to the
//! other in a file, if it can.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use super::committer::late_log::LateTimes;
use super::open::Back;
use super::replay::Replay;
use super::{Db, Options};
use crate::head::saved::{self, Loaded, LogEnds, Logs, Unusable};
use crate::head::spill::{self, Spill};
use crate::metrics::Metrics;
use crate::wal::sync_dir;

/// For a compaction to end. Without the head saved, the next start takes longer.
const MAINTENANCE_WAIT_MAX: Duration = Duration::from_secs(3);

impl Db {
    /// Refuses further commits, brings the log to the disk, and saves the head for the next start. The
    /// directory is unlocked when the last reference goes.
    pub fn close(&self) -> io::Result<()> {
        let was_closed = std::mem::replace(&mut self.committer.lock().is_closed, true);
        self.sync()?;
        if !was_closed && let Err(error) = self.save_head() {
            warn!(%error, "the head is not saved: the next start replays the log");
        }
        Ok(())
    }

    fn save_head(&self) -> io::Result<()> {
        let Some(mut spill) = self.maintenance.try_lock_for(MAINTENANCE_WAIT_MAX) else {
            return Err(io::Error::other("maintenance goes on"));
        };
        spill.run_to_the_end(&self.head)?;
        let logs = {
            let committer = self.committer.lock();
            let late_log = committer.late_writer.as_ref().map(|writer| writer.position());
            let ends = LogEnds { log: committer.writer.position(), late_log };
            Logs { ends, late: committer.late_times.save() }
        };
        saved::write(&self.options.dir, logs, &self.head, &self.metadata_record())?;
        info!(series = self.series_count(), "head saved");
        Ok(())
    }
}

/// What the last database on this directory saved, if it can be used. It is gone afterwards, but for the
/// chunk files that this head uses.
pub(super) fn take_over(
    options: &Options,
    ends: LogEnds,
    metrics: &Metrics,
) -> io::Result<Option<Back>> {
    let loaded = load(options, ends, metrics).unwrap_or_else(|reason| {
        warn!(%reason, "the saved head is not used");
        metrics.saved_heads_discarded.inc();
        None
    });
    let dir = &options.dir;
    remove(&saved::path(dir))?;
    remove(&saved::unfinished(dir))?;
    sync_dir(dir)?;
    let Some(Loaded { head, late, files, .. }) = loaded else {
        spill::clean_up(dir, &spill::SpillFiles::default())?;
        return Ok(None);
    };
    spill::clean_up(dir, &files)?;
    metrics.saved_heads_loaded.inc();
    info!(series = head.index.read().len(), "the saved head is used");
    let late_times = LateTimes::load(late);
    Ok(Some(Back { head, late_times, spill: Spill::after(dir, &files) }))
}

fn load(options: &Options, ends: LogEnds, metrics: &Metrics) -> Result<Option<Loaded>, Unusable> {
    let loaded = saved::load(&options.dir, ends, options.exemplars_max)?;
    if let Some(Loaded { head, records, bounds, .. }) = &loaded {
        Replay::new(head, metrics).records(records).map_err(|_| Unusable::Damaged)?;
        head.bounds.load(*bounds);
    }
    Ok(loaded)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
