//! The parts of a server, in the order in which data flows through them.
//!
//! ```text
//! discovery ─► scrape  ─┐              ┌─► api, federate, fleet
//!              receive ─┴─► storage ───┼─► rules ─► storage; alerts ─► notifier
//!                                      └─► senders: what was appended ─► the next tier
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use discovery::TargetGroup;
use model::{Alert, Labels};
use prometheus::Registry;
use promql::{Engine, EngineOptions};
use querylog::{ActiveQueries, LogFile, QueryLog};
use storage::Query;
use tokio::sync::watch;
use tsdb::Db;

use crate::Tier;
use crate::config::Config;
use crate::flags::Flags;
use crate::machine::query_memory_bytes;
use crate::routes::now;

/// No more of the running queries are in the file that outlives a crash.
const ACTIVE_MAX: usize = 10_000;

pub(crate) struct Parts {
    pub(crate) db: Arc<Db>,
    pub(crate) engine: Engine,
    discovery: discovery::Manager,
    alertmanager_discovery: discovery::Manager,
    pub(crate) query_log: Arc<QueryLog>,
    pub(crate) scrape: Arc<scrape::Manager>,
    pub(crate) rules: rules::Manager,
    pub(crate) notifier: Arc<alerts::Notifier>,
    pub(crate) senders: remote::Senders,
    remote_metrics: remote::Metrics,
    external_labels: watch::Sender<Labels>,
    external_url: String,
    out_of_order_window: Duration,
    /// Where the configuration does not say.
    exemplars_max: usize,
}

/// Alerts leave the rules here and go to the Alertmanagers.
struct ToAlertmanagers(Arc<alerts::Notifier>);

impl rules::Notify for ToAlertmanagers {
    fn notify(&self, alerts: Vec<Alert>) {
        self.0.send(alerts);
    }
}

/// What is discovered for a job goes to its targets.
struct ToScrape(Arc<scrape::Manager>);

impl discovery::Receive for ToScrape {
    fn receive(&self, job: &str, groups: Vec<Arc<TargetGroup>>) {
        self.0.find(job, groups);
    }
}

struct ToNotifier(Arc<alerts::Notifier>);

impl discovery::Receive for ToNotifier {
    fn receive(&self, set: &str, groups: Vec<Arc<TargetGroup>>) {
        self.0.find(set, groups);
    }
}

impl Parts {
    /// Opens the storage and makes the parts, none of which does anything before [`Parts::apply`].
    pub(crate) async fn open(
        tier: &Tier,
        flags: &Flags,
        config: &Config,
        registry: &Registry,
        storage_metrics: tsdb::Metrics,
    ) -> anyhow::Result<Self> {
        let db = open_storage(tier, flags, config, storage_metrics).await?;
        let engine = Engine::new(EngineOptions {
            lookback: flags.query.lookback,
            timeout: flags.query.timeout,
            max_samples: flags.query.max_samples,
            max_memory: flags.query.max_memory.unwrap_or_else(query_memory_bytes),
            subquery_step: config.global.evaluation_interval,
            ..flags.query.options.clone()
        });
        let concurrency = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let query_log = Arc::new(open_query_log(flags, concurrency.get())?);
        let scrape = Arc::new(scrape::Manager::new(
            Arc::clone(&db) as _,
            Arc::new(now),
            scrape_options(),
            scrape::Metrics::register(registry)?,
        ));
        let found = discovery::Metrics::register(registry)?;
        let discovery =
            discovery::Manager::new(Arc::new(ToScrape(Arc::clone(&scrape))), found.clone());
        let notifier = Arc::new(alerts::Notifier::new(
            flags.notification_queue_alerts,
            alerts::Metrics::register(registry)?,
        ));
        let alertmanager_discovery =
            discovery::Manager::new(Arc::new(ToNotifier(Arc::clone(&notifier))), found);
        let remote_metrics = remote::Metrics::register(registry)?;
        let senders = remote::Senders::new(
            Arc::clone(&db),
            &flags.storage.path,
            remote_metrics.send.clone(),
        )?;
        let rules = rules::Manager::new(rules::Options {
            engine: Arc::new(engine.clone()),
            query: Arc::clone(&db) as _,
            query_log: Arc::clone(&query_log),
            append: Arc::clone(&db) as _,
            notify: Arc::new(ToAlertmanagers(Arc::clone(&notifier))),
            metrics: rules::Metrics::register(registry)?,
            clock: Arc::new(now),
            resend_delay: flags.rules.resend_delay,
            outage_tolerance: flags.rules.outage_tolerance,
            grace_period: flags.rules.grace_period,
            concurrency,
        });
        let external_url = flags.web.external_url.clone();
        let out_of_order_window = out_of_order_window(tier, config);
        let (external_labels, _) = watch::channel(Labels::empty());
        Ok(Self {
            db,
            engine,
            discovery,
            alertmanager_discovery,
            query_log,
            scrape,
            rules,
            notifier,
            senders,
            remote_metrics,
            external_labels,
            external_url,
            out_of_order_window,
            exemplars_max: flags.storage.exemplars_max,
        })
    }

