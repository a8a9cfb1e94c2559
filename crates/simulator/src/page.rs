//! Writing a target's page in the text exposition format 0.0.4.
//!
//! This is the simulator's own writer on purpose: a mistake shared with the parser under test would
//! cancel itself out.

use std::fmt::Write;

use model::Timestamp;

use crate::fault::{Fault, FaultHistory};
use crate::noise::{Key, warp, wave};
use crate::topology::Cluster;

/// Label pairs of one sample, in the order in which the exporter writes them.
pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// What a page shows: one target of a cluster at one time.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a Cluster,
    /// Which node, replica or member.
    pub(crate) index: usize,
    pub(crate) faults: &'a FaultHistory,
    pub(crate) key: Key,
    pub(crate) started: Timestamp,
    pub(crate) now: Timestamp,
}

impl Scene<'_> {
    /// Seconds since the target's last restart.
    pub(crate) fn elapsed(&self) -> f64 {
        self.now.millis_since(self.started) as f64 / 1000.0
    }

    /// For how many seconds of them `fault` was broken.
    pub(crate) fn broken_seconds(&self, fault: Fault) -> f64 {
        self.faults.seconds(fault, self.started, self.now)
    }

    pub(crate) fn is_broken(&self, fault: Fault) -> bool {
        self.faults.is_active(fault)
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// How long things take: log-logistic with shape 3, which has the long tail of real latencies and a
/// closed form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median: f64,
}

impl Latency {
    /// mean ÷ median: π⁄3 ÷ sin(π⁄3).
    const MEAN: f64 = 1.209_199_576_156_145;

    fn share_up_to(self, bound: f64) -> f64 {
        1.0 / (1.0 + (bound / self.median).powi(-3))
    }

    fn mean(self) -> f64 {
        self.median * Self::MEAN
    }
}

/// What a histogram counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observations {
    pub(crate) per_second: f64,
    pub(crate) latency: Latency,
    /// How many were slow in the whole life of the target, and how slow. At most half of all.
    pub(crate) slow: Option<(f64, Latency)>,
}

impl Observations {
    pub(crate) fn steady(per_second: f64, median: f64) -> Self {
        Self { per_second, latency: Latency { median }, slow: None }
    }
}

#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) scene: &'a Scene<'a>,
    text: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(scene: &'a Scene<'a>) -> Self {
        Self { scene, text: String::with_capacity(32 * 1024) }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Opens a family: the samples of one name, which stand together.
    pub(crate) fn family<'p>(
        &'p mut self,
        name: &'p str,
        kind: Kind,
        help: &str,
    ) -> Family<'p, 'a> {
        let kind = kind.as_str();
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { key: self.scene.key.word(name), page: self, name }
    }

    /// A gauge family of one sample.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, Kind::Gauge, help).value(&[], value);
    }

    /// A gauge family of one sample that moves: see [`Family::level`].
    pub(crate) fn level(&mut self, name: &str, help: &str, base: f64, swing: f64) {
        self.family(name, Kind::Gauge, help).level(&[], base, swing);
    }

    /// A counter family of one sample that counts whole events: see [`Family::events`].
    pub(crate) fn events(&mut self, name: &str, help: &str, per_second: f64) {
        self.family(name, Kind::Counter, help).events(&[], per_second);
    }

    /// A counter family of one sample that adds up seconds: see [`Family::seconds`].
    pub(crate) fn seconds(&mut self, name: &str, help: &str, per_second: f64) {
        self.family(name, Kind::Counter, help).seconds(&[], per_second);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text.write_fmt(line).expect("writing to a string cannot fail");
        self.text.push('\n');
    }
}

/// One metric family of a page.
#[derive(Debug)]
pub(crate) struct Family<'p, 'a> {
    page: &'p mut Page<'a>,
    name: &'p str,
    key: Key,
}

impl Family<'_, '_> {
    /// Exactly `value`.
    pub(crate) fn value(&mut self, labels: Pairs<'_>, value: f64) {
        self.sample("", labels, None, value);
    }

    /// A gauge that swings by `swing` (a share of `base`) in some minutes; a whole number.
    pub(crate) fn level(&mut self, labels: Pairs<'_>, base: f64, swing: f64) {
        let key = self.key_of(labels);
        let period = key.word("period").between(180.0, 900.0);
        let value = wave(base, swing, period, self.page.scene.now.as_seconds(), key);
        self.value(labels, value.round());
    }

    /// A counter of whole events.
    pub(crate) fn events(&mut self, labels: Pairs<'_>, per_second: f64) {
        let count = per_second * self.warped(labels);
        self.value(labels, count.floor());
    }

    /// A counter of whole events, of which `others` happened elsewhere. They must not come faster
    /// than half of `per_second`.
    pub(crate) fn events_except(&mut self, labels: Pairs<'_>, per_second: f64, others: f64) {
        let count = per_second * self.warped(labels) - others;
        self.value(labels, count.floor());
    }

    /// A counter with hundredths.
    pub(crate) fn seconds(&mut self, labels: Pairs<'_>, per_second: f64) {
        let total = per_second * self.warped(labels);
        self.value(labels, (total * 100.0).floor() / 100.0);
    }

    /// A classic histogram. `bounds` rise; `+Inf` is added.
    pub(crate) fn histogram(
        &mut self,
        labels: Pairs<'_>,
        bounds: &[f64],
        observations: Observations,
    ) {
        let total = observations.per_second * self.warped(labels);
        let (slow, slow_latency) = observations.slow.unwrap_or((0.0, observations.latency));
        let quick = total - slow;
        for bound in bounds {
            let below = quick * observations.latency.share_up_to(*bound)
                + slow * slow_latency.share_up_to(*bound);
            self.sample("_bucket", labels, Some(("le", &bound.to_string())), below.floor());
        }
        self.sample("_bucket", labels, Some(("le", "+Inf")), total.floor());
        let sum = quick * observations.latency.mean() + slow * slow_latency.mean();
        self.sample("_sum", labels, None, (sum * 1e6).floor() / 1e6);
        self.sample("_count", labels, None, total.floor());
    }

    /// A summary of `observations`, whose quantiles do not move.
    pub(crate) fn summary(&mut self, quantiles: &[(&str, f64)], per_second: f64) {
        for (quantile, value) in quantiles {
            self.value(&[("quantile", quantile)], *value);
        }
        let total = per_second * self.warped(&[]);
        let mean = quantiles.iter().map(|(_, value)| value).sum::<f64>() / quantiles.len() as f64;
        self.sample("_sum", &[], None, (total * mean * 1e9).floor() / 1e9);
        self.sample("_count", &[], None, total.floor());
    }

    fn warped(&self, labels: Pairs<'_>) -> f64 {
        warp(self.page.scene.elapsed(), self.key_of(labels))
    }

    fn key_of(&self, labels: Pairs<'_>) -> Key {
        labels.iter().fold(self.key, |key, (name, value)| key.word(name).word(value))
    }

    /// `more` comes after `labels`. Values hold nothing that would need escaping.
    fn sample(&mut self, suffix: &str, labels: Pairs<'_>, more: Option<(&str, &str)>, value: f64) {
        let text = &mut self.page.text;
        text.push_str(self.name);
        text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels.iter().copied().chain(more) {
            debug_assert!(!value.contains(['"', '\\', '\n']), "{name}={value:?}");
            text.push(separator);
            text.push_str(name);
            text.push_str("=\"");
            text.push_str(value);
            text.push('"');
            separator = ',';
        }
        if separator == ',' {
            text.push('}');
        }
        self.page.line(format_args!(" {value}"));
    }
}
