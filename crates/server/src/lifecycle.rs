//! From start to end of the process: load, run, reload, stop.
//!
//! - LIFE-2: on the way down, what feeds in stops first and what leads out last, and the log is on
//!   the disk before the process ends.
//! - LIFE-3: the process answers from its first moment on; what needs the storage is refused until the
//!   storage is open, with how far that is.

use std::future::IntoFuture as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::{Command, Lifecycle, Readiness};
use axum::Router;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::flags::Flags;
use crate::gate::Gate;
use crate::listener::BoundedListener;
use crate::parts::Parts;
use crate::reload::{Reloader, Seen};
use crate::status::Loaded;
use crate::telemetry::ReloadMetrics;
use crate::{Tier, maintenance, reload, routes, telemetry};

/// How long open connections may take to end once the process is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long a connection may stay open with nothing moving on it, beside the time of a query.
const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// Runs until it is told to stop. An error means that it could not start, or not end cleanly.
pub(crate) async fn run(tier: &Tier, flags: Flags) -> anyhow::Result<()> {
    let mut events = Events::new(flags.auto_reload)?;
    for unknown in &flags.unknown_features {
        tracing::warn!(feature = unknown, "unknown option for --enable-feature");
    }
    let seen = Seen::now(&flags).await;
    let config = reload::load(&flags)?;
    let registry = telemetry::registry(tier)?;
    let tcp = TcpListener::bind(flags.web.listen_address)
        .await
        .with_context(|| format!("listen on {}", flags.web.listen_address))?;
    let address = tcp.local_addr().context("find our own address")?;
    tracing::info!(program = tier.program, version = tier.version, "starting");

    let storage_metrics = tsdb::Metrics::register(&registry)?;
    let lifecycle = Lifecycle {
        readiness: Arc::new(Readiness::not_ready(storage_metrics.replay_progress())),
        commands: flags.web.enable_lifecycle.then(|| events.sender.clone()),
        registry: registry.clone(),
        metrics: api::Metrics::register(&registry)?,
    };
    let stop = CancellationToken::new();
    let gate = Gate::new(api::starting(lifecycle.clone()));
    let serve = tokio::spawn(serve(tcp, &flags, gate.router(), stop.clone()));
    let opening = Parts::open(tier, &flags, &config, &registry, storage_metrics);
    let Some(parts) = unless_stopped(opening, &mut events).await else { return Ok(()) };
    let parts = Arc::new(parts?);
    let metrics = ReloadMetrics::register(&registry)?;
    let loaded = Arc::new(RwLock::new(Loaded::now(&config)));
    parts.apply(tier, config).await?;
    metrics.succeeded();
    let readiness = Arc::clone(&lifecycle.readiness);
    gate.lead_to(routes::router(tier, &flags, &parts, &loaded, lifecycle)?);
    let upkeep = maintenance::run(Arc::clone(&parts.db), flags.storage.wal_sync, stop.clone());
    let upkeep = tokio::spawn(upkeep);
    readiness.set_ready();
    tracing::info!(%address, "ready");

    let running = Arc::clone(&parts);
    reload_until_stopped(
        Reloader { tier, flags: &flags, parts: running, loaded, metrics, seen },
        &mut events,
    )
    .await;
    readiness.set_not_ready("stopping");
    stop.cancel();
    parts.stop_input().await;
    if tokio::time::timeout(DRAIN_MAX, serve).await.is_err() {
        tracing::warn!("cutting connections that are still open");
    }
    upkeep.await.context("join the storage upkeep")?;
    parts.stop_output().await;
    tokio::task::spawn_blocking(move || parts.db.close()).await?.context("close the storage")
}

async fn reload_until_stopped(mut reloader: Reloader<'_>, events: &mut Events) {
    loop {
        match events.next().await {
            Event::Reload { done } => {
                let outcome = reloader.reload().await;
                // A client that has gone away does not want to know.
                let _ = done.map(|done| done.send(outcome));
            }
            Event::LookForChanges => reloader.reload_if_changed().await,
            Event::Stop { why } => return tracing::info!(why, "stopping"),
        }
    }
}

/// Answers requests until `stop`, and then those that have begun.
fn serve(
    tcp: TcpListener,
    flags: &Flags,
    router: Router,
    stop: CancellationToken,
) -> impl Future<Output = io::Result<()>> + use<> {
    let idle_max = CONNECTION_IDLE_MAX.saturating_add(flags.query.timeout);
    let listener = BoundedListener::new(tcp, flags.web.max_connections, idle_max);
    axum::serve(listener, api::WithClient(router))
        .with_graceful_shutdown(stop.cancelled_owned())
        .into_future()
}

/// What `starting` comes to; `None` where the process is told to stop before.
async fn unless_stopped<T>(starting: impl Future<Output = T>, events: &mut Events) -> Option<T> {
    let mut starting = pin!(starting);
    loop {
        let event = tokio::select! {
            started = &mut starting => return Some(started),
            event = events.next() => event,
        };
        match event {
            Event::Reload { done } => {
                tracing::warn!("not reloaded: still starting");
                let _ = done.map(|done| done.send(Err("still starting".to_owned())));
            }
            Event::LookForChanges => {}
            Event::Stop { why } => {
                tracing::info!(why, "stopping before the storage is open");
                return None;
            }
        }
    }
}

/// All that can make the process do something other than its work.
enum Event {
    Reload { done: Option<oneshot::Sender<Result<(), String>>> },
    LookForChanges,
    Stop { why: &'static str },
}

struct Events {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    sender: mpsc::Sender<Command>,
    receiver: mpsc::Receiver<Command>,
    look: Option<Interval>,
}

impl Events {
    /// From here on the process no longer dies of the signals that it handles.
    fn new(look_interval: Option<Duration>) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        let (sender, receiver) = mpsc::channel(1);
        let look = look_interval.map(|interval| {
            let mut look = interval_at(Instant::now() + interval, interval);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            sender,
            receiver,
            look,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.hangup.recv() => Event::Reload { done: None },
            () = tick(&mut self.look) => Event::LookForChanges,
            _ = self.interrupt.recv() => Event::Stop { why: "SIGINT" },
            _ = self.terminate.recv() => Event::Stop { why: "SIGTERM" },
            Some(command) = self.receiver.recv() => match command {
                Command::Reload { done } => Event::Reload { done: Some(done) },
                Command::Quit => Event::Stop { why: "/-/quit" },
            },
        }
    }
}

/// Never, without an interval.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}
