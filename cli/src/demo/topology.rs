//! The demo's tree: who runs where, and who feeds whom. Everything else about it is derived from here.
//!
//! ```text
//! simulator ◄─┐
//! node_exporter, etcd ◄── edge cn-hangzhou ◄─┐ pulled
//! simulator ◄──────────── edge cn-beijing ◄──┴ cascade china ──┐
//!   └◄─ prometheus ─► (pushed)  ▲                               │ pushed   ┌─► central a ─┐
//! simulator ◄──────────── edge eu-central-1 ─► cascade europe ──┼──────────┤              ├─► alertmanager
//! simulator ◄──────────── edge us-west-1 ────► cascade america ─┘          └─► central b ─┘     └─► sink
//! ```

use simulator::{Collection, Fleet, Scope, Target};

use crate::programs::EtcdPorts;

/// One process that listens, as people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Node {
    fn new(name: impl Into<String>, port: u16) -> Self {
        Self { name: name.into(), port }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) node: Node,
    pub(crate) continent: &'static str,
    pub(crate) region: &'static str,
    pub(crate) metacluster: String,
    /// What it scrapes of the simulator.
    pub(crate) targets: Vec<Target>,
    /// Whether it also scrapes this very machine: its node_exporter and etcd.
    pub(crate) has_machine: bool,
}

/// How a cascade gets what its edges have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collects {
    /// It pulls `/federate`.
    Pulls,
    /// They remote-write to it.
    IsPushed,
}

/// Collects from the edges of one continent.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    pub(crate) node: Node,
    pub(crate) continent: &'static str,
    pub(crate) collects: Collects,
}

/// A cluster whose own Prometheus scrapes it and remote-writes to an edge.
#[derive(Clone, Debug)]
pub(crate) struct PushingCluster {
    pub(crate) node: Node,
    pub(crate) targets: Vec<Target>,
    pub(crate) edge: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) simulator: Node,
    pub(crate) node_exporter: Node,
    /// The port is that of its metrics.
    pub(crate) etcd: Node,
    pub(crate) etcd_ports: EtcdPorts,
    pub(crate) pushing: PushingCluster,
    pub(crate) edges: Vec<Edge>,
    pub(crate) cascades: Vec<Cascade>,
    pub(crate) centrals: [Node; 2],
    pub(crate) alertmanager: Node,
    pub(crate) sink: Node,
}

/// The `cluster` that this machine's own node_exporter and etcd belong to. The simulator knows
/// nothing of it.
pub(crate) const MACHINE_CLUSTER: &str = "this-machine";

const EDGE_PORTS: [u16; 4] = [9311, 9312, 9313, 9314];
const CASCADES: [(&str, u16, Collects); 3] = [
    ("china", 9321, Collects::Pulls),
    ("europe", 9322, Collects::IsPushed),
    ("america", 9323, Collects::IsPushed),
];

impl Tree {
    /// One edge for each meta-cluster of the simulator's fleet.
    pub(crate) fn demo(fleet: &Fleet) -> Self {
        let metaclusters = fleet.clusters().iter().filter(|cluster| cluster.scope == Scope::Meta);
        let edges: Vec<Edge> = metaclusters
            .zip(EDGE_PORTS)
            .enumerate()
            .map(|(index, (meta, port))| Edge {
                node: Node::new(format!("edge {}", meta.region), port),
                continent: meta.continent,
                region: meta.region,
                metacluster: meta.id.clone(),
                targets: targets(fleet, &meta.id, Collection::Scrape),
                has_machine: index == 0,
            })
            .collect();
        let cascades = CASCADES.map(|(continent, port, collects)| Cascade {
            node: Node::new(format!("cascade {continent}"), port),
            continent,
            collects,
        });
        let pushed_to = &edges[1];
        let pushing = PushingCluster {
            node: Node::new("prometheus", 9390),
            targets: targets(fleet, &pushed_to.metacluster, Collection::RemoteWrite),
            edge: pushed_to.node.clone(),
        };
        // Debian's etcd, if it runs here, has 2379 and 2380.
        let etcd_ports = EtcdPorts { client: 2382, peer: 2383, metrics: 2381 };
        Self {
            simulator: Node::new("simulator", 9300),
            node_exporter: Node::new("node_exporter", 9100),
            etcd: Node::new("etcd", etcd_ports.metrics),
            etcd_ports,
            pushing,
            edges,
            cascades: cascades.to_vec(),
            centrals: [Node::new("central a", 9303), Node::new("central b", 9304)],
            alertmanager: Node::new("alertmanager", 9093),
            sink: Node::new("webhook sink", 9305),
        }
    }

    /// The cascade that collects from an edge of `continent`.
    pub(crate) fn cascade(&self, continent: &str) -> &Cascade {
        let found = self.cascades.iter().find(|cascade| cascade.continent == continent);
        found.expect("each continent has a cascade")
    }

    /// Everything that will listen, node_exporter last: one that runs already will do.
    pub(crate) fn ports(&self) -> Vec<Node> {
        let EtcdPorts { client, peer, .. } = self.etcd_ports;
        let mut nodes = vec![
            self.simulator.clone(),
            self.etcd.clone(),
            Node::new("etcd", client),
            Node::new("etcd", peer),
            self.pushing.node.clone(),
        ];
        nodes.extend(self.edges.iter().map(|edge| edge.node.clone()));
        nodes.extend(self.cascades.iter().map(|cascade| cascade.node.clone()));
        nodes.extend(self.centrals.iter().cloned());
        nodes.extend([&self.alertmanager, &self.sink, &self.node_exporter].map(Node::clone));
        nodes
    }
}

/// The targets of the clusters that `metacluster` runs, itself among them, collected in this way.
fn targets(fleet: &Fleet, metacluster: &str, collection: Collection) -> Vec<Target> {
    let clusters = fleet.clusters().iter();
    clusters
        .filter(|cluster| cluster.metacluster == metacluster && cluster.collection == collection)
        .flat_map(|cluster| fleet.targets_of(&cluster.id).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use simulator::Profile;

    use super::*;

    #[test]
    fn every_target_is_scraped_by_exactly_one_and_no_port_is_taken_twice() {
        let fleet = Fleet::new(&Profile::demo(), 1);
        let tree = Tree::demo(&fleet);
        let scraped = tree.edges.iter().flat_map(|edge| &edge.targets).chain(&tree.pushing.targets);
        let scraped: Vec<&str> = scraped.map(|target| target.path.as_str()).collect();
        let all: BTreeSet<&str> =
            fleet.targets().iter().map(|target| target.path.as_str()).collect();
        assert_eq!(scraped.len(), all.len());
        assert_eq!(scraped.into_iter().collect::<BTreeSet<_>>(), all);

        let ports = tree.ports();
        let distinct: BTreeSet<u16> = ports.iter().map(|node| node.port).collect();
        assert_eq!(distinct.len(), ports.len());
        for edge in &tree.edges {
            assert_eq!(tree.cascade(edge.continent).continent, edge.continent);
        }
    }
}
