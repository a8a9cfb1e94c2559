//! Brings the log to the disk, for all commits that wait for it at once.
//!
//! A commit that waits for the disk is written and applied first, under the committer's lock; then it
//! waits here. Whoever comes first syncs all that is written by then, and those who came meanwhile
//! find their commits covered, or one of them syncs for all the others.
//!
//! - SYNC-1: a commit that waits is acknowledged when a sync that began after it was written has
//!   succeeded. If that fails it is refused, though what was written may stay: sent again it is stored
//!   once, and waits again.
//! - SYNC-2: what a failed sync left uncertain is written again before the next one. The kernel tells
//!   of a page that it could not write once, and takes it for clean afterwards.

use std::io;

use parking_lot::{Condvar, Mutex};

use super::Db;
use super::committer::Unsynced;
use crate::wal::writer::UnsyncedTail;

/// How far the log is on the disk.
#[derive(Default)]
pub(super) struct Durable {
    state: Mutex<State>,
    ended: Condvar,
    /// Called before a file is synced, which fails where this does.
    #[cfg(test)]
    pub(super) fault: Mutex<Option<Fault>>,
}

#[cfg(test)]
pub(super) type Fault = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    /// All commits up to this one are on the disk.
    commits: u64,
    is_syncing: bool,
}

impl Db {
    /// Brings everything acknowledged to the disk. Cheap when nothing was written since.
    pub fn sync(&self) -> io::Result<()> {
        self.sync_until(u64::MAX)
    }

    /// Returns when commit `number` is on the disk, and whatever else was written when this began.
    pub(super) fn sync_until(&self, number: u64) -> io::Result<()> {
        let Durable { state, ended, .. } = &self.durable;
        let mut now = state.lock();
        while now.is_syncing && now.commits < number {
            ended.wait(&mut now);
        }
        if now.commits >= number {
            return Ok(());
        }
        now.is_syncing = true;
        drop(now);
        let outcome = self.sync_written();
        let mut now = state.lock();
        now.is_syncing = false;
        ended.notify_all();
        now.commits = outcome?;
        Ok(())
    }

    /// Gives the number of the newest commit that was written.
    fn sync_written(&self) -> io::Result<u64> {
        let unsynced = self.committer.lock().take_unsynced()?;
        if let Err(error) = self.sync_files(&unsynced) {
            self.committer.lock().still_unsynced(unsynced);
            return Err(error);
        }
        Ok(unsynced.commits)
    }

    /// The log before the late log, which repeats some of it.
    fn sync_files(&self, unsynced: &Unsynced) -> io::Result<()> {
        let mut tails = unsynced.log.iter().chain(&unsynced.late_log);
        tails.try_for_each(|tail| self.durable.sync_tail(tail))
    }
}

impl Durable {
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests make it fail"))]
    fn sync_tail(&self, tail: &UnsyncedTail) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fault) = &*self.fault.lock() {
            fault()?;
        }
        tail.sync()
    }
}
