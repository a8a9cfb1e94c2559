//! The roles `endpoints` and `endpointslice`: a target for each address and port, and one for each
//! other port that the containers behind an address declare.
//!
//! Source: Prometheus 3, `discovery/kubernetes/{endpoints,endpointslice}.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::around::{Around, Touched};
use super::labels::{MetaLabels, join_host_port, sanitize};
use super::object::{
    Endpoint, EndpointAddress, EndpointPort, EndpointSlice, Endpoints, ObjectKey, ObjectReference,
    Pod, Resource as _,
};
use super::pod::{container_labels, containers, pod_labels, port_labels};
use super::role::{Made, MakesTargets};
use super::service::service_labels;
use crate::group::ADDRESS;

/// In which a slice says whose it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

impl MakesTargets for Endpoints {
    fn source(key: &ObjectKey) -> String {
        format!("endpoints/{key}")
    }

    fn is_touched(&self, touched: &Touched<'_>) -> bool {
        let meta = &self.metadata;
        touched.service(&meta.namespace, &meta.name)
            || touched.namespace(&meta.namespace)
            || self.addresses().any(|address| {
                touched.pod(address.target_ref.as_ref())
                    || address.node_name.as_ref().is_some_and(|node| touched.node(node))
            })
    }

    fn make(&self, around: &Around) -> Option<Made> {
        let meta = &self.metadata;
        let mut labels = MetaLabels::default();
        labels.set("namespace", &*meta.namespace);
        labels.object("endpoints", meta);
        if let Some(service) = around.service(&meta.namespace, &meta.name) {
            labels.append(service_labels(&service));
        }
        around.attach_namespace(&mut labels, &meta.namespace);

        let mut targets = Targets::default();
        for subset in &self.subsets {
            for port in &subset.ports {
                let ready = subset.addresses.iter().map(|address| (address, true));
                let others = subset.not_ready_addresses.iter().map(|address| (address, false));
                for (address, is_ready) in ready.chain(others) {
                    let mut target = endpoint_labels(address, port, is_ready);
                    around.attach_node(&mut target, address.node_name.as_deref());
                    targets.add(target, port, around.pod(address.target_ref.as_ref()));
                }
            }
        }
        Some(Made { labels, targets: targets.with_other_ports() })
    }
}

impl Endpoints {
    fn addresses(&self) -> impl Iterator<Item = &EndpointAddress> {
        let subsets = self.subsets.iter();
        subsets.flat_map(|subset| subset.addresses.iter().chain(&subset.not_ready_addresses))
    }
}

fn endpoint_labels(address: &EndpointAddress, port: &EndpointPort, is_ready: bool) -> MetaLabels {
    let mut labels = MetaLabels::default();
    labels.set_plain(ADDRESS, join_host_port(&address.ip, port.port.unwrap_or_default()));
    labels.set_some("endpoint_port_name", port.name.as_ref());
    labels.set_some("endpoint_port_protocol", port.protocol.as_ref());
    labels.set("endpoint_ready", is_ready.to_string());
    if let Some(ObjectReference { kind, name, .. }) = &address.target_ref {
        labels.set("endpoint_address_target_kind", &**kind);
        labels.set("endpoint_address_target_name", &**name);
    }
    labels.set_some("endpoint_node_name", address.node_name.as_ref());
    labels.set("endpoint_hostname", &*address.hostname);
    labels
}

impl MakesTargets for EndpointSlice {
    fn source(key: &ObjectKey) -> String {
        format!("endpointslice/{key}")
    }

    fn is_touched(&self, touched: &Touched<'_>) -> bool {
        let meta = &self.metadata;
        meta.labels.get(SERVICE_NAME).is_some_and(|name| touched.service(&meta.namespace, name))
            || touched.namespace(&meta.namespace)
            || self.endpoints.iter().any(|endpoint| {
                touched.pod(endpoint.target_ref.as_ref())
                    || node_of(endpoint).is_some_and(|node| touched.node(node))
            })
    }

