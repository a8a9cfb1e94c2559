//! What is really so, as the simulator reports it, and how far a number may be from it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use serde::Deserialize;
use simulator::truth::{SIZE_TOLERANCE, rate_tolerance};

use super::config::SCRAPE_INTERVAL_SECONDS;

/// The window of every rate in the rule packs.
const RATE_WINDOW_SECONDS: f64 = 120.0;

/// What is really so at one time.
#[derive(Debug, Deserialize)]
pub(crate) struct Truth {
    /// Milliseconds since the Unix epoch.
    at: i64,
    pub(crate) clusters: Vec<ClusterTruth>,
}

/// One cluster of the simulator's `/truth`.
#[derive(Debug, Deserialize)]
pub(crate) struct ClusterTruth {
    continent: String,
    region: String,
    metacluster: String,
    cluster: String,
    nodes: f64,
    pods: f64,
    cpu_cores_used: f64,
    apiserver_requests_per_second: f64,
    etcd_db_size_bytes: f64,
    targets: f64,
    targets_up: f64,
    /// Milliseconds since the Unix epoch.
    last_restart: i64,
}

impl Truth {
    /// Asks the simulator.
    pub(crate) async fn ask(url: &str) -> anyhow::Result<Self> {
        let answer = reqwest::get(url).await.with_context(|| format!("ask {url}"))?;
        serde_json::from_slice(&answer.bytes().await?).context("read the truth")
    }

    /// The clusters by their place at `level`.
    pub(crate) fn group(&self, level: Level) -> BTreeMap<&str, Vec<&ClusterTruth>> {
        let mut groups: BTreeMap<&str, Vec<&ClusterTruth>> = BTreeMap::new();
        for cluster in &self.clusters {
            groups.entry(level.place(cluster)).or_default().push(cluster);
        }
        groups
    }

    /// Whether a rate up to now can have lost what a target of `cluster` counted last before it
    /// restarted.
    fn is_restart_in_window(&self, cluster: &ClusterTruth) -> bool {
        let seconds = (self.at - cluster.last_restart) as f64 / 1000.0;
        // The newest scrape and the recorded series are each late by less than an interval.
        seconds < RATE_WINDOW_SECONDS + 2.0 * f64::from(SCRAPE_INTERVAL_SECONDS)
    }
}

/// A number that the tree adds up from clusters to the globe, and the truth about it.
#[derive(Debug)]
pub(crate) struct Quantity {
    /// Its series without their level, `up:sum` of `region:up:sum`: at a cluster, at a meta-cluster,
    /// and at all levels above. A level may do without.
    at_cluster: Option<&'static str>,
    at_metacluster: Option<&'static str>,
    above: &'static str,
    of: fn(&ClusterTruth) -> f64,
    tolerance: Tolerance,
}

/// How far a number may be from the truth, and why it is not the same.
#[derive(Clone, Copy, Debug)]
enum Tolerance {
    /// Counts do not move.
    Exact,
    /// Counters jitter, and both ends of a rate's window see it (`rate_tolerance`); and what a
    /// target counted between its last scrape and its restart is lost to the rate.
    Rate,
    /// Sizes move while the number is on its way (`SIZE_TOLERANCE`).
    Size,
}

