//! What is really so: the numbers that a complete path from the targets to central must show.

use model::Timestamp;
use serde::Serialize;

use crate::fault::Fault;
use crate::noise::JITTER_SECONDS;
use crate::topology::Scope;

/// The ground truth of the whole fleet at one time.
#[derive(Clone, Debug, Serialize)]
pub struct Truth {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    pub clusters: Vec<ClusterTruth>,
}

/// The ground truth of one cluster. Counts are exact; for rates see [`rate_tolerance`], for sizes
/// [`SIZE_TOLERANCE`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterTruth {
    pub continent: &'static str,
    pub region: &'static str,
    pub metacluster: String,
    pub cluster: String,
    pub scope: Scope,
    /// `count(kube_node_info)`. An edge records it as `cluster:kube_node_info:count`.
    pub nodes: usize,
    /// Nodes whose condition Ready is true: `nodes` less `cluster:kube_node_not_ready:sum`.
    pub nodes_ready: usize,
    /// `count(kube_pod_info)`: `cluster:kube_pod_info:count`.
    pub pods: usize,
    /// The rate of `node_cpu_seconds_total` over all modes but idle, iowait and steal:
    /// `cluster:node_cpu_seconds_busy:rate2m`.
    pub cpu_cores_used: f64,
    /// The rate of `apiserver_request_total`: `cluster:apiserver_request:rate2m`.
    pub apiserver_requests_per_second: f64,
    /// The part of them answered with a 5xx: `cluster:apiserver_request_errors:ratio_rate2m`. Steps
    /// when the fault comes and goes; a rate over a window follows within that window.
    pub apiserver_error_ratio: f64,
    /// `etcd_mvcc_db_total_size_in_bytes` of the largest member, for each holds all of it:
    /// `cluster:etcd_mvcc_db_total_size_in_bytes:max`.
    pub etcd_db_size_bytes: f64,
    /// Targets, answering or not: `cluster:up:count`.
    pub targets: usize,
    /// Targets that answer: `cluster:up:sum`.
    pub targets_up: usize,
    /// When a target of this cluster last restarted, in milliseconds since the Unix epoch. A rate
    /// whose window holds it misses what that target counted between the last scrape and then.
    pub last_restart: i64,
    /// What is broken now.
    #[serde(serialize_with = "names")]
    pub faults: Vec<Fault>,
}

/// By how much sizes may differ, relatively: they move by less than this in a minute.
pub const SIZE_TOLERANCE: f64 = 0.005;

/// By how much a `rate()` over `window_seconds`, of scrapes `interval_seconds` apart, may differ
/// from the truth, relatively: what jitter can add or take at both ends of the span between first
/// and last scrape, and as much again for scrapes that are late and counts that are rounded.
pub fn rate_tolerance(window_seconds: f64, interval_seconds: f64) -> f64 {
    2.0 * (2.0 * JITTER_SECONDS) / (window_seconds - interval_seconds)
}

impl Truth {
    pub(crate) fn new(at: Timestamp, clusters: Vec<ClusterTruth>) -> Self {
        Self { at: at.as_millis(), clusters }
    }

    /// The truth of the cluster with this id.
    pub fn cluster(&self, id: &str) -> Option<&ClusterTruth> {
        self.clusters.iter().find(|cluster| cluster.cluster == id)
    }
}

fn names<S: serde::Serializer>(faults: &[Fault], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(faults.iter().map(|fault| fault.as_str()))
}
