//! One target's life: wait, scrape, report, and mark what it leaves behind.

use std::sync::Arc;
use std::time::Duration;

use client::HttpClient;
use model::Timestamp;
use parking_lot::Mutex;
use storage::{Append, Appended, Appender};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::fetch::{self, Body};
use crate::ingest::{Counts, Memory, Report, Scrape};
use crate::job::Job;
use crate::manager::Clock;
use crate::metrics::{Metrics, Tally};
use crate::schedule;
use crate::status::Health;
use crate::target::Target;
use crate::{Options, ScrapeError};

/// What all loops use.
pub(crate) struct Shared {
    pub(crate) append: Arc<dyn Append>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// One permit for each body that may be read into storage at once.
    pub(crate) readers: Arc<Semaphore>,
}

/// What a loop is to do, until told otherwise.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) job: Arc<Job>,
    pub(crate) client: Arc<HttpClient>,
    pub(crate) target: Arc<Target>,
    /// The job has this many targets, which is more than it may: every scrape fails.
    pub(crate) targets_above_limit: Option<usize>,
    pub(crate) course: Course,
}

impl Orders {
    /// A loop that follows these has nothing to do differently under `others`.
    pub(crate) fn says_the_same_as(&self, others: &Self) -> bool {
        Arc::ptr_eq(&self.job, &others.job)
            && Arc::ptr_eq(&self.target, &others.target)
            && self.targets_above_limit == others.targets_above_limit
            && self.course == others.course
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    Scrape,
    /// The target has gone: mark its series, unless it comes back.
    Leave,
    /// The process ends.
    Stop,
}

/// What a loop tells.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) health: Health,
    pub(crate) last_error: String,
    pub(crate) last_scrape: Option<Timestamp>,
    pub(crate) last_duration: Duration,
    /// The loop takes no more orders.
    pub(crate) ended: bool,
}

pub(crate) struct ScrapeLoop {
    shared: Arc<Shared>,
    orders: watch::Receiver<Orders>,
    state: Arc<Mutex<State>>,
    /// What the memory below was made under.
    job: Arc<Job>,
    target: Arc<Target>,
    memory: Memory,
}

enum Event {
    Due(Timestamp),
    Gone,
    Stop,
}

impl ScrapeLoop {
    pub(crate) fn new(
        shared: Arc<Shared>,
        orders: watch::Receiver<Orders>,
        state: Arc<Mutex<State>>,
    ) -> Self {
        let (job, target) = {
            let orders = orders.borrow();
            (Arc::clone(&orders.job), Arc::clone(&orders.target))
        };
        let memory = Memory::new(shared.options.key_seed);
        Self { shared, orders, state, job, target, memory }
    }

    pub(crate) async fn run(mut self) {
        let mut after = self.now();
        loop {
            match self.next_event(after).await {
                Event::Due(due) => {
                    self.scrape(due).await;
                    after = schedule::after(due, self.now(), self.target.interval);
                }
                Event::Gone => match self.leave().await {
                    Left::CameBack => after = self.now(),
                    Left::ForGood => return,
                },
                Event::Stop => {
                    self.state.lock().ended = true;
                    return;
                }
            }
        }
    }

