//! One destination's loop: reads the log, keeps the queue, posts what is due, saves the cursor.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::{Labels, Timestamp};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tsdb::{Db, LogPosition};

use crate::clock;
use crate::metrics::DestinationMetrics;
use crate::send::SendError;
use crate::send::client::{Client, Reply};
use crate::send::config::{Protocol, RemoteWriteConfig};
use crate::send::cursor::{Cursor, Stored};
use crate::send::encode;
use crate::send::kind::Counts;
use crate::send::queue::{Answer, Queue, RequestId, counts};
use crate::send::source::{Chunk, Source, Work, compress};
use crate::send::symbols::Symbols;

/// Commits that come closer together than this are read together.
const READ_PAUSE: Duration = Duration::from_millis(20);
/// Wait after the log could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);
/// How often the cursor is saved and gauges are set.
const TICK: Duration = Duration::from_secs(1);
/// A series that had no sample for this long is asked for its labels again.
const IDLE_ROUND: Duration = Duration::from_secs(600);
/// How long requests under way are waited for when the sender stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Destination {
    db: Arc<Db>,
    name: String,
    client: Arc<Client>,
    queue: Queue,
    cursor: Cursor,
    /// What the cursor file says; `None` until one was written.
    saved: Option<LogPosition>,
    wake: Arc<Notify>,
    metrics: DestinationMetrics,
    /// Time for the queue counts from here.
    origin: Instant,
    /// At home while nothing is read.
    source: Option<Box<Source>>,
    working: Option<JoinHandle<(Box<Source>, Work)>>,
    saving: Option<JoinHandle<io::Result<LogPosition>>>,
    posting: FuturesUnordered<BoxFuture<'static, (Posted, Reply, Duration)>>,
    /// Compressed requests that are not settled.
    bodies: FxHashMap<RequestId, Bytes>,
    message: Vec<u8>,
    /// 1.0 once the destination turned out to know nothing else.
    protocol: Protocol,
    symbols: Symbols,
    writer: encode::v2::Writer,
    caught_up: bool,
    read_not_before: Instant,
    newest_read: Option<Timestamp>,
    ticks: Interval,
    metadata_interval: Option<Duration>,
    metadata_due: Instant,
    idle_round_due: Instant,
    last_problem: Option<String>,
}

/// What a destination needs before it starts: all that can fail.
#[derive(Debug)]
pub(super) struct Prepared {
    config: RemoteWriteConfig,
    cursor: Cursor,
    client: Arc<Client>,
}

impl Prepared {
    pub(super) fn new(folder: &Path, config: RemoteWriteConfig) -> Result<Self, SendError> {
        let cursor = Cursor::new(folder, &config.name);
        let unread = |source| SendError::Cursor { name: config.name.clone(), source };
        cursor.load().map_err(unread)?;
        let client = Arc::new(Client::new(config.clone()));
        Ok(Self { config, cursor, client })
    }

    pub(super) fn config(&self) -> &RemoteWriteConfig {
        &self.config
    }
}

#[derive(Clone, Copy, Debug)]
enum Posted {
    Samples(RequestId, Protocol),
    Metadata,
}

/// All that wakes a destination.
enum Event {
    LogGrew,
    Worked(Result<(Box<Source>, Work), JoinError>),
    Answered(Posted, Reply, Duration),
    Saved(Result<io::Result<LogPosition>, JoinError>),
    Due,
    Tick,
    Stop,
}

impl Destination {
    /// Goes on where the cursor is, and holds the log from there.
    pub(super) fn start_at_cursor(
        db: Arc<Db>,
        Prepared { config, cursor, client }: Prepared,
        external_labels: Labels,
        metrics: DestinationMetrics,
    ) -> Self {
        let name = config.name.clone();
        let start = match cursor.load() {
            Ok(Stored::Nothing) => db.log_end(),
            Ok(Stored::At(position)) if position <= db.log_end() => position,
            Ok(Stored::At(position)) => {
                tracing::warn!(remote = name, %position, "the cursor is of a log that is gone");
                db.log_start()
            }
            Ok(Stored::Unreadable) | Err(_) => {
                tracing::warn!(remote = name, "unreadable cursor: sending all of the log again");
                db.log_start()
            }
        };
        db.hold_log(&name, start);
        let saved = match cursor.save(start) {
            Ok(()) => Some(start),
            Err(error) => {
                tracing::warn!(remote = name, %error, "save cursor"); // the next tick tries again
                None
            }
        };
        metrics.set_limits(&config.queue);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let symbols = Symbols::default();
        let source =
            Source::new(Arc::clone(&db), start, &config, external_labels, Arc::clone(&symbols));
        Self {
            source: Some(Box::new(source)),
            queue: Queue::new(config.queue.clone(), start),
            metadata_interval: config.metadata.as_ref().map(|metadata| metadata.send_interval),
            client,
            db,
            name,
            cursor,
            saved,
            wake: Arc::new(Notify::new()),
            metrics,
            origin: now,
            working: None,
            saving: None,
            posting: FuturesUnordered::new(),
            bodies: FxHashMap::default(),
            message: Vec::new(),
            protocol: config.protocol,
            symbols,
            writer: encode::v2::Writer::default(),
            caught_up: false,
            read_not_before: now,
            newest_read: None,
            ticks,
            metadata_due: now,
            idle_round_due: now + IDLE_ROUND,
            last_problem: None,
        }
    }

