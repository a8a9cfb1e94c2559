//! Quantiles of plain values.

use std::cmp::Ordering;

/// The `q`-quantile, interpolated between the two values around it. Sorts `values`.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    values.sort_unstable_by(compare);
    quantile_of_sorted(q, values)
}

/// By value; NaN is the smallest.
pub(super) fn compare(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

pub(super) fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
