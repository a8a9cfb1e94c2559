//! Measures an evaluation for [`crate::statistics`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::{FloatHistogram, Timestamp};
use parking_lot::Mutex;
use storage::Columns;

use super::column::Column;
use super::{Evaluated, Grid};

/// How many samples were looked at, by time of the grid. The times after the last entry have none.
pub(super) type Counts = Vec<u64>;

/// One evaluation's.
#[derive(Debug, Default)]
pub(super) struct Meter {
    counts: Option<Mutex<Counts>>,
    /// The last time that the query asks about; there may be more in a subquery.
    last_step: usize,
    preparation: AtomicU64, // nanoseconds
    sorting: AtomicU64,
}

impl Meter {
    pub(super) fn new(counts_samples: bool, query: &Grid) -> Self {
        let last_step = query.count.saturating_sub(1);
        Self { counts: counts_samples.then(Mutex::default), last_step, ..Self::default() }
    }

    /// Runs what finds series.
    pub(super) fn preparing<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.preparation, work)
    }

    /// Runs what orders the result.
    pub(super) fn sorting<T>(&self, work: impl FnOnce() -> T) -> T {
        timed(&self.sorting, work)
    }

    pub(super) fn times(&self) -> (Duration, Duration) {
        let duration = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        (duration(&self.preparation), duration(&self.sorting))
    }

    /// Nothing where nobody wants to know.
    pub(super) fn counts(&self) -> Option<Counts> {
        self.counts.as_ref().map(|counts| counts.lock().clone())
    }

    /// For the thread that reads a part of the series.
    pub(super) fn tally(&self) -> Tally {
        Tally { counts: self.counts.as_ref().map(|_| Counts::new()), last_step: self.last_step }
    }

    pub(super) fn add(&self, more: &[u64]) {
        if let Some(counts) = &self.counts {
            let mut counts = counts.lock();
            for (step, more) in more.iter().enumerate() {
                *at(&mut counts, step) += more;
            }
        }
    }

    /// Runs `work`, and gives what was looked at meanwhile instead of counting it.
    pub(super) fn apart<T>(&self, work: impl FnOnce() -> Evaluated<T>) -> Evaluated<(T, Counts)> {
        let Some(counts) = &self.counts else { return Ok((work()?, Counts::new())) };
        let before = std::mem::take(&mut *counts.lock());
        let result = work()?;
        let meanwhile = std::mem::replace(&mut *counts.lock(), before);
        Ok((result, meanwhile))
    }

    /// Runs `work`, and counts what was looked at meanwhile at each of `steps` times.
    pub(super) fn repeated<T>(
        &self,
        steps: usize,
        work: impl FnOnce() -> Evaluated<T>,
    ) -> Evaluated<T> {
        let (result, counts) = self.apart(work)?;
        let total: u64 = counts.iter().sum();
        if total > 0 {
            self.add(&vec![total; steps]);
        }
        Ok(result)
    }
}

/// What one thread looked at; nothing where nobody wants to know.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Option<Counts>,
    last_step: usize,
}

impl Tally {
    pub(super) fn into_counts(self) -> Counts {
        self.counts.unwrap_or_default()
    }

    /// The samples that an instant selector found of one series.
    pub(super) fn instants(&mut self, column: &Column) {
        let Some(counts) = &mut self.counts else { return };
        for step in 0..column.len() {
            let looked_at = match column.histogram(step) {
                Some(histogram) => worth(histogram),
                None => u64::from(column.is_present(step)),
            };
            *at(counts, step.min(self.last_step)) += looked_at;
        }
    }

    /// The samples of one series that lie in the windows, each of which is `range` long and ends where
    /// `end` says for a time of the grid.
    pub(super) fn windows(
        &mut self,
        columns: &Columns,
        grid: &Grid,
        range: i64,
        end: impl Fn(i64) -> i64,
    ) {
        let Some(counts) = &mut self.counts else { return };
        let times = &columns.timestamps;
        let histograms = &columns.histograms;
        let upto = |limit: i64| {
            let is_before = |time: &Timestamp| time.as_millis() <= limit;
            let floats = times.partition_point(is_before);
            (floats, histograms.partition_point(|(time, _)| is_before(time)))
        };
        for (step, now) in grid.times().enumerate() {
            let end = end(now);
            let (from, to) = (upto(end.saturating_sub(range)), upto(end));
            let floats = (to.0 - from.0) as u64;
            let histograms: u64 = histograms[from.1..to.1].iter().map(|(_, h)| worth(h)).sum();
            *at(counts, step.min(self.last_step)) += floats + histograms;
        }
    }
}

fn at(counts: &mut Counts, step: usize) -> &mut u64 {
    if counts.len() <= step {
        counts.resize(step + 1, 0);
    }
    &mut counts[step]
}

/// As how many float samples of 16 bytes a histogram counts: Prometheus takes the size that it has there.
///
/// Source: Prometheus `model/histogram/float_histogram.go` (`Size`), `promql/value.go`.
pub(super) fn worth(histogram: &FloatHistogram) -> u64 {
    const PLAIN_BYTES: usize = 168;
    let spans = |buckets: &[model::histogram::Bucket]| {
        let gaps = buckets.windows(2).filter(|pair| pair[1].index - pair[0].index > 1).count();
        if buckets.is_empty() { 0 } else { gaps + 1 }
    };
    let (positive, negative) = (&histogram.positive, &histogram.negative);
    let numbers = positive.len() + negative.len() + histogram.custom_bounds.len();
    let bytes = PLAIN_BYTES + 8 * (numbers + spans(positive) + spans(negative));
    (bytes as u64 + 8) / 16
}

fn timed<T>(total: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    total.fetch_add(nanos, Ordering::Relaxed);
    result
}
