//! What has been folded into a group: a cell for each time.
//!
//! - CELLS-1: a cell without floats holds the staleness marker, or nothing that it counts: see COLUMN-1.

use std::sync::Arc;

use model::histogram::IncompatibleSchemas;
use model::{FloatHistogram, Labels, STALE_NAN, is_stale};

use crate::annotations::Annotations;
use crate::ast::AggregateOp;
use crate::eval::Evaluated;
use crate::eval::column::{Column, Point};
use crate::eval::histogram::HistogramSum;
use crate::eval::kahan::KahanSum;
use crate::eval::memory::{Held, histogram_bytes};
use crate::eval::over_time::Mean;
use crate::eval::quantile::quantile;
use crate::position::Position;

/// How samples are folded.
pub(super) struct Fold {
    pub(super) op: AggregateOp,
    /// Where the aggregated expression stands.
    pub(super) at: Position,
}

pub(super) struct Cells {
    floats: Floats,
    /// Empty where there are none.
    histograms: Vec<Option<HistogramCell>>,
}

enum Floats {
    Sums(Vec<KahanSum>),
    Means(Vec<Option<Mean>>),
    Counts(Vec<f64>),
    /// Of `min` or `max`.
    Best(Vec<f64>),
    Variances(Vec<Variance>),
    Values(Vec<Vec<f64>>),
}

#[derive(Clone, Copy, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

/// The histograms of `sum` and `avg`.
enum HistogramCell {
    Sum(Box<HistogramSum>),
    /// Exponential and custom buckets met: there is no result.
    Incompatible,
}

impl Cells {
    /// What is kept of a series that is about to be added, beside the cells themselves: the values of
    /// `quantile`, and sums of histograms.
    pub(super) fn beside(&self, column: &Column) -> Held {
        let mut held = Held::default();
        if let Floats::Values(_) = &self.floats {
            held.samples = column.floats().iter().filter(|value| !is_stale(**value)).count();
            held.bytes = 2 * held.samples * size_of::<f64>(); // as vectors grow
        }
        if column.has_histograms() {
            let first = (0..column.len()).filter(|step| self.histogram(*step).is_none());
            let first = first.filter_map(|step| column.histogram(step));
            let cells = if self.histograms.is_empty() { column.len() } else { 0 };
            held.bytes += cells * size_of::<Option<HistogramCell>>();
            held.bytes += first.map(|histogram| 2 * histogram_bytes(histogram)).sum::<usize>();
        }
        held
    }

    fn histogram(&self, step: usize) -> Option<&HistogramCell> {
        self.histograms.get(step)?.as_ref()
    }
}

impl Fold {
    /// What `count` cells take.
    pub(super) const fn bytes(&self, count: usize) -> usize {
        count
            * match self.op {
                AggregateOp::Sum => size_of::<KahanSum>(),
                AggregateOp::Avg => size_of::<Option<Mean>>(),
                AggregateOp::Stddev | AggregateOp::Stdvar => size_of::<Variance>(),
                AggregateOp::Quantile => size_of::<Vec<f64>>(),
                _ => size_of::<f64>(),
            }
    }

