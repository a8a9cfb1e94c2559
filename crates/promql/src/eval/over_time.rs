//! What the samples of a window amount to: `sum_over_time` and its family.
//!
//! Source: Prometheus `promql/functions.go`.

use std::sync::Arc;

use model::Timestamp;

use super::Evaluated;
use super::column::Point;
use super::counters::Seen;
use super::histogram;
use super::kahan::KahanSum;
use super::quantile::quantile;
use super::window::{Function, Window};
use crate::annotations::Annotations;
use crate::limits::EvalError;

pub(super) static FUNCTIONS: &[Function] = &[
    Function { name: "sum_over_time", apply: |w, notes| Ok(sum(w, notes)) },
    Function { name: "avg_over_time", apply: |w, notes| Ok(average(w, notes)) },
    Function {
        name: "count_over_time",
        apply: |w, _| float((w.values.len() + w.histograms.len()) as f64),
    },
    Function { name: "present_over_time", apply: |_, _| float(1.0) },
    Function { name: "absent_over_time", apply: |_, _| float(1.0) },
    Function { name: "last_over_time", apply: |w, _| Ok(last(w).map(|(_, point)| point)) },
    Function { name: "first_over_time", apply: |w, _| Ok(first(w).map(|(_, point)| point)) },
    Function {
        name: "ts_of_last_over_time",
        apply: |w, _| Ok(last(w).map(|(time, _)| Point::Float(time.as_seconds()))),
    },
    Function {
        name: "ts_of_first_over_time",
        apply: |w, _| Ok(first(w).map(|(time, _)| Point::Float(time.as_seconds()))),
    },
    Function {
        name: "max_over_time",
        apply: |w, notes| Ok(extreme(w, notes, |new, best| new > best).map(|best| best.1)),
    },
    Function {
        name: "min_over_time",
        apply: |w, notes| Ok(extreme(w, notes, |new, best| new < best).map(|best| best.1)),
    },
    Function {
        name: "ts_of_max_over_time",
        apply: |w, notes| Ok(extreme(w, notes, |new, best| new >= best).map(|best| best.0)),
    },
    Function {
        name: "ts_of_min_over_time",
        apply: |w, notes| Ok(extreme(w, notes, |new, best| new <= best).map(|best| best.0)),
    },
    Function { name: "stddev_over_time", apply: |w, notes| Ok(variance(w, notes, f64::sqrt)) },
    Function { name: "stdvar_over_time", apply: |w, notes| Ok(variance(w, notes, |v| v)) },
    Function { name: "quantile_over_time", apply: |w, notes| Ok(quantile_of(w, notes)) },
    Function { name: "mad_over_time", apply: |w, notes| Ok(absolute_deviation(w, notes)) },
    Function { name: "deriv", apply: |w, notes| Ok(slope(w, notes)) },
    Function { name: "predict_linear", apply: |w, notes| Ok(prediction(w, notes)) },
    Function { name: "double_exponential_smoothing", apply: double_exponential_smoothing },
];

fn float(value: f64) -> Evaluated<Option<Point>> {
    Ok(Some(Point::Float(value)))
}

/// The floats of a window, for functions that ignore histograms; nothing if there are none.
fn floats<'a>(window: &Window<'a>, notes: &mut Annotations) -> Option<&'a [f64]> {
    if window.values.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(window.position, window.metric());
    }
    Some(window.values)
}

/// Whether floats and histograms are mixed, which is worth a warning.
fn is_mixed(window: &Window<'_>, notes: &mut Annotations) -> bool {
    let mixed = !window.values.is_empty() && !window.histograms.is_empty();
    if mixed {
        notes.mixed_floats_histograms(window.position, window.metric());
    }
    mixed
}

