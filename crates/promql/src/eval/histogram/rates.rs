//! What the histograms of a window amount to.

use model::FloatHistogram;
use model::histogram::{CounterReset, IncompatibleSchemas};

use crate::annotations::Annotations;
use crate::eval::counters::Ends;
use crate::eval::window::{Window, starts_anew};

/// The increase from the first histogram of the window to the last, or, for gauges, the difference.
///
/// With `from_zero`, it is known that the first began to count inside the window. Nothing, and a
/// warning, where their buckets are of different kinds.
pub(in crate::eval) fn increase(
    window: &Window<'_>,
    notes: &mut Annotations,
    is_counter: bool,
    from_zero: bool,
) -> Option<FloatHistogram> {
    let (at, metric) = (window.position, window.metric());
    let histograms: Vec<&FloatHistogram> =
        window.histograms.iter().map(|(_, histogram)| &**histogram).collect();
    let (&first, &last) = (histograms.first()?, histograms.last()?);
    let is_gauge = |histogram: &FloatHistogram| histogram.counter_reset == CounterReset::Gauge;
    if is_counter && histograms.iter().any(|histogram| is_gauge(histogram)) {
        notes.histogram_not_counter(at, metric);
    }
    // What comes before a reset does not count, so that its buckets need not be compatible.
    let empty;
    let mut previous = first;
    let is_reset = |index: usize, previous: &FloatHistogram| {
        starts_anew(window.histogram_starts, index, |at| window.histograms[at].0)
            || histograms[index].is_reset_since(previous)
    };
    let first_is_reset = is_counter && is_reset(1, first);
    if first_is_reset {
        empty = FloatHistogram {
            schema: histograms[1].schema,
            custom_bounds: histograms[1].custom_bounds.clone(),
            ..FloatHistogram::default()
        };
        previous = &empty;
    }
    let custom = previous.has_custom_buckets();
    let inner = &histograms[1..histograms.len() - 1];
    let is_mixed = last.has_custom_buckets() != custom
        || (is_counter && inner.iter().any(|h| h.has_custom_buckets() != custom));
    if is_mixed {
        notes.mixed_exponential_custom(at, metric);
        return None;
    }
    let schemas = inner.iter().filter(|_| is_counter).map(|h| h.schema);
    let schema = schemas.fold(last.schema.min(previous.schema), i32::min);
    let mut result = last.clone();
    result.reduce_resolution(schema);
    let note = |notes: &mut Annotations, reconciled: bool, operation| {
        if reconciled {
            notes.custom_buckets_reconciled(at, operation);
        }
    };
    if !from_zero {
        let combined = result.subtract(previous).ok()?;
        note(notes, combined.bounds_reconciled, "subtraction");
    }
    if is_counter {
        if from_zero {
            previous = first;
        }
        for (index, histogram) in histograms.iter().enumerate().skip(1) {
            if is_reset(index, previous) {
                let combined = result.add(previous).ok()?;
                note(notes, combined.bounds_reconciled, "addition");
            }
            previous = histogram;
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        notes.histogram_not_gauge(at, metric);
    }
    result.counter_reset = CounterReset::Gauge;
    result.compact();
    Some(result)
}

/// The growth between the very ends of an extended window, which has only histograms.
pub(in crate::eval) fn extended_increase(
    window: &Window<'_>,
    notes: &mut Annotations,
    is_counter: bool,
) -> Option<FloatHistogram> {
    let (at, metric) = (window.position, window.metric());
    let times: Vec<i64> = window.histograms.iter().map(|(time, _)| time.as_millis()).collect();
    let ends = Ends::find(&times, (window.start, window.end), window.extension)?;
    let used: Vec<&FloatHistogram> =
        window.histograms[ends.first..=ends.last].iter().map(|(_, h)| &**h).collect();
    let is_gauge = |histogram: &&FloatHistogram| histogram.counter_reset == CounterReset::Gauge;
    if is_counter && used.iter().any(is_gauge) {
        notes.histogram_not_counter(at, metric);
    }
    if !is_counter && [used.first(), used.last()].into_iter().flatten().any(|h| !is_gauge(h)) {
        notes.histogram_not_gauge(at, metric);
    }
    let custom = used[0].has_custom_buckets();
    if used.iter().any(|histogram| histogram.has_custom_buckets() != custom) {
        notes.mixed_exponential_custom(at, metric);
        return None;
    }
    let last = used.len() - 1;
    let between = |left: usize, time: i64| {
        let (before, after) = (ends.first + left, ends.first + left + 1);
        let part = (time - times[before]) as f64 / (times[after] - times[before]) as f64;
        interpolated(used[left], used[left + 1], part, is_counter)
    };
    let left = match ends.left_between {
        true => between(0, window.start).ok()?,
        false => used[0].clone(),
    };
    let right = match ends.right_between {
        true => between(last - 1, window.end).ok()?,
        false => used[last].clone(),
    };
    let mut reconciled = (false, false);
    let mut result = right;
    reconciled.0 |= result.subtract(&left).ok()?.bounds_reconciled;
    // What an interpolated left end lies before is no reset any more.
    for index in 1 + usize::from(ends.left_between)..=last {
        if is_counter && used[index].is_reset_since(used[index - 1]) {
            let before = if index == 1 { &left } else { used[index - 1] };
            reconciled.1 |= result.add(before).ok()?.bounds_reconciled;
        }
    }
    for (reconciled, operation) in [(reconciled.0, "subtraction"), (reconciled.1, "addition")] {
        if reconciled {
            notes.custom_buckets_reconciled(at, operation);
        }
    }
    result.counter_reset = CounterReset::Gauge;
    result.compact();
    Some(result)
}

/// The histogram at `part` of the way from `before` to `after`; after a reset, on the way from
/// nothing.
pub(in crate::eval) fn interpolated(
    before: &FloatHistogram,
    after: &FloatHistogram,
    part: f64,
    is_counter: bool,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    if before.has_custom_buckets() != after.has_custom_buckets() {
        return Err(IncompatibleSchemas);
    }
    let mut result = after.clone();
    if is_counter && after.is_reset_since(before) {
        result.scale(part);
        return Ok(result);
    }
    result.subtract(before)?;
    result.scale(part);
    result.add(before)?;
    result.counter_reset = after.counter_reset;
    Ok(result)
}

/// The growth between two histograms, for `irate` and `idelta`.
pub(in crate::eval) fn difference(
    window: &Window<'_>,
    notes: &mut Annotations,
    (before, after): (&FloatHistogram, &FloatHistogram),
    is_rate: bool,
    anew: bool,
) -> Option<FloatHistogram> {
    let (at, metric) = (window.position, window.metric());
    let gauges = [before, after].map(|h| h.counter_reset == CounterReset::Gauge);
    if is_rate && gauges.contains(&true) {
        notes.histogram_not_counter(at, metric);
    }
    if !is_rate && gauges.contains(&false) {
        notes.histogram_not_gauge(at, metric);
    }
    let mut result = after.clone();
    if !is_rate || !(anew || after.is_reset_since(before)) {
        match result.subtract(before) {
            Ok(combined) if combined.bounds_reconciled => {
                notes.custom_buckets_reconciled(at, "subtraction");
            }
            Ok(_) => {}
            Err(_) => {
                notes.mixed_exponential_custom(at, metric);
                return None;
            }
        }
    }
    result.counter_reset = CounterReset::Gauge;
    result.compact();
    Some(result)
}
