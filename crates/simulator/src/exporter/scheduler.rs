//! kube-scheduler.

use super::process;
use crate::page::{Kind, Observations, Page};

const BOUNDS: [f64; 10] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.512, 2.048];

pub(super) fn write(page: &mut Page<'_>) {
    const PROFILE: (&str, &str) = ("profile", "default-scheduler");
    let results = [("scheduled", 0.5), ("unschedulable", 0.02), ("error", 0.001)];
    let mut attempts = page.family(
        "scheduler_schedule_attempts_total",
        Kind::Counter,
        "Attempts to schedule a pod, by result.",
    );
    for (result, per_second) in results {
        attempts.events(&[PROFILE, ("result", result)], per_second);
    }
    let mut durations = page.family(
        "scheduler_scheduling_attempt_duration_seconds",
        Kind::Histogram,
        "How long an attempt took, by result.",
    );
    for (result, per_second) in results {
        let observations = Observations::steady(per_second, 0.004);
        durations.histogram(&[PROFILE, ("result", result)], &BOUNDS, observations);
    }
    let mut pending = page.family("scheduler_pending_pods", Kind::Gauge, "Pods that wait.");
    for queue in ["active", "backoff", "gated", "unschedulable"] {
        pending.value(&[("queue", queue)], 0.0);
    }
    page.events("scheduler_preemption_attempts_total", "Attempts to preempt pods.", 0.001);
    page.family("leader_election_master_status", Kind::Gauge, "Whether it leads.")
        .value(&[("name", "kube-scheduler")], 1.0);
    process::kubernetes(page);
    process::rest_client(page, 3.0);
    process::process(page, 0.05, 9e7);
    process::go(page);
}