pub(crate) const QUANTITIES: [Quantity; 13] = [
    everywhere("fleet.clusters", |_| 1.0, Tolerance::Exact),
    everywhere("fleet.reporting", |_| 1.0, Tolerance::Exact),
    everywhere("fleet.targets", |cluster| cluster.targets, Tolerance::Exact),
    everywhere("fleet.targets_up", |cluster| cluster.targets_up, Tolerance::Exact),
    Quantity {
        at_cluster: None,
        at_metacluster: Some("clusters:count"),
        ..everywhere("clusters_expected:count", |_| 1.0, Tolerance::Exact)
    },
    Quantity {
        at_cluster: None,
        at_metacluster: None,
        ..everywhere("clusters_reporting:count", |_| 1.0, Tolerance::Exact)
    },
    everywhere("up:count", |cluster| cluster.targets, Tolerance::Exact),
    everywhere("up:sum", |cluster| cluster.targets_up, Tolerance::Exact),
    everywhere("kube_node_info:count", |cluster| cluster.nodes, Tolerance::Exact),
    everywhere("kube_pod_info:count", |cluster| cluster.pods, Tolerance::Exact),
    everywhere("node_cpu_seconds_busy:rate2m", |cluster| cluster.cpu_cores_used, Tolerance::Rate),
    everywhere(
        "apiserver_request:rate2m",
        |cluster| cluster.apiserver_requests_per_second,
        Tolerance::Rate,
    ),
    Quantity {
        at_cluster: Some("etcd_mvcc_db_total_size_in_bytes:max"),
        ..everywhere(
            "etcd_mvcc_db_total_size_in_bytes:sum",
            |cluster| cluster.etcd_db_size_bytes,
            Tolerance::Size,
        )
    },
];

const fn everywhere(
    series: &'static str,
    of: fn(&ClusterTruth) -> f64,
    tolerance: Tolerance,
) -> Quantity {
    let name = Some(series);
    Quantity { at_cluster: name, at_metacluster: name, above: series, of, tolerance }
}

/// What a number should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) value: f64,
    /// Absolute.
    pub(crate) tolerance: f64,
}

impl Quantity {
    /// The name of its series, where `level` has one.
    pub(crate) fn series(&self, level: Level) -> Option<String> {
        let name = match level {
            Level::Cluster => self.at_cluster,
            Level::Metacluster => self.at_metacluster,
            Level::Region | Level::Continent | Level::Global => Some(self.above),
        };
        name.map(|name| format!("{level}:{name}"))
    }

    /// What the clusters given add up to, and `known` besides.
    pub(crate) fn expected(
        &self,
        truth: &Truth,
        clusters: &[&ClusterTruth],
        known: f64,
    ) -> Expected {
        let sum: f64 = clusters.iter().map(|cluster| (self.of)(cluster)).sum();
        let tolerance: f64 = match self.tolerance {
            // The last bits of a sum depend on its order.
            Tolerance::Exact => 1e-9 * sum,
            Tolerance::Size => SIZE_TOLERANCE * sum,
            Tolerance::Rate => {
                let interval = f64::from(SCRAPE_INTERVAL_SECONDS);
                let restarted =
                    clusters.iter().filter(|cluster| truth.is_restart_in_window(cluster));
                let lost = restarted.map(|cluster| (self.of)(cluster)).sum::<f64>() * interval;
                rate_tolerance(RATE_WINDOW_SECONDS, interval) * sum + lost / RATE_WINDOW_SECONDS
            }
        };
        Expected { value: sum + known, tolerance }
    }
}

impl Expected {
    pub(crate) fn agrees(self, got: f64) -> bool {
        (got - self.value).abs() <= self.tolerance
    }
}

/// A level at which the tree adds numbers up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Cluster,
    Metacluster,
    Region,
    Continent,
    Global,
}

impl Level {
    pub(crate) const ALL: [Self; 5] =
        [Self::Cluster, Self::Metacluster, Self::Region, Self::Continent, Self::Global];

    /// What a number of this level is about: `eu-central-1` of a region.
    fn place(self, cluster: &ClusterTruth) -> &str {
        match self {
            Self::Cluster => &cluster.cluster,
            Self::Metacluster => &cluster.metacluster,
            Self::Region => &cluster.region,
            Self::Continent => &cluster.continent,
            Self::Global => "",
        }
    }
}

/// The name of the level's label, and what its series' names start with.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Metacluster => "metacluster",
            Self::Region => "region",
            Self::Continent => "continent",
            Self::Global => "global",
        })
    }
}
