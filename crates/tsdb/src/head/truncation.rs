//! Takes out of the head what blocks have.
//!
//! It goes step by step, so that commits come in between: the caller holds the committer for each step,
//! but not from one to the next.

use model::Timestamp;

use super::{Head, Place, RUNS_AT_ONCE, SHARDS};
use crate::log::LogPosition;

/// So many series leave in one step.
const LEAVING_AT_ONCE: usize = 512;

#[derive(Debug)]
pub(crate) struct Truncation<'a> {
    head: &'a Head,
    before: Timestamp,
    /// Of what stays.
    oldest: Timestamp,
    /// How far it has come: the shard, and the run in that.
    shard: usize,
    run: usize,
    /// Series without samples, which are about to leave.
    empty: Vec<Place>,
    pub(crate) removed: u64,
}

impl<'a> Truncation<'a> {
    /// Drops samples older than `before`, and series that have none.
    pub(crate) fn begin(head: &'a Head, before: Timestamp) -> Self {
        head.bounds.begin_truncation();
        let oldest = Timestamp::MAX;
        Self { head, before, oldest, shard: 0, run: 0, empty: Vec::new(), removed: 0 }
    }

    /// Does some of it; gives whether there is more to do. Labels of series that leave are kept where
    /// the log before `forwarded_until` is still to be forwarded.
    pub(crate) fn step(&mut self, forwarded_until: Option<LogPosition>) -> bool {
        if !self.empty.is_empty() {
            self.remove_some(forwarded_until);
        } else if self.shard < SHARDS {
            self.truncate_some();
        } else {
            self.head.bounds.truncated(self.before, self.oldest);
            return false;
        }
        true
    }

    fn truncate_some(&mut self) {
        let mut shard = self.head.shard(self.shard);
        for (place, series) in shard.iter_runs_mut(self.shard, self.run, RUNS_AT_ONCE) {
            match series.truncate(self.before) {
                Some(kept) => self.oldest = self.oldest.min(kept),
                // One that was just made may be about to get its first sample: a second look.
                None if series.was_empty => self.empty.push(place),
                None => series.was_empty = true,
            }
        }
        self.run += RUNS_AT_ONCE;
        if self.run >= shard.runs.len() {
            (self.shard, self.run) = (self.shard + 1, 0);
        }
    }

    fn remove_some(&mut self, forwarded_until: Option<LogPosition>) {
        let rest = self.empty.len().saturating_sub(LEAVING_AT_ONCE);
        let mut index = self.head.index.write();
        for place in self.empty.drain(rest..) {
            let mut shard = self.head.shard_of(place);
            if !shard.get(place).is_some_and(|series| series.was_empty) {
                continue; // it got a sample meanwhile
            }
            if let Some(until) = forwarded_until {
                index.depart(place, until);
            }
            self.head.generations.end(place.slot);
            shard.remove(place);
            index.remove(place);
            self.removed += 1;
        }
    }

    /// Forgets what was remembered of series that are gone. Nobody has to hold anything.
    pub(crate) fn forget(&self) {
        if self.removed > 0 {
            self.head.keys.retain(|series| self.head.contains(series.into()));
            let index = self.head.index.read();
            self.head.metadata.lock().retain(|metric| index.has_metric(metric));
        }
    }
}
