//! The values of one series over the times of a grid.

use std::sync::Arc;

use model::{FloatHistogram, STALE_NAN, is_stale};

/// One value per time of a grid, or none.
///
/// COLUMN-1: the staleness marker stands for "no float here"; as markers end series and never come out
/// of arithmetic, no value needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    floats: Vec<f64>,
    /// Empty where the column has no histogram; else as long as `floats`, and no cell has both.
    histograms: Vec<Option<Arc<FloatHistogram>>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Point {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Column {
    /// The first `count` of the cells given, made up to as many by absent ones. No cell is both.
    pub(crate) fn new(
        count: usize,
        mut floats: Vec<f64>,
        mut histograms: Vec<Option<Arc<FloatHistogram>>>,
    ) -> Self {
        floats.resize(count, STALE_NAN);
        if !histograms.is_empty() {
            histograms.resize(count, None);
        }
        for (float, cell) in floats.iter_mut().zip(&histograms) {
            if cell.is_some() {
                *float = STALE_NAN;
            }
        }
        Self { floats, histograms }
    }

    pub(crate) fn absent(count: usize) -> Self {
        Self { floats: vec![STALE_NAN; count], histograms: Vec::new() }
    }

    pub(crate) fn of_floats(floats: Vec<f64>) -> Self {
        Self { floats, histograms: Vec::new() }
    }

    /// Makes the column `count` cells long, all of them absent.
    pub(crate) fn reset(&mut self, count: usize) {
        self.floats.clear();
        self.floats.resize(count, STALE_NAN);
        self.histograms.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.floats.len()
    }

    /// Cell by cell: the staleness marker where there is no float.
    pub(crate) fn floats(&self) -> &[f64] {
        &self.floats
    }

    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    pub(crate) fn get(&self, index: usize) -> Option<Point> {
        match self.float(index) {
            Some(value) => Some(Point::Float(value)),
            None => self.histogram(index).map(|found| Point::Histogram(Arc::clone(found))),
        }
    }

    pub(crate) fn float(&self, index: usize) -> Option<f64> {
        let value = self.floats[index];
        (!is_stale(value)).then_some(value)
    }

    pub(crate) fn histogram(&self, index: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(index)?.as_ref()
    }

    pub(crate) fn is_present(&self, index: usize) -> bool {
        !is_stale(self.floats[index]) || self.histogram(index).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        (0..self.len()).all(|index| !self.is_present(index))
    }

    pub(crate) fn set(&mut self, index: usize, point: Option<Point>) {
        let (float, histogram) = match point {
            None => (STALE_NAN, None),
            Some(Point::Float(value)) => (value, None),
            Some(Point::Histogram(histogram)) => (STALE_NAN, Some(histogram)),
        };
        self.floats[index] = float;
        if histogram.is_some() && self.histograms.is_empty() {
            self.histograms.resize(self.floats.len(), None);
        }
        if let Some(cell) = self.histograms.get_mut(index) {
            *cell = histogram;
        }
    }

    pub(crate) fn set_float(&mut self, index: usize, value: f64) {
        self.floats[index] = value;
        if let Some(cell) = self.histograms.get_mut(index) {
            *cell = None;
        }
    }

    pub(crate) fn clear(&mut self, index: usize) {
        self.set(index, None);
    }

    /// Replaces every float by what `apply` makes of its index and value.
    pub(crate) fn map_floats(&mut self, mut apply: impl FnMut(usize, f64) -> f64) {
        for (index, value) in self.floats.iter_mut().enumerate() {
            if !is_stale(*value) {
                *value = apply(index, *value);
            }
        }
    }

    pub(crate) fn drop_histograms(&mut self) {
        self.histograms.clear();
    }

    /// Replaces every histogram by what `apply` makes of it, and drops the floats.
    pub(crate) fn map_histograms(&mut self, apply: impl Fn(&FloatHistogram) -> f64) {
        let histograms = std::mem::take(&mut self.histograms);
        self.floats.fill(STALE_NAN);
        for (value, histogram) in self.floats.iter_mut().zip(histograms) {
            if let Some(histogram) = histogram {
                *value = apply(&histogram);
            }
        }
    }

    /// A column of `count` cells that are all as the first of this.
    pub(crate) fn repeated(&self, count: usize) -> Self {
        let histograms = match self.histograms.first() {
            Some(first) => vec![first.clone(); count],
            None => Vec::new(),
        };
        Self { floats: vec![self.floats[0]; count], histograms }
    }

    /// Moves the values of `other` in; false if a cell would have two.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        for index in 0..other.len() {
            if let Some(point) = other.get(index) {
                if self.is_present(index) {
                    return false;
                }
                self.set(index, Some(point));
            }
        }
        true
    }

    /// What the column counts for among a query's samples; the same until it is resized.
    pub(crate) fn size(&self) -> usize {
        self.floats.len()
    }
}