fn sum(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if is_mixed(window, notes) {
        return None;
    }
    if window.values.is_empty() {
        let sum = histogram::over_window(window, notes, false)?;
        return Some(Point::Histogram(Arc::new(sum)));
    }
    let sum: KahanSum = window.values.iter().copied().collect();
    Some(Point::Float(if sum.sum.is_infinite() { sum.sum } else { sum.total() }))
}

fn average(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if is_mixed(window, notes) {
        return None;
    }
    if window.values.is_empty() {
        let average = histogram::over_window(window, notes, true)?;
        return Some(Point::Histogram(Arc::new(average)));
    }
    let mut mean = Mean::new(window.values[0]);
    for value in &window.values[1..] {
        mean = mean.plus(*value);
    }
    Some(Point::Float(mean.value()))
}

/// A mean that is a plain sum for as long as that does not overflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    /// Of the values, or, once `incremental`, their mean.
    sum: KahanSum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(super) const fn new(first: f64) -> Self {
        Self { sum: KahanSum::new(first), count: 1.0, incremental: false }
    }

    #[must_use]
    pub(super) fn plus(mut self, value: f64) -> Self {
        self.count += 1.0;
        if !self.incremental {
            let sum = self.sum.plus(value);
            if !sum.sum.is_infinite() {
                return Self { sum, ..self };
            }
            let before = self.count - 1.0;
            self.sum.sum /= before;
            self.sum.compensation /= before;
            self.incremental = true;
        }
        let part = (self.count - 1.0) / self.count;
        let weighted =
            KahanSum { sum: part * self.sum.sum, compensation: part * self.sum.compensation };
        Self { sum: weighted.plus(value / self.count), ..self }
    }

    pub(super) fn value(self) -> f64 {
        if self.incremental {
            return self.sum.total();
        }
        self.sum.sum / self.count + self.sum.compensation / self.count
    }

    /// The mean of the values of both.
    pub(super) fn and(self, other: Self) -> Self {
        let sum = self.sum.plus(other.sum.sum).plus(other.sum.compensation);
        let count = self.count + other.count;
        if !self.incremental && !other.incremental && !sum.sum.is_infinite() {
            return Self { sum, count, incremental: false };
        }
        let mean = self.value() * (self.count / count) + other.value() * (other.count / count);
        Self { sum: KahanSum::new(mean), count, incremental: true }
    }
}

fn last(window: &Window<'_>) -> Option<(Timestamp, Point)> {
    let float = window.times.last().zip(window.values.last());
    match (float, window.histograms.last()) {
        (Some((time, value)), histogram) if histogram.is_none_or(|h| h.0 < *time) => {
            Some((*time, Point::Float(*value)))
        }
        (_, Some((time, histogram))) => Some((*time, Point::Histogram(Arc::clone(histogram)))),
        _ => None,
    }
}

fn first(window: &Window<'_>) -> Option<(Timestamp, Point)> {
    let first = window.samples().next()?;
    let point = match first.sample {
        Seen::Float(value) => Point::Float(value),
        Seen::Histogram(histogram) => Point::Histogram(Arc::new(histogram.clone())),
    };
    Some((first.time, point))
}

/// The time and value of the extreme, where `better` tells when a value beats the best so far.
fn extreme(
    window: &Window<'_>,
    notes: &mut Annotations,
    better: fn(f64, f64) -> bool,
) -> Option<(Point, Point)> {
    let values = floats(window, notes)?;
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if better(*value, values[best]) || values[best].is_nan() {
            best = index;
        }
    }
    Some((Point::Float(window.times[best].as_seconds()), Point::Float(values[best])))
}

fn variance(window: &Window<'_>, notes: &mut Annotations, finish: fn(f64) -> f64) -> Option<Point> {
    let values = floats(window, notes)?.iter();
    let variance = values.fold(Variance::default(), |variance, value| variance.plus(*value));
    Some(Point::Float(finish(variance.value())))
}

/// Of values around their mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variance {
    count: f64,
    mean: KahanSum,
    squares: KahanSum,
}

