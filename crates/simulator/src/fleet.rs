//! A fleet of clusters, seen at any point in time.

use model::Timestamp;
use parking_lot::RwLock;

use crate::exporter::{self, apiserver, etcd};
use crate::fault::{Fault, FaultHistory, HistoryFull};
use crate::noise::Key;
use crate::page::{Page, Scene};
use crate::profile::Profile;
use crate::schedule::RestartSchedule;
use crate::topology::{self, Cluster, Component, Target};
use crate::truth::{ClusterTruth, Truth};

/// The synthetic fleet. All that changes in it is what was broken and mended, and when.
#[derive(Debug)]
pub struct Fleet {
    clusters: Vec<Cluster>,
    targets: Vec<Target>,
    schedule: RestartSchedule,
    seed: u64,
    /// In the order of `clusters`.
    faults: RwLock<Vec<FaultHistory>>,
}

/// Why something was not broken or mended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("no cluster {0:?} in the fleet")]
    UnknownCluster(String),
    #[error("{fault} of {cluster}: {source}")]
    History { cluster: String, fault: Fault, source: HistoryFull },
}

impl Fleet {
    pub fn new(profile: &Profile, seed: u64) -> Self {
        let clusters = topology::clusters(profile, seed);
        let targets = topology::targets(&clusters);
        Self {
            schedule: RestartSchedule::new(targets.len(), profile.restart_every, seed),
            faults: RwLock::new(vec![FaultHistory::default(); clusters.len()]),
            clusters,
            targets,
            seed,
        }
    }

    /// Every cluster, meta-clusters before their tenants.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Every target, cluster by cluster.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The targets of one cluster; none if there is no such cluster.
    pub fn targets_of(&self, cluster: &str) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.cluster == cluster)
    }

    /// Breaks `fault` in `cluster` from `at` on. What is broken already stays so.
    pub fn start_fault(
        &self,
        cluster: &str,
        fault: Fault,
        at: Timestamp,
    ) -> Result<(), FleetError> {
        let index = self.index_of(cluster)?;
        self.faults.write()[index].start(fault, at).map_err(|source| FleetError::History {
            cluster: cluster.to_owned(),
            fault,
            source,
        })
    }

    /// Mends `fault` in `cluster` at `at`. What is not broken stays so.
    pub fn stop_fault(&self, cluster: &str, fault: Fault, at: Timestamp) -> Result<(), FleetError> {
        let index = self.index_of(cluster)?;
        self.faults.write()[index].stop(fault, at);
        Ok(())
    }

    /// What `target` (one of [`Self::targets`]) exposes; `None` when it does not answer.
    pub fn page(&self, target: &Target, at: Timestamp) -> Option<String> {
        let faults = self.faults.read()[target.cluster_index].clone();
        if !answers(target.component, &faults) {
            return None;
        }
        let cluster = &self.clusters[target.cluster_index];
        let scene = Scene {
            cluster,
            index: target.index,
            faults: &faults,
            key: Key::new(self.seed).word(&target.path),
            started: self.last_restart(target, at),
            now: at,
        };
        let mut page = Page::new(&scene);
        exporter::write(target.component, &mut page);
        Some(page.into_text())
    }

    /// What is really so.
    pub fn truth(&self, at: Timestamp) -> Truth {
        let faults = self.faults.read();
        let clusters = self.clusters.iter().zip(faults.iter());
        Truth::new(
            at,
            clusters.map(|(cluster, faults)| self.truth_of(cluster, faults, at)).collect(),
        )
    }

    fn truth_of(&self, cluster: &Cluster, faults: &FaultHistory, at: Timestamp) -> ClusterTruth {
        let not_ready = usize::from(faults.is_active(Fault::NodeNotReady));
        let targets = || self.targets_of(&cluster.id);
        let last_restart = targets().map(|target| self.last_restart(target, at)).max();
        ClusterTruth {
            continent: cluster.continent,
            region: cluster.region,
            metacluster: cluster.metacluster.clone(),
            cluster: cluster.id.clone(),
            scope: cluster.scope,
            nodes: cluster.nodes.len(),
            nodes_ready: cluster.nodes.len() - not_ready,
            pods: cluster.nodes.iter().map(|node| node.pods.len()).sum(),
            cpu_cores_used: cluster.nodes.iter().map(|node| node.busy_cores).sum(),
            apiserver_requests_per_second: cluster.requests_per_second,
            apiserver_error_ratio: apiserver::error_ratio(faults),
            etcd_db_size_bytes: etcd::size_bytes(cluster, at),
            targets: targets().count(),
            targets_up: targets().filter(|target| answers(target.component, faults)).count(),
            last_restart: last_restart.unwrap_or(Timestamp::EPOCH).as_millis(),
            faults: faults.active(),
        }
    }

    fn index_of(&self, cluster: &str) -> Result<usize, FleetError> {
        let found = self.clusters.iter().position(|known| known.id == cluster);
        found.ok_or_else(|| FleetError::UnknownCluster(cluster.to_owned()))
    }

    fn last_restart(&self, target: &Target, at: Timestamp) -> Timestamp {
        self.schedule.last_restart(target.number, at)
    }
}

fn answers(component: Component, faults: &FaultHistory) -> bool {
    let down = component == Component::Scheduler && faults.is_active(Fault::TargetDown);
    !down && !faults.is_active(Fault::Silent)
}

#[cfg(test)]
mod tests;
