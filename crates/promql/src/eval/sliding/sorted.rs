//! A window's values in order: finding the place of one that enters or leaves takes few comparisons.

use std::ops::Range;

use crate::eval::quantile::{compare, quantile_of_sorted};

#[derive(Default)]
pub(super) struct Sorted(Vec<f64>);

impl Sorted {
    /// Moves from the values in `held` on to those in `next`, neither end of which is earlier.
    pub(super) fn slide(&mut self, values: &[f64], held: &mut Range<usize>, next: &Range<usize>) {
        let is_apart = next.start >= held.end;
        if is_apart {
            self.0.clear();
            self.0.extend_from_slice(&values[next.clone()]);
            self.0.sort_unstable_by(compare);
        } else {
            for &value in &values[held.start..next.start] {
                let at = self.place(value);
                self.0.remove(at);
            }
            for &value in &values[held.end..next.end] {
                let at = self.place(value);
                self.0.insert(at, value);
            }
        }
        *held = next.clone();
    }

    /// Where the first value is that is not smaller.
    fn place(&self, value: f64) -> usize {
        self.0.partition_point(|other| compare(other, &value).is_lt())
    }

    pub(super) fn quantile(&self, q: f64) -> f64 {
        quantile_of_sorted(q, &self.0)
    }

    /// The median of the distances from the median; there are no NaN.
    pub(super) fn absolute_deviation(&self) -> f64 {
        let values = &self.0;
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
