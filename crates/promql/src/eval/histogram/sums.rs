//! Sums and means of many histograms.
//!
//! As with floats: rounding is compensated for, and a mean is a plain sum for as long as that does
//! not overflow.

use model::FloatHistogram;
use model::histogram::{Combined, CounterReset, IncompatibleSchemas};

use crate::annotations::Annotations;
use crate::eval::window::Window;
use crate::position::Position;

/// A running sum or mean.
#[derive(Clone, Debug)]
pub(in crate::eval) struct HistogramSum {
    /// Of the histograms, or, once `incremental`, their mean.
    sum: FloatHistogram,
    /// What rounding has taken from it.
    lost: FloatHistogram,
    count: f64,
    is_mean: bool,
    incremental: bool,
    reset_seen: bool,
    no_reset_seen: bool,
    bounds_reconciled: bool,
}

impl HistogramSum {
    pub(in crate::eval) fn new(first: FloatHistogram, is_mean: bool) -> Self {
        let hint = first.counter_reset;
        Self {
            sum: first,
            lost: FloatHistogram::default(),
            count: 1.0,
            is_mean,
            incremental: false,
            reset_seen: hint == CounterReset::Reset,
            no_reset_seen: hint == CounterReset::NotReset,
            bounds_reconciled: false,
        }
    }

    pub(in crate::eval) fn add(
        &mut self,
        histogram: &FloatHistogram,
    ) -> Result<(), IncompatibleSchemas> {
        self.reset_seen |= histogram.counter_reset == CounterReset::Reset;
        self.no_reset_seen |= histogram.counter_reset == CounterReset::NotReset;
        self.count += 1.0;
        if !self.incremental {
            let (mut sum, mut lost) = (self.sum.clone(), self.lost.clone());
            let combined = sum.kahan_add(histogram, &mut lost)?;
            self.note(combined);
            if !self.is_mean || !sum.has_overflow() {
                (self.sum, self.lost) = (sum, lost);
                return Ok(());
            }
            self.sum.divide(self.count - 1.0);
            self.lost.divide(self.count - 1.0);
            self.incremental = true;
        }
        let part = (self.count - 1.0) / self.count;
        self.sum.scale(part);
        self.lost.scale(part);
        let mut share = histogram.clone();
        share.divide(self.count);
        let combined = self.sum.kahan_add(&share, &mut self.lost)?;
        self.note(combined);
        Ok(())
    }

    /// Adds what another thread has summed up.
    pub(in crate::eval) fn merge(&mut self, other: Self) -> Result<(), IncompatibleSchemas> {
        self.reset_seen |= other.reset_seen;
        self.no_reset_seen |= other.no_reset_seen;
        self.bounds_reconciled |= other.bounds_reconciled;
        let count = self.count + other.count;
        if self.is_mean {
            // Means, weighted: nothing overflows.
            let mut mean = self.clone().total()?;
            let mut share = other.clone().total()?;
            mean.scale(self.count / count);
            share.scale(other.count / count);
            let combined = mean.add(&share)?;
            self.note(combined);
            (self.sum, self.lost) = (mean, FloatHistogram::default());
            self.incremental = true;
        } else {
            let combined = self.sum.kahan_add(&other.total()?, &mut self.lost)?;
            self.note(combined);
        }
        self.count = count;
        Ok(())
    }

    fn note(&mut self, combined: Combined) {
        self.bounds_reconciled |= combined.bounds_reconciled;
    }

    fn total(self) -> Result<FloatHistogram, IncompatibleSchemas> {
        let Self { mut sum, mut lost, count, .. } = self;
        if self.is_mean && !self.incremental {
            sum.divide(count);
            lost.divide(count);
        }
        if lost != FloatHistogram::default() {
            lost.counter_reset = sum.counter_reset;
            lost.schema = sum.schema;
            lost.zero_threshold = sum.zero_threshold;
            lost.custom_bounds = sum.custom_bounds.clone();
            sum.add(&lost)?;
        }
        Ok(sum)
    }

    /// The sum or mean, and what is to be said about it.
    pub(in crate::eval) fn finish(
        self,
        at: Position,
        notes: &mut Annotations,
    ) -> Option<FloatHistogram> {
        if self.reset_seen && self.no_reset_seen {
            notes.counter_reset_collision(at, "aggregation");
        }
        if self.bounds_reconciled {
            notes.custom_buckets_reconciled(at, "aggregation");
        }
        let mut total = self.total().ok()?;
        total.compact();
        Some(total)
    }
}

/// The sum or the mean of all histograms of the window.
pub(in crate::eval) fn over_window(
    window: &Window<'_>,
    notes: &mut Annotations,
    is_mean: bool,
) -> Option<FloatHistogram> {
    let mut histograms = window.histograms.iter().map(|(_, histogram)| &**histogram);
    let mut sum = HistogramSum::new(histograms.next()?.clone(), is_mean);
    for histogram in histograms {
        if sum.add(histogram).is_err() {
            notes.mixed_exponential_custom(window.position, window.metric());
            return None;
        }
    }
    sum.finish(window.position, notes)
}
