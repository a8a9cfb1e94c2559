//! Runs every group of the configuration, one task each.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use parking_lot::{Mutex, RwLock};
use promql::{Cancel, Engine};
use querylog::QueryLog;
use storage::{Append, Query};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Metrics;
use crate::context::{Context, Notify, Settings};
use crate::group::{Group, group_key};
use crate::rule::{Rule, RuleGroup};
use crate::status::{AlertsStatus, GroupStatus, RulesStatus, alert_statuses};

/// What a manager works with. The durations are Prometheus' flags `--rules.alert.…`.
pub struct Options {
    pub engine: Arc<Engine>,
    pub query: Arc<dyn Query>,
    pub query_log: Arc<QueryLog>,
    pub append: Arc<dyn Append>,
    pub notify: Arc<dyn Notify>,
    pub metrics: Metrics,
    /// Tells the time of day.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Nothing is sent again sooner, unless it ended.
    pub resend_delay: Duration,
    /// How old a state may be to be restored after a restart.
    pub outage_tolerance: Duration,
    /// A restored alert does not fire sooner.
    pub grace_period: Duration,
    /// How many groups may evaluate at one time.
    pub concurrency: NonZeroUsize,
}

impl Options {
    pub const RESEND_DELAY: Duration = Duration::from_secs(60);
    pub const OUTAGE_TOLERANCE: Duration = Duration::from_secs(60 * 60);
    pub const GRACE_PERIOD: Duration = Duration::from_secs(10 * 60);
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("resend_delay", &self.resend_delay)
            .field("outage_tolerance", &self.outage_tolerance)
            .field("grace_period", &self.grace_period)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// Owns the groups and their tasks. Use it inside a tokio runtime.
pub struct Manager {
    context: Arc<Context>,
    tasks: TaskTracker,
    /// By file and name: the order in which they are listed.
    groups: Mutex<Groups>,
}

#[derive(Default)]
struct Groups {
    running: BTreeMap<(String, String), Running>,
    /// A configuration was applied before: rules that are new from now on have no past.
    applied: bool,
}

struct Running {
    group: Arc<Group>,
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// What a group's task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    /// Stop; the group that follows takes over the state.
    Replace,
    /// Stop, and end the group's series once a group that took them over had time to show.
    Remove,
    /// Stop at once.
    Exit,
}

impl Manager {
    pub fn new(options: Options) -> Self {
        let context = Context {
            engine: options.engine,
            query: options.query,
            query_log: options.query_log,
            append: options.append,
            notify: options.notify,
            metrics: options.metrics,
            clock: options.clock,
            resend_delay: options.resend_delay,
            outage_tolerance: options.outage_tolerance,
            grace_period: options.grace_period,
            slots: Semaphore::new(options.concurrency.get()),
            cancel: Cancel::new(),
            exit: CancellationToken::new(),
            settings: RwLock::default(),
        };
        let groups = Mutex::default();
        Self { context: Arc::new(context), tasks: TaskTracker::new(), groups }
    }

    /// Runs exactly `groups` from now on, which must have no two of one file and name. A group that
    /// is as before runs on undisturbed; one that changed keeps the state of the rules that are the
    /// same (RULES-4).
    pub fn apply(&self, groups: Vec<RuleGroup>, settings: Settings) {
        let settings = Arc::new(settings);
        *self.context.settings.write() = Arc::clone(&settings);
        let mut state = self.groups.lock();
        let restored = std::mem::replace(&mut state.applied, true);
        let mut before = std::mem::take(&mut state.running);
        for config in groups {
            let key = (config.file.clone(), config.name.clone());
            let running = match before.remove(&key) {
                Some(same) if same.group.is(&config, &settings) => same,
                old => self.start(config, &settings, old, restored),
            };
            state.running.insert(key, running);
        }
        for gone in before.into_values() {
            gone.order.send_replace(Order::Remove);
            self.context.metrics.remove_group(&gone.group.key());
        }
    }

    pub fn rules(&self) -> RulesStatus {
        let groups = self.groups.lock();
        let groups = groups.running.values().map(|running| GroupStatus::of(&running.group));
        RulesStatus { groups: groups.collect() }
    }

