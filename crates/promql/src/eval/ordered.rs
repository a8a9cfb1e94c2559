//! Sorting that can be ended: how long a sort takes is up to the query.
//!
//! Numbers of items are merged from short runs, with a look at the bounds now and then; the items, which are
//! large, move once.
//!
//! - ORDERED-1: the order is that of a stable sort.

use std::cmp::Ordering;

use super::{Evaluated, Evaluation};

/// As many are sorted without a look at the bounds.
const RUN: usize = 4096;

impl Evaluation<'_> {
    pub(super) fn ordered<T>(
        &self,
        items: Vec<T>,
        compare: impl Fn(&T, &T) -> Ordering,
    ) -> Evaluated<Vec<T>> {
        if items.is_sorted_by(|a, b| compare(a, b) != Ordering::Greater) {
            return Ok(items);
        }
        let by_item = |a: &usize, b: &usize| compare(&items[*a], &items[*b]);
        let mut order: Vec<usize> = (0..items.len()).collect();
        for run in order.chunks_mut(RUN) {
            self.limits.check()?;
            run.sort_by(by_item);
        }
        let mut length = RUN;
        while length < order.len() {
            let mut merged = Vec::with_capacity(order.len());
            for pair in order.chunks(2 * length) {
                let (left, right) = pair.split_at(length.min(pair.len()));
                self.merge(left, right, by_item, &mut merged)?;
            }
            order = merged;
            length *= 2;
        }
        self.limits.check()?;
        let mut slots: Vec<Option<T>> = items.into_iter().map(Some).collect();
        let in_order = order.into_iter().filter_map(|index| slots[index].take());
        Ok(in_order.collect())
    }

    /// Appends what two sorted lists hold; of equals, those on the left come first.
    fn merge(
        &self,
        mut left: &[usize],
        mut right: &[usize],
        compare: impl Fn(&usize, &usize) -> Ordering,
        merged: &mut Vec<usize>,
    ) -> Evaluated<()> {
        while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
            self.limits.check_now_and_then(merged.len())?;
            if compare(a, b) == Ordering::Greater {
                merged.push(*b);
                right = right_rest;
            } else {
                merged.push(*a);
                left = left_rest;
            }
        }
        merged.extend_from_slice(left);
        merged.extend_from_slice(right);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