    fn make(&self, around: &Around) -> Option<Made> {
        let meta = &self.metadata;
        let mut labels = MetaLabels::default();
        labels.set("namespace", &*meta.namespace);
        labels.set("endpointslice_address_type", &*self.address_type);
        labels.object("endpointslice", meta);
        let service = meta.labels.get(SERVICE_NAME);
        if let Some(service) = service.and_then(|name| around.service(&meta.namespace, name)) {
            labels.append(service_labels(&service));
        }
        around.attach_namespace(&mut labels, &meta.namespace);

        let mut targets = Targets::default();
        for endpoint in &self.endpoints {
            let pod = around.pod(endpoint.target_ref.as_ref());
            for port in &self.ports {
                for address in &endpoint.addresses {
                    let mut target = slice_labels(address, endpoint, port);
                    around.attach_node(&mut target, node_of(endpoint));
                    targets.add(target, port, pod.clone());
                }
            }
        }
        Some(Made { labels, targets: targets.with_other_ports() })
    }
}

/// The node that an endpoint is, or is on.
fn node_of(endpoint: &Endpoint) -> Option<&str> {
    match &endpoint.target_ref {
        Some(reference) if reference.kind == "Node" => Some(&reference.name),
        _ => endpoint.node_name.as_deref(),
    }
}

fn slice_labels(address: &str, endpoint: &Endpoint, port: &EndpointPort) -> MetaLabels {
    let mut labels = MetaLabels::default();
    let address = match port.port {
        Some(port) => join_host_port(address, port),
        None => address.to_owned(),
    };
    labels.set_plain(ADDRESS, address);
    labels.set_some("endpointslice_port_name", port.name.as_ref());
    labels.set_some("endpointslice_port_protocol", port.protocol.as_ref());
    labels.set_some("endpointslice_port", port.port);
    labels.set_some("endpointslice_port_app_protocol", port.app_protocol.as_ref());
    let conditions = &endpoint.conditions;
    labels.set_some("endpointslice_endpoint_conditions_ready", conditions.ready);
    labels.set_some("endpointslice_endpoint_conditions_serving", conditions.serving);
    labels.set_some("endpointslice_endpoint_conditions_terminating", conditions.terminating);
    labels.set_some("endpointslice_endpoint_hostname", endpoint.hostname.as_ref());
    if let Some(ObjectReference { kind, name, .. }) = &endpoint.target_ref {
        labels.set("endpointslice_address_target_kind", &**kind);
        labels.set("endpointslice_address_target_name", &**name);
    }
    labels.set_some("endpointslice_endpoint_node_name", endpoint.node_name.as_ref());
    labels.set_some("endpointslice_endpoint_zone", endpoint.zone.as_ref());
    for (name, value) in endpoint.deprecated_topology.iter() {
        let name = sanitize(name);
        labels.set(&format!("endpointslice_endpoint_topology_{name}"), value);
        labels.set(&format!("endpointslice_endpoint_topology_present_{name}"), "true");
    }
    labels
}

/// Targets in the making, and which ports of which pods they cover.
#[derive(Default)]
struct Targets {
    made: Vec<MetaLabels>,
    pods: BTreeMap<ObjectKey, (Arc<Pod>, Vec<i32>)>,
}

impl Targets {
    /// Adds a target, with the labels of the pod behind it, if there is one.
    fn add(&mut self, mut target: MetaLabels, port: &EndpointPort, pod: Option<Arc<Pod>>) {
        if let Some(pod) = pod {
            target.append(pod_labels(&pod));
            for (container, is_init) in containers(&pod) {
                let declared = container.ports.iter();
                let declared = declared.into_iter().find(|p| Some(p.container_port) == port.port);
                if let Some(declared) = declared {
                    target.append(container_labels(container, is_init));
                    port_labels(&mut target, declared);
                }
            }
            let covered = self.pods.entry(pod.key()).or_insert_with(|| (pod, Vec::new()));
            covered.1.extend(port.port);
        }
        self.made.push(target);
    }

    /// And one for each port that a container declares and no endpoint covers.
    fn with_other_ports(mut self) -> Vec<MetaLabels> {
        for (pod, covered) in self.pods.values() {
            if pod.status.pod_ip.is_empty() {
                continue;
            }
            for (container, is_init) in containers(pod) {
                for port in &container.ports {
                    if covered.contains(&port.container_port) {
                        continue;
                    }
                    let mut target = container_labels(container, is_init);
                    let address = join_host_port(&pod.status.pod_ip, port.container_port);
                    target.set_plain(ADDRESS, address);
                    port_labels(&mut target, port);
                    target.append(pod_labels(pod));
                    self.made.push(target);
                }
            }
        }
        self.made
    }
}
