//! The process' own metrics that belong to no crate.

use prometheus::process_collector::ProcessCollector;
use prometheus::{Gauge, GaugeVec, IntGauge, Opts, Registry};

use crate::Tier;

/// What `/metrics` shows: every crate registers here.
pub(crate) fn registry(tier: &Tier) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let build_info = GaugeVec::new(
        Opts::new("watershed_build_info", "Always 1; the labels say what runs here."),
        &["program", "version"],
    )?;
    build_info.with_label_values(&[tier.program, tier.version]).set(1.0);
    registry.register(Box::new(build_info))?;
    Ok(registry)
}

/// How the last reload went.
#[derive(Clone, Debug)]
pub(crate) struct ReloadMetrics {
    successful: IntGauge,
    success_timestamp_seconds: Gauge,
}

impl ReloadMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let successful = IntGauge::new(
            "watershed_config_last_reload_successful",
            "Whether the configuration was loaded the last time it was tried.",
        )?;
        let success_timestamp_seconds = Gauge::new(
            "watershed_config_last_reload_success_timestamp_seconds",
            "When the running configuration was loaded.",
        )?;
        registry.register(Box::new(successful.clone()))?;
        registry.register(Box::new(success_timestamp_seconds.clone()))?;
        Ok(Self { successful, success_timestamp_seconds })
    }

    pub(crate) fn succeeded(&self) {
        self.successful.set(1);
        self.success_timestamp_seconds.set(jiff::Timestamp::now().as_millisecond() as f64 / 1e3);
    }

    pub(crate) fn failed(&self) {
        self.successful.set(0);
    }
}
