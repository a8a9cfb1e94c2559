//! What the links say of themselves.

use std::time::Duration;

use model::Timestamp;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::receive::{Account, ExemplarRefused, Outcome, Refused};
use crate::send::{Chunk, Queue, QueueConfig, Reply};

/// All of this crate's metrics; clones count into the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub receive: ReceiveMetrics,
    pub send: SendMetrics,
    pub federate: FederateMetrics,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            receive: ReceiveMetrics::register(registry)?,
            send: SendMetrics::register(registry)?,
            federate: FederateMetrics::register(registry)?,
        })
    }
}

/// RECEIVE-1.
#[derive(Clone, Debug)]
pub struct ReceiveMetrics {
    pub(crate) requests: IntCounterVec,
    samples: KindMetrics<{ Refused::ALL.len() }>,
    histograms: KindMetrics<{ Refused::ALL.len() }>,
    exemplars: KindMetrics<{ ExemplarRefused::ALL.len() }>,
}

impl ReceiveMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        let refused = Refused::ALL.map(Refused::as_str);
        Ok(Self {
            requests: counters(
                registry,
                "watershed_remote_receive_requests_total",
                "Remote write requests answered, by status code.",
                &["code"],
            )?,
            samples: KindMetrics::register(registry, "samples", "Samples", refused)?,
            histograms: KindMetrics::register(
                registry,
                "histograms",
                "Native histograms",
                refused,
            )?,
            exemplars: KindMetrics::register(
                registry,
                "exemplars",
                "Exemplars",
                ExemplarRefused::ALL.map(ExemplarRefused::as_str),
            )?,
        })
    }

    pub(crate) fn count(&self, outcome: &Outcome) {
        self.samples.count(&outcome.samples);
        self.histograms.count(&outcome.histograms);
        self.exemplars.count(&outcome.exemplars);
    }
}

/// `received = appended + Σ rejected` for one kind of what is received.
#[derive(Clone, Debug)]
struct KindMetrics<const REASONS: usize> {
    received: IntCounter,
    appended: IntCounter,
    rejected: [IntCounter; REASONS],
}

impl<const REASONS: usize> KindMetrics<REASONS> {
    fn register(
        registry: &Registry,
        kind: &str,
        things: &str,
        reasons: [&str; REASONS],
    ) -> Result<Self, Error> {
        let name = |suffix: &str| format!("watershed_remote_receive_{kind}{suffix}_total");
        let rejected = counters(
            registry,
            &name("_rejected"),
            &format!("{things} received by remote write and not stored, by reason."),
            &["reason"],
        )?;
        Ok(Self {
            received: counter(
                registry,
                &name(""),
                &format!("{things} received by remote write in well-formed requests."),
            )?,
            appended: counter(
                registry,
                &name("_appended"),
                &format!("{things} received by remote write and stored."),
            )?,
            rejected: reasons.map(|reason| rejected.with_label_values(&[reason])),
        })
    }

    fn count(&self, account: &Account<REASONS>) {
        self.received.inc_by(account.received());
        self.appended.inc_by(account.appended);
        for (counter, count) in self.rejected.iter().zip(account.refused) {
            counter.inc_by(count);
        }
    }
}

const DESTINATION: [&str; 2] = ["remote_name", "url"];

/// SEND-2: `read = delivered + pending + Σ dropped`, by destination.
#[derive(Clone, Debug)]
pub struct SendMetrics {
    read: IntCounterVec,
    delivered: IntCounterVec,
    dropped: IntCounterVec,
    retried: IntCounterVec,
    pending: IntGaugeVec,
    bytes: IntCounterVec,
    requests: IntCounterVec,
    duration: HistogramVec,
    shards: IntGaugeVec,
    shards_min: IntGaugeVec,
    shards_max: IntGaugeVec,
    highest_in: GaugeVec,
    highest_sent: GaugeVec,
    behind: GaugeVec,
    backlog_bytes: IntGaugeVec,
}

/// Why samples were given up, as `reason` labels.
const DROPPED: [&str; 3] = ["relabelled", "unknown_series", "rejected"];
const RELABELLED: usize = 0;
const UNKNOWN_SERIES: usize = 1;
const REJECTED: usize = 2;
/// How requests end, as `outcome` labels.
const OUTCOMES: [&str; 3] = ["delivered", "rejected", "failed"];

