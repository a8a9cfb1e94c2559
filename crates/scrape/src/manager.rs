//! Runs the pools of all jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use discovery::TargetGroup;
use model::Timestamp;
use parking_lot::Mutex;
use storage::Append;
use tokio::sync::Semaphore;

use crate::Metrics;
use crate::job::Job;
use crate::pool::Pool;
use crate::scrape_loop::Shared;
use crate::status::TargetsStatus;

/// Tells the time of day.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Clone, Debug)]
pub struct Options {
    /// Shifts all scrapes within their intervals: replicas with different seeds do not scrape at the
    /// same time, and one that restarts with the same seed keeps its times.
    pub offset_seed: u64,
    /// Random, and known to nobody: targets must not be able to make series collide.
    pub key_seed: u64,
    /// This machine's name for others: stands for `localhost` in status pages.
    pub external_host: String,
    /// How many bodies are read into storage at the same time; at least 1.
    pub readers: usize,
}

pub struct Manager {
    shared: Arc<Shared>,
    pools: Mutex<BTreeMap<String, Pool>>,
}

impl Manager {
    pub fn new(append: Arc<dyn Append>, clock: Clock, options: Options, metrics: Metrics) -> Self {
        let readers = Arc::new(Semaphore::new(options.readers.max(1)));
        let shared = Arc::new(Shared { append, clock, options, metrics, readers });
        Self { shared, pools: Mutex::default() }
    }

    /// Makes the running jobs these. Must be called within a tokio runtime, which runs the loops.
    pub fn apply(&self, jobs: Vec<Job>) {
        let mut pools = self.pools.lock();
        for (name, pool) in &mut *pools {
            if jobs.iter().all(|job| job.name() != name) {
                pool.leave();
            }
        }
        pools.retain(|_, pool| !pool.is_over());
        for job in jobs {
            let job = Arc::new(job);
            pools
                .entry(job.name().to_owned())
                .or_insert_with(|| Pool::new(Arc::clone(&job)))
                .apply(job, &self.shared);
        }
        self.count(&pools);
    }

    /// From here on these are the groups that discovery knows for a job. Must be called within a tokio
    /// runtime, too.
    pub fn find(&self, job: &str, found: Vec<Arc<TargetGroup>>) {
        let mut pools = self.pools.lock();
        if let Some(pool) = pools.get_mut(job) {
            pool.find(found, &self.shared);
            self.count(&pools);
        }
    }

    fn count(&self, pools: &BTreeMap<String, Pool>) {
        let active: usize = pools.values().map(Pool::active_count).sum();
        let dropped: usize = pools.values().map(Pool::dropped_count).sum();
        self.shared.metrics.targets.set(active as i64);
        self.shared.metrics.targets_dropped.set(dropped as i64);
    }

    /// What `/api/v1/targets` shows.
    pub fn status(&self) -> TargetsStatus {
        let mut status = TargetsStatus::default();
        for (name, pool) in &*self.pools.lock() {
            let host = &self.shared.options.external_host;
            status.active_targets.extend(pool.active_status(host));
            status.dropped_targets.extend(pool.dropped_status());
            if pool.dropped_count() > 0 || pool.active_count() > 0 {
                status.dropped_target_counts.insert(name.clone(), pool.dropped_count());
            }
        }
        status
    }

    /// Stops all loops and waits for them. Writes no staleness markers: the next process goes on.
    pub async fn shutdown(&self) {
        let pools = std::mem::take(&mut *self.pools.lock());
        let tasks: Vec<_> = pools.into_values().flat_map(Pool::stop).collect();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a scrape loop ended badly");
            }
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