    /// The alerts that are pending or firing, rule by rule.
    pub fn alerts(&self) -> AlertsStatus {
        let groups = self.groups.lock();
        let mut alerts = Vec::new();
        for running in groups.running.values() {
            for (rule, state) in running.group.rules() {
                if matches!(rule, Rule::Alerting(_)) {
                    alerts.extend(alert_statuses(&state));
                }
            }
        }
        AlertsStatus { alerts }
    }

    /// Stops all groups and waits for them. Their series are not ended: we may be back soon.
    pub async fn shutdown(&self) {
        self.context.cancel.cancel();
        self.context.exit.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn start(
        &self,
        config: RuleGroup,
        settings: &Settings,
        old: Option<Running>,
        restored: bool,
    ) -> Running {
        let metrics = self.context.metrics.group(&group_key(&config.file, &config.name));
        let group = Arc::new(Group::new(config, settings, metrics, restored));
        let (order, orders) = watch::channel(Order::Run);
        let runner =
            Runner { group: Arc::clone(&group), context: Arc::clone(&self.context), orders };
        let task = self.tasks.spawn(runner.run(old));
        Running { group, order, task }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups.lock();
        f.debug_struct("Manager").field("groups", &groups.running.keys()).finish_non_exhaustive()
    }
}

/// The task of one group.
struct Runner {
    group: Arc<Group>,
    context: Arc<Context>,
    orders: watch::Receiver<Order>,
}

impl Runner {
    async fn run(mut self, old: Option<Running>) {
        if let Some(old) = old {
            old.order.send_replace(Order::Replace);
            let _ = old.task.await; // a panic of its was logged when it happened
            self.group.adopt(&old.group);
        }
        if self.evaluate_on_time().await == Order::Remove {
            self.end_series().await;
        }
    }

    /// Evaluates the group until there is another order, which it gives. Alert states are restored
    /// after the second evaluation, when there is data again and recording rules have run.
    async fn evaluate_on_time(&mut self) -> Order {
        let restore = self.group.awaits_restore();
        let mut at = self.group.schedule.first(self.now());
        let mut evaluations = 0u64;
        loop {
            let wait = self.group.schedule.wait(self.now(), at);
            if let Some(order) = self.order_within(wait).await {
                return order;
            }
            self.on_slot(move |group, context| group.evaluate(context, at)).await;
            evaluations += 1;
            if restore && evaluations == 2 {
                let now = self.now();
                self.on_slot(move |group, context| group.restore(context, now)).await;
            }
            let (next, missed) = self.group.schedule.next(at, self.now());
            self.group.metrics.iterations_missed.inc_by(missed);
            at = next;
        }
    }

    /// Waits for two intervals, in which a renamed rule's first evaluation shows, then ends what is
    /// left of the group.
    async fn end_series(&mut self) {
        let now = self.now();
        tokio::select! {
            () = self.context.exit.cancelled() => return,
            () = tokio::time::sleep(2 * self.group.interval) => {}
        }
        self.on_slot(move |group, context| group.end_all(context, now)).await;
    }

    /// The order that comes within `wait`, if one does.
    async fn order_within(&mut self, wait: Duration) -> Option<Order> {
        tokio::select! {
            biased;
            () = self.context.exit.cancelled() => Some(Order::Exit),
            order = self.orders.wait_for(|order| *order != Order::Run) => {
                Some(order.map_or(Order::Exit, |order| *order)) // the manager is gone
            }
            () = tokio::time::sleep(wait) => None,
        }
    }

    /// Runs blocking `work` off the async threads, once there is a slot for it.
    async fn on_slot(&self, work: impl FnOnce(&Group, &Context) + Send + 'static) {
        let _slot = self.context.slots.acquire().await;
        let (group, context) = (Arc::clone(&self.group), Arc::clone(&self.context));
        let done = tokio::task::spawn_blocking(move || work(&group, &context)).await;
        if let Err(error) = done {
            tracing::error!(group = self.group.config.name, %error, "rule group");
        }
    }

    fn now(&self) -> Timestamp {
        (self.context.clock)()
    }
}

#[cfg(test)]
mod tests;
