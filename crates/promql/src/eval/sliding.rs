//! Functions over windows that overlap: each sample enters and leaves once, so that the cost follows
//! samples and times and not the windows' length.
//!
//! What combines (sums, means, extremes, variances) goes through a [`Queue`]: nothing is ever
//! subtracted, so nothing is lost to it. What needs its values in order is taken from a [`Sorted`]
//! window. Only windows of floats slide, and only series whose sums cannot overflow: what comes of
//! infinities depends on the order of additions, and that is left to [`super::over_time`].

mod queue;
mod sorted;

use std::ops::Range;

use model::Timestamp;
use storage::Columns;

use super::kahan::KahanSum;
use super::over_time::{Mean, Variance};
use queue::{Combine, Queue};
use sorted::Sorted;

/// Windows slide if they overlap for this many steps; sampling anew is cheaper otherwise.
pub(super) const STEPS_MIN: i64 = 3;
/// No sum of so many values that are smaller than this overflows.
const TAME: f64 = 1e290;

/// What is computed of every window.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sliding {
    Sum,
    Average,
    Extreme {
        rule: Extreme,
        gives: Gives,
    },
    Variance {
        is_root: bool,
    },
    Quantile,
    Deviation,
    /// How often this holds for a sample and the next one.
    Pairs(fn(f64, f64) -> bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    Highest,
    Lowest,
}

/// The first of equal extremes and what it is, or the last and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    Value,
    Time,
}

impl Sliding {
    pub(super) fn find(function: &str) -> Option<Self> {
        let extreme = |rule, gives| Self::Extreme { rule, gives };
        Some(match function {
            "sum_over_time" => Self::Sum,
            "avg_over_time" => Self::Average,
            "max_over_time" => extreme(Extreme::Highest, Gives::Value),
            "min_over_time" => extreme(Extreme::Lowest, Gives::Value),
            "ts_of_max_over_time" => extreme(Extreme::Highest, Gives::Time),
            "ts_of_min_over_time" => extreme(Extreme::Lowest, Gives::Time),
            "stddev_over_time" => Self::Variance { is_root: true },
            "stdvar_over_time" => Self::Variance { is_root: false },
            "quantile_over_time" => Self::Quantile,
            "mad_over_time" => Self::Deviation,
            "resets" => Self::Pairs(|before, after| after < before),
            "changes" => {
                Self::Pairs(|before, after| before != after && !(before.is_nan() && after.is_nan()))
            }
            _ => return None,
        })
    }

    /// Whether the windows over `columns` may slide. `quantiles`: the parameter, if there is one.
    pub(super) fn suits(self, columns: &Columns, quantiles: Option<&[f64]>) -> bool {
        let are_tame = || columns.values.iter().all(|value| value.abs() < TAME);
        let is_valid = |q: &f64| (0.0..=1.0).contains(q);
        columns.histograms.is_empty()
            && match self {
                Self::Sum | Self::Average | Self::Variance { .. } | Self::Deviation => are_tame(),
                Self::Extreme { .. } => true,
                Self::Pairs(_) => columns.starts.is_empty(),
                Self::Quantile => quantiles.is_some_and(|all| all.iter().all(is_valid)),
            }
    }

    /// Calls `result` with every window that has samples: its number and its value.
    ///
    /// `windows`: ranges of samples, neither end of which ever moves back. Bench:
    /// `benches/benches/query.rs`.
    pub(super) fn run(
        self,
        columns: &Columns,
        quantiles: Option<&[f64]>,
        windows: impl Iterator<Item = Range<usize>>,
        mut result: impl FnMut(usize, f64),
    ) {
        let Columns { timestamps, values, .. } = columns;
        match self {
            Self::Sum => over(values, KahanSum::new, windows, |step, sum| {
                result(step, sum.total());
            }),
            Self::Average => over(values, Mean::new, windows, |step, mean| {
                result(step, mean.value());
            }),
            Self::Variance { is_root } => variances(values, windows, |step, variance| {
                result(step, if is_root { variance.sqrt() } else { variance });
            }),
            Self::Pairs(counts) => pairs(values, counts, windows, result),
            Self::Extreme { rule, gives } => {
                extremes(timestamps, values, (rule, gives), windows, result);
            }
            Self::Quantile => sorted(values, windows, |step, window| {
                result(step, window.quantile(quantiles.map_or(f64::NAN, |all| all[step])));
            }),
            Self::Deviation => sorted(values, windows, |step, window| {
                result(step, window.absolute_deviation());
            }),
        }
    }
}