impl SendMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        let name = |suffix: &str| format!("watershed_remote_send_{suffix}");
        let with = |label| [DESTINATION[0], DESTINATION[1], label];
        let counter =
            |suffix: &str, help: &str| counters(registry, &name(suffix), help, &DESTINATION);
        let gauge = |suffix: &str, help: &str| {
            let gauges = GaugeVec::new(Opts::new(name(suffix), help), &DESTINATION)?;
            registered(registry, gauges)
        };
        let int_gauge = |suffix: &str, help: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name(suffix), help), &DESTINATION)?;
            registered(registry, gauges)
        };
        let duration = HistogramOpts::new(
            name("request_duration_seconds"),
            "Time from sending a request to its answer.",
        );
        Ok(Self {
            read: counter("samples_read_total", "Samples read from the log.")?,
            delivered: counter("samples_total", "Samples that the destination acknowledged.")?,
            dropped: counters(
                registry,
                &name("samples_dropped_total"),
                "Samples that are not sent, by reason: dropped by relabelling, or refused for good.",
                &with("reason"),
            )?,
            retried: counter("samples_retried_total", "Samples sent again after a failure.")?,
            pending: int_gauge(
                "samples_pending",
                "Samples read and neither acknowledged nor given up.",
            )?,
            bytes: counter("bytes_total", "Bytes of requests sent, compressed.")?,
            requests: counters(
                registry,
                &name("requests_total"),
                "Requests by outcome; those that failed are sent again.",
                &with("outcome"),
            )?,
            duration: registered(registry, HistogramVec::new(duration, &DESTINATION)?)?,
            shards: int_gauge("shards", "Requests that may be under way at once.")?,
            shards_min: int_gauge("shards_min", "The least that shards may be.")?,
            shards_max: int_gauge("shards_max", "The most that shards may be.")?,
            highest_in: gauge("highest_timestamp_in_seconds", "Newest sample read from the log.")?,
            highest_sent: gauge("highest_sent_timestamp_seconds", "Newest sample acknowledged.")?,
            behind: gauge(
                "behind_seconds",
                "Age of the oldest samples not acknowledged; 0 if there are none.",
            )?,
            backlog_bytes: int_gauge("backlog_bytes", "Bytes of log not acknowledged.")?,
        })
    }

    pub(crate) fn destination(&self, name: &str, url: &str) -> DestinationMetrics {
        let labels = [name, url];
        let with = |label| [name, url, label];
        DestinationMetrics {
            read: self.read.with_label_values(&labels),
            delivered: self.delivered.with_label_values(&labels),
            dropped: DROPPED.map(|reason| self.dropped.with_label_values(&with(reason))),
            retried: self.retried.with_label_values(&labels),
            pending: self.pending.with_label_values(&labels),
            bytes: self.bytes.with_label_values(&labels),
            requests: OUTCOMES.map(|outcome| self.requests.with_label_values(&with(outcome))),
            duration: self.duration.with_label_values(&labels),
            shards: self.shards.with_label_values(&labels),
            shards_min: self.shards_min.with_label_values(&labels),
            shards_max: self.shards_max.with_label_values(&labels),
            highest_in: self.highest_in.with_label_values(&labels),
            highest_sent: self.highest_sent.with_label_values(&labels),
            behind: self.behind.with_label_values(&labels),
            backlog_bytes: self.backlog_bytes.with_label_values(&labels),
        }
    }

    /// Takes a destination's gauges away; what it counted stays.
    pub(crate) fn forget(&self, name: &str, url: &str) {
        let labels = [name, url];
        for gauges in
            [&self.pending, &self.shards, &self.shards_min, &self.shards_max, &self.backlog_bytes]
        {
            let _ = gauges.remove_label_values(&labels); // an error means that it was not there
        }
        for gauges in [&self.highest_in, &self.highest_sent, &self.behind] {
            let _ = gauges.remove_label_values(&labels);
        }
    }
}

/// One destination's series of [`SendMetrics`].
#[derive(Clone, Debug)]
pub(crate) struct DestinationMetrics {
    read: IntCounter,
    delivered: IntCounter,
    dropped: [IntCounter; DROPPED.len()],
    pub(crate) retried: IntCounter,
    pending: IntGauge,
    pub(crate) bytes: IntCounter,
    requests: [IntCounter; OUTCOMES.len()],
    duration: Histogram,
    shards: IntGauge,
    shards_min: IntGauge,
    shards_max: IntGauge,
    highest_in: Gauge,
    highest_sent: Gauge,
    behind: Gauge,
    backlog_bytes: IntGauge,
}

impl DestinationMetrics {
    pub(crate) fn set_limits(&self, config: &QueueConfig) {
        self.shards_min.set(config.min_shards.get() as i64);
        self.shards_max.set(config.max_shards.get() as i64);
    }

    pub(crate) fn read(&self, chunk: &Chunk, newest: Option<Timestamp>) {
        self.read.inc_by(chunk.read as u64);
        self.dropped[RELABELLED].inc_by(chunk.dropped as u64);
        self.dropped[UNKNOWN_SERIES].inc_by(chunk.unknown as u64);
        if let Some(newest) = newest {
            self.highest_in.set(newest.as_seconds());
        }
    }

    pub(crate) fn queue(&self, queue: &Queue) {
        self.pending.set(queue.pending() as i64);
        self.shards.set(queue.allowed() as i64);
    }

    pub(crate) fn answered(&self, reply: &Reply, took: Duration) {
        let outcome = match reply {
            Reply::Delivered => 0,
            Reply::Refused { .. } => 1,
            Reply::Retry { .. } => 2,
        };
        self.requests[outcome].inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn settled(&self, delivered: u64, rejected: u64, newest: Option<Timestamp>) {
        self.delivered.inc_by(delivered);
        self.dropped[REJECTED].inc_by(rejected);
        if let Some(newest) = newest {
            self.highest_sent.set(self.highest_sent.get().max(newest.as_seconds()));
        }
    }

    pub(crate) fn behind(&self, millis: i64, backlog_bytes: u64) {
        self.behind.set(millis as f64 / 1000.0);
        self.backlog_bytes.set(i64::try_from(backlog_bytes).unwrap_or(i64::MAX));
    }
}

#[derive(Clone, Debug)]
pub struct FederateMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) series: IntCounter,
}

impl FederateMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            requests: counters(
                registry,
                "watershed_remote_federate_requests_total",
                "Federation requests answered, by status code.",
                &["code"],
            )?,
            series: counter(
                registry,
                "watershed_remote_federate_series_total",
                "Series given out by federation.",
            )?,
        })
    }
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    registered(registry, IntCounter::new(name, help)?)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}
