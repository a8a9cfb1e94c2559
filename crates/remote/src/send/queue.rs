//! Which samples go into which request, when, and how far the log is dealt with. Histograms and exemplars
//! are samples here.
//!
//! A series belongs to one lane for good. A request takes all it can from lanes that no other request
//! holds, and holds them until it is settled. So any number of requests may be under way and that
//! number may change at any moment, while a series' samples leave one request after another.
//!
//! ```text
//! log ─► chunk ─► lanes ─► request ──► delivered, or given up ─► chunk settled ─► acknowledged()
//!                            ▲    │
//!                            └────┘ retry after a while
//! ```
//! - QUEUE-1: samples of one series leave in the order of the log, and at most one request with any of
//!   them is under way.
//! - QUEUE-2: `acknowledged` never passes a sample that is neither delivered nor given up.
//! - QUEUE-3: pushed = settled + `pending`.
//! - QUEUE-4: at most `capacity × allowed` samples are pending, and one chunk more.
//!
//! No socket, no clock, no randomness in here: time is what callers say, counted from any origin.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use rustc_hash::FxHashMap;
use tsdb::{LogItem, LogPosition};

use crate::send::backoff::Backoff;
use crate::send::config::QueueConfig;
use crate::send::kind::Counts;
use crate::send::series::Forwarded;

/// Fewer lanes would leave requests with nothing to take while others are under way.
const LANES_MIN: usize = 64;

/// While nothing is under way a request need not be full, as long as so much time is between two.
const QUIET_PAUSE: Duration = Duration::from_millis(250);

/// One sample, histogram or exemplar on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) series: Arc<Forwarded>,
    pub(super) item: LogItem,
    /// Which read of the log it came from; set by [`Queue::push`].
    pub(super) chunk: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RequestId(u64);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The destination has it, or will never take it: either way it is done with.
    Settled,
    /// Send it again, no sooner than the destination asked.
    Retry { after: Option<Duration> },
}

#[derive(Debug)]
pub(crate) struct Queue {
    config: QueueConfig,
    lanes: Vec<Lane>,
    /// The lane that the next request looks at first.
    next_lane: usize,
    requests: FxHashMap<RequestId, Request>,
    next_request: u64,
    chunks: VecDeque<Chunk>,
    first_chunk: u64,
    acknowledged: LogPosition,
    pending: Counts,
    /// How many requests may be under way: more while there is demand, fewer after failures.
    allowed: usize,
    /// When the newest request was formed.
    formed_at: Duration,
    /// The destination asked to be left alone until then.
    paused_until: Duration,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Entry>,
    held: bool,
}

#[derive(Debug)]
struct Request {
    entries: Vec<Entry>,
    lanes: Vec<usize>,
    failures: u32,
    state: RequestState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestState {
    UnderWay,
    RetryAt(Duration),
}

/// Samples that were read from the log at one time.
#[derive(Debug)]
struct Chunk {
    end: LogPosition,
    unsettled: usize,
    read_at: Duration,
    newest: Timestamp,
}

impl Queue {
    /// For a destination that has everything before `start`.
    pub(super) fn new(config: QueueConfig, start: LogPosition) -> Self {
        let lanes = config.max_shards.get().max(LANES_MIN);
        Self {
            allowed: config.min_shards.get(),
            config,
            lanes: std::iter::repeat_with(Lane::default).take(lanes).collect(),
            next_lane: 0,
            requests: FxHashMap::default(),
            next_request: 0,
            chunks: VecDeque::new(),
            first_chunk: 0,
            acknowledged: start,
            pending: Counts::default(),
            formed_at: Duration::ZERO,
            paused_until: Duration::ZERO,
        }
    }

    /// Whether more of the log should be read now (QUEUE-4).
    pub(super) fn has_room(&self) -> bool {
        let per_request = self.config.capacity.max(self.config.max_samples_per_send).get();
        self.pending.total() < per_request.saturating_mul(self.allowed)
    }

    /// Takes what was read of the log up to `end`, in order.
    pub(super) fn push(&mut self, entries: Vec<Entry>, end: LogPosition, now: Duration) {
        let newest = entries.iter().map(|entry| entry.item.timestamp()).max();
        match (newest, self.chunks.back_mut()) {
            (Some(newest), _) => {
                let unsettled = entries.len();
                self.chunks.push_back(Chunk { end, unsettled, read_at: now, newest });
            }
            (None, Some(last)) => last.end = end,
            (None, None) => self.acknowledged = end,
        }
        self.pending += counts(&entries);
        let chunk = self.first_chunk + self.chunks.len().saturating_sub(1) as u64;
        let lanes = self.lanes.len() as u64;
        for entry in entries {
            let lane = (entry.series.hash % lanes) as usize;
            self.lanes[lane].waiting.push_back(Entry { chunk, ..entry });
        }
    }

    /// A request to be sent now: one that is due again, or a new one. Call until it gives `None`.
    pub(super) fn poll(&mut self, now: Duration) -> Option<RequestId> {
        if now < self.paused_until {
            return None;
        }
        let due = |state| matches!(state, RequestState::RetryAt(at) if at <= now);
        let again = self.requests.iter().filter(|(_, request)| due(request.state));
        if let Some(id) = again.map(|(id, _)| *id).min() {
            self.requests.get_mut(&id)?.state = RequestState::UnderWay;
            return Some(id);
        }
        let full = self.ready() >= self.config.max_samples_per_send.get();
        let flush = self.flush_at().is_some_and(|at| at <= now);
        (self.requests.len() < self.allowed && (full || flush)).then(|| self.form(now))
    }

