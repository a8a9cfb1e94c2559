//! How fast values grow: `rate` and its family.
//!
//! `rate`, `increase` and `delta` see samples inside the window only, and extrapolate to its ends
//! where the series seems to cover them. With `anchored` the sample before the window stands for its
//! start; with `smoothed` the values at both ends are interpolated.
//!
//! - Source: Prometheus `promql/functions.go` (`extrapolatedRate`, `extendedRate`, `instantValue`).

use std::sync::Arc;

use model::{FloatHistogram, Timestamp};
use storage::Columns;

use super::column::Point;
use super::window::{Function, Window, starts_anew};
use super::{Evaluated, histogram};
use crate::annotations::Annotations;
use crate::ast::Extension;
use crate::limits::EvalError;

pub(super) static FUNCTIONS: &[Function] = &[
    Function { name: "rate", apply: |w, notes| growth(w, notes, RATE) },
    Function { name: "increase", apply: |w, notes| growth(w, notes, INCREASE) },
    Function { name: "delta", apply: |w, notes| growth(w, notes, DELTA) },
    Function { name: "irate", apply: |w, notes| Ok(last_two(w, notes, true)) },
    Function { name: "idelta", apply: |w, notes| Ok(last_two(w, notes, false)) },
    Function {
        name: "resets",
        apply: |w, _| {
            Ok(count_pairs(w, |before, after, anew| match (before, after) {
                _ if anew => true,
                (Seen::Float(before), Seen::Float(after)) => after < before,
                (Seen::Histogram(before), Seen::Histogram(after)) => after.is_reset_since(before),
                _ => true,
            }))
        },
    },
    Function {
        name: "changes",
        apply: |w, _| {
            Ok(count_pairs(w, |before, after, _| match (before, after) {
                (Seen::Float(before), Seen::Float(after)) => {
                    before != after && !(before.is_nan() && after.is_nan())
                }
                (Seen::Histogram(before), Seen::Histogram(after)) => before != after,
                _ => true,
            }))
        },
    },
];

/// What tells `rate`, `increase` and `delta` apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// A fall is a reset to zero.
    pub(super) is_counter: bool,
    pub(super) per_second: bool,
}

impl Growth {
    pub(super) fn of(function: &str) -> Option<Self> {
        Some(match function {
            "rate" => RATE,
            "increase" => INCREASE,
            "delta" => DELTA,
            _ => return None,
        })
    }
}

const RATE: Growth = Growth { is_counter: true, per_second: true };
const INCREASE: Growth = Growth { is_counter: true, per_second: false };
const DELTA: Growth = Growth { is_counter: false, per_second: false };

fn growth(
    window: &Window<'_>,
    notes: &mut Annotations,
    growth: Growth,
) -> Evaluated<Option<Point>> {
    if window.extension != Extension::None {
        return Ok(extended(window, notes, growth));
    }
    if !window.values.is_empty() && !window.histograms.is_empty() {
        notes.mixed_floats_histograms(window.position, window.metric());
        return Ok(None);
    }
    warn_of_overlaps(window, notes);
    if let [first, .., last] = window.histograms {
        let start =
            growth.is_counter.then(|| known_start(window, first.0, window.histogram_starts));
        let start = start.flatten();
        let Some(mut result) =
            histogram::increase(window, notes, growth.is_counter, start.is_some())
        else {
            return Ok(None);
        };
        let covered =
            Covered { first: first.0, last: last.0, count: window.histograms.len(), start };
        let factor = covered.extrapolation(window, growth, (first.1.count, result.count));
        result.scale(factor);
        return Ok(Some(Point::Histogram(Arc::new(result))));
    }
    if let [(time, histogram)] = window.histograms {
        let start = known_start(window, *time, window.histogram_starts);
        let Some(start) = start.filter(|_| growth.is_counter) else { return Ok(None) };
        let mut result = FloatHistogram::clone(histogram);
        let covered = Covered { first: *time, last: *time, count: 1, start: Some(start) };
        result.scale(covered.extrapolation(window, growth, (0.0, 0.0)));
        result.counter_reset = model::histogram::CounterReset::Gauge;
        return Ok(Some(Point::Histogram(Arc::new(result))));
    }
    let (Some(&first), Some(&last)) = (window.values.first(), window.values.last()) else {
        return Ok(None);
    };
    let (first_time, last_time) = (window.times[0], window.times[window.times.len() - 1]);
    let start = known_start(window, first_time, window.starts).filter(|_| growth.is_counter);
    if window.values.len() < 2 && start.is_none() {
        return Ok(None);
    }
    // Where the start is known, the counter was zero then.
    let mut increase = if start.is_some() { last } else { last - first };
    for reset in window.resets {
        increase += window.values[reset - window.skipped - 1];
    }
    let count = window.values.len();
    let covered = Covered { first: first_time, last: last_time, count, start };
    let factor = covered.extrapolation(window, growth, (first, increase));
    Ok(Some(Point::Float(increase * factor)))
}

