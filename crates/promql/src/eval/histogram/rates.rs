//! What the histograms of a window amount to.

use model::FloatHistogram;
use model::histogram::CounterReset;

use crate::annotations::Annotations;
use crate::eval::window::Window;

/// The increase from the first histogram of the window to the last, or, for gauges, the difference.
///
/// Nothing, and a warning, where their buckets are of different kinds.
pub(in crate::eval) fn increase(
    window: &Window<'_>,
    notes: &mut Annotations,
    is_counter: bool,
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
    if is_counter && histograms[1].is_reset_since(first) {
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
    let combined = result.subtract(previous).ok()?;
    note(notes, combined.bounds_reconciled, "subtraction");
    if is_counter {
        for histogram in &histograms[1..] {
            if histogram.is_reset_since(previous) {
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

/// The growth between two histograms, for `irate` and `idelta`.
pub(in crate::eval) fn difference(
    window: &Window<'_>,
    notes: &mut Annotations,
    before: &FloatHistogram,
    after: &FloatHistogram,
    is_rate: bool,
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
    if !is_rate || !after.is_reset_since(before) {
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

/// All histograms of the window added up.
pub(in crate::eval) fn sum(window: &Window<'_>, notes: &mut Annotations) -> Option<FloatHistogram> {
    let mut histograms = window.histograms.iter().map(|(_, histogram)| &**histogram);
    let mut sum = histograms.next()?.clone();
    let (mut reset, mut no_reset, mut reconciled) = (false, false, false);
    for hint in window.histograms.iter().map(|(_, histogram)| histogram.counter_reset) {
        reset |= hint == CounterReset::Reset;
        no_reset |= hint == CounterReset::NotReset;
    }
    for histogram in histograms {
        match sum.add(histogram) {
            Ok(combined) => reconciled |= combined.bounds_reconciled,
            Err(_) => {
                notes.mixed_exponential_custom(window.position, window.metric());
                return None;
            }
        }
    }
    if reset && no_reset {
        notes.counter_reset_collision(window.position, "aggregation");
    }
    if reconciled {
        notes.custom_buckets_reconciled(window.position, "aggregation");
    }
    Some(sum)
}

pub(in crate::eval) fn average(
    window: &Window<'_>,
    notes: &mut Annotations,
) -> Option<FloatHistogram> {
    let mut average = sum(window, notes)?;
    let count = window.histograms.len() as f64;
    if !average.has_overflow() {
        average.divide(count);
        return Some(average);
    }
    // The sum overflows: add up what each histogram is worth to the mean.
    let mut histograms = window.histograms.iter().map(|(_, histogram)| {
        let mut part = FloatHistogram::clone(histogram);
        part.divide(count);
        part
    });
    let mut average = histograms.next()?;
    for part in histograms {
        average.add(&part).ok()?;
    }
    Some(average)
}
