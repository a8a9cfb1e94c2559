//! The kubelet's own metrics.

use super::process;
use crate::page::{Kind, Observations, Page};

const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

pub(super) fn write(page: &mut Page<'_>) {
    let node = &page.scene.cluster.nodes[page.scene.index];
    let pods = node.pods.len() as f64;
    page.family("kubelet_node_name", Kind::Gauge, "The name of the node.")
        .value(&[("node", &node.name)], 1.0);
    page.gauge("kubelet_running_pods", "Pods with a running sandbox.", pods);
    page.family("kubelet_running_containers", Kind::Gauge, "Containers by state.")
        .value(&[("container_state", "running")], pods);
    page.family(
        "kubelet_pleg_relist_duration_seconds",
        Kind::Histogram,
        "How long listing the pods took.",
    )
    .histogram(&[], &BOUNDS, Observations::steady(1.0, 0.006));
    runtime(page);
    page.gauge(
        "kubelet_certificate_manager_client_ttl_seconds",
        "Seconds until the client certificate expires.",
        1e7,
    );
    process::kubernetes(page);
    process::rest_client(page, 4.0);
    process::process(page, 0.05, 9e7);
    process::go(page);
}

fn runtime(page: &mut Page<'_>) {
    let mut operations = page.family(
        "kubelet_runtime_operations_total",
        Kind::Counter,
        "Calls of the container runtime, by type.",
    );
    let types = [("container_status", 2.0), ("list_containers", 1.5), ("version", 0.2)];
    for (name, per_second) in types {
        operations.events(&[("operation_type", name)], per_second);
    }
    let mut errors = page.family(
        "kubelet_runtime_operations_errors_total",
        Kind::Counter,
        "Failed calls of the container runtime, by type.",
    );
    for (name, per_second) in types {
        errors.events(&[("operation_type", name)], per_second * 0.001);
    }
}
