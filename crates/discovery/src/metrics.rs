//! What discovery says of itself.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

#[derive(Clone, Debug)]
pub struct Metrics {
    /// By set.
    pub(crate) targets: IntGaugeVec,
    /// By mechanism.
    pub(crate) failures: IntCounterVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let targets = IntGaugeVec::new(
            Opts::new("watershed_discovery_targets", "Targets found, before relabelling."),
            &["set"],
        )?;
        registry.register(Box::new(targets.clone()))?;
        let failures = IntCounterVec::new(
            Opts::new(
                "watershed_discovery_failures_total",
                "Times that looking for targets failed; what was found before stays.",
            ),
            &["mechanism"],
        )?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { targets, failures })
    }

    pub(crate) fn failed(&self, mechanism: &str) {
        self.failures.with_label_values(&[mechanism]).inc();
    }
}
