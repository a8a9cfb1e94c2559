//! What the links say of themselves.

use prometheus::{Error, IntCounter, IntCounterVec, Opts, Registry};

use crate::receive::{Outcome, Refused};

/// All of this crate's metrics; clones count into the same series.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub receive: ReceiveMetrics,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self { receive: ReceiveMetrics::register(registry)? })
    }
}

/// RECEIVE-1: `samples = appended + Σ refused`.
#[derive(Clone, Debug)]
pub struct ReceiveMetrics {
    pub(crate) requests: IntCounterVec,
    samples: IntCounter,
    appended: IntCounter,
    refused: [IntCounter; Refused::ALL.len()],
    exemplars_ignored: IntCounter,
}

impl ReceiveMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        let refused = counters(
            registry,
            "watershed_remote_receive_samples_rejected_total",
            "Samples received by remote write and not stored, by reason.",
            &["reason"],
        )?;
        Ok(Self {
            requests: counters(
                registry,
                "watershed_remote_receive_requests_total",
                "Remote write requests answered, by status code.",
                &["code"],
            )?,
            samples: counter(
                registry,
                "watershed_remote_receive_samples_total",
                "Samples received by remote write in well-formed requests.",
            )?,
            appended: counter(
                registry,
                "watershed_remote_receive_samples_appended_total",
                "Samples received by remote write and stored.",
            )?,
            refused: Refused::ALL.map(|reason| refused.with_label_values(&[reason.as_str()])),
            exemplars_ignored: counter(
                registry,
                "watershed_remote_receive_exemplars_ignored_total",
                "Exemplars received by remote write; they are not stored yet.",
            )?,
        })
    }

    pub(crate) fn count(&self, outcome: &Outcome) {
        self.samples.inc_by(outcome.appended + outcome.refused_total());
        self.appended.inc_by(outcome.appended);
        for (counter, count) in self.refused.iter().zip(outcome.refused) {
            counter.inc_by(count);
        }
        self.exemplars_ignored.inc_by(outcome.exemplars_ignored);
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}
