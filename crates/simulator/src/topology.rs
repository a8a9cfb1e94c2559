//! The fleet's clusters, what is in them, and the targets that expose them.
//!
//! Everything here is fixed when the fleet is built. The facts that the truth reports (busy cores,
//! request rates, database sizes) are fields, which the exporters then present as series.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::noise::Key;
use crate::profile::Profile;

/// continent, region. Each region has one meta-cluster, `<region>-meta`.
const REGIONS: [(&str, &str); 4] = [
    ("china", "cn-hangzhou"),
    ("china", "cn-beijing"),
    ("europe", "eu-central-1"),
    ("america", "us-west-1"),
];
const TENANTS: [&str; 3] = ["a", "b", "c"];
/// The region with one more tenant, of a single node, which pushes its metrics itself.
const REMOTE_WRITE_REGION: &str = "cn-beijing";

const APISERVERS: usize = 2;
const ETCD_MEMBERS: usize = 3;

/// Which side of kube-on-kube a cluster is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Meta,
    Tenant,
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Tenant => "tenant",
        }
    }
}

/// How a cluster's metrics reach the edge of its meta-cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// The edge scrapes the targets.
    Scrape,
    /// An agent of the cluster's own scrapes them and remote-writes to the edge.
    RemoteWrite,
}

/// One Kubernetes cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub continent: &'static str,
    pub region: &'static str,
    /// The id of the meta-cluster that runs this one; for a meta-cluster its own id.
    pub metacluster: String,
    /// The value of the `cluster` label.
    pub id: String,
    pub scope: Scope,
    pub collection: Collection,
    pub(crate) nodes: Vec<Node>,
    pub(crate) cpus_per_node: usize,
    /// Over all API servers.
    pub(crate) requests_per_second: f64,
    pub(crate) etcd_size_bytes: f64,
    pub(crate) key: Key,
    /// The second octet of its addresses.
    number: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: String,
    /// How many of its CPUs are neither idle nor waiting.
    pub(crate) busy_cores: f64,
    pub(crate) pods: Vec<Pod>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: &'static str,
    pub(crate) name: String,
    pub(crate) app: &'static str,
    pub(crate) uid: String,
    pub(crate) address: String,
    /// What its container uses.
    pub(crate) cpu_cores: f64,
    pub(crate) key: Key,
}

/// Every cluster of a fleet, meta-clusters before their tenants.
pub(crate) fn clusters(profile: &Profile, seed: u64) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for (continent, region) in REGIONS {
        let metacluster = format!("{region}-meta");
        let mut add = |id: String, scope, collection, nodes| {
            let number = clusters.len() + 1;
            let place = Place { continent, region, metacluster: metacluster.clone(), id, scope };
            clusters.push(cluster(place, collection, nodes, number, profile, seed));
        };
        add(metacluster.clone(), Scope::Meta, Collection::Scrape, profile.nodes_per_metacluster);
        for tenant in TENANTS {
            let id = format!("{region}-{tenant}");
            add(id, Scope::Tenant, Collection::Scrape, profile.nodes_per_tenant);
        }
        if region == REMOTE_WRITE_REGION {
            add(format!("{region}-rw"), Scope::Tenant, Collection::RemoteWrite, 1);
        }
    }
    clusters
}

struct Place {
    continent: &'static str,
    region: &'static str,
    metacluster: String,
    id: String,
    scope: Scope,
}

fn cluster(
    place: Place,
    collection: Collection,
    nodes: usize,
    number: usize,
    profile: &Profile,
    seed: u64,
) -> Cluster {
    let key = Key::new(seed).word(&place.id);
    Cluster {
        nodes: (0..nodes).map(|index| node(&place.id, number, index, profile, key)).collect(),
        continent: place.continent,
        region: place.region,
        metacluster: place.metacluster,
        id: place.id,
        scope: place.scope,
        collection,
        cpus_per_node: profile.cpus_per_node,
        requests_per_second: key.word("requests").between(60.0, 180.0),
        etcd_size_bytes: key.word("etcd").between(2e8, 2e9),
        key,
        number,
    }
}

fn node(cluster: &str, number: usize, index: usize, profile: &Profile, key: Key) -> Node {
    let key = key.word("node").number(index);
    let pods = (0..profile.pods_per_node).map(|slot| pod(number, index, slot, key)).collect();
    Node {
        name: format!("{cluster}-node-{index}"),
        address: format!("10.{number}.{}.{}", 1 + index / 200, 10 + index % 200),
        busy_cores: profile.cpus_per_node as f64 * key.word("busy").between(0.2, 0.7),
        pods,
    }
}

fn pod(number: usize, node: usize, slot: usize, key: Key) -> Pod {
    const APPS: [(&str, &str); 5] = [
        ("kube-system", "coredns"),
        ("default", "checkout"),
        ("default", "catalog"),
        ("payments", "ledger"),
        ("ingress", "gateway"),
    ];
    let key = key.word("pod").number(slot);
    let (namespace, app) = APPS[(node + slot) % APPS.len()];
    let (high, low) = (key.bits(), key.word("low").bits());
    let suffix = high >> 44;
    Pod {
        namespace,
        name: format!("{app}-7c9d8f5b6-{suffix:05x}"),
        app,
        uid: format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        ),
        address: format!("10.{}.{}.{}", 128 + number, node % 250, 2 + slot % 250),
        cpu_cores: key.word("cpu").between(0.02, 0.25),
        key,
    }
}

/// The kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    NodeExporter,
    Kubelet,
    Cadvisor,
    KubeStateMetrics,
    Apiserver,
    ControllerManager,
    Scheduler,
    Etcd,
}