    /// Waits for the first due time after `after`, or for an order that ends the scraping.
    async fn next_event(&mut self, after: Timestamp) -> Event {
        loop {
            let course = self.orders.borrow_and_update().course;
            match course {
                Course::Scrape => {}
                Course::Leave => return Event::Gone,
                Course::Stop => return Event::Stop,
            }
            self.follow_orders();
            let offset = self.target.offset(self.shared.options.offset_seed);
            let due = schedule::next_due(after, self.target.interval, offset);
            let wait = since(self.now(), due);
            tokio::select! {
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return Event::Stop; // the manager is gone
                    }
                }
                () = tokio::time::sleep(wait) => return Event::Due(due),
            }
        }
    }

    /// Makes the memory fit the orders.
    fn follow_orders(&mut self) {
        let orders = self.orders.borrow();
        if !self.job.names_series_as(&orders.job) {
            self.memory.forget_texts();
        }
        self.job = Arc::clone(&orders.job);
        self.target = Arc::clone(&orders.target);
    }

    async fn scrape(&mut self, due: Timestamp) {
        let (began, now) = (Instant::now(), self.now());
        self.shared.metrics.began(since(due, now));
        let at = schedule::align(due, now, self.target.interval);
        let Some(body) = self.fetch().await else { return };
        let outcome = self.on_blocking_thread(move |memory, shared, job, target| {
            let scrape = Scrape { job, target, at };
            store(memory, shared, scrape, body, began)
        });
        let outcome = outcome.await;
        self.shared.metrics.ended(&outcome.tally);
        if let Some(error) = &outcome.error {
            tracing::debug!(target = %self.target.url, %error, "scrape failed");
        }
        let mut state = self.state.lock();
        state.health = if outcome.error.is_none() { Health::Up } else { Health::Down };
        state.last_error = outcome.error.map_or(String::new(), |error| error.to_string());
        state.last_scrape = Some(at);
        state.last_duration = began.elapsed();
    }

    /// `None` if the order to stop came before the body.
    async fn fetch(&mut self) -> Option<Result<Body, ScrapeError>> {
        let Orders { client, targets_above_limit, .. } = self.orders.borrow().clone();
        if let Some(targets) = targets_above_limit {
            let limit = self.job.limits.targets.unwrap_or(0);
            return Some(Err(ScrapeError::TargetLimit { targets, limit }));
        }
        tokio::select! {
            body = fetch::fetch(&client, &self.job, &self.target) => Some(body),
            _ = self.orders.wait_for(|orders| orders.course == Course::Stop) => None,
        }
    }

    /// The target has gone. Two due times and a little later, when a new loop elsewhere would have
    /// scraped it, marks its series as ended when the next scrape would have been.
    async fn leave(&mut self) -> Left {
        let interval = self.target.interval;
        let offset = self.target.offset(self.shared.options.offset_seed);
        let next = schedule::next_due(self.now(), interval, offset);
        let patience = since(self.now(), next.plus(interval).plus(interval / 10));
        tokio::select! {
            changed = self.orders.changed() => {
                // A new order: to stop, or to go on after all.
                return if changed.is_ok() { Left::CameBack } else { self.end() };
            }
            () = tokio::time::sleep(patience) => {}
        }
        let mark = move |memory: &mut Memory, shared: &Shared, _: &Job, target: &Target| {
            mark_ended(memory, shared, target, next);
        };
        self.on_blocking_thread(mark).await;
        // From here on the target is as good as new, if it comes back in this very moment.
        self.end()
    }

    /// Ends this loop, if no order has come since the last one was seen.
    fn end(&self) -> Left {
        let mut state = self.state.lock();
        if self.orders.has_changed().unwrap_or(false) {
            return Left::CameBack;
        }
        state.ended = true;
        Left::ForGood
    }

    /// Runs `work` off the async threads, when it is its turn.
    async fn on_blocking_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Memory, &Shared, &Job, &Target) -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.shared.readers).acquire_owned().await;
        let empty = Memory::new(self.shared.options.key_seed);
        let mut memory = std::mem::replace(&mut self.memory, empty);
        let shared = Arc::clone(&self.shared);
        let (job, target) = (Arc::clone(&self.job), Arc::clone(&self.target));
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit.expect("the semaphore is never closed");
            let done = work(&mut memory, &shared, &job, &target);
            (memory, done)
        });
        match work.await {
            Ok((memory, done)) => {
                self.memory = memory;
                done
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }
}

enum Left {
    CameBack,
    ForGood,
}

/// From `earlier` to `later`, zero if they are the other way round.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_millis(later.millis_since(earlier).max(0).unsigned_abs())
}

pub(crate) struct Outcome {
    pub(crate) error: Option<ScrapeError>,
    pub(crate) tally: Tally,
}

/// Puts one scrape into storage: the body if it is good, and the report in any case.
pub(crate) fn store(
    memory: &mut Memory,
    shared: &Shared,
    scrape: Scrape<'_>,
    body: Result<Body, ScrapeError>,
    began: Instant,
) -> Outcome {
    let mut appender = shared.append.appender();
    let mut counts = Counts::default();
    let mut result = body.and_then(|body| {
        let format = body.format;
        let bytes = body.unpack()?;
        let (read, result) = memory.read(&mut *appender, scrape, &bytes, format);
        counts = read;
        result
    });
    if result.is_err() {
        appender = shared.append.appender();
        if let Err(error) = memory.mark_all(&mut *appender, scrape.at) {
            result = Err(error.into());
        }
    }
    let report =
        Report { up: result.is_ok(), duration_seconds: began.elapsed().as_secs_f64(), counts };
    if let Err(error) = memory.report(&mut *appender, scrape.target, scrape.at, &report) {
        tracing::warn!(target = %scrape.target.url, %error, "append the report of a scrape");
    }
    let appended = commit(appender, scrape.target);
    Outcome { tally: Tally { counts, failed: result.is_err(), appended }, error: result.err() }
}

/// Ends all series of a target that has gone.
fn mark_ended(memory: &mut Memory, shared: &Shared, target: &Target, at: Timestamp) {
    let mut appender = shared.append.appender();
    let marked =
        memory.mark_all(&mut *appender, at).and_then(|()| memory.mark_reports(&mut *appender, at));
    if let Err(error) = marked {
        tracing::warn!(target = %target.url, %error, "append the end of a target that has gone");
    }
    let appended = commit(appender, target);
    shared.metrics.count(&Tally { appended, ..Tally::default() });
}

/// `None` if it failed.
fn commit(appender: Box<dyn Appender + '_>, target: &Target) -> Option<Appended> {
    match appender.commit() {
        Ok(appended) => {
            let rejected = appended.rejected.len();
            if rejected > 0 {
                tracing::warn!(target = %target.url, rejected, "storage rejected samples");
            }
            Some(appended)
        }
        Err(error) => {
            tracing::error!(target = %target.url, %error, "commit a scrape");
            None
        }
    }
}
