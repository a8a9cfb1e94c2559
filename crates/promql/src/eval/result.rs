//! From the series of an evaluation to what is answered.

use model::{Labels, Sample, Timestamp};

use super::column::{Column, Point};
use super::memory::{histogram_bytes, labels_bytes};
use super::{Evaluated, Evaluation, Grid, Series};
use crate::value::{MatrixSeries, SampleValue, VectorSample};

impl Evaluation<'_> {
    pub(super) fn vector_result(&self, series: Vec<Series>) -> Evaluated<Vec<VectorSample>> {
        let timestamp = Timestamp::from_millis(self.query.start);
        self.limits.charge_bytes(series.len() * size_of::<VectorSample>())?;
        let mut vector = Vec::with_capacity(series.len());
        for (index, series) in series.into_iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            vector.extend(vector_sample(series, timestamp));
        }
        Ok(vector)
    }

    /// Sorted by labels.
    pub(super) fn matrix_result(&self, series: Vec<Series>) -> Evaluated<Vec<MatrixSeries>> {
        let mut matrix: Vec<MatrixSeries> = Vec::with_capacity(series.len());
        for series in series {
            self.limits.check()?;
            let converted = matrix_series(&series.column, series.labels.clone(), &self.query);
            self.charge_result(&converted)?;
            self.release_one(&series);
            if !converted.samples.is_empty() || !converted.histograms.is_empty() {
                matrix.push(converted);
            }
        }
        self.meter.sorting(|| self.ordered(matrix, |a, b| a.labels.cmp(&b.labels)))
    }

    pub(super) fn charge_result(&self, series: &MatrixSeries) -> Evaluated<()> {
        let histograms = series.histograms.iter().map(|(_, histogram)| histogram_bytes(histogram));
        let bytes = size_of::<MatrixSeries>()
            + labels_bytes(&series.labels)
            + size_of_val(&*series.samples)
            + histograms.sum::<usize>();
        self.limits.charge_bytes(bytes)
    }
}

fn vector_sample(series: Series, timestamp: Timestamp) -> Option<VectorSample> {
    let value = match series.column.get(0)? {
        Point::Float(value) => SampleValue::Float(value),
        Point::Histogram(histogram) => SampleValue::Histogram(histogram),
    };
    Some(VectorSample { labels: series.labels, timestamp, value })
}

fn matrix_series(column: &Column, labels: Labels, grid: &Grid) -> MatrixSeries {
    let mut matrix = MatrixSeries { labels, samples: Vec::new(), histograms: Vec::new() };
    for (step, time) in grid.times().enumerate() {
        let timestamp = Timestamp::from_millis(time);
        match column.get(step) {
            None => {}
            Some(Point::Float(value)) => matrix.samples.push(Sample { timestamp, value }),
            Some(Point::Histogram(histogram)) => matrix.histograms.push((timestamp, histogram)),
        }
    }
    matrix
}
