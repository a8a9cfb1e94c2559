//! The role `node`: one target for each node, its kubelet.
//!
//! Source: Prometheus 3, `discovery/kubernetes/node.go`.

use super::around::{Around, Touched};
use super::labels::{MetaLabels, join_host_port, sanitize};
use super::object::{Node, ObjectKey};
use super::role::{Made, MakesTargets};
use crate::group::ADDRESS;

/// Which of a node's addresses is taken, best first.
const ADDRESS_KINDS: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

impl MakesTargets for Node {
    fn source(key: &ObjectKey) -> String {
        format!("node/{key}")
    }

    fn is_touched(&self, _: &Touched<'_>) -> bool {
        false
    }

    /// `None` while the node has no address.
    fn make(&self, _: &Around) -> Option<Made> {
        let port = self.status.daemon_endpoints.kubelet_endpoint.port;
        let mut target = MetaLabels::default();
        target.set_plain(ADDRESS, join_host_port(self.address()?, port));
        target.set_plain("instance", &*self.metadata.name);
        // Of several addresses of a kind the first counts, which is set last.
        for address in self.status.addresses.iter().rev() {
            let name = sanitize(&address.kind);
            target.set(&format!("node_address_{name}"), &*address.address);
        }
        let mut labels = MetaLabels::default();
        labels.set("node_provider_id", &*self.spec.provider_id);
        labels.object("node", &self.metadata);
        Some(Made { labels, targets: vec![target] })
    }
}

impl Node {
    /// Where the node is reached.
    pub(super) fn address(&self) -> Option<&str> {
        ADDRESS_KINDS.iter().find_map(|kind| {
            let found = self.status.addresses.iter().find(|address| address.kind == *kind)?;
            Some(found.address.as_str())
        })
    }
}
