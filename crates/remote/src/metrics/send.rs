//! What sending says of itself.

use std::time::Duration;

use model::Timestamp;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{counters, registered};
use crate::send::{Chunk, Counts, Kind, Queue, QueueConfig, Reply};

const DESTINATION: [&str; 2] = ["remote_name", "url"];

/// By destination.
#[derive(Clone, Debug)]
pub struct SendMetrics {
    /// By [`Kind::ALL`].
    kinds: [KindVecs; Kind::ALL.len()],
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

/// SEND-2: `read = delivered + pending + Σ dropped`, for one kind of what is sent.
#[derive(Clone, Debug)]
struct KindVecs {
    read: IntCounterVec,
    delivered: IntCounterVec,
    dropped: IntCounterVec,
    retried: IntCounterVec,
    pending: IntGaugeVec,
}

/// Why something was given up, as `reason` labels.
const DROPPED: [&str; 4] = ["relabelled", "unknown_series", "disabled", "rejected"];
const RELABELLED: usize = 0;
const UNKNOWN_SERIES: usize = 1;
const DISABLED: usize = 2;
const REJECTED: usize = 3;
/// How requests end, as `outcome` labels.
const OUTCOMES: [&str; 3] = ["delivered", "rejected", "failed"];

impl SendMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
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
            kinds: [
                KindVecs::register(registry, "samples", "Samples")?,
                KindVecs::register(registry, "histograms", "Native histograms")?,
                KindVecs::register(registry, "exemplars", "Exemplars")?,
            ],
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
            kinds: self.kinds.each_ref().map(|kind| kind.destination(name, url)),
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
        let pending = self.kinds.each_ref().map(|kind| &kind.pending);
        let sizes = [&self.shards, &self.shards_min, &self.shards_max, &self.backlog_bytes];
        for gauges in pending.into_iter().chain(sizes) {
            let _ = gauges.remove_label_values(&labels); // an error means that it was not there
        }
        for gauges in [&self.highest_in, &self.highest_sent, &self.behind] {
            let _ = gauges.remove_label_values(&labels);
        }
    }
}

impl KindVecs {
    fn register(registry: &Registry, kind: &str, things: &str) -> Result<Self, Error> {
        let name = |suffix: &str| format!("watershed_remote_send_{kind}{suffix}");
        let counter = |suffix: &str, what: &str| {
            counters(registry, &name(suffix), &format!("{things} {what}"), &DESTINATION)
        };
        Ok(Self {
            read: counter("_read_total", "read from the log.")?,
            delivered: counter("_total", "that the destination acknowledged.")?,
            dropped: counters(
                registry,
                &name("_dropped_total"),
                &format!("{things} that are not sent, by reason."),
                &[DESTINATION[0], DESTINATION[1], "reason"],
            )?,
            retried: counter("_retried_total", "sent again after a failure.")?,
            pending: registered(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        name("_pending"),
                        format!("{things} read and neither acknowledged nor given up."),
                    ),
                    &DESTINATION,
                )?,
            )?,
        })
    }

    fn destination(&self, name: &str, url: &str) -> KindMetrics {
        let labels = [name, url];
        KindMetrics {
            read: self.read.with_label_values(&labels),
            delivered: self.delivered.with_label_values(&labels),
            dropped: DROPPED.map(|reason| self.dropped.with_label_values(&[name, url, reason])),
            retried: self.retried.with_label_values(&labels),
            pending: self.pending.with_label_values(&labels),
        }
    }
}

#[derive(Clone, Debug)]
struct KindMetrics {
    read: IntCounter,
    delivered: IntCounter,
    dropped: [IntCounter; DROPPED.len()],
    retried: IntCounter,
    pending: IntGauge,
}

/// One destination's series of [`SendMetrics`].
#[derive(Clone, Debug)]
pub(crate) struct DestinationMetrics {
    /// By [`Kind::ALL`].
    kinds: [KindMetrics; Kind::ALL.len()],
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
        for (kind, metrics) in Kind::ALL.into_iter().zip(&self.kinds) {
            metrics.read.inc_by(chunk.read.get(kind));
            metrics.dropped[RELABELLED].inc_by(chunk.relabelled.get(kind));
            metrics.dropped[UNKNOWN_SERIES].inc_by(chunk.unknown.get(kind));
            metrics.dropped[DISABLED].inc_by(chunk.disabled.get(kind));
        }
        if let Some(newest) = newest {
            self.highest_in.set(newest.as_seconds());
        }
    }

    pub(crate) fn queue(&self, queue: &Queue) {
        let pending = queue.pending();
        for (kind, metrics) in Kind::ALL.into_iter().zip(&self.kinds) {
            metrics.pending.set(pending.get(kind) as i64);
        }
        self.shards.set(queue.allowed() as i64);
    }

    pub(crate) fn answered(&self, reply: &Reply, took: Duration) {
        let outcome = match reply {
            Reply::Delivered { .. } => 0,
            Reply::Refused { .. } => 1,
            Reply::Retry { .. } | Reply::Unsupported { .. } => 2,
        };
        self.requests[outcome].inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn retried(&self, sent: Counts) {
        for (kind, metrics) in Kind::ALL.into_iter().zip(&self.kinds) {
            metrics.retried.inc_by(sent.get(kind));
        }
    }

    /// `delivered` is a part of `sent`; the rest will not be sent again.
    pub(crate) fn settled(&self, sent: Counts, delivered: Counts, newest: Option<Timestamp>) {
        for (kind, metrics) in Kind::ALL.into_iter().zip(&self.kinds) {
            metrics.delivered.inc_by(delivered.get(kind));
            metrics.dropped[REJECTED].inc_by(sent.get(kind) - delivered.get(kind));
        }
        if let Some(newest) = newest {
            self.highest_sent.set(self.highest_sent.get().max(newest.as_seconds()));
        }
    }

    pub(crate) fn behind(&self, millis: i64, backlog_bytes: u64) {
        self.behind.set(millis as f64 / 1000.0);
        self.backlog_bytes.set(i64::try_from(backlog_bytes).unwrap_or(i64::MAX));
    }
}
