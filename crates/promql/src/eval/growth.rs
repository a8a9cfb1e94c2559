//! `rate`, `increase` and `delta` of plain numbers, for all times of a grid at once.
//!
//! What a window shows of its samples is gathered time by time, into columns; the arithmetic on these has
//! neither branches nor calls, so that the processor does several times in one step. Every operation is
//! one of [`super::counters`], in the same order: so is the result, to the bit.

use std::ops::Range;

use model::Timestamp;
use storage::Columns;

use super::counters::Growth;

/// So many times lie side by side.
const LANES: usize = 8;

/// What windows show. Reused from series to series.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The numbers of the times that have a result.
    steps: Vec<usize>,
    /// By position in `steps`; of the last block the rest is of no meaning.
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    /// Milliseconds from the start of the window to its first sample, between its first and last one, and
    /// from there to its end.
    before: [f64; LANES],
    between: [f64; LANES],
    after: [f64; LANES],
    /// How many distances there are between samples.
    gaps: [f64; LANES],
    first: [f64; LANES],
    /// In the end it is the result.
    increase: [f64; LANES],
}

impl Gathered {
    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Adds the window of time number `step`, from `start` to `end`; one with fewer than two samples has no
    /// result. `resets`: the samples in it, but for the first one, before which the counter was reset.
    #[inline]
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
        let (block, lane) = (self.steps.len() / LANES, self.steps.len() % LANES);
        if block == self.blocks.len() {
            self.blocks.push(Block::default());
        }
        self.steps.push(step);
        let block = &mut self.blocks[block];
        block.before[lane] = millis(*first_time, Timestamp::from_millis(start));
        block.between[lane] = millis(*last_time, *first_time);
        block.after[lane] = millis(Timestamp::from_millis(end), *last_time);
        block.gaps[lane] = (values.len() - 1) as f64;
        block.first[lane] = *first;
        block.increase[lane] = increase;
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
        for (steps, block) in self.steps.chunks(LANES).zip(&mut self.blocks) {
            block.finish(growth, range_seconds);
            for (step, value) in steps.iter().zip(block.increase) {
                result(*step, value);
            }
        }
    }
}

impl Block {
    fn finish(&mut self, Growth { is_counter, per_second }: Growth, range_seconds: f64) {
        for lane in 0..LANES {
            let (first, increase) = (self.first[lane], self.increase[lane]);
            let sampled = self.between[lane] / 1000.0;
            let average = sampled / self.gaps[lane];
            let threshold = average * 1.1;
            let to_end = self.after[lane] / 1000.0;
            let to_end = if to_end >= threshold { average / 2.0 } else { to_end };
            let to_start = self.before[lane] / 1000.0;
            let to_start = if to_start >= threshold { average / 2.0 } else { to_start };
            let to_zero = sampled * (first / increase);
            let begins_inside =
                is_counter & (increase > 0.0) & (first >= 0.0) & (to_zero < to_start);
            let to_start = if begins_inside { to_zero } else { to_start };
            let factor = (sampled + to_start + to_end) / sampled;
            let factor = if per_second { factor / range_seconds } else { factor };
            self.increase[lane] = increase * factor;
        }
    }
}

fn millis(later: Timestamp, earlier: Timestamp) -> f64 {
    later.millis_since(earlier) as f64
}

#[cfg(test)]
mod tests;
