//! kube-apiserver.

use super::process;
use crate::fault::{Fault, FaultHistory};
use crate::page::{Kind, Observations, Page};
use crate::topology::apiserver_share;

/// The part of requests answered with a 500, and while [`Fault::ApiserverErrors`] is broken.
const ERRORS: f64 = 0.001;
const ERRORS_BROKEN: f64 = 0.2;

const DURATION_BOUNDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];
const WAIT_BOUNDS: [f64; 6] = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0];

/// One kind of request: what is asked for, and what part of all requests it is.
struct Request {
    group: &'static str,
    resource: &'static str,
    scope: &'static str,
    verb: &'static str,
    /// The code of success.
    code: &'static str,
    share: f64,
    median_seconds: f64,
}

/// Shares add up to 1.
const REQUESTS: [Request; 6] = [
    request("", "pods", "resource", "GET", "200", 0.30, 0.004),
    request("", "pods", "cluster", "LIST", "200", 0.05, 0.080),
    request("", "nodes", "resource", "PATCH", "200", 0.15, 0.008),
    request("", "events", "namespace", "POST", "201", 0.10, 0.007),
    request("apps", "deployments", "resource", "PUT", "200", 0.10, 0.009),
    request("coordination.k8s.io", "leases", "resource", "PUT", "200", 0.30, 0.006),
];

const fn request(
    group: &'static str,
    resource: &'static str,
    scope: &'static str,
    verb: &'static str,
    code: &'static str,
    share: f64,
    median_seconds: f64,
) -> Request {
    Request { group, resource, scope, verb, code, share, median_seconds }
}

impl Request {
    /// The labels that counter and histogram share.
    fn labels(&self) -> [(&'static str, &'static str); 7] {
        [
            ("component", "apiserver"),
            ("group", self.group),
            ("resource", self.resource),
            ("scope", self.scope),
            ("subresource", ""),
            ("verb", self.verb),
            ("version", "v1"),
        ]
    }
}

/// The part of requests that is answered with a 5xx now.
pub(crate) fn error_ratio(faults: &FaultHistory) -> f64 {
    if faults.is_active(Fault::ApiserverErrors) { ERRORS_BROKEN } else { ERRORS }
}

pub(super) fn write(page: &mut Page<'_>) {
    let per_second = page.scene.cluster.requests_per_second * apiserver_share(page.scene.index);
    requests(page, per_second);
    durations(page, per_second);
    inflight(page);
    flow_control(page, per_second);
    objects(page);
    let mut admission = page.family(
        "apiserver_admission_controller_admission_duration_seconds",
        Kind::Histogram,
        "How long admission controllers took.",
    );
    admission.histogram(
        &[("name", "NodeRestriction"), ("operation", "UPDATE"), ("rejected", "false")],
        &WAIT_BOUNDS,
        Observations::steady(per_second * 0.4, 0.000_5),
    );
    process::kubernetes(page);
    process::process(page, 0.4, 7e8);
    process::go(page);
}

fn requests(page: &mut Page<'_>, per_second: f64) {
    let broken = page.scene.broken_seconds(Fault::ApiserverErrors);
    let mut total = page.family(
        "apiserver_request_total",
        Kind::Counter,
        "Requests by verb, resource, scope and status code.",
    );
    for request in &REQUESTS {
        let per_second = per_second * request.share;
        let [component, rest @ ..] = request.labels();
        let [group, resource, scope, subresource, verb, version] = rest;
        let labels =
            |code| [("code", code), component, group, resource, scope, subresource, verb, version];
        let more_errors = per_second * (ERRORS_BROKEN - ERRORS) * broken;
        let successes = per_second * (1.0 - ERRORS);
        total.events_except(&labels(request.code), successes, more_errors);
        total.events_except(&labels("500"), per_second * ERRORS, -more_errors);
    }
}

fn durations(page: &mut Page<'_>, per_second: f64) {
    let mut durations = page.family(
        "apiserver_request_duration_seconds",
        Kind::Histogram,
        "How long requests took, by verb, resource and scope.",
    );
    for request in &REQUESTS {
        let observations = Observations::steady(per_second * request.share, request.median_seconds);
        durations.histogram(&request.labels(), &DURATION_BOUNDS, observations);
    }
}

fn inflight(page: &mut Page<'_>) {
    let mut inflight = page.family(
        "apiserver_current_inflight_requests",
        Kind::Gauge,
        "Requests in flight in the last second, by kind.",
    );
    inflight.level(&[("request_kind", "mutating")], 12.0, 0.5);
    inflight.level(&[("request_kind", "readOnly")], 30.0, 0.5);
    page.family("apiserver_longrunning_requests", Kind::Gauge, "Watches and the like.").level(
        &[
            ("component", "apiserver"),
            ("resource", "pods"),
            ("scope", "cluster"),
            ("verb", "WATCH"),
        ],
        140.0,
        0.1,
    );
}

fn flow_control(page: &mut Page<'_>, per_second: f64) {
    const LEVELS: [(&str, f64); 3] =
        [("global-default", 0.1), ("system", 0.5), ("workload-low", 0.4)];
    let mut dispatched = page.family(
        "apiserver_flowcontrol_dispatched_requests_total",
        Kind::Counter,
        "Requests that were let through, by priority level.",
    );
    for (level, share) in LEVELS {
        dispatched.events(&[("priority_level", level)], per_second * share);
    }
    let mut rejected = page.family(
        "apiserver_flowcontrol_rejected_requests_total",
        Kind::Counter,
        "Requests that were turned away, by priority level and reason.",
    );
    for (level, share) in LEVELS {
        rejected.events(&[("priority_level", level), ("reason", "queue-full")], 0.01 * share);
    }
}

fn objects(page: &mut Page<'_>) {
    let nodes = &page.scene.cluster.nodes;
    let pods: usize = nodes.iter().map(|node| node.pods.len()).sum();
    let mut objects =
        page.family("apiserver_storage_objects", Kind::Gauge, "Objects in storage, by resource.");
    objects.value(&[("resource", "nodes")], nodes.len() as f64);
    objects.value(&[("resource", "pods")], pods as f64);
    objects.level(&[("resource", "events")], 900.0, 0.2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_requests_add_up() {
        let total: f64 = REQUESTS.iter().map(|request| request.share).sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
    }
}
