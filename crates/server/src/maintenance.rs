//! What the storage engine needs done by the clock, which it does not read itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tsdb::Db;

const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// Brings the log to the disk every `wal_sync`, and keeps retention, until `shutdown`. Errors are
/// logged, and what failed is tried again at the next tick.
pub(crate) async fn run(db: Arc<Db>, wal_sync: Duration, shutdown: CancellationToken) {
    let sync = every(wal_sync, &db, Db::sync, "sync the log");
    let maintain = every(MAINTENANCE_INTERVAL, &db, Db::maintain, "maintain the storage");
    tokio::select! {
        () = sync => {}
        () = maintain => {}
        () = shutdown.cancelled() => {}
    }
}

async fn every(
    period: Duration,
    db: &Arc<Db>,
    work: fn(&Db) -> io::Result<()>,
    what: &'static str,
) {
    if period.is_zero() {
        return std::future::pending().await;
    }
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let db = Arc::clone(db);
        match tokio::task::spawn_blocking(move || work(&db)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "{what}"),
            Err(panic) => tracing::error!(error = %panic, "{what}"),
        }
    }
}
