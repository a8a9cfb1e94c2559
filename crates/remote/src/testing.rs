//! Storage in memory, for this crate's tests: remembers what it was given and fails when told to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Exemplar, Histogram, Labels, Metadata, Sample, Timestamp};
use parking_lot::Mutex;
use storage::{
    Append, AppendError, Appended, Appender, ExemplarDropReason, RejectReason, Rejected, SeriesKey,
    SeriesRef,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) series: Vec<Labels>,
    keys: HashMap<SeriesKey, SeriesRef>,
    /// What was committed, in order.
    pub(crate) committed: Vec<(Labels, Sample)>,
    pub(crate) histograms: Vec<(Labels, Timestamp, Arc<Histogram>)>,
    pub(crate) exemplars: Vec<(Labels, Exemplar)>,
    pub(crate) metadata: BTreeMap<String, Metadata>,
    /// How often labels were asked for rather than a key.
    pub(crate) decoded: usize,
    /// Samples before it are refused.
    pub(crate) reject_before: Option<Timestamp>,
    pub(crate) fail_commits: bool,
    pub(crate) drop_exemplars: bool,
    /// What is added next finds its series gone.
    pub(crate) lose_series: bool,
}

impl Memory {
    pub(crate) fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.0.lock()
    }

    /// What is stored, as text: `up{job="x"} 5@1000`.
    pub(crate) fn text(&self) -> Vec<String> {
        let line = |(labels, sample): &(Labels, Sample)| {
            format!("{labels} {}@{}", sample.value, sample.timestamp)
        };
        self.state().committed.iter().map(line).collect()
    }
}

impl Append for Memory {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(Batch {
            state: Arc::clone(&self.0),
            samples: Vec::new(),
            histograms: Vec::new(),
            exemplars: Vec::new(),
        })
    }
}

struct Batch {
    state: Arc<Mutex<State>>,
    samples: Vec<(SeriesRef, Sample)>,
    histograms: Vec<(SeriesRef, Timestamp, Arc<Histogram>)>,
    exemplars: Vec<(SeriesRef, Exemplar)>,
}

impl Batch {
    fn find(&self, series: SeriesRef) -> Result<(), AppendError> {
        if std::mem::take(&mut self.state.lock().lose_series) {
            return Err(AppendError::UnknownSeries(series));
        }
        Ok(())
    }
}

impl Appender for Batch {
    fn lookup(&mut self, keys: &[SeriesKey], found: &mut Vec<Option<SeriesRef>>) {
        let state = self.state.lock();
        found.clear();
        found.extend(keys.iter().map(|key| state.keys.get(key).copied()));
    }

    fn series(
        &mut self,
        labels: &Labels,
        key: Option<SeriesKey>,
    ) -> Result<SeriesRef, AppendError> {
        let mut state = self.state.lock();
        state.decoded += 1;
        let found = state.series.iter().position(|known| known == labels);
        let index = found.unwrap_or_else(|| {
            state.series.push(labels.clone());
            state.series.len() - 1
        });
        let series = SeriesRef(index as u64);
        if let Some(key) = key {
            state.keys.insert(key, series);
        }
        Ok(series)
    }

    fn sample(&mut self, series: SeriesRef, sample: Sample) -> Result<(), AppendError> {
        self.find(series)?;
        self.samples.push((series, sample));
        Ok(())
    }

    fn histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: Arc<Histogram>,
    ) -> Result<(), AppendError> {
        self.find(series)?;
        self.histograms.push((series, at, histogram));
        Ok(())
    }

    fn exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError> {
        self.find(series)?;
        self.exemplars.push((series, exemplar));
        Ok(())
    }

    fn metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), AppendError> {
        self.state.lock().metadata.insert(family.to_owned(), metadata.clone());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if state.fail_commits {
            let cause = std::io::Error::other("disk full");
            return Err(AppendError::Log { segment: 3, cause });
        }
        let mut appended = Appended::default();
        let before = state.reject_before.unwrap_or(Timestamp::MIN);
        let mut rejected = Vec::new();
        let mut take = |series, timestamp, is_histogram| {
            let reason = RejectReason::TooOld;
            let refused = Rejected { series, timestamp, reason, is_histogram };
            rejected.extend((timestamp < before).then_some(refused));
            timestamp >= before
        };
        for (series, sample) in self.samples {
            if take(series, sample.timestamp, false) {
                let labels = state.series[series.0 as usize].clone();
                state.committed.push((labels, sample));
                appended.samples += 1;
            }
        }
        for (series, at, histogram) in self.histograms {
            if take(series, at, true) {
                let labels = state.series[series.0 as usize].clone();
                state.histograms.push((labels, at, histogram));
                appended.histograms += 1;
            }
        }
        for (series, exemplar) in self.exemplars {
            if state.drop_exemplars {
                appended.exemplars_dropped.push(ExemplarDropReason::Disabled);
            } else {
                let labels = state.series[series.0 as usize].clone();
                state.exemplars.push((labels, exemplar));
                appended.exemplars += 1;
            }
        }
        appended.rejected = rejected;
        Ok(appended)
    }
}

/// Serves `router` on a free port of this machine and gives its address.
pub(crate) async fn serve(router: axum::Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
