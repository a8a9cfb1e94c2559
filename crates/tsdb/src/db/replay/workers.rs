//! Puts samples into their series on several threads. Each has some of the head's shards to itself,
//! so that the samples of one series stay in order.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use model::{Point, TimeRange, Timestamp};
use tracing::error;

use crate::chunk::xor::BadChunk;
use crate::head::series::Series;
use crate::head::{Head, Place};

/// So many samples change threads at once.
const BATCH: usize = 4096;
/// So many batches of one worker may wait.
const WAITING_MAX: usize = 4;

/// A sample on its way to its series.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    pub(super) place: Place,
    pub(super) point: Point,
}

/// What a worker gets to do, in the order of the log.
#[derive(Debug)]
enum Work {
    Store(Vec<Routed>),
    Delete(Vec<(Place, TimeRange)>),
}

/// Stores a sample; gives whether it was new.
pub(super) type Store = fn(&mut Series, Point) -> bool;

#[derive(Debug)]
pub(super) struct Workers<'scope> {
    workers: Vec<Worker<'scope>>,
}

#[derive(Debug)]
struct Worker<'scope> {
    sender: SyncSender<Work>,
    /// Lists that come back empty.
    spares: Receiver<Vec<Routed>>,
    batch: Vec<Routed>,
    thread: ScopedJoinHandle<'scope, Times>,
}

/// The times of what was stored.
#[derive(Clone, Copy, Debug)]
struct Times {
    oldest: Timestamp,
    newest: Timestamp,
}

impl<'scope> Workers<'scope> {
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        head: &'env Head,
        store: Store,
    ) -> Self {
        let count = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let start = |_| {
            let (sender, receiver) = sync_channel(WAITING_MAX);
            let (give_back, spares) = sync_channel(WAITING_MAX);
            let thread = scope.spawn(move || work(head, store, &receiver, &give_back));
            Worker { sender, spares, batch: Vec::with_capacity(BATCH), thread }
        };
        Self { workers: (0..count).map(start).collect() }
    }

    pub(super) fn push(&mut self, routed: Routed) {
        let count = self.workers.len();
        let worker = &mut self.workers[routed.place.slot.shard() % count];
        worker.batch.push(routed);
        if worker.batch.len() == BATCH {
            worker.hand_over();
        }
    }

    pub(super) fn delete(&mut self, deletions: &[(Place, TimeRange)]) {
        let count = self.workers.len();
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let is_mine = |(place, _): &(Place, TimeRange)| place.slot.shard() % count == number;
            worker.hand_over();
            worker.send(Work::Delete(deletions.iter().copied().filter(is_mine).collect()));
        }
    }

    /// Waits until all is stored; the head's bounds include it then.
    pub(super) fn finish(self, head: &Head) {
        for mut worker in self.workers {
            worker.hand_over();
            drop(worker.sender);
            let times = worker.thread.join().expect("storing a sample does not panic");
            if times.oldest <= times.newest {
                head.bounds.include(times.oldest, times.newest);
            }
        }
    }
}

impl Worker<'_> {
    fn hand_over(&mut self) {
        let spare = self.spares.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
        let batch = std::mem::replace(&mut self.batch, spare);
        self.send(Work::Store(batch));
    }

    fn send(&self, work: Work) {
        let _ = self.sender.send(work); // a worker ends early by a panic only, which is passed on
    }
}

fn work(
    head: &Head,
    store: Store,
    work: &Receiver<Work>,
    give_back: &SyncSender<Vec<Routed>>,
) -> Times {
    let mut times = Times { oldest: Timestamp::MAX, newest: Timestamp::MIN };
    for work in work {
        let mut batch = match work {
            Work::Store(batch) => batch,
            Work::Delete(deletions) => {
                delete(head, &deletions);
                continue;
            }
        };
        for run in batch.chunk_by(|a, b| a.place.slot.shard() == b.place.slot.shard()) {
            let mut shard = head.shard_of(run[0].place);
            for Routed { place, point } in run {
                let at = point.timestamp;
                if shard.get_mut(*place).is_some_and(|series| store(series, point.clone())) {
                    times.oldest = times.oldest.min(at);
                    times.newest = times.newest.max(at);
                }
            }
        }
        batch.clear();
        let _ = give_back.try_send(batch); // one too many goes
    }
    times
}

fn delete(head: &Head, deletions: &[(Place, TimeRange)]) {
    for &(place, range) in deletions {
        if let Err(BadChunk) = head.delete(place, range) {
            error!("a chunk in the head does not decode, and nothing is deleted from its series");
        }
    }
}
