//! A window's values in order. Finding the place of one that enters or leaves takes few comparisons;
//! where many do so at once, all values are gone through once for all of them.

use std::ops::Range;

use crate::eval::quantile::{compare, quantile_of_sorted};

/// More values than this enter and leave together.
const SINGLE_MAX: usize = 4;

#[derive(Default)]
pub(super) struct Sorted {
    values: Vec<f64>,
    // Reused from window to window.
    merged: Vec<f64>,
    leaving: Vec<f64>,
    entering: Vec<f64>,
}

impl Sorted {
    /// Moves from the values in `held` on to those in `next`, neither end of which is earlier.
    pub(super) fn slide(&mut self, values: &[f64], held: &mut Range<usize>, next: &Range<usize>) {
        if next.start >= held.end {
            self.values.clear();
            self.values.extend_from_slice(&values[next.clone()]);
            self.values.sort_unstable_by(compare);
        } else {
            let (leaving, entering) = (held.start..next.start, held.end..next.end);
            if leaving.len() + entering.len() > SINGLE_MAX {
                self.replace(&values[leaving], &values[entering]);
            } else {
                for &value in &values[leaving] {
                    let at = self.place(value);
                    self.values.remove(at);
                }
                for &value in &values[entering] {
                    let at = self.place(value);
                    self.values.insert(at, value);
                }
            }
        }
        *held = next.clone();
    }

    /// Takes `leaving`, all of which are there, out and `entering` in.
    fn replace(&mut self, leaving: &[f64], entering: &[f64]) {
        for (sorted, given) in [(&mut self.leaving, leaving), (&mut self.entering, entering)] {
            sorted.clear();
            sorted.extend_from_slice(given);
            sorted.sort_unstable_by(compare);
        }
        self.merged.clear();
        let (mut leaving, mut entering) = (self.leaving.iter().peekable(), self.entering.iter());
        let mut next = entering.next();
        for value in &self.values {
            if leaving.next_if(|gone| compare(gone, value).is_eq()).is_some() {
                continue;
            }
            while let Some(entering_now) = next.filter(|new| compare(new, value).is_lt()) {
                self.merged.push(*entering_now);
                next = entering.next();
            }
            self.merged.push(*value);
        }
        self.merged.extend(next.into_iter().chain(entering));
        std::mem::swap(&mut self.values, &mut self.merged);
    }

    /// Where the first value is that is not smaller.
    fn place(&self, value: f64) -> usize {
        self.values.partition_point(|other| compare(other, &value).is_lt())
    }

    pub(super) fn quantile(&self, q: f64) -> f64 {
        quantile_of_sorted(q, &self.values)
    }

    /// The median of the distances from the median; there are no NaN.
    pub(super) fn absolute_deviation(&self) -> f64 {
        let values = &self.values;
        let median = quantile_of_sorted(0.5, values);
        let (mut left, mut right) = (values.partition_point(|value| *value < median), 0);
        right += left;
        // Distances rise from the median to both sides: the smaller half is merged from there.
        let mut nearest = || {
            let before = left.checked_sub(1).map(|at| median - values[at]);
            let after = values.get(right).map(|value| value - median);
            match (before, after) {
                (Some(before), after) if after.is_none_or(|after| before < after) => {
                    left -= 1;
                    before
                }
                (_, after) => {
                    right += 1;
                    after.unwrap_or(f64::NAN)
                }
            }
        };
        let rank = 0.5 * (values.len() - 1) as f64;
        let lower = (0..=rank as usize).map(|_| nearest()).last().unwrap_or(f64::NAN);
        let weight = rank - rank.floor();
        if weight == 0.0 { lower } else { lower * (1.0 - weight) + nearest() * weight }
    }
}
