//! What the series in the head are made of, in numbers: which metrics, labels and values cost most.

use std::collections::HashMap;

use model::{METRIC_NAME, TimeRange};

use crate::Db;
use crate::ranking::{Ranked, Ranking};

/// New series get their turn after so many pairs have been looked at.
const PAIRS_AT_ONCE: usize = 16 * 1024;

/// Counted while series come and go: the figures need not belong to one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    pub series: u64,
    pub chunks: u64,
    /// `None` where there never was a sample.
    pub times: Option<TimeRange>,
    /// Different pairs of name and value.
    pub label_pairs: u64,
    /// Each begins with the largest figure.
    pub series_by_metric: Vec<Ranked>,
    pub series_by_pair: Vec<Ranked>,
    pub values_by_label: Vec<Ranked>,
    /// The bytes of a label's values, each counted once: so they are in memory.
    pub bytes_by_label: Vec<Ranked>,
}

impl Db {
    /// With so many entries in each ranking.
    pub fn statistics(&self, limit: usize) -> Statistics {
        let head = self.head();
        let mut counts = Counts::new(limit);
        for from in (0..).step_by(PAIRS_AT_ONCE) {
            let index = head.index.read();
            let Some(pairs) = index.pairs(from..from + PAIRS_AT_ONCE) else { break };
            pairs.for_each(|(name, value, series)| counts.count(name, value, series));
        }
        let (mut series, mut chunks) = (0, 0);
        head.visit(|_, one| {
            series += 1;
            chunks += one.chunk_count() as u64;
        });
        let bounds = &head.bounds;
        let times = bounds.oldest().zip(bounds.newest());
        let times = times.map(|(oldest, newest)| TimeRange::new(oldest, newest));
        counts.finish(series, chunks, times)
    }
}

#[derive(Debug)]
struct Counts {
    limit: usize,
    labels: HashMap<String, OfLabel>,
    metrics: Ranking,
    pairs: Ranking,
}

#[derive(Debug, Default)]
struct OfLabel {
    values: u64,
    bytes: u64,
}

impl Counts {
    fn new(limit: usize) -> Self {
        let (metrics, pairs) = (Ranking::new(limit), Ranking::new(limit));
        Self { limit, labels: HashMap::new(), metrics, pairs }
    }

    fn count(&mut self, name: &str, value: &str, series: u64) {
        let label = match self.labels.get_mut(name) {
            Some(label) => label,
            None => self.labels.entry(name.to_owned()).or_default(),
        };
        label.values += 1;
        label.bytes += value.len() as u64;
        if name == METRIC_NAME {
            self.metrics.offer(series, || value.to_owned());
        }
        self.pairs.offer(series, || format!("{name}={value}"));
    }

    fn finish(self, series: u64, chunks: u64, times: Option<TimeRange>) -> Statistics {
        let (mut values, mut bytes) = (Ranking::new(self.limit), Ranking::new(self.limit));
        for (name, label) in &self.labels {
            values.offer(label.values, || name.clone());
            bytes.offer(label.bytes, || name.clone());
        }
        Statistics {
            series,
            chunks,
            times,
            label_pairs: self.labels.values().map(|label| label.values).sum(),
            series_by_metric: self.metrics.finish(),
            series_by_pair: self.pairs.finish(),
            values_by_label: values.finish(),
            bytes_by_label: bytes.finish(),
        }
    }
}
