//! Subqueries: an instant vector expression evaluated over a grid of its own, used as a range.

use std::sync::Arc;

use model::histogram::CounterReset;
use model::{FloatHistogram, Sample, Timestamp};
use storage::Columns;

use super::column::Point;
use super::memory::{Held, columns_bytes, labels_bytes};
use super::window::Computed;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::ast::Subquery;
use crate::limits::EvalError;
use crate::value::MatrixSeries;

impl Evaluation<'_> {
    /// The series of `subquery` with all samples that an evaluation over `grid` looks at.
    pub(super) fn subquery(&self, subquery: &Subquery, grid: &Grid) -> Evaluated<Vec<Computed>> {
        let timing = self.timing(&subquery.time)?;
        let range = self.positive_millis(&subquery.range)?;
        let step = match &subquery.step {
            Some(step) => self.positive_millis(step)?,
            None => model::time::millis(self.subquery_step()),
        }
        .max(1);
        let after = timing.reference(grid.start).saturating_sub(range);
        let until = timing.reference(grid.end());
        // The first multiple of the step after the start, which is not part of the range.
        let first = after.div_euclid(step).saturating_add(1).saturating_mul(step);
        let inner = Grid::range(first, until, step);
        if inner.count == 0 {
            return Ok(Vec::new());
        }
        if inner.count > self.options.max_samples {
            return Err(EvalError::TooManySamples);
        }
        self.check_room(inner.count)?;
        let series = self.vector(&subquery.inner, &inner)?;
        let mut computed = Vec::with_capacity(series.len());
        for series in series {
            self.limits.check()?;
            let mut columns = Columns::default();
            for (index, time) in inner.times().enumerate() {
                self.limits.check_now_and_then(index)?;
                let timestamp = Timestamp::from_millis(time);
                match series.column.get(index) {
                    None => {}
                    Some(Point::Float(value)) => columns.push(Sample { timestamp, value }),
                    Some(Point::Histogram(histogram)) => {
                        columns.histograms.push((timestamp, without_reset_hint(histogram)));
                    }
                }
            }
            self.release_one(&series);
            let samples = columns.len() + columns.histograms.len();
            let bytes = columns_bytes(&columns) + labels_bytes(&series.labels);
            let mut held = Held::default();
            self.hold(Held { samples, bytes }, &mut held)?;
            let Series { labels, drop_name, .. } = series;
            computed.push(Computed { labels, drop_name, columns, held });
        }
        Ok(computed)
    }

    /// The samples of a subquery that is itself the query.
    pub(super) fn subquery_samples(&self, subquery: &Subquery) -> Evaluated<Vec<MatrixSeries>> {
        let mut matrix = Vec::new();
        for series in self.subquery(subquery, &self.query)? {
            self.limits.check()?;
            self.release_held(series.held);
            let Computed { labels, columns, .. } = series;
            let samples: Vec<Sample> = columns.iter().collect();
            let series = MatrixSeries { labels, samples, histograms: columns.histograms };
            self.charge_result(&series)?;
            if !series.samples.is_empty() || !series.histograms.is_empty() {
                matrix.push(series);
            }
        }
        Ok(matrix)
    }
}

/// What is known of resets holds between neighbours in storage, not between those of a subquery.
fn without_reset_hint(histogram: Arc<FloatHistogram>) -> Arc<FloatHistogram> {
    match histogram.counter_reset {
        CounterReset::Unknown | CounterReset::Gauge => histogram,
        CounterReset::Reset | CounterReset::NotReset => {
            let mut unknown = FloatHistogram::clone(&histogram);
            unknown.counter_reset = CounterReset::Unknown;
            Arc::new(unknown)
        }
    }
}