impl Component {
    /// As in a target's path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeExporter => "node-exporter",
            Self::Kubelet => "kubelet",
            Self::Cadvisor => "cadvisor",
            Self::KubeStateMetrics => "kube-state-metrics",
            Self::Apiserver => "apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Etcd => "etcd",
        }
    }

    /// The value of the `job` label: cAdvisor's page is the kubelet's second one.
    pub fn job(self) -> &'static str {
        match self {
            Self::Cadvisor => Self::Kubelet.as_str(),
            other => other.as_str(),
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::NodeExporter => 9100,
            Self::Kubelet | Self::Cadvisor => 10250,
            Self::KubeStateMetrics => 8080,
            Self::Apiserver => 6443,
            Self::ControllerManager => 10257,
            Self::Scheduler => 10259,
            Self::Etcd => 2381,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing to scrape.
#[derive(Clone, Debug)]
pub struct Target {
    /// The id of its cluster.
    pub cluster: String,
    pub component: Component,
    /// Where the simulator serves it.
    pub path: String,
    /// What a scrape configuration gives it: `cluster`, `scope`, `job`, `instance`; of the node
    /// agents also `node`; of the kubelet's two pages also `metrics_path`, which tells them apart.
    pub labels: BTreeMap<&'static str, String>,
    /// Which node, replica or member of its cluster.
    pub(crate) index: usize,
    /// Which cluster of the fleet.
    pub(crate) cluster_index: usize,
    /// Which target of the fleet.
    pub(crate) number: usize,
}

/// Every target of `clusters`, in their order.
pub(crate) fn targets(clusters: &[Cluster]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (cluster_index, cluster) in clusters.iter().enumerate() {
        let mut add = |component, index| {
            let number = targets.len();
            targets.push(target(cluster, component, index, cluster_index, number));
        };
        for node in 0..cluster.nodes.len() {
            add(Component::NodeExporter, node);
            add(Component::Kubelet, node);
            add(Component::Cadvisor, node);
        }
        add(Component::KubeStateMetrics, 0);
        (0..APISERVERS).for_each(|replica| add(Component::Apiserver, replica));
        add(Component::ControllerManager, 0);
        add(Component::Scheduler, 0);
        (0..ETCD_MEMBERS).for_each(|member| add(Component::Etcd, member));
    }
    targets
}

fn target(
    cluster: &Cluster,
    component: Component,
    index: usize,
    cluster_index: usize,
    number: usize,
) -> Target {
    let mut labels = BTreeMap::from([
        ("cluster", cluster.id.clone()),
        ("scope", cluster.scope.as_str().to_owned()),
        ("job", component.job().to_owned()),
    ]);
    let address = match component {
        Component::NodeExporter | Component::Kubelet | Component::Cadvisor => {
            labels.insert("node", cluster.nodes[index].name.clone());
            cluster.nodes[index].address.clone()
        }
        _ => format!("10.{}.0.{}", cluster.number, 10 + index),
    };
    match component {
        Component::Kubelet => labels.insert("metrics_path", "/metrics".to_owned()),
        Component::Cadvisor => labels.insert("metrics_path", "/metrics/cadvisor".to_owned()),
        _ => None,
    };
    let instance = format!("{address}:{}", component.port());
    let path = format!("/targets/{}/{component}/{instance}/metrics", cluster.id);
    labels.insert("instance", instance);
    let cluster = cluster.id.clone();
    Target { cluster, component, path, labels, index, cluster_index, number }
}

/// Which of `APISERVERS` serves how much of a cluster's requests: they are never quite even.
pub(crate) fn apiserver_share(replica: usize) -> f64 {
    const SHARES: [f64; APISERVERS] = [0.55, 0.45];
    SHARES[replica]
}

/// The name of an etcd member, as its peers see it.
pub(crate) fn etcd_member_id(cluster: &Cluster, member: usize) -> String {
    format!("{:016x}", cluster.key.word("member").number(member).bits())
}

/// The other members of `member`'s etcd cluster.
pub(crate) fn etcd_peers(member: usize) -> impl Iterator<Item = usize> {
    (0..ETCD_MEMBERS).filter(move |peer| *peer != member)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_fleet_has_four_metaclusters_with_three_tenants_each_and_one_that_pushes() {
        let clusters = clusters(&Profile::demo(), 1);
        let metas: Vec<_> = clusters.iter().filter(|c| c.scope == Scope::Meta).collect();
        assert_eq!(metas.len(), 4);
        for meta in metas {
            assert_eq!(meta.id, meta.metacluster);
            let tenants = clusters.iter().filter(|c| {
                c.metacluster == meta.id
                    && c.scope == Scope::Tenant
                    && c.collection == Collection::Scrape
            });
            assert_eq!(tenants.count(), 3);
        }
        let pushing: Vec<_> =
            clusters.iter().filter(|c| c.collection == Collection::RemoteWrite).collect();
        assert_eq!(pushing.len(), 1);
        assert_eq!(pushing[0].id, "cn-beijing-rw");
        let continents: BTreeSet<_> = clusters.iter().map(|c| c.continent).collect();
        assert_eq!(continents, BTreeSet::from(["america", "china", "europe"]));
    }

    #[test]
    fn no_two_targets_have_the_same_labels_or_path() {
        let targets = targets(&clusters(&Profile::demo(), 1));
        let labels: BTreeSet<_> = targets.iter().map(|t| t.labels.clone()).collect();
        let paths: BTreeSet<_> = targets.iter().map(|t| t.path.clone()).collect();
        assert_eq!(labels.len(), targets.len());
        assert_eq!(paths.len(), targets.len());
    }
}
