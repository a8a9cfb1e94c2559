//! What the links say of themselves.

mod receive;
mod send;

use prometheus::{Error, IntCounter, IntCounterVec, Opts, Registry};

pub use receive::ReceiveMetrics;
pub use send::SendMetrics;

pub(crate) use send::DestinationMetrics;

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