    pub(super) fn cells(&self, count: usize) -> Cells {
        let floats = match self.op {
            AggregateOp::Sum => Floats::Sums(vec![KahanSum::new(STALE_NAN); count]),
            AggregateOp::Avg => Floats::Means(vec![None; count]),
            AggregateOp::Count | AggregateOp::Group => Floats::Counts(vec![0.0; count]),
            AggregateOp::Min | AggregateOp::Max => Floats::Best(vec![STALE_NAN; count]),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                Floats::Variances(vec![Variance::default(); count])
            }
            _ => Floats::Values(vec![Vec::new(); count]),
        };
        Cells { floats, histograms: Vec::new() }
    }

    /// Folds a series in. Bench: `benches/benches/query.rs`.
    pub(super) fn add_series(
        &self,
        cells: &mut Cells,
        column: &Column,
        labels: &Labels,
        annotations: &mut Annotations,
    ) {
        let values = column.floats();
        match &mut cells.floats {
            Floats::Sums(sums) => each(sums, values, |sum, value| {
                *sum = if is_stale(sum.sum) { KahanSum::new(value) } else { sum.plus(value) };
            }),
            Floats::Means(means) => each(means, values, |mean, value| {
                *mean = Some(mean.map_or_else(|| Mean::new(value), |mean| mean.plus(value)));
            }),
            Floats::Counts(counts) => each(counts, values, |count, _| *count += 1.0),
            Floats::Best(best) => each(best, values, |best, value| {
                *best = if is_stale(*best) { value } else { self.better(*best, value) };
            }),
            Floats::Variances(variances) => {
                each(variances, values, |variance, value| *variance = variance.plus(value));
            }
            Floats::Values(all) => each(all, values, |all, value| all.push(value)),
        }
        if column.has_histograms() {
            for step in 0..column.len() {
                if let Some(histogram) = column.histogram(step) {
                    self.add_histogram(cells, step, (histogram, column.len()), labels, annotations);
                }
            }
        }
    }

    fn add_histogram(
        &self,
        cells: &mut Cells,
        step: usize,
        (histogram, count): (&FloatHistogram, usize),
        labels: &Labels,
        annotations: &mut Annotations,
    ) {
        match (self.op, &mut cells.floats) {
            (AggregateOp::Sum | AggregateOp::Avg, _) => {
                cells.histograms.resize_with(count, || None);
                match &mut cells.histograms[step] {
                    empty @ None => {
                        let is_mean = self.op == AggregateOp::Avg;
                        let sum = HistogramSum::new(histogram.clone(), is_mean);
                        *empty = Some(HistogramCell::Sum(Box::new(sum)));
                    }
                    Some(known) => {
                        let metric = labels.metric_name();
                        known.combine(|sum| sum.add(histogram), self.at, metric, annotations);
                    }
                }
            }
            (_, Floats::Counts(counts)) => counts[step] += 1.0,
            (op, _) => annotations.histogram_ignored_in_aggregation(self.at, op.as_str()),
        }
    }

    /// Folds in what others made of later series.
    pub(super) fn add_cells(&self, known: &mut Cells, new: Cells, annotations: &mut Annotations) {
        match (&mut known.floats, new.floats) {
            (Floats::Sums(sums), Floats::Sums(new)) => {
                for (sum, new) in sums.iter_mut().zip(new).filter(|(_, new)| !is_stale(new.sum)) {
                    let is_first = is_stale(sum.sum);
                    *sum = if is_first { new } else { sum.plus(new.sum).plus(new.compensation) };
                }
            }
            (Floats::Means(means), Floats::Means(new)) => {
                for (mean, new) in means.iter_mut().zip(new) {
                    *mean = match (*mean, new) {
                        (Some(mean), Some(new)) => Some(mean.and(new)),
                        (mean, new) => mean.or(new),
                    };
                }
            }
            (Floats::Counts(counts), Floats::Counts(new)) => {
                counts.iter_mut().zip(new).for_each(|(count, new)| *count += new);
            }
            (Floats::Best(best), Floats::Best(new)) => each(best, &new, |best, new| {
                *best = if is_stale(*best) { new } else { self.better(*best, new) };
            }),
            (Floats::Variances(variances), Floats::Variances(new)) => {
                variances.iter_mut().zip(new).for_each(|(known, new)| *known = known.and(new));
            }
            (Floats::Values(all), Floats::Values(new)) => {
                all.iter_mut().zip(new).for_each(|(all, new)| all.extend(new));
            }
            _ => unreachable!("cells of one aggregation are of one kind"),
        }
        if !new.histograms.is_empty() {
            known.histograms.resize_with(new.histograms.len(), || None);
            for (known, new) in known.histograms.iter_mut().zip(new.histograms) {
                self.add_histogram_cell(known, new, annotations);
            }
        }
    }

    fn add_histogram_cell(
        &self,
        cell: &mut Option<HistogramCell>,
        new: Option<HistogramCell>,
        annotations: &mut Annotations,
    ) {
        match (&mut *cell, new) {
            (_, None) => {}
            (None, new) => *cell = new,
            (Some(known), Some(HistogramCell::Sum(new))) => {
                known.combine(|sum| sum.merge(*new), self.at, "", annotations);
            }
            (Some(known), Some(HistogramCell::Incompatible)) => {
                *known = HistogramCell::Incompatible;
            }
        }
    }

    /// The result. `quantiles`: the parameter of `quantile` at every time.
    pub(super) fn finish(
        &self,
        cells: Cells,
        quantiles: Option<&[f64]>,
        check: impl Fn() -> Evaluated<()>,
        annotations: &mut Annotations,
    ) -> Evaluated<Column> {
        let floats = self.finish_floats(cells.floats, quantiles, check)?;
        let mut column = Column::of_floats(floats);
        for (step, cell) in cells.histograms.into_iter().enumerate() {
            let Some(cell) = cell else { continue };
            if column.is_present(step) {
                annotations.mixed_floats_histograms_aggregation(self.at);
                column.clear(step);
            } else if let HistogramCell::Sum(sum) = cell {
                let total = sum.finish(self.at, annotations);
                column.set(step, total.map(|total| Point::Histogram(Arc::new(total))));
            }
        }
        Ok(column)
    }

    fn finish_floats(
        &self,
        floats: Floats,
        quantiles: Option<&[f64]>,
        check: impl Fn() -> Evaluated<()>,
    ) -> Evaluated<Vec<f64>> {
        let counted = |count: f64, value: f64| if count > 0.0 { value } else { STALE_NAN };
        Ok(match floats {
            Floats::Sums(sums) => {
                let total = |sum: KahanSum| if is_stale(sum.sum) { sum.sum } else { sum.total() };
                sums.into_iter().map(total).collect()
            }
            Floats::Means(means) => {
                means.into_iter().map(|mean| mean.map_or(STALE_NAN, Mean::value)).collect()
            }
            Floats::Counts(counts) if self.op == AggregateOp::Group => {
                counts.into_iter().map(|count| counted(count, 1.0)).collect()
            }
            Floats::Counts(counts) => counts.into_iter().map(|n| counted(n, n)).collect(),
            Floats::Best(best) => best,
            Floats::Variances(variances) => {
                let finish = |Variance { count, squares, .. }: Variance| match self.op {
                    AggregateOp::Stddev => counted(count, (squares / count).sqrt()),
                    _ => counted(count, squares / count),
                };
                variances.into_iter().map(finish).collect()
            }
            Floats::Values(all) => quantiles_of(all, quantiles, check)?,
        })
    }

    /// Which of two values `min` or `max` keeps: any number rather than NaN.
    fn better(&self, best: f64, value: f64) -> f64 {
        let wins = match self.op {
            AggregateOp::Min => best > value,
            _ => best < value,
        };
        if wins || best.is_nan() { value } else { best }
    }
}

