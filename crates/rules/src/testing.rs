//! A world for tests: a database, and somebody to notify.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels, METRIC_NAME, Matcher, Sample, TimeRange, Timestamp, is_stale};
use parking_lot::{Mutex, RwLock};
use promql::{Cancel, Engine, EngineOptions};
use storage::{Append, Columns, Query, Selection};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tsdb::Db;

use crate::context::{Context, Notify, Settings};
use crate::group::Group;
use crate::rule::RuleGroup;
use crate::{Metrics, Options};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(crate) fn groups(yaml: &str) -> Vec<RuleGroup> {
    crate::parse("rules.yml", yaml).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Remembers the alerts that it is given.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<Alert>>);

impl Notify for Inbox {
    fn notify(&self, alerts: Vec<Alert>) {
        self.0.lock().extend(alerts);
    }
}

impl Inbox {
    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<Alert> {
        std::mem::take(&mut self.0.lock())
    }
}

pub(crate) struct World {
    pub(crate) db: Arc<Db>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) metrics: Metrics,
    pub(crate) registry: prometheus::Registry,
    pub(crate) now: Arc<Mutex<Timestamp>>,
}

impl World {
    pub(crate) fn new(directory: &Path) -> Self {
        let registry = prometheus::Registry::new();
        let options = tsdb::Options::new(directory);
        let db = Db::open(options, tsdb::Metrics::register(&registry).unwrap()).unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        Self { db, inbox: Arc::default(), metrics, registry, now: Arc::default() }
    }

    pub(crate) fn engine() -> Arc<Engine> {
        Arc::new(Engine::new(EngineOptions::default()))
    }

    pub(crate) fn context(&self) -> Context {
        let now = Arc::clone(&self.now);
        Context {
            engine: Self::engine(),
            query: Arc::clone(&self.db) as Arc<dyn Query>,
            query_log: querylog::QueryLog::disabled(),
            append: Arc::clone(&self.db) as Arc<dyn Append>,
            notify: Arc::clone(&self.inbox) as Arc<dyn Notify>,
            metrics: self.metrics.clone(),
            clock: Arc::new(move || *now.lock()),
            resend_delay: Options::RESEND_DELAY,
            outage_tolerance: Options::OUTAGE_TOLERANCE,
            grace_period: Options::GRACE_PERIOD,
            slots: Semaphore::new(1),
            cancel: Cancel::new(),
            exit: CancellationToken::new(),
            settings: RwLock::new(Arc::new(settings())),
        }
    }

    /// The first group of a rule file.
    pub(crate) fn group(&self, yaml: &str) -> Group {
        Group::new(groups(yaml).remove(0), &settings(), self.metrics.group("test"), true)
    }

    pub(crate) fn write(&self, labels: &[(&str, &str)], seconds: i64, value: f64) {
        let labels: Labels = labels.iter().copied().collect();
        let mut appender = self.db.appender();
        let series = appender.series(&labels, None).unwrap();
        appender.sample(series, Sample { timestamp: at(seconds), value }).unwrap();
        assert_eq!(appender.commit().unwrap().rejected, []);
    }

    /// Every sample of a metric, by series: `name{labels} seconds=value …`.
    pub(crate) fn read(&self, metric: &str) -> Vec<String> {
        let selection = Selection::new(TimeRange::ALL, vec![Matcher::equal(METRIC_NAME, metric)]);
        let set = self.db.select(&selection).unwrap();
        let mut series = Vec::new();
        for index in 0..set.len() {
            let mut columns = Columns::default();
            set.read(index, &mut columns).unwrap();
            let samples = columns.iter().map(|Sample { timestamp, value }| {
                let value = if is_stale(value) { "stale".to_owned() } else { value.to_string() };
                format!(" {}={value}", timestamp.as_seconds())
            });
            series.push(format!("{}{}", set.labels(index), samples.collect::<String>()));
        }
        series
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        evaluation_interval: Duration::from_secs(60),
        query_offset: Duration::ZERO,
        external_labels: [("region", "eu")].into_iter().collect(),
        external_url: "http://central:9303/".to_owned(),
    }
}
