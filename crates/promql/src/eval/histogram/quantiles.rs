//! Quantiles and fractions of a native histogram.
//!
//! Inside a bucket, observations are taken to be spread evenly: over the logarithms of an
//! exponential bucket, over the values of a custom or zero bucket.

use model::FloatHistogram;
use model::histogram::BucketRange;

use crate::annotations::Annotations;
use crate::position::Position;

pub(in crate::eval) fn quantile(
    q: f64,
    histogram: &FloatHistogram,
    metric: &str,
    at: Position,
    notes: &mut Annotations,
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // Observations of NaN are counted but are in no bucket: counting from below is then right.
    let has_nans = histogram.sum.is_nan();
    let forward = has_nans || q < 0.5;
    let mut rank = histogram.count * if forward { q } else { 1.0 - q };
    let (mut count, mut found) = (0.0, None);
    let filled = histogram.buckets().filter(|bucket| bucket.count != 0.0);
    let mut visit = |bucket: BucketRange| {
        count += bucket.count;
        found = Some(bucket);
        count >= rank
    };
    let _ = if forward { filled.into_iter().any(&mut visit) } else { filled.rev().any(&mut visit) };
    let count = count.min(histogram.count);
    if has_nans {
        let observed: f64 = histogram.buckets().map(|bucket| bucket.count).sum();
        if count < rank || found.is_none() {
            notes.quantile_nan_result(at, metric);
            return f64::NAN;
        }
        if observed < histogram.count {
            notes.quantile_nan_skew(at, metric);
        }
    }
    let Some(bucket) = found else { return f64::NAN };
    let mut bucket = around_zero(bucket, histogram);
    if histogram.has_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    }
    if count < rank {
        return bucket.upper;
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let part = rank / bucket.count;
    if histogram.has_custom_buckets() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * part;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        return (lower + (upper - lower) * part).exp2();
    }
    -(upper + (lower - upper) * (1.0 - part)).exp2()
}

/// Which part of all observations is between the ends of `range`.
pub(in crate::eval) fn fraction(
    (lower, upper): (f64, f64),
    histogram: &FloatHistogram,
    metric: &str,
    at: Position,
    notes: &mut Annotations,
) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    let observed: f64 = histogram.buckets().map(|bucket| bucket.count).sum();
    if histogram.sum.is_nan() && observed < histogram.count {
        notes.fraction_nans(at, metric);
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| rank_of(value, histogram).min(histogram.count);
    (below(upper) - below(lower)) / histogram.count
}

/// How many observations are below `value`.
fn rank_of(value: f64, histogram: &FloatHistogram) -> f64 {
    let mut rank = 0.0;
    for bucket in histogram.buckets() {
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let mut bucket = around_zero(bucket, histogram);
        if histogram.has_custom_buckets() && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0
        {
            bucket.lower = 0.0;
        }
        if bucket.lower >= value {
            return rank;
        }
        if bucket.upper > value {
            if bucket.lower == f64::NEG_INFINITY {
                return rank + bucket.count;
            }
            let part = if histogram.has_custom_buckets() || is_zero {
                (value - bucket.lower) / (bucket.upper - bucket.lower)
            } else {
                let [lower, upper, value_log] =
                    [bucket.lower, bucket.upper, value].map(|bound| bound.abs().log2());
                if value > 0.0 {
                    (value_log - lower) / (upper - lower)
                } else {
                    1.0 - (value_log - upper) / (lower - upper)
                }
            };
            return rank + bucket.count * part;
        }
        rank += bucket.count;
    }
    rank
}

/// Where a histogram has only positive observations, its zero bucket has no negative half, and the
/// other way round.
fn around_zero(mut bucket: BucketRange, histogram: &FloatHistogram) -> BucketRange {
    if histogram.has_custom_buckets() || bucket.lower > 0.0 || bucket.upper < 0.0 {
        return bucket;
    }
    match (histogram.negative.is_empty(), histogram.positive.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
    bucket
}
