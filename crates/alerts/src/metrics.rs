//! What the crate says about itself.

use prometheus::{
    HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, histogram_opts, opts,
};

/// Every alert given to the notifier ends, for each Alertmanager, in `sent` or in `dropped` (ALERTS-1).
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) sent: IntCounterVec,
    pub(crate) dropped: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) latency: HistogramVec,
    pub(crate) queued: IntGaugeVec,
    pub(crate) alertmanagers: IntGauge,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let metric = IntCounterVec::new(opts!(name, help), &["alertmanager"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let metrics = Self {
            sent: counter(
                "watershed_alerts_notifications_sent_total",
                "Alerts that an Alertmanager accepted.",
            )?,
            dropped: counter(
                "watershed_alerts_notifications_dropped_total",
                "Alerts that never reached an Alertmanager: full queue, failed request or shutdown.",
            )?,
            errors: counter(
                "watershed_alerts_notifications_errors_total",
                "Requests to an Alertmanager that failed.",
            )?,
            latency: HistogramVec::new(
                histogram_opts!(
                    "watershed_alerts_notifications_latency_seconds",
                    "Time until an Alertmanager answered, or failed to."
                ),
                &["alertmanager"],
            )?,
            queued: IntGaugeVec::new(
                opts!(
                    "watershed_alerts_notifications_queue_length",
                    "Alerts that wait for an Alertmanager."
                ),
                &["alertmanager"],
            )?,
            alertmanagers: IntGauge::new(
                "watershed_alerts_alertmanagers_discovered",
                "Alertmanagers that alerts are sent to.",
            )?,
        };
        registry.register(Box::new(metrics.latency.clone()))?;
        registry.register(Box::new(metrics.queued.clone()))?;
        registry.register(Box::new(metrics.alertmanagers.clone()))?;
        Ok(metrics)
    }
}