    /// To be notified after every commit.
    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            self.start_work();
            self.post_due();
            match self.next_event(&stop).await {
                Event::LogGrew => self.caught_up = false,
                Event::Worked(Ok((source, work))) => self.worked(source, work),
                Event::Answered(posted, reply, took) => self.answered(posted, reply, took),
                Event::Saved(Ok(result)) => self.cursor_saved(result),
                Event::Due => {} // the loop's head does what is due
                Event::Tick => self.tick(),
                Event::Worked(Err(error)) | Event::Saved(Err(error)) => {
                    tracing::error!(remote = self.name, %error, "sender stops");
                    break;
                }
                Event::Stop => break,
            }
        }
        self.finish().await;
    }

    async fn next_event(&mut self, stop: &CancellationToken) -> Event {
        let due = self.wake_at();
        tokio::select! {
            () = stop.cancelled() => Event::Stop,
            Some((posted, reply, took)) = self.posting.next() => Event::Answered(posted, reply, took),
            done = join(&mut self.working) => {
                self.working = None;
                Event::Worked(done)
            }
            done = join(&mut self.saving) => {
                self.saving = None;
                Event::Saved(done)
            }
            () = self.wake.notified(), if self.caught_up => Event::LogGrew,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Event::Due,
            _ = self.ticks.tick() => Event::Tick,
        }
    }

    /// When the loop's head will have something to do without any other event.
    fn wake_at(&self) -> Option<Instant> {
        let read = self.may_read().then_some(self.read_not_before);
        let post = self.queue.wake_at().map(|at| self.origin + at);
        read.into_iter().chain(post).min()
    }

    fn may_read(&self) -> bool {
        self.source.is_some() && !self.caught_up && self.queue.has_room()
    }

    /// Sends the source to work, if there is any.
    fn start_work(&mut self) {
        let now = Instant::now();
        let describe = self.metadata_interval.is_some() && now >= self.metadata_due;
        let read = self.may_read() && now >= self.read_not_before;
        if !describe && !read {
            return;
        }
        let Some(mut source) = self.source.take() else { return };
        if describe {
            self.metadata_due = now + self.metadata_interval.unwrap_or_default();
        }
        if now >= self.idle_round_due {
            self.idle_round_due = now + IDLE_ROUND;
            source.forget_idle_series();
        }
        let protocol = self.protocol;
        self.working = Some(spawn_blocking(move || {
            source.speak(protocol);
            let work = if describe { source.describe(protocol) } else { source.read() };
            (source, work)
        }));
    }

    fn worked(&mut self, source: Box<Source>, work: Work) {
        self.source = Some(source);
        match work {
            Work::Chunk(chunk) => self.take(chunk),
            Work::Metadata(requests) => {
                for body in requests {
                    self.post(Posted::Metadata, body);
                }
            }
            Work::Failed(error) => {
                self.problem(format!("read log: {error}"));
                self.read_not_before = Instant::now() + READ_RETRY;
            }
        }
    }

    fn take(&mut self, chunk: Chunk) {
        if chunk.read == Counts::default() {
            self.caught_up = true;
            self.read_not_before = Instant::now() + READ_PAUSE;
        }
        self.newest_read = self.newest_read.max(chunk.newest);
        self.metrics.read(&chunk, self.newest_read);
        self.queue.push(chunk.entries, chunk.end, self.origin.elapsed());
    }

    fn post_due(&mut self) {
        while let Some(id) = self.queue.poll(self.origin.elapsed()) {
            let entries = self.queue.entries(id);
            let body = match self.bodies.get(&id) {
                Some(body) => {
                    self.metrics.retried(counts(entries));
                    body.clone()
                }
                None => {
                    let (out, symbols) = (&mut self.message, &self.symbols.read());
                    out.clear();
                    match self.protocol {
                        Protocol::V1 => encode::v1::write_request(out, entries, symbols),
                        Protocol::V2 => self.writer.write_request(out, entries, symbols),
                    }
                    let body = compress(out);
                    self.bodies.insert(id, body.clone());
                    body
                }
            };
            self.post(Posted::Samples(id, self.protocol), body);
        }
        self.metrics.queue(&self.queue);
    }

    fn post(&mut self, posted: Posted, body: Bytes) {
        self.metrics.bytes.inc_by(body.len() as u64);
        let client = Arc::clone(&self.client);
        let protocol = match posted {
            Posted::Samples(_, protocol) => protocol,
            Posted::Metadata => Protocol::V1,
        };
        self.posting.push(Box::pin(async move {
            let start = Instant::now();
            let reply = client.post(protocol, body).await;
            (posted, reply, start.elapsed())
        }));
    }

    fn answered(&mut self, posted: Posted, reply: Reply, took: Duration) {
        self.metrics.answered(&reply, took);
        match posted {
            Posted::Samples(id, _) => self.samples_answered(id, reply),
            Posted::Metadata => match reply {
                Reply::Delivered { .. } => {}
                Reply::Refused { why, .. }
                | Reply::Retry { why, .. }
                | Reply::Unsupported { why } => self.problem(format!("metadata: {why}")),
            },
        }
    }

    fn samples_answered(&mut self, id: RequestId, reply: Reply) {
        let (now, jitter) = (self.origin.elapsed(), fastrand::f64());
        let sent = counts(self.queue.entries(id));
        let (answer, delivered, why) = match reply {
            Reply::Delivered { written } => (Answer::Settled, written.delivered(sent, sent), None),
            Reply::Refused { written, why } => {
                (Answer::Settled, written.delivered(sent, Counts::default()), Some(why))
            }
            Reply::Retry { after, why } => (Answer::Retry { after }, Counts::default(), Some(why)),
            Reply::Unsupported { why } => {
                self.fall_back();
                (Answer::Retry { after: None }, Counts::default(), Some(why))
            }
        };
        if let Some(entries) = self.queue.answered(id, answer, now, jitter) {
            self.bodies.remove(&id);
            let newest = entries.iter().map(|entry| entry.item.timestamp()).max();
            self.metrics.settled(sent, delivered, newest);
        }
        match why {
            Some(why) => self.problem(why),
            None => self.last_problem = None,
        }
    }

    /// What is to be sent again, and what follows, is sent as 1.0.
    fn fall_back(&mut self) {
        if self.protocol == Protocol::V2 {
            tracing::info!(remote = self.name, "falls back to remote write 1.0");
            self.protocol = Protocol::V1;
            self.bodies.clear();
            self.metadata_due = Instant::now();
        }
    }

    /// Logs what goes wrong when it begins to, not each time.
    fn problem(&mut self, why: String) {
        if self.last_problem.as_ref() != Some(&why) {
            tracing::warn!(remote = self.name, why, "remote write");
            self.last_problem = Some(why);
        }
    }

    fn tick(&mut self) {
        let position = self.queue.acknowledged();
        if Some(position) != self.saved && self.saving.is_none() {
            let cursor = self.cursor.clone();
            self.saving = Some(spawn_blocking(move || cursor.save(position).map(|()| position)));
        }
        let unread = (!self.caught_up).then_some(self.newest_read).flatten();
        let oldest = self.queue.oldest_pending().or(unread);
        let behind = oldest.map_or(0, |oldest| clock::now().millis_since(oldest).max(0));
        self.metrics.behind(behind, self.db.log_bytes_since(position));
    }

    fn cursor_saved(&mut self, result: io::Result<LogPosition>) {
        match result {
            Ok(position) => {
                self.saved = Some(position);
                self.db.hold_log(&self.name, position);
            }
            Err(error) => self.problem(format!("save cursor: {error}")),
        }
    }

    /// Waits a little for what is under way, and saves how far it got.
    async fn finish(mut self) {
        let answers = async {
            while let Some((posted, reply, took)) = self.posting.next().await {
                self.answered(posted, reply, took);
            }
        };
        let _ = tokio::time::timeout(STOP_GRACE, answers).await;
        if let Some(saving) = self.saving.take() {
            let _ = saving.await;
        }
        let (cursor, position) = (self.cursor.clone(), self.queue.acknowledged());
        let saved = spawn_blocking(move || cursor.save(position).map(|()| position)).await;
        if let Ok(saved) = saved {
            self.cursor_saved(saved);
        }
        if let Some(working) = self.working.take() {
            let _ = working.await; // it holds the database
        }
    }
}

/// Waits for a task to end, or for ever if there is none.
async fn join<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}
