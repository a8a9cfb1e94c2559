//! What is really so, as the simulator reports it, and how far a number may be from it.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use serde::Deserialize;
use simulator::truth::{SIZE_TOLERANCE, rate_tolerance};

use super::config::SCRAPE_INTERVAL_SECONDS;

/// The window of every rate in the rule packs.
const RATE_WINDOW_SECONDS: f64 = 60.0;

/// One cluster of the simulator's `/truth`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ClusterTruth {
    pub(crate) continent: String,
    pub(crate) region: String,
    pub(crate) metacluster: String,
    pub(crate) cluster: String,
    nodes: f64,
    pods: f64,
    cpu_cores_used: f64,
    apiserver_requests_per_second: f64,
    etcd_db_size_bytes: f64,
    targets: f64,
    targets_up: f64,
}

#[derive(Deserialize)]
struct Truth {
    clusters: Vec<ClusterTruth>,
}

/// Asks the simulator.
pub(crate) async fn ask(url: &str) -> anyhow::Result<Vec<ClusterTruth>> {
    let answer = reqwest::get(url).await.with_context(|| format!("ask {url}"))?;
    let truth: Truth = serde_json::from_slice(&answer.bytes().await?).context("read the truth")?;
    Ok(truth.clusters)
}

/// A number that every level of the tree has, and the truth about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    /// The recorded series without its level: `cluster:<series>`, `region:<series>` and so on.
    pub(crate) series: &'static str,
    of: fn(&ClusterTruth) -> f64,
    tolerance: Tolerance,
}

/// How far a number may be from the truth, and why it is not the same.
#[derive(Clone, Copy, Debug)]
enum Tolerance {
    /// Counts do not move.
    Exact,
    /// Counters jitter, and a rate's window sees the ends of that: see [`rate_tolerance`].
    Rate,
    /// Sizes move while the number is on its way: see [`SIZE_TOLERANCE`].
    Size,
}

pub(crate) const QUANTITIES: [Quantity; 8] = [
    Quantity { series: "clusters:count", of: |_| 1.0, tolerance: Tolerance::Exact },
    Quantity { series: "up:count", of: |cluster| cluster.targets, tolerance: Tolerance::Exact },
    Quantity { series: "up:sum", of: |cluster| cluster.targets_up, tolerance: Tolerance::Exact },
    Quantity {
        series: "kube_node_info:count",
        of: |cluster| cluster.nodes,
        tolerance: Tolerance::Exact,
    },
    Quantity {
        series: "kube_pod_info:count",
        of: |cluster| cluster.pods,
        tolerance: Tolerance::Exact,
    },
    Quantity {
        series: "node_cpu_seconds:rate1m",
        of: |cluster| cluster.cpu_cores_used,
        tolerance: Tolerance::Rate,
    },
    Quantity {
        series: "apiserver_request:rate1m",
        of: |cluster| cluster.apiserver_requests_per_second,
        tolerance: Tolerance::Rate,
    },
    Quantity {
        series: "etcd_mvcc_db_total_size_in_bytes:sum",
        of: |cluster| cluster.etcd_db_size_bytes,
        tolerance: Tolerance::Size,
    },
];

impl Quantity {
    /// What the clusters given add up to.
    pub(crate) fn sum<'a>(&self, clusters: impl IntoIterator<Item = &'a ClusterTruth>) -> f64 {
        clusters.into_iter().map(self.of).sum()
    }

    pub(crate) fn agrees(&self, expected: f64, got: f64) -> bool {
        let tolerance = self.tolerance.relative();
        // The last bits of a sum depend on its order.
        (got - expected).abs() <= expected.abs() * tolerance.max(1e-9)
    }

    pub(crate) fn tolerance(&self) -> f64 {
        self.tolerance.relative()
    }
}

impl Tolerance {
    fn relative(self) -> f64 {
        match self {
            Self::Exact => 0.0,
            Self::Rate => rate_tolerance(RATE_WINDOW_SECONDS, f64::from(SCRAPE_INTERVAL_SECONDS)),
            Self::Size => SIZE_TOLERANCE,
        }
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
    pub(crate) fn place(self, cluster: &ClusterTruth) -> &str {
        match self {
            Self::Cluster => &cluster.cluster,
            Self::Metacluster => &cluster.metacluster,
            Self::Region => &cluster.region,
            Self::Continent => &cluster.continent,
            Self::Global => "",
        }
    }

    /// The truth by place.
    pub(crate) fn group(self, clusters: &[ClusterTruth]) -> BTreeMap<&str, Vec<&ClusterTruth>> {
        let mut groups: BTreeMap<&str, Vec<&ClusterTruth>> = BTreeMap::new();
        for cluster in clusters {
            groups.entry(self.place(cluster)).or_default().push(cluster);
        }
        groups
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