/// When the counting of the window's first sample began, if that was inside the window.
fn known_start(window: &Window<'_>, first: Timestamp, starts: &[Timestamp]) -> Option<Timestamp> {
    let inside = |start: &Timestamp| start.as_millis() > window.start && *start < first;
    starts.first().copied().filter(|start| *start != Timestamp::EPOCH).filter(inside)
}

fn warn_of_overlaps(window: &Window<'_>, notes: &mut Annotations) {
    let overlaps = |starts: &[Timestamp], time: &dyn Fn(usize) -> Timestamp| {
        (1..starts.len()).any(|index| {
            let start = starts[index];
            start != Timestamp::EPOCH && start < time(index - 1) && start != starts[index - 1]
        })
    };
    if overlaps(window.starts, &|at| window.times[at])
        || overlaps(window.histogram_starts, &|at| window.histograms[at].0)
    {
        notes.overlapping_start_time(window.position, window.metric());
    }
}

/// What part of the window samples cover.
struct Covered {
    first: Timestamp,
    last: Timestamp,
    count: usize,
    /// When the counting of the first began, if that is known.
    start: Option<Timestamp>,
}

impl Covered {
    /// What the growth between the first and the last sample is to be multiplied by.
    ///
    /// A gap to an end of the window that is not much longer than the average distance between
    /// samples is bridged; otherwise the series is taken to begin or end half such a distance away.
    /// A counter is not extrapolated to below zero: `at_first` and `increase` tell where it was zero.
    fn extrapolation(
        &self,
        window: &Window<'_>,
        kind: Growth,
        (at_first, increase): (f64, f64),
    ) -> f64 {
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let sampled = seconds(self.last.millis_since(self.first));
        let average = match self.count {
            1 => 0.0,
            count => sampled / (count - 1) as f64,
        };
        let threshold = average * 1.1;
        let mut to_end = seconds(window.end - self.last.as_millis());
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut covered = sampled;
        let mut to_start = 0.0;
        if let Some(start) = self.start {
            covered = seconds(self.last.millis_since(start));
        } else {
            to_start = seconds(self.first.as_millis() - window.start);
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if kind.is_counter && increase > 0.0 && at_first >= 0.0 {
                let to_zero = sampled * (at_first / increase);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
        let factor = (covered + to_start + to_end) / covered;
        if kind.per_second { factor / window.range_seconds() } else { factor }
    }
}

/// The growth between the very ends of the window.
fn extended(window: &Window<'_>, notes: &mut Annotations, growth: Growth) -> Option<Point> {
    if !window.values.is_empty() && !window.histograms.is_empty() {
        notes.mixed_floats_histograms(window.position, window.metric());
        return None;
    }
    if !window.histograms.is_empty() {
        let mut increase = histogram::extended_increase(window, notes, growth.is_counter)?;
        if growth.per_second {
            increase.divide(window.range_seconds());
        }
        return Some(Point::Histogram(Arc::new(increase)));
    }
    let range = (window.start, window.end);
    let bounds =
        Bounds::find(window.times, window.values, range, window.extension, growth.is_counter)?;
    let mut increase = bounds.right - bounds.left;
    if growth.is_counter {
        let mut previous = bounds.left;
        for &value in &window.values[bounds.inside] {
            if value < previous {
                increase += previous;
            }
            previous = value;
        }
        if bounds.right < previous {
            increase += previous;
        }
    }
    if growth.per_second {
        increase /= window.range_seconds();
    }
    Some(Point::Float(increase))
}

/// Which samples of an extended window tell the values at its ends.
pub(super) struct Ends {
    pub(super) first: usize,
    pub(super) last: usize,
    /// The start lies between `first` and the next sample.
    pub(super) left_between: bool,
    /// The end lies between `last` and the sample before.
    pub(super) right_between: bool,
}

impl Ends {
    /// Nothing where all samples are on one side of the window.
    pub(super) fn find(
        times: &[i64],
        (start, end): (i64, i64),
        extension: Extension,
    ) -> Option<Self> {
        let mut last = times.len().checked_sub(1)?;
        let first = times[..last].partition_point(|time| *time <= start).saturating_sub(1);
        let smoothed = extension == Extension::Smoothed;
        if smoothed {
            last = times[..last].partition_point(|time| *time < end);
        }
        if times[last] <= start || times[first] > end {
            return None;
        }
        let left_between = smoothed && times[first] < start;
        let right_between = smoothed && last > 0 && times[last] > end;
        Some(Self { first, last, left_between, right_between })
    }
}

/// The values at the ends of an extended window, and which samples lie between.
struct Bounds {
    left: f64,
    right: f64,
    inside: std::ops::Range<usize>,
}

impl Bounds {
    fn find(
        times: &[Timestamp],
        values: &[f64],
        (start, end): (i64, i64),
        extension: Extension,
        is_counter: bool,
    ) -> Option<Self> {
        let times: Vec<i64> = times.iter().map(|time| time.as_millis()).collect();
        let Ends { mut first, last, left_between, right_between } =
            Ends::find(&times, (start, end), extension)?;
        let between = |left: usize, at: i64| {
            let (mut from, to) = (values[left], values[left + 1]);
            if is_counter && to < from {
                from = 0.0; // the counter began anew in between
            }
            let (began, ended) = (times[left], times[left + 1]);
            from + (to - from) * (at - began) as f64 / (ended - began) as f64
        };
        let left = if left_between { between(first, start) } else { values[first] };
        let right = if right_between { between(last - 1, end) } else { values[last] };
        if times[first] <= start {
            first += 1;
        }
        let inside_end = if times[last] >= end { last } else { last + 1 };
        Some(Self { left, right, inside: first..inside_end.max(first) })
    }
}

/// Replaces samples beyond `start` and `end` by values at these times.
pub(super) fn extend(
    columns: &mut Columns,
    extension: Extension,
    start: i64,
    end: i64,
) -> Evaluated<()> {
    if !columns.histograms.is_empty() {
        let message = "smoothed and anchored modifiers do not work with native histograms";
        return Err(EvalError::execution(message));
    }
    let (times, values) = (&columns.timestamps, &columns.values);
    let Some(bounds) = Bounds::find(times, values, (start, end), extension, false) else {
        columns.clear();
        return Ok(());
    };
    let mut extended = Columns::default();
    let mut push = |timestamp, value| extended.push(model::Sample { timestamp, value });
    push(Timestamp::from_millis(start), bounds.left);
    for index in bounds.inside {
        push(times[index], values[index]);
    }
    push(Timestamp::from_millis(end), bounds.right);
    *columns = extended;
    Ok(())
}

/// A sample of either kind.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

/// A sample of a window, of whichever kind.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) time: Timestamp,
    pub(super) sample: Seen<'a>,
    /// Its start says that a reset came before it.
    anew: bool,
}

impl Window<'_> {
    /// Samples of both kinds in order of time.
    pub(super) fn samples(&self) -> impl Iterator<Item = Taken<'_>> {
        self.samples_from(0, 0)
    }

    /// The last two samples of both kinds, and maybe some before.
    fn last_samples(&self) -> impl Iterator<Item = Taken<'_>> {
        self.samples_from(
            self.times.len().saturating_sub(2),
            self.histograms.len().saturating_sub(2),
        )
    }

    fn samples_from(
        &self,
        mut float: usize,
        mut histogram: usize,
    ) -> impl Iterator<Item = Taken<'_>> {
        std::iter::from_fn(move || {
            let float_time = self.times.get(float);
            let next = self.histograms.get(histogram);
            if float_time.is_some_and(|time| next.is_none_or(|(other, _)| time <= other)) {
                let anew = starts_anew(self.starts, float, |at| self.times[at]);
                let (time, sample) = (self.times[float], Seen::Float(self.values[float]));
                float += 1;
                return Some(Taken { time, sample, anew });
            }
            let (time, found) = next?;
            let anew = starts_anew(self.histogram_starts, histogram, |at| self.histograms[at].0);
            histogram += 1;
            Some(Taken { time: *time, sample: Seen::Histogram(found), anew })
        })
    }
}