    pub(super) fn entries(&self, id: RequestId) -> &[Entry] {
        self.requests.get(&id).map_or(&[], |request| &request.entries)
    }

    /// Says how a request went; gives its samples once it is settled. `jitter` is in `0.0..1.0`.
    pub(super) fn answered(
        &mut self,
        id: RequestId,
        answer: Answer,
        now: Duration,
        jitter: f64,
    ) -> Option<Vec<Entry>> {
        match answer {
            Answer::Settled => {
                let request = self.requests.remove(&id)?;
                for lane in request.lanes {
                    self.lanes[lane].held = false;
                }
                self.settle(&request.entries);
                self.adapt_to_demand();
                Some(request.entries)
            }
            Answer::Retry { after } => {
                let backoff =
                    Backoff { min: self.config.min_backoff, max: self.config.max_backoff };
                let request = self.requests.get_mut(&id)?;
                request.failures += 1;
                let again = now + backoff.delay(request.failures, jitter);
                request.state = RequestState::RetryAt(again);
                self.allowed = (self.allowed / 2).max(self.config.min_shards.get());
                if let Some(after) = after {
                    self.paused_until = self.paused_until.max(now + after);
                }
                None
            }
        }
    }

    /// When [`Queue::poll`] may have something to give without anything else happening.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        let retries = self.requests.values().filter_map(|request| match request.state {
            RequestState::RetryAt(at) => Some(at),
            RequestState::UnderWay => None,
        });
        let flush = self.flush_at().filter(|_| self.requests.len() < self.allowed);
        retries.chain(flush).min().map(|at| at.max(self.paused_until))
    }

    /// Everything before it is delivered or given up (QUEUE-2).
    pub(super) fn acknowledged(&self) -> LogPosition {
        self.acknowledged
    }

    pub(crate) fn pending(&self) -> Counts {
        self.pending
    }

    /// The newest sample's time of the oldest chunk that is not settled.
    pub(super) fn oldest_pending(&self) -> Option<Timestamp> {
        self.chunks.front().map(|chunk| chunk.newest)
    }

    pub(crate) fn allowed(&self) -> usize {
        self.allowed
    }

    /// How many samples a new request could take from.
    fn ready(&self) -> usize {
        self.lanes.iter().filter(|lane| !lane.held).map(|lane| lane.waiting.len()).sum()
    }

    /// When a request is to be formed though it is not full: when the oldest sample that it could take
    /// has waited long enough, and sooner where nothing else is sent.
    fn flush_at(&self) -> Option<Duration> {
        let free = self.lanes.iter().filter(|lane| !lane.held);
        let oldest = free.filter_map(|lane| lane.waiting.front()).map(|entry| entry.chunk).min()?;
        let read_at = self.chunk(oldest).read_at;
        let deadline = read_at + self.config.batch_send_deadline;
        if self.requests.is_empty() {
            return Some(read_at.max(self.formed_at + QUIET_PAUSE).min(deadline));
        }
        Some(deadline)
    }

    fn chunk(&self, number: u64) -> &Chunk {
        &self.chunks[(number - self.first_chunk) as usize]
    }

    /// Takes samples lane by lane until the request is full or nothing is left to take.
    fn form(&mut self, now: Duration) -> RequestId {
        self.formed_at = now;
        let max = self.config.max_samples_per_send.get();
        let (mut entries, mut taken) =
            (Vec::with_capacity(max.min(self.pending.total())), Vec::new());
        for step in 0..self.lanes.len() {
            let index = (self.next_lane + step) % self.lanes.len();
            let lane = &mut self.lanes[index];
            if lane.held || lane.waiting.is_empty() {
                continue;
            }
            let take = lane.waiting.len().min(max - entries.len());
            entries.extend(lane.waiting.drain(..take));
            lane.held = true;
            taken.push(index);
            if entries.len() == max {
                break;
            }
        }
        self.next_lane = taken.last().map_or(0, |last| (last + 1) % self.lanes.len());
        // Series that are alike lie together, and compress well. Stable: QUEUE-1.
        entries.sort_by_key(|entry| entry.series.order);
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let state = RequestState::UnderWay;
        self.requests.insert(id, Request { entries, lanes: taken, failures: 0, state });
        id
    }

    fn settle(&mut self, entries: &[Entry]) {
        self.pending -= counts(entries);
        for entry in entries {
            self.chunks[(entry.chunk - self.first_chunk) as usize].unsettled -= 1;
        }
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| chunk.unsettled == 0) {
            self.acknowledged = chunk.end;
            self.first_chunk += 1;
        }
    }

    /// One more request where a full one waits, one fewer where not even these are needed.
    fn adapt_to_demand(&mut self) {
        if self.ready() >= self.config.max_samples_per_send.get() {
            self.allowed = (self.allowed + 1).min(self.config.max_shards.get());
        } else if self.requests.len() + 1 < self.allowed {
            self.allowed = (self.allowed - 1).max(self.config.min_shards.get());
        }
    }
}

pub(super) fn counts(entries: &[Entry]) -> Counts {
    Counts::of(entries.iter().map(|entry| &entry.item))
}

#[cfg(test)]
mod tests;
