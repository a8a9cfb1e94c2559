//! What discovery says of itself.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

#[derive(Clone, Debug)]
pub struct Metrics {
    /// By set.
    pub(crate) targets: IntGaugeVec,
    /// By mechanism.
    pub(crate) failures: IntCounterVec,
    /// By resource and kind of event.
    kubernetes_events: IntCounterVec,
    /// By resource.
    kubernetes_lists: IntCounterVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let targets = IntGaugeVec::new(
            Opts::new("watershed_discovery_targets", "Targets found, before relabelling."),
            &["set"],
        )?;
        registry.register(Box::new(targets.clone()))?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let name = format!("watershed_discovery_{name}");
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            targets,
            failures: counter(
                "failures_total",
                "Times that looking for targets failed; what was found before stays.",
                &["mechanism"],
            )?,
            kubernetes_events: counter(
                "kubernetes_events_total",
                "Changes that API servers told of.",
                &["resource", "event"],
            )?,
            kubernetes_lists: counter(
                "kubernetes_lists_total",
                "Times that all objects of a kind were asked for.",
                &["resource"],
            )?,
        })
    }

    /// `kind` as the server writes it: `ADDED` and the like.
    pub(crate) fn kubernetes_event(&self, resource: &str, kind: &str) {
        let event = match kind {
            "ADDED" => "add",
            "DELETED" => "delete",
            _ => "update",
        };
        self.kubernetes_events.with_label_values(&[resource, event]).inc();
    }

    pub(crate) fn kubernetes_list(&self, resource: &str) {
        self.kubernetes_lists.with_label_values(&[resource]).inc();
    }

    pub(crate) fn failed(&self, mechanism: &str) {
        self.failures.with_label_values(&[mechanism]).inc();
    }
}