fn over<T: Combine + Copy>(
    values: &[f64],
    new: impl Fn(f64) -> T,
    windows: impl Iterator<Item = Range<usize>>,
    mut result: impl FnMut(usize, T),
) {
    let mut queue = Queue::default();
    for (step, window) in windows.enumerate() {
        if let Some(combined) = queue.slide(window, |at| new(values[at])) {
            result(step, combined);
        }
    }
}

/// Where values differ by little of what they are, rounding decides on the result, and the order of
/// additions on that: such a window is looked at as a whole, as Prometheus does.
fn variances(
    values: &[f64],
    windows: impl Iterator<Item = Range<usize>>,
    mut result: impl FnMut(usize, f64),
) {
    let new = |at: usize| Variance::default().plus(values[at]);
    let mut queue = Queue::default();
    for (step, window) in windows.enumerate() {
        let Some(variance) = queue.slide(window.clone(), new) else { continue };
        let variance = match variance.is_narrow() {
            true => window.fold(Variance::default(), |all, at| all.plus(values[at])),
            false => variance,
        };
        result(step, variance.value());
    }
}

/// A candidate for the extreme: `sign` turns the lowest into the highest.
#[derive(Clone, Copy)]
struct Candidate {
    value: f64,
    time: Timestamp,
    sign: f64,
    prefers_later: bool,
}

impl Combine for Candidate {
    fn combine(self, later: Self) -> Self {
        let (best, value) = (self.sign * self.value, self.sign * later.value);
        let wins = value > best || (self.prefers_later && value == best) || best.is_nan();
        if wins { later } else { self }
    }
}

fn extremes(
    times: &[Timestamp],
    values: &[f64],
    (rule, gives): (Extreme, Gives),
    windows: impl Iterator<Item = Range<usize>>,
    mut result: impl FnMut(usize, f64),
) {
    let sign = if rule == Extreme::Highest { 1.0 } else { -1.0 };
    let prefers_later = gives == Gives::Time;
    let mut queue = Queue::default();
    for (step, window) in windows.enumerate() {
        let candidate = |at| Candidate { value: values[at], time: times[at], sign, prefers_later };
        if let Some(found) = queue.slide(window, candidate) {
            result(step, if prefers_later { found.time.as_seconds() } else { found.value });
        }
    }
}

fn sorted(
    values: &[f64],
    windows: impl Iterator<Item = Range<usize>>,
    mut result: impl FnMut(usize, &mut Sorted),
) {
    let (mut window, mut held) = (Sorted::default(), 0..0);
    for (step, next) in windows.enumerate() {
        window.slide(values, &mut held, &next);
        if !next.is_empty() {
            result(step, &mut window);
        }
    }
}

fn pairs(
    values: &[f64],
    counts: fn(f64, f64) -> bool,
    windows: impl Iterator<Item = Range<usize>>,
    mut result: impl FnMut(usize, f64),
) {
    let mut count = 0.0;
    let mut counted = Vec::with_capacity(values.len());
    counted.push(count);
    for pair in values.windows(2) {
        count += f64::from(u8::from(counts(pair[0], pair[1])));
        counted.push(count);
    }
    for (step, window) in windows.enumerate().filter(|(_, window)| !window.is_empty()) {
        result(step, counted[window.end - 1] - counted[window.start]);
    }
}

impl Combine for KahanSum {
    fn combine(self, later: Self) -> Self {
        let sum = self.plus(later.sum);
        Self { sum: sum.sum, compensation: sum.compensation + later.compensation }
    }
}

impl Combine for Mean {
    fn combine(self, later: Self) -> Self {
        self.and(later)
    }
}

impl Combine for Variance {
    fn combine(self, later: Self) -> Self {
        self.and(later)
    }
}
