//! What every Go program exposes about itself.

use crate::page::{Kind, Page};

/// `process_*`: `cpu` in cores, `memory` in bytes.
pub(super) fn process(page: &mut Page<'_>, cpu: f64, memory: f64) {
    page.seconds("process_cpu_seconds_total", "CPU time of the process in seconds.", cpu);
    page.level("process_resident_memory_bytes", "Resident memory in bytes.", memory, 0.1);
    page.level("process_open_fds", "Open file descriptors.", 60.0, 0.2);
    page.gauge("process_max_fds", "Limit of open file descriptors.", 1_048_576.0);
    let started = page.scene.started.as_seconds();
    page.gauge("process_start_time_seconds", "When the process started, in Unix time.", started);
}

/// `go_*`.
pub(super) fn go(page: &mut Page<'_>) {
    page.family("go_info", Kind::Gauge, "The Go version of the program.")
        .value(&[("version", "go1.24.6")], 1.0);
    page.level("go_goroutines", "Goroutines that exist.", 400.0, 0.2);
    page.level("go_memstats_heap_inuse_bytes", "Heap bytes in use.", 8e7, 0.3);
    page.family("go_gc_duration_seconds", Kind::Summary, "Pauses of garbage collection.")
        .summary(&[("0", 0.000_04), ("0.5", 0.000_11), ("1", 0.001_3)], 0.05);
}

/// `kubernetes_*` of the components of Kubernetes.
pub(super) fn kubernetes(page: &mut Page<'_>) {
    page.family("kubernetes_build_info", Kind::Gauge, "The version of the component.")
        .value(&[("git_version", "v1.33.4"), ("major", "1"), ("minor", "33")], 1.0);
    let mut healthy = page.family(
        "kubernetes_healthcheck",
        Kind::Gauge,
        "The result of a health check: 1 is healthy.",
    );
    for (name, kind) in [("ping", "healthz"), ("ping", "livez"), ("etcd", "readyz")] {
        healthy.value(&[("name", name), ("type", kind)], 1.0);
    }
}

/// `rest_client_*`: the component's requests to the API server.
pub(super) fn rest_client(page: &mut Page<'_>, per_second: f64) {
    let mut requests = page.family(
        "rest_client_requests_total",
        Kind::Counter,
        "Requests to the API server, by status code, method and host.",
    );
    for (code, method, share) in
        [("200", "GET", 0.6), ("200", "PUT", 0.3), ("201", "POST", 0.09), ("409", "PUT", 0.01)]
    {
        let labels = [("code", code), ("host", "10.0.0.1:6443"), ("method", method)];
        requests.events(&labels, per_second * share);
    }
}
