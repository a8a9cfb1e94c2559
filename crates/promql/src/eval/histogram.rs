//! Functions of native histograms.
//!
//! - Source: Prometheus `promql/functions.go` (`histogramRate` and the functions of one histogram),
//!   `promql/quantile.go` and, for trimming, `promql/engine.go`.

mod quantiles;
mod rates;
mod sums;
mod trim;

pub(super) use quantiles::{fraction, quantile};
pub(super) use rates::{difference, extended_increase, increase, interpolated};
pub(super) use sums::{HistogramSum, over_window};
pub(super) use trim::{trim_lower, trim_upper};

use model::FloatHistogram;

use super::kahan::KahanSum;

/// The function `name` of one histogram, if it is one.
pub(super) fn function(name: &str) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match name {
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_stddev" => |histogram| variance(histogram).sqrt(),
        "histogram_stdvar" => variance,
        _ => return None,
    })
}

/// As if all observations of a bucket were at its middle.
fn variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let filled = histogram.buckets().filter(|bucket| bucket.count != 0.0);
    let squares: KahanSum = filled
        .map(|bucket| {
            let middle = if histogram.has_custom_buckets() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let delta = middle - mean;
            bucket.count * delta * delta
        })
        .collect();
    squares.total() / histogram.count
}
