//! The role `pod`: a target for each port of each container, or one without a port for a container
//! that declares none.
//!
//! Source: Prometheus 3, `discovery/kubernetes/pod.go`.

use std::net::IpAddr;

use super::around::{Around, Touched};
use super::labels::{MetaLabels, join_host_port};
use super::object::{Container, ContainerPort, ContainerStatus, ObjectKey, Pod};
use super::role::{Made, MakesTargets};
use crate::group::ADDRESS;

impl MakesTargets for Pod {
    fn source(key: &ObjectKey) -> String {
        format!("pod/{key}")
    }

    fn is_touched(&self, touched: &Touched<'_>) -> bool {
        touched.node(&self.spec.node_name) || touched.namespace(&self.metadata.namespace)
    }

    /// `None` while the pod has no address.
    fn make(&self, around: &Around) -> Option<Made> {
        let ip = &self.status.pod_ip;
        if ip.is_empty() {
            return None;
        }
        let mut labels = pod_labels(self);
        labels.set("namespace", &*self.metadata.namespace);
        around.attach_node(&mut labels, Some(&self.spec.node_name));
        around.attach_namespace(&mut labels, &self.metadata.namespace);

        let mut targets = Vec::new();
        for (container, is_init) in containers(self) {
            let about = || {
                let mut labels = container_labels(container, is_init);
                labels.set("pod_container_id", container_id(self, container, is_init));
                labels
            };
            for port in &container.ports {
                let mut labels = about();
                labels.set_plain(ADDRESS, join_host_port(ip, port.container_port));
                port_labels(&mut labels, port);
                targets.push(labels);
            }
            if container.ports.is_empty() {
                let mut labels = about();
                let is_v6 = ip.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6());
                labels.set_plain(ADDRESS, if is_v6 { format!("[{ip}]") } else { ip.clone() });
                targets.push(labels);
            }
        }
        Some(Made { labels, targets })
    }
}

/// The labels of a pod, wherever it is met.
pub(super) fn pod_labels(pod: &Pod) -> MetaLabels {
    let mut labels = MetaLabels::default();
    labels.set("pod_ip", &*pod.status.pod_ip);
    labels.set("pod_ready", pod.status.ready.as_deref().unwrap_or("unknown").to_ascii_lowercase());
    labels.set("pod_phase", &*pod.status.phase);
    labels.set("pod_node_name", &*pod.spec.node_name);
    labels.set("pod_host_ip", &*pod.status.host_ip);
    labels.set("pod_uid", &*pod.metadata.uid);
    labels.object("pod", &pod.metadata);
    if let Some(owner) = pod.metadata.owner_references.iter().find(|owner| owner.controller) {
        labels.set("pod_controller_kind", &*owner.kind);
        labels.set("pod_controller_name", &*owner.name);
    }
    labels
}

/// All containers, those that initialise last; and whether it is such a one.
pub(super) fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let others = pod.spec.containers.iter().map(|container| (container, false));
    others.chain(pod.spec.init_containers.iter().map(|container| (container, true)))
}

pub(super) fn container_labels(container: &Container, is_init: bool) -> MetaLabels {
    let mut labels = MetaLabels::default();
    labels.set("pod_container_name", &*container.name);
    labels.set("pod_container_image", &*container.image);
    labels.set("pod_container_init", is_init.to_string());
    labels
}

pub(super) fn port_labels(labels: &mut MetaLabels, port: &ContainerPort) {
    labels.set("pod_container_port_name", &*port.name);
    labels.set("pod_container_port_number", port.container_port.to_string());
    labels.set("pod_container_port_protocol", &*port.protocol);
}

fn container_id<'a>(pod: &'a Pod, container: &Container, is_init: bool) -> &'a str {
    let status = &pod.status;
    let statuses =
        if is_init { &status.init_container_statuses } else { &status.container_statuses };
    let found = statuses.iter().find(|status: &&ContainerStatus| status.name == container.name);
    found.map_or("", |status| &status.container_id)
}
