//! kube-state-metrics: the objects of the cluster, as its API server has them.

use super::process;
use crate::fault::Fault;
use crate::page::{Kind, Page};
use crate::topology::{Node, Pod};

const MEMORY_BYTES: f64 = 33_554_432_000.0;
const PODS_PER_NODE_MAX: f64 = 110.0;

pub(super) fn write(page: &mut Page<'_>) {
    let nodes = &page.scene.cluster.nodes;
    node_info(page, nodes);
    node_conditions(page, nodes);
    node_resources(page, nodes);

    let pods: Vec<(&Node, &Pod)> =
        nodes.iter().flat_map(|node| node.pods.iter().map(move |pod| (node, pod))).collect();
    pod_info(page, &pods);
    pod_status(page, &pods);
    containers(page, &pods);

    let mut phases = page.family("kube_namespace_status_phase", Kind::Gauge, "Namespace phases.");
    for namespace in ["default", "ingress", "kube-system", "payments"] {
        phases.value(&[("namespace", namespace), ("phase", "Active")], 1.0);
    }
    process::process(page, 0.03, 5e7);
    process::go(page);
}

fn node_info(page: &mut Page<'_>, nodes: &[Node]) {
    let mut info = page.family("kube_node_info", Kind::Gauge, "What a node is.");
    for node in nodes {
        let labels = [
            ("node", node.name.as_str()),
            ("kernel_version", "6.12.41"),
            ("os_image", "Debian GNU/Linux 13"),
            ("container_runtime_version", "containerd://2.1.4"),
            ("kubelet_version", "v1.33.4"),
            ("internal_ip", &node.address),
        ];
        info.value(&labels, 1.0);
    }
    let mut cordoned = page.family(
        "kube_node_spec_unschedulable",
        Kind::Gauge,
        "Whether new pods are kept off the node.",
    );
    for node in nodes {
        cordoned.value(&[("node", &node.name)], 0.0);
    }
}

fn node_conditions(page: &mut Page<'_>, nodes: &[Node]) {
    let first_is_lost = page.scene.is_broken(Fault::NodeNotReady);
    let mut conditions = page.family(
        "kube_node_status_condition",
        Kind::Gauge,
        "The conditions of a node: 1 for the status that holds.",
    );
    for (index, node) in nodes.iter().enumerate() {
        for condition in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
            let holds = match condition {
                _ if index == 0 && first_is_lost => "unknown", // a silent kubelet: all are unknown
                "Ready" => "true",
                _ => "false",
            };
            for status in ["true", "false", "unknown"] {
                let labels =
                    [("node", node.name.as_str()), ("condition", condition), ("status", status)];
                conditions.value(&labels, f64::from(u8::from(status == holds)));
            }
        }
    }
}

fn node_resources(page: &mut Page<'_>, nodes: &[Node]) {
    let cpus = page.scene.cluster.cpus_per_node as f64;
    for (name, help, share) in [
        ("kube_node_status_capacity", "What the node has.", 1.0),
        ("kube_node_status_allocatable", "What of it pods can use.", 0.9),
    ] {
        let mut family = page.family(name, Kind::Gauge, help);
        for node in nodes {
            let resources =
                [("cpu", "core", cpus * share), ("memory", "byte", MEMORY_BYTES * share)];
            for (resource, unit, amount) in resources {
                let labels = [("node", node.name.as_str()), ("resource", resource), ("unit", unit)];
                family.value(&labels, amount);
            }
            let labels = [("node", node.name.as_str()), ("resource", "pods"), ("unit", "integer")];
            family.value(&labels, PODS_PER_NODE_MAX);
        }
    }
}

fn pod_info(page: &mut Page<'_>, pods: &[(&Node, &Pod)]) {
    let mut info = page.family("kube_pod_info", Kind::Gauge, "What a pod is.");
    for (node, pod) in pods {
        let labels = [
            ("namespace", pod.namespace),
            ("pod", &pod.name),
            ("uid", &pod.uid),
            ("host_ip", &node.address),
            ("pod_ip", &pod.address),
            ("node", &node.name),
            ("created_by_kind", "ReplicaSet"),
        ];
        info.value(&labels, 1.0);
    }
    let mut owners = page.family("kube_pod_owner", Kind::Gauge, "What a pod belongs to.");
    for (_, pod) in pods {
        let owner = format!("{}-7c9d8f5b6", pod.app);
        let [namespace, name] = pod_labels(pod);
        let kind = ("owner_kind", "ReplicaSet");
        owners.value(
            &[namespace, name, kind, ("owner_name", &owner), ("owner_is_controller", "true")],
            1.0,
        );
    }
}

fn pod_status(page: &mut Page<'_>, pods: &[(&Node, &Pod)]) {
    for (name, help, label, values, holds) in [
        (
            "kube_pod_status_phase",
            "The phase of a pod: 1 for the one that it is in.",
            "phase",
            ["Pending", "Succeeded", "Failed", "Unknown", "Running"].as_slice(),
            "Running",
        ),
        (
            "kube_pod_status_ready",
            "Whether a pod is ready: 1 for the condition that holds.",
            "condition",
            ["true", "false", "unknown"].as_slice(),
            "true",
        ),
    ] {
        let mut family = page.family(name, Kind::Gauge, help);
        for (_, pod) in pods {
            let [namespace, name] = pod_labels(pod);
            for value in values {
                let labels = [namespace, name, (label, *value)];
                family.value(&labels, f64::from(u8::from(*value == holds)));
            }
        }
    }
}

fn containers(page: &mut Page<'_>, pods: &[(&Node, &Pod)]) {
    for (name, help, factor) in [
        ("kube_pod_container_resource_requests", "What a container asks for.", 1.0),
        ("kube_pod_container_resource_limits", "What a container may use.", 2.0),
    ] {
        let mut family = page.family(name, Kind::Gauge, help);
        for (node, pod) in pods {
            for (resource, unit, amount) in [("cpu", "core", 0.25), ("memory", "byte", 5.4e8)] {
                let [namespace, name] = pod_labels(pod);
                let place = [namespace, name, ("container", pod.app), ("node", &node.name)];
                let [a, b, c, d] = place;
                let labels = [a, b, c, d, ("resource", resource), ("unit", unit)];
                family.value(&labels, amount * factor);
            }
        }
    }
    let mut restarts = page.family(
        "kube_pod_container_status_restarts_total",
        Kind::Counter,
        "Restarts of a container.",
    );
    for (_, pod) in pods {
        let [namespace, name] = pod_labels(pod);
        restarts.events(&[namespace, name, ("container", pod.app)], 0.000_1);
    }
}

fn pod_labels(pod: &Pod) -> [(&str, &str); 2] {
    [("namespace", pod.namespace), ("pod", &pod.name)]
}