/// `check`: asked before values are sorted.
fn quantiles_of(
    all: Vec<Vec<f64>>,
    quantiles: Option<&[f64]>,
    check: impl Fn() -> Evaluated<()>,
) -> Evaluated<Vec<f64>> {
    let q = |step: usize| quantiles.map_or(f64::NAN, |quantiles| quantiles[step]);
    let mut results = Vec::with_capacity(all.len());
    for (step, mut values) in all.into_iter().enumerate() {
        check()?;
        let is_empty = values.is_empty();
        results.push(if is_empty { STALE_NAN } else { quantile(q(step), &mut values) });
    }
    Ok(results)
}

/// Calls `add` for every cell that gets a value.
#[inline]
fn each<T>(cells: &mut [T], values: &[f64], mut add: impl FnMut(&mut T, f64)) {
    for (cell, &value) in cells.iter_mut().zip(values) {
        if !is_stale(value) {
            add(cell, value);
        }
    }
}

impl Variance {
    fn plus(self, value: f64) -> Self {
        if self.count == 0.0 {
            let squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return Self { count: 1.0, mean: value, squares };
        }
        let count = self.count + 1.0;
        let delta = value - self.mean;
        let mean = self.mean + delta / count;
        Self { count, mean, squares: self.squares + delta * (value - mean) }
    }

    fn and(self, other: Self) -> Self {
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let (count, delta) = (self.count + other.count, other.mean - self.mean);
        let between = delta * delta * self.count * other.count / count;
        Self {
            count,
            mean: self.mean + delta * other.count / count,
            squares: self.squares + other.squares + between,
        }
    }
}

impl HistogramCell {
    fn combine(
        &mut self,
        combine: impl FnOnce(&mut HistogramSum) -> Result<(), IncompatibleSchemas>,
        at: Position,
        metric: &str,
        annotations: &mut Annotations,
    ) {
        if let Self::Sum(sum) = self
            && combine(sum).is_err()
        {
            annotations.mixed_exponential_custom(at, metric);
            *self = Self::Incompatible;
        }
    }
}