    /// Makes `config` the running configuration. What can refuse it comes before what changes.
    pub(crate) async fn apply(&self, tier: &Tier, config: Config) -> anyhow::Result<()> {
        self.warn_of_what_needs_a_restart(tier, &config);
        let query_log = match &config.global.query_log_file {
            Some(path) => Some(
                LogFile::open(path)
                    .with_context(|| format!("global.query_log_file: open {}", path.display()))?,
            ),
            None => None,
        };
        let external_labels = &config.global.external_labels;
        let settings = rules::Settings {
            evaluation_interval: config.global.evaluation_interval,
            external_labels: external_labels.clone(),
            external_url: self.external_url.clone(),
            ..rules::Settings::default()
        };
        self.senders.apply(&config.remote_write, external_labels).await?;
        self.query_log.set_file(query_log);
        self.db.set_exemplars_max(config.exemplars_max.unwrap_or(self.exemplars_max));
        let alertmanagers = config.alerting.discoveries();
        self.notifier.apply(config.alerting, external_labels.clone());
        self.alertmanager_discovery.apply(alertmanagers);
        self.external_labels.send_replace(external_labels.clone());
        self.rules.apply(config.rule_groups, settings);
        let discoveries = config.scrape_jobs.iter();
        let discoveries =
            discoveries.map(|job| (job.name().to_owned(), job.discoveries().to_vec()));
        let discoveries = discoveries.collect();
        self.scrape.apply(config.scrape_jobs);
        self.discovery.apply(discoveries);
        Ok(())
    }

    fn warn_of_what_needs_a_restart(&self, tier: &Tier, config: &Config) {
        if out_of_order_window(tier, config) != self.out_of_order_window {
            tracing::warn!(
                "storage.tsdb.out_of_order_time_window changes with the next start only"
            );
        }
        if config.global.evaluation_interval != self.engine.options().subquery_step {
            tracing::warn!(
                "subqueries without a step take the new global.evaluation_interval with the next \
                 start only"
            );
        }
    }

    /// Ends what feeds the storage on its own.
    pub(crate) async fn stop_input(&self) {
        self.discovery.shutdown().await;
        self.scrape.shutdown().await;
        self.rules.shutdown().await;
    }

    /// Hands on what can be handed on in time, and ends what does it.
    pub(crate) async fn stop_output(&self) {
        self.alertmanager_discovery.shutdown().await;
        self.notifier.shutdown().await;
        self.senders.shutdown().await;
    }

    /// Where other servers write to, and what they pull from.
    pub(crate) fn links(&self) -> Router {
        let receive = remote::receive::router(
            Arc::clone(&self.db) as _,
            remote::receive::Options::default(),
            self.remote_metrics.receive.clone(),
        );
        let options = remote::federate::Options {
            lookback: self.engine.options().lookback,
            ..remote::federate::Options::default()
        };
        let federate = remote::federate::router(
            self.query(),
            self.external_labels.subscribe(),
            options,
            self.remote_metrics.federate.clone(),
        );
        receive.merge(federate)
    }

    pub(crate) fn query(&self) -> Arc<dyn Query> {
        Arc::clone(&self.db) as _
    }
}

/// Replays the log, which takes as long as there is log to replay.
async fn open_storage(
    tier: &Tier,
    flags: &Flags,
    config: &Config,
    metrics: tsdb::Metrics,
) -> anyhow::Result<Arc<Db>> {
    let options = tsdb::Options {
        retention: flags.storage.retention,
        retention_bytes: flags.storage.retention_bytes,
        out_of_order_window: out_of_order_window(tier, config),
        exemplars_max: config.exemplars_max.unwrap_or(flags.storage.exemplars_max),
        sync_before_ack: flags.storage.wal_sync.is_zero(),
        log_compression: flags.storage.wal_compression,
        clock: Some(now),
        ..tsdb::Options::new(&flags.storage.path)
    };
    let opened = tokio::task::spawn_blocking(move || Db::open(options, metrics)).await?;
    opened.context("open the storage")
}

/// Each query of a client or a rule has a place among the active ones.
fn open_query_log(flags: &Flags, rules_concurrency: usize) -> anyhow::Result<QueryLog> {
    let path = flags.storage.path.join("queries.active");
    let slots = flags.query.max_concurrency.saturating_add(rules_concurrency).min(ACTIVE_MAX);
    let active =
        ActiveQueries::open(&path, slots).with_context(|| format!("open {}", path.display()))?;
    let slow = Some(flags.query.slow).filter(|slow| !slow.is_zero());
    Ok(QueryLog::new(Some(active), slow, now))
}

fn out_of_order_window(tier: &Tier, config: &Config) -> Duration {
    config.out_of_order_window.unwrap_or(tier.out_of_order_window)
}

fn scrape_options() -> scrape::Options {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    scrape::Options {
        offset_seed: xxhash_rust::xxh3::xxh3_64(host.as_bytes()),
        key_seed: random_seed(),
        external_host: host,
        readers: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// The seed that the standard library draws for its hash maps.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8)
}
