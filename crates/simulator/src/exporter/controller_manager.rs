//! kube-controller-manager.

use super::process;
use crate::page::{Kind, Observations, Page};

const BOUNDS: [f64; 8] = [1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0];
/// Name and items per second of its busier queues.
const QUEUES: [(&str, f64); 3] = [("deployment", 2.0), ("endpoint_slice", 5.0), ("node", 1.0)];

pub(super) fn write(page: &mut Page<'_>) {
    queues(page);
    page.family("leader_election_master_status", Kind::Gauge, "Whether it leads.")
        .value(&[("name", "kube-controller-manager")], 1.0);
    page.family("node_collector_evictions_total", Kind::Counter, "Evictions, by zone.")
        .events(&[("zone", "zone-a")], 0.000_1);
    process::kubernetes(page);
    process::rest_client(page, 12.0);
    process::process(page, 0.08, 1.5e8);
    process::go(page);
}

fn queues(page: &mut Page<'_>) {
    let mut depth = page.family("workqueue_depth", Kind::Gauge, "Items in the queue.");
    for (queue, _) in QUEUES {
        depth.value(&[("name", queue)], 0.0);
    }
    let mut adds = page.family("workqueue_adds_total", Kind::Counter, "Items queued.");
    for (queue, per_second) in QUEUES {
        adds.events(&[("name", queue)], per_second);
    }
    let mut retries = page.family("workqueue_retries_total", Kind::Counter, "Items queued again.");
    for (queue, per_second) in QUEUES {
        retries.events(&[("name", queue)], per_second * 0.02);
    }
    let mut waits = page.family(
        "workqueue_queue_duration_seconds",
        Kind::Histogram,
        "How long items waited in the queue.",
    );
    for (queue, per_second) in QUEUES {
        waits.histogram(&[("name", queue)], &BOUNDS, Observations::steady(per_second, 0.000_08));
    }
}
