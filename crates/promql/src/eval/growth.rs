//! `rate`, `increase` and `delta` of plain numbers, for all times of a grid at once.
//!
//! What a window shows of its samples is gathered time by time, into columns; the arithmetic on these has
//! neither branches nor calls, so that the processor does several times in one step. Every operation is
//! one of [`super::counters`], in the same order: so is the result, to the bit.

use std::ops::Range;

use model::Timestamp;
use storage::Columns;

use super::counters::Growth;

/// What windows show, one column for each fact. Reused from series to series.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    steps: Vec<usize>,
    /// Milliseconds from the start of the window to its first sample, between its first and last one, and
    /// from there to its end.
    before: Vec<f64>,
    between: Vec<f64>,
    after: Vec<f64>,
    /// How many distances there are between samples.
    gaps: Vec<f64>,
    first: Vec<f64>,
    increase: Vec<f64>,
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        let Self { steps, before, between, after, gaps, first, increase } = self;
        steps.clear();
        [before, between, after, gaps, first, increase].into_iter().for_each(Vec::clear);
    }

    /// Adds the window of time number `step`, from `start` to `end`; one with fewer than two samples has no
    /// result. `resets`: the samples in it, but for the first one, before which the counter was reset.
    pub(super) fn add(
        &mut self,
        step: usize,
        (start, end): (i64, i64),
        columns: &Columns,
        window: Range<usize>,
        resets: &[usize],
    ) {
        let (times, values) =
            (&columns.timestamps[window.clone()], &columns.values[window.clone()]);
        let ([first_time, .., last_time], [first, .., last]) = (times, values) else { return };
        let mut increase = last - first;
        for reset in resets {
            increase += columns.values[reset - 1];
        }
        self.steps.push(step);
        self.before.push(millis(*first_time, Timestamp::from_millis(start)));
        self.between.push(millis(*last_time, *first_time));
        self.after.push(millis(Timestamp::from_millis(end), *last_time));
        self.gaps.push((values.len() - 1) as f64);
        self.first.push(*first);
        self.increase.push(increase);
    }

    /// Calls `result` with the number and the value of every time that has one. `range` is the windows'
    /// length in milliseconds.
    pub(super) fn finish(
        &mut self,
        growth: Growth,
        range: i64,
        mut result: impl FnMut(usize, f64),
    ) {
        let range_seconds = range as f64 / 1000.0;
        let Growth { is_counter, per_second } = growth;
        let count = self.steps.len();
        let (before, between) = (&self.before[..count], &self.between[..count]);
        let (after, gaps) = (&self.after[..count], &self.gaps[..count]);
        let (first, increase) = (&self.first[..count], &mut self.increase[..count]);
        for at in 0..count {
            let sampled = between[at] / 1000.0;
            let average = sampled / gaps[at];
            let threshold = average * 1.1;
            let to_end = after[at] / 1000.0;
            let to_end = if to_end >= threshold { average / 2.0 } else { to_end };
            let to_start = before[at] / 1000.0;
            let to_start = if to_start >= threshold { average / 2.0 } else { to_start };
            let to_zero = sampled * (first[at] / increase[at]);
            let begins_inside =
                is_counter & (increase[at] > 0.0) & (first[at] >= 0.0) & (to_zero < to_start);
            let to_start = if begins_inside { to_zero } else { to_start };
            let factor = (sampled + to_start + to_end) / sampled;
            let factor = if per_second { factor / range_seconds } else { factor };
            increase[at] *= factor;
        }
        for (step, value) in self.steps.iter().zip(&self.increase) {
            result(*step, *value);
        }
    }
}

fn millis(later: Timestamp, earlier: Timestamp) -> f64 {
    later.millis_since(earlier) as f64
}

#[cfg(test)]
mod tests;