/// `irate` and `idelta`: from the last two samples alone.
fn last_two(window: &Window<'_>, notes: &mut Annotations, is_rate: bool) -> Option<Point> {
    let mut pair = [None, None];
    for sample in window.last_samples() {
        pair = [pair[1], Some(sample)];
    }
    let [Some(before), Some(after)] = pair else { return None };
    let anew = after.anew;
    let seconds = after.time.millis_since(before.time) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    match (before.sample, after.sample) {
        (Seen::Float(before), Seen::Float(after)) => {
            let is_reset = is_rate && (after < before || anew);
            let grown = if is_reset { after } else { after - before };
            Some(Point::Float(if is_rate { grown / seconds } else { grown }))
        }
        (Seen::Histogram(before), Seen::Histogram(after)) => {
            let mut grown = histogram::difference(window, notes, (before, after), is_rate, anew)?;
            if is_rate {
                grown.divide(seconds);
            }
            Some(Point::Histogram(Arc::new(grown)))
        }
        _ => {
            notes.mixed_floats_histograms(window.position, window.metric());
            None
        }
    }
}

/// How often `counts` holds for a sample and the next one, and for whether that one starts anew. With `anchored`, the last sample before
/// the window is the first to be looked at.
fn count_pairs(
    window: &Window<'_>,
    counts: impl Fn(Seen<'_>, Seen<'_>, bool) -> bool,
) -> Option<Point> {
    let mut skip = 0;
    if window.extension == Extension::Anchored {
        let is_before = |taken: &Taken<'_>| taken.time.as_millis() <= window.start;
        let before = window.samples().take_while(is_before).count();
        if before == window.times.len() + window.histograms.len() {
            return None;
        }
        skip = before.saturating_sub(1);
    }
    let mut samples = window.samples().skip(skip);
    let mut before = samples.next()?;
    let mut count = 0;
    for after in samples {
        count += usize::from(counts(before.sample, after.sample, after.anew));
        before = after;
    }
    Some(Point::Float(count as f64))
}
