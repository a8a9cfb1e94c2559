//! Subqueries: an instant vector expression evaluated over a grid of its own, used as a range.

use std::sync::Arc;

use model::histogram::CounterReset;
use model::{FloatHistogram, Sample, Timestamp};
use storage::Columns;

use super::column::Point;
use super::window::Computed;
use super::{Evaluated, Evaluation, Grid};
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
        let series = self.vector(&subquery.inner, &inner)?;
        let computed = series.into_iter().map(|series| {
            let mut columns = Columns::default();
            for (index, time) in inner.times().enumerate() {
                let timestamp = Timestamp::from_millis(time);
                match series.column.get(index) {
                    None => {}
                    Some(Point::Float(value)) => columns.push(Sample { timestamp, value }),
                    Some(Point::Histogram(histogram)) => {
                        columns.histograms.push((timestamp, without_reset_hint(histogram)));
                    }
                }
            }
            Computed { labels: series.labels, drop_name: series.drop_name, columns }
        });
        Ok(computed.collect())
    }

    /// The samples of a subquery that is itself the query.
    pub(super) fn subquery_samples(&self, subquery: &Subquery) -> Evaluated<Vec<MatrixSeries>> {
        let series = self.subquery(subquery, &self.query)?.into_iter();
        let matrix = series.map(|series| MatrixSeries {
            labels: series.labels,
            samples: series.columns.iter().collect(),
            histograms: series.columns.histograms,
        });
        Ok(matrix.filter(|s| !s.samples.is_empty() || !s.histograms.is_empty()).collect())
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
