//! What a query cost, as Prometheus' API and its query log have it.
//!
//! Source: Prometheus `util/stats/query_stats.go`.

use std::time::Duration;

use promql::Measured;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    pub timings: Timings,
    pub samples: Samples,
}

/// In seconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    pub eval_total_time: f64,
    pub result_sort_time: f64,
    pub query_preparation_time: f64,
    pub inner_eval_time: f64,
    pub exec_queue_time: f64,
    pub exec_total_time: f64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Samples {
    /// Times in seconds, and what was looked at there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub total_queryable_samples_per_step: Vec<(f64, u64)>,
    pub total_queryable_samples: u64,
    pub peak_samples: usize,
}

impl Stats {
    /// Of a query that waited for `queued`; with the numbers of every step if `per_step`.
    pub fn new(measured: &Measured, queued: Duration, per_step: bool) -> Self {
        let timings = Timings {
            eval_total_time: measured.total.as_secs_f64(),
            result_sort_time: measured.sorting.as_secs_f64(),
            query_preparation_time: measured.preparation.as_secs_f64(),
            inner_eval_time: measured.evaluation.as_secs_f64(),
            exec_queue_time: queued.as_secs_f64(),
            exec_total_time: (queued + measured.total).as_secs_f64(),
        };
        let steps = measured.samples.iter().filter(|_| per_step);
        let samples = Samples {
            total_queryable_samples_per_step: steps
                .map(|(time, count)| (time.as_seconds(), *count))
                .collect(),
            total_queryable_samples: measured.samples_total(),
            peak_samples: measured.peak,
        };
        Self { timings, samples }
    }
}