impl Variance {
    #[must_use]
    pub(super) fn plus(self, value: f64) -> Self {
        let count = self.count + 1.0;
        let delta = value - self.mean.total();
        let mean = self.mean.plus(delta / count);
        Self { count, mean, squares: self.squares.plus(delta * (value - mean.total())) }
    }

    /// Of the values of both; there are some.
    pub(super) fn and(self, other: Self) -> Self {
        let count = self.count + other.count;
        let compensation = other.mean.compensation - self.mean.compensation;
        let delta = (other.mean.sum - self.mean.sum) + compensation;
        let between = delta * delta * (self.count * other.count / count);
        let squares = self.squares.plus(other.squares.sum).plus(other.squares.compensation);
        let mean = self.mean.plus(delta * (other.count / count));
        Self { count, mean, squares: squares.plus(between) }
    }

    pub(super) fn value(self) -> f64 {
        self.squares.total() / self.count
    }

    /// Whether the values differ, but by less than a thousandth of what they are.
    pub(super) fn is_narrow(self) -> bool {
        let (variance, spread) = (self.value(), self.mean.sum * 1e-3);
        variance != 0.0 && variance < spread * spread
    }
}

fn quantile_of(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    let q = window.parameters[0];
    if !window.values.is_empty() && !(0.0..=1.0).contains(&q) {
        notes.invalid_quantile(window.position, q);
    }
    let mut values = floats(window, notes)?.to_vec();
    Some(Point::Float(quantile(q, &mut values)))
}

/// The median of the distances from the median.
fn absolute_deviation(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    let mut values = floats(window, notes)?.to_vec();
    if values.iter().any(|value| value.is_nan()) {
        return Some(Point::Float(f64::NAN));
    }
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    Some(Point::Float(quantile(0.5, &mut values)))
}

/// Whether there are floats enough to see a trend.
fn has_trend(window: &Window<'_>, notes: &mut Annotations) -> bool {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        notes.histogram_ignored_in_range(window.position, window.metric());
    }
    window.values.len() >= 2
}

fn slope(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if !has_trend(window, notes) {
        return None;
    }
    // A time near the samples keeps the arithmetic exact.
    let (slope, _) = regression(window, window.times[0].as_millis());
    Some(Point::Float(slope))
}

fn prediction(window: &Window<'_>, notes: &mut Annotations) -> Option<Point> {
    if !has_trend(window, notes) {
        return None;
    }
    let (slope, now) = regression(window, window.now);
    Some(Point::Float(slope * window.parameters[0] + now))
}

/// Slope and value at `origin` of the line with the least squared distances to the samples.
fn regression(window: &Window<'_>, origin: i64) -> (f64, f64) {
    let first = window.values[0];
    if window.values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let points = || {
        let seconds = |time: &Timestamp| (time.as_millis() - origin) as f64 / 1e3;
        window.times.iter().map(seconds).zip(window.values.iter().copied())
    };
    let total = |sum: KahanSum| sum.total();
    let x = total(points().map(|(x, _)| x).collect());
    let y = total(points().map(|(_, y)| y).collect());
    let xy = total(points().map(|(x, y)| x * y).collect());
    let xx = total(points().map(|(x, _)| x * x).collect());
    let n = window.values.len() as f64;
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

fn double_exponential_smoothing(
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Evaluated<Option<Point>> {
    let [smoothing, trend] = window.parameters else { return Ok(None) };
    let (smoothing, trend) = (*smoothing, *trend);
    for (factor, letters, value) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
        if value <= 0.0 || value >= 1.0 {
            let value = crate::number::Fixed(value, 6);
            let message =
                format!("invalid {factor} factor. Expected: 0 < {letters} < 1, got: {value}");
            return Err(EvalError::execution(message));
        }
    }
    if !has_trend(window, notes) {
        return Ok(None);
    }
    let values = window.values;
    let (mut before, mut level, mut slope) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    float(level)
}
