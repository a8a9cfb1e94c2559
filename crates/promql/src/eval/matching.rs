//! Which series of two vectors find each other.

use model::{Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::{Evaluated, Evaluation, Series};
use crate::ast::Matching;

/// The series of both operands by the labels that must be equal.
pub(super) struct Matched {
    pub(super) groups: usize,
    /// The group of each series.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

impl Evaluation<'_> {
    pub(super) fn matched(
        &self,
        matching: &Matching,
        left: &[Series],
        right: &[Series],
    ) -> Evaluated<Matched> {
        let mut groups: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut group_of = |(index, series): (usize, &Series)| {
            self.limits.check_now_and_then(index)?;
            let next = groups.len();
            Ok(*groups.entry(match_labels(matching, &series.labels)).or_insert(next))
        };
        let left = left.iter().enumerate().map(&mut group_of).collect::<Evaluated<_>>()?;
        let right = right.iter().enumerate().map(&mut group_of).collect::<Evaluated<_>>()?;
        Ok(Matched { groups: groups.len(), left, right })
    }
}

/// The labels by which a series is matched.
pub(super) fn match_labels(matching: &Matching, labels: &Labels) -> Labels {
    if matching.on {
        return labels.keep(&matching.labels);
    }
    let ignored = |name: &str| name == METRIC_NAME || matching.labels.iter().any(|l| l == name);
    Labels::from_sorted(labels.iter().filter(|(name, _)| !ignored(name)))
}
