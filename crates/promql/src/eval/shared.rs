//! Parts of a tree that occur more than once: they are evaluated once.
//!
//! `a / (a + b)` with an expensive `a` is how ratios are written. Only aggregations are shared: what
//! they give is small enough to keep, and what they cost is worth it.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::meter::Counts;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::ast::{Aggregate, Expr};

/// The results of what occurs more than once, by canonical text and grid.
#[derive(Debug, Default)]
pub(super) struct Shared {
    repeated: Vec<String>,
    results: Mutex<FxHashMap<(String, Grid), Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    series: Vec<Series>,
    counts: Counts,
}

impl Shared {
    pub(super) fn new(expr: &Expr) -> Self {
        let mut counts: FxHashMap<String, usize> = FxHashMap::default();
        count_aggregations(expr, &mut counts);
        let repeated = counts.into_iter().filter(|(_, count)| *count > 1).map(|(text, _)| text);
        Self { repeated: repeated.collect(), results: Mutex::default() }
    }
}

fn count_aggregations(expr: &Expr, counts: &mut FxHashMap<String, usize>) {
    if matches!(expr, Expr::Aggregate(_)) {
        *counts.entry(expr.to_string()).or_default() += 1;
    }
    for child in expr.children() {
        count_aggregations(child, counts);
    }
}

impl Evaluation<'_> {
    /// The result of an aggregation, from memory if it has been there before.
    pub(super) fn aggregate_once(
        &self,
        expr: &Expr,
        aggregate: &Aggregate,
        grid: &Grid,
    ) -> Evaluated<Vec<Series>> {
        if self.shared.repeated.is_empty() {
            return self.aggregate(aggregate, grid);
        }
        let text = expr.to_string();
        if !self.shared.repeated.contains(&text) {
            return self.aggregate(aggregate, grid);
        }
        let key = (text, *grid);
        let known = self.shared.results.lock().get(&key).cloned();
        if let Some(Known { mut series, counts }) = known {
            self.meter.add(&counts);
            series.iter_mut().try_for_each(|series| self.keep(series))?;
            return Ok(series);
        }
        let before = self.annotations.lock().placed();
        let (result, counts) = self.meter.apart(|| self.aggregate(aggregate, grid))?;
        self.meter.add(&counts);
        // Annotations name positions: what has some is to be annotated where it stands again.
        if self.annotations.lock().placed() == before {
            let mut series = result.clone();
            series.iter_mut().try_for_each(|series| self.keep(series))?;
            self.shared.results.lock().insert(key, Known { series, counts });
        }
        Ok(result)
    }
}
