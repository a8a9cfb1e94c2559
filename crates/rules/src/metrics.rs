//! What the crate says about itself, by group (`file;name`) as Prometheus' `prometheus_rule_…`.

use prometheus::{
    Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, Registry, histogram_opts, opts,
};
use storage::RejectReason;

#[derive(Clone, Debug)]
pub struct Metrics {
    evaluations: IntCounterVec,
    evaluation_failures: IntCounterVec,
    iterations: IntCounterVec,
    iterations_missed: IntCounterVec,
    interval_seconds: GaugeVec,
    rules: GaugeVec,
    last_evaluation_timestamp_seconds: GaugeVec,
    last_duration_seconds: GaugeVec,
    last_evaluation_samples: GaugeVec,
    rejected: IntCounterVec,
    pub(crate) evaluation_duration_seconds: Histogram,
    pub(crate) alerts_notified: IntCounter,
}

/// The metrics of one group.
#[derive(Clone, Debug)]
pub(crate) struct GroupMetrics {
    pub(crate) evaluations: IntCounter,
    pub(crate) evaluation_failures: IntCounter,
    pub(crate) iterations: IntCounter,
    pub(crate) iterations_missed: IntCounter,
    pub(crate) interval_seconds: Gauge,
    pub(crate) rules: Gauge,
    pub(crate) last_evaluation_timestamp_seconds: Gauge,
    pub(crate) last_duration_seconds: Gauge,
    pub(crate) last_evaluation_samples: Gauge,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let group = "rule_group";
        let counter = |name: &str, help: &str, label: &str| {
            let metric =
                IntCounterVec::new(opts!(format!("watershed_rules_{name}"), help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric =
                GaugeVec::new(opts!(format!("watershed_rules_group_{name}"), help), &[group])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let evaluation_duration_seconds = Histogram::with_opts(histogram_opts!(
            "watershed_rules_evaluation_duration_seconds",
            "How long one rule's evaluation took."
        ))?;
        let alerts_notified = IntCounter::new(
            "watershed_rules_alerts_notified_total",
            "Alerts handed on to be sent, repetitions included.",
        )?;
        registry.register(Box::new(evaluation_duration_seconds.clone()))?;
        registry.register(Box::new(alerts_notified.clone()))?;
        Ok(Self {
            evaluations: counter("evaluations_total", "Rules evaluated.", group)?,
            evaluation_failures: counter(
                "evaluation_failures_total",
                "Rules whose evaluation failed.",
                group,
            )?,
            iterations: counter("group_iterations_total", "Evaluations of the group.", group)?,
            iterations_missed: counter(
                "group_iterations_missed_total",
                "Evaluations left out because an earlier one took too long.",
                group,
            )?,
            interval_seconds: gauge("interval_seconds", "The group's evaluation interval.")?,
            rules: gauge("rules", "Rules in the group.")?,
            last_evaluation_timestamp_seconds: gauge(
                "last_evaluation_timestamp_seconds",
                "The time for which the group was last evaluated.",
            )?,
            last_duration_seconds: gauge(
                "last_duration_seconds",
                "How long the group's last evaluation took.",
            )?,
            last_evaluation_samples: gauge(
                "last_evaluation_samples",
                "Samples that the group's last evaluation yielded.",
            )?,
            rejected: counter("samples_rejected_total", "Samples that storage refused.", "reason")?,
            evaluation_duration_seconds,
            alerts_notified,
        })
    }

    pub(crate) fn group(&self, key: &str) -> GroupMetrics {
        let labels = &[key];
        GroupMetrics {
            evaluations: self.evaluations.with_label_values(labels),
            evaluation_failures: self.evaluation_failures.with_label_values(labels),
            iterations: self.iterations.with_label_values(labels),
            iterations_missed: self.iterations_missed.with_label_values(labels),
            interval_seconds: self.interval_seconds.with_label_values(labels),
            rules: self.rules.with_label_values(labels),
            last_evaluation_timestamp_seconds: self
                .last_evaluation_timestamp_seconds
                .with_label_values(labels),
            last_duration_seconds: self.last_duration_seconds.with_label_values(labels),
            last_evaluation_samples: self.last_evaluation_samples.with_label_values(labels),
        }
    }

    /// Forgets a group that is gone.
    pub(crate) fn remove_group(&self, key: &str) {
        for counter in [
            &self.evaluations,
            &self.evaluation_failures,
            &self.iterations,
            &self.iterations_missed,
        ] {
            let _ = counter.remove_label_values(&[key]); // fails only if it is not there
        }
        for gauge in [
            &self.interval_seconds,
            &self.rules,
            &self.last_evaluation_timestamp_seconds,
            &self.last_duration_seconds,
            &self.last_evaluation_samples,
        ] {
            let _ = gauge.remove_label_values(&[key]);
        }
    }

    pub(crate) fn count_rejected(&self, reason: RejectReason) {
        self.rejected.with_label_values(&[reason.as_str()]).inc();
    }
}
