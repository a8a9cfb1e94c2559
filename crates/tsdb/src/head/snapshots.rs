//! Lets readers see whole commits while commits go on.
//!
//! Commits are numbered. A reader's cut is the last number that was published when it began. Each
//! series remembers its state before the newest commit that touched it, and no older one, hence:
//!
//! - SNAP-1: a commit may touch a series again only when no open snapshot has a cut older than the
//!   commit that touched it last.
//!
//! A snapshot is open while series are being picked up, which takes milliseconds; commits come
//! further apart than that per series, so that in practice nobody waits.

use parking_lot::{Condvar, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    published: u64,
    open: Vec<u64>,
}

impl State {
    fn oldest(&self) -> u64 {
        self.open.iter().copied().min().unwrap_or(u64::MAX)
    }
}

impl Snapshots {
    pub(crate) fn begin(&self) -> Snapshot<'_> {
        let mut state = self.state.lock();
        let cut = state.published;
        state.open.push(cut);
        Snapshot { snapshots: self, cut }
    }

    /// Commit `number` has been applied to every series.
    pub(crate) fn publish(&self, number: u64) {
        self.state.lock().published = number;
    }

    /// The oldest cut that a reader is using.
    pub(crate) fn oldest(&self) -> u64 {
        self.state.lock().oldest()
    }

    /// Waits until no open snapshot has a cut below `number`; gives the oldest one then.
    pub(crate) fn wait_for(&self, number: u64) -> u64 {
        let mut state = self.state.lock();
        while state.oldest() < number {
            self.ended.wait(&mut state);
        }
        state.oldest()
    }
}

#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    snapshots: &'a Snapshots,
    pub(crate) cut: u64,
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        let mut state = self.snapshots.state.lock();
        if let Some(found) = state.open.iter().position(|&cut| cut == self.cut) {
            state.open.swap_remove(found);
        }
        drop(state);
        self.snapshots.ended.notify_all();
    }
}
