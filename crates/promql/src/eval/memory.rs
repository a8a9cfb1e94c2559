//! Accounts for what an evaluation keeps.
//!
//! - MEMORY-1: all that grows with series, times or texts is charged: columns, labels, groups, scalars,
//!   decoded samples, results. What is charged after it was made is no larger than what was charged before
//!   it, so that a query never holds more than a few times what it may.
//! - MEMORY-2: what was charged of a series is written on it, and given back as it was.

use std::mem::size_of;

use model::histogram::Bucket;
use model::{FloatHistogram, Labels, Sample};
use storage::Columns;

use super::column::Column;
use super::{Evaluated, Evaluation, Series};

/// What a series that is kept was charged for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) samples: usize,
    pub(super) bytes: usize,
}

impl Held {
    pub(super) fn add(&mut self, more: Self) {
        self.samples += more.samples;
        self.bytes += more.bytes;
    }
}

impl Evaluation<'_> {
    /// Charges for a series that nothing was charged for yet.
    pub(super) fn keep(&self, series: &mut Series) -> Evaluated<()> {
        let bytes = size_of::<Series>() + labels_bytes(&series.labels) + series.column.bytes();
        series.held = Held::default();
        self.hold(Held { samples: series.column.size(), bytes }, &mut series.held)
    }

    /// A vector of one series, charged for.
    pub(super) fn kept(&self, mut series: Series) -> Evaluated<Vec<Series>> {
        self.keep(&mut series)?;
        Ok(vec![series])
    }

    /// Charges for a series that has changed since it was kept.
    pub(super) fn keep_anew(&self, series: &mut Series) -> Evaluated<()> {
        self.release_one(series);
        self.keep(series)
    }

    /// Gives back what [`Evaluation::keep`] charged for.
    pub(super) fn release(&self, series: &[Series]) {
        series.iter().for_each(|series| self.release_one(series));
    }

    pub(super) fn release_one(&self, series: &Series) {
        self.release_held(series.held);
    }

    /// Charges for what is not a series.
    pub(super) fn hold(&self, more: Held, held: &mut Held) -> Evaluated<()> {
        held.add(more);
        self.limits.charge(more.samples)?;
        self.limits.charge_bytes(more.bytes)
    }

    pub(super) fn release_held(&self, held: Held) {
        self.limits.release(held.samples);
        self.limits.release_bytes(held.bytes);
    }

    /// For the columns that a thread decodes one series after the other into: what they have taken at
    /// most stays `charged`.
    pub(super) fn charge_columns(&self, columns: &Columns, charged: &mut usize) -> Evaluated<()> {
        let more = columns_bytes(columns).saturating_sub(*charged);
        *charged += more;
        if more > 0 { self.limits.charge_bytes(more) } else { Ok(()) }
    }

    /// Refuses columns of `cells` that do not fit, before they are made.
    pub(super) fn check_room(&self, cells: usize) -> Evaluated<()> {
        self.limits.check_room(cells.saturating_mul(size_of::<f64>()))
    }

    /// One value for all of `count` times. It stays charged: how many scalars there are is up to the
    /// query's text.
    pub(super) fn constant(&self, value: f64, count: usize) -> Evaluated<Vec<f64>> {
        self.limits.charge_bytes(count.saturating_mul(size_of::<f64>()))?;
        Ok(vec![value; count])
    }

    pub(super) fn release_scalar(&self, values: &[f64]) {
        self.limits.release_bytes(size_of_val(values));
    }
}

impl Column {
    pub(super) fn bytes(&self) -> usize {
        let histograms = (0..self.len()).filter_map(|index| self.histogram(index));
        match self.has_histograms() {
            false => self.len() * size_of::<f64>(),
            true => {
                let own: usize = histograms.map(|found| histogram_bytes(found)).sum();
                2 * self.len() * size_of::<f64>() + own
            }
        }
    }
}

pub(super) fn labels_bytes(labels: &Labels) -> usize {
    /// Lengths of name and value, and more where these are long.
    const PAIR: usize = 2;
    labels.iter().map(|(name, value)| name.len() + value.len() + PAIR).sum()
}

pub(super) fn histogram_bytes(histogram: &FloatHistogram) -> usize {
    /// Of the histogram and of its custom bounds, which are counted references.
    const HEADERS: usize = 4 * size_of::<usize>();
    let buckets = histogram.positive.capacity() + histogram.negative.capacity();
    let bounds = size_of_val(&*histogram.custom_bounds);
    HEADERS + size_of::<FloatHistogram>() + buckets * size_of::<Bucket>() + bounds
}

pub(super) fn columns_bytes(columns: &Columns) -> usize {
    let histograms = columns.histograms.iter().map(|(_, histogram)| histogram_bytes(histogram));
    columns.len() * size_of::<Sample>() + histograms.sum::<usize>()
}
