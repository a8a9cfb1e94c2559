//! Storage in memory, which keeps every sample.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use model::{Exemplar, Histogram, Labels, Metadata, Sample, Timestamp, is_stale};
use parking_lot::Mutex;
use storage::{
    Append, AppendError, Appended, Appender, RejectReason, Rejected, SeriesKey, SeriesRef,
};

#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    labels: Vec<Labels>,
    by_labels: HashMap<Labels, SeriesRef>,
    samples: BTreeMap<SeriesRef, Vec<Sample>>,
    metadata: Vec<(String, Metadata)>,
    gone: HashSet<SeriesRef>,
    lookups: usize,
    failing: bool,
}

impl Store {
    /// The samples of each series but those that scrapes make about themselves:
    /// `labels: value@time value@time`, with `stale` for a marker.
    pub(super) fn dump(&self) -> Vec<String> {
        let is_report =
            |labels: &Labels| crate::ingest::Report::NAMES.contains(&labels.metric_name());
        self.select(|labels| !is_report(labels))
    }

    /// The same of the series named `name`.
    pub(super) fn dump_metric(&self, name: &str) -> Vec<String> {
        self.select(|labels| labels.metric_name() == name)
    }

    fn select(&self, wanted: impl Fn(&Labels) -> bool) -> Vec<String> {
        let inner = self.0.lock();
        let mut lines = Vec::new();
        for (series, samples) in &inner.samples {
            let labels = &inner.labels[series.0 as usize];
            if wanted(labels) {
                let samples: Vec<String> = samples.iter().map(show).collect();
                lines.push(format!("{labels}: {}", samples.join(" ")));
            }
        }
        lines.sort();
        lines
    }

    /// All samples of the series named `name`.
    pub(super) fn samples(&self, name: &str) -> Vec<Sample> {
        let inner = self.0.lock();
        let named = |series: &SeriesRef| inner.labels[series.0 as usize].metric_name() == name;
        inner
            .samples
            .iter()
            .filter(|(series, _)| named(series))
            .flat_map(|(_, s)| s.clone())
            .collect()
    }

    pub(super) fn label_sets(&self) -> Vec<Labels> {
        let inner = self.0.lock();
        inner.samples.keys().map(|series| inner.labels[series.0 as usize].clone()).collect()
    }

    pub(super) fn metadata(&self) -> Vec<(String, Metadata)> {
        self.0.lock().metadata.clone()
    }

    /// How often a series was asked for by its labels.
    pub(super) fn lookups(&self) -> usize {
        self.0.lock().lookups
    }

    /// All series leave storage, as idle ones do.
    pub(super) fn forget_series(&self) {
        let mut inner = self.0.lock();
        let known: Vec<SeriesRef> = inner.by_labels.drain().map(|(_, series)| series).collect();
        inner.gone.extend(known);
    }

    pub(super) fn fail_commits(&self, failing: bool) {
        self.0.lock().failing = failing;
    }
}

fn show(sample: &Sample) -> String {
    let value = if is_stale(sample.value) { "stale".to_owned() } else { sample.value.to_string() };
    format!("{value}@{}", sample.timestamp)
}

impl Append for Store {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(Batch { store: self, samples: Vec::new(), metadata: Vec::new() })
    }
}

struct Batch<'a> {
    store: &'a Store,
    samples: Vec<(SeriesRef, Sample)>,
    metadata: Vec<(String, Metadata)>,
}

impl Appender for Batch<'_> {
    fn lookup(&mut self, _: &[SeriesKey], _: &mut Vec<Option<SeriesRef>>) {
        unreachable!("a scrape remembers its series itself");
    }

    fn series(&mut self, labels: &Labels, _: Option<SeriesKey>) -> Result<SeriesRef, AppendError> {
        let mut inner = self.store.0.lock();
        inner.lookups += 1;
        if let Some(series) = inner.by_labels.get(labels) {
            return Ok(*series);
        }
        let series = SeriesRef(inner.labels.len() as u64);
        inner.labels.push(labels.clone());
        inner.by_labels.insert(labels.clone(), series);
        Ok(series)
    }

    fn sample(&mut self, series: SeriesRef, sample: Sample) -> Result<(), AppendError> {
        if self.store.0.lock().gone.contains(&series) {
            return Err(AppendError::UnknownSeries(series));
        }
        self.samples.push((series, sample));
        Ok(())
    }

    fn histogram(
        &mut self,
        _: SeriesRef,
        _: Timestamp,
        _: Arc<Histogram>,
    ) -> Result<(), AppendError> {
        unreachable!("no native histograms are scraped yet")
    }

    fn exemplar(&mut self, _: SeriesRef, _: Exemplar) -> Result<(), AppendError> {
        unreachable!("no exemplars are scraped yet")
    }

    fn metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), AppendError> {
        self.metadata.push((family.to_owned(), metadata.clone()));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Appended, AppendError> {
        let mut inner = self.store.0.lock();
        if inner.failing {
            let cause = std::io::Error::other("full");
            return Err(AppendError::Log { segment: 0, cause });
        }
        inner.metadata.extend(self.metadata);
        let mut appended = Appended::default();
        for (series, sample) in self.samples {
            let samples = inner.samples.entry(series).or_default();
            let reason = match samples.last() {
                Some(last) if *last == sample => None,
                Some(last) if last.timestamp == sample.timestamp => {
                    Some(RejectReason::DuplicateTimestamp)
                }
                Some(last) if last.timestamp > sample.timestamp => Some(RejectReason::OutOfOrder),
                _ => {
                    samples.push(sample);
                    None
                }
            };
            let timestamp: Timestamp = sample.timestamp;
            match reason {
                None => appended.samples += 1,
                Some(reason) => {
                    let rejected = Rejected { series, timestamp, reason, is_histogram: false };
                    appended.rejected.push(rejected);
                }
            }
        }
        Ok(appended)
    }
}
