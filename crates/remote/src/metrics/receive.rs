//! What receiving says of itself.

use prometheus::{Error, IntCounter, IntCounterVec, Registry};

use super::{counter, counters};
use crate::receive::{Account, ExemplarRefused, Outcome, Refused};

/// RECEIVE-1.
#[derive(Clone, Debug)]
pub struct ReceiveMetrics {
    pub(crate) requests: IntCounterVec,
    samples: KindMetrics<{ Refused::ALL.len() }>,
    histograms: KindMetrics<{ Refused::ALL.len() }>,
    exemplars: KindMetrics<{ ExemplarRefused::ALL.len() }>,
}

impl ReceiveMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
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
