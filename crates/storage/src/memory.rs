//! Storage in memory: for tests, and for trying rules on samples that are made up.
//!
//! Each series takes samples in order of time only. Nothing is compressed, and nothing ever goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::histogram::CounterReset;
use model::matcher::all_match;
use model::{
    Exemplar, FloatHistogram, Histogram, Labels, Matcher, Metadata, Sample, SampleValue, TimeRange,
    Timestamp,
};
use parking_lot::RwLock;

use crate::{
    Append, AppendError, Appended, Appender, Columns, ExemplarDropReason, Grouping, LabelQuery,
    Query, QueryError, RejectReason, Rejected, Selection, SeriesGroups, SeriesKey, SeriesRef,
    SeriesSet,
};

#[derive(Debug, Default)]
pub struct Memory(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    /// By reference; snapshots share the columns (QUERY-1).
    series: Vec<(Labels, Arc<Columns>)>,
    references: BTreeMap<Labels, SeriesRef>,
    metadata: BTreeMap<String, Metadata>,
}

impl Memory {
    /// Adds one sample.
    pub fn push(&self, labels: &Labels, sample: Sample) -> Result<(), RejectReason> {
        self.push_started(labels, Timestamp::EPOCH, sample)
    }

    /// Adds one sample whose counting began at `start`; the epoch says that this is not known.
    pub fn push_started(
        &self,
        labels: &Labels,
        start: Timestamp,
        sample: Sample,
    ) -> Result<(), RejectReason> {
        let mut state = self.0.write();
        let series = state.reference(labels);
        state.push(series, start, sample)
    }

    /// Adds a native histogram, which must be newer than all that the series has.
    pub fn push_histogram(&self, labels: &Labels, at: Timestamp, histogram: &FloatHistogram) {
        self.push_started_histogram(labels, at, Timestamp::EPOCH, histogram);
    }

    /// As [`Memory::push_histogram`], for one whose counting began at `start`.
    pub fn push_started_histogram(
        &self,
        labels: &Labels,
        at: Timestamp,
        start: Timestamp,
        histogram: &FloatHistogram,
    ) {
        let mut state = self.0.write();
        let series = state.reference(labels);
        state.push_histogram(series, at, start, histogram);
    }
}

impl State {
    fn reference(&mut self, labels: &Labels) -> SeriesRef {
        if let Some(found) = self.references.get(labels) {
            return *found;
        }
        let reference = SeriesRef(self.series.len() as u64);
        self.references.insert(labels.clone(), reference);
        self.series.push((labels.clone(), Arc::default()));
        reference
    }

    /// `series` comes from [`State::reference`], and no series ever goes.
    fn columns(&mut self, series: SeriesRef) -> &mut Arc<Columns> {
        &mut self.series[series.0 as usize].1
    }

    fn push(
        &mut self,
        series: SeriesRef,
        start: Timestamp,
        sample: Sample,
    ) -> Result<(), RejectReason> {
        let columns = self.columns(series);
        let histogram_at = columns.histograms.last().map(|(at, _)| *at);
        match columns.last() {
            Some(last) if last == sample => return Ok(()), // APPEND-3
            Some(last) if sample.timestamp < last.timestamp => {
                return Err(RejectReason::OutOfOrder);
            }
            Some(last) if sample.timestamp == last.timestamp => {
                return Err(RejectReason::DuplicateTimestamp);
            }
            _ if histogram_at.is_some_and(|at| sample.timestamp <= at) => {
                return Err(RejectReason::OutOfOrder);
            }
            _ => {}
        }
        Arc::make_mut(columns).push_started(start, sample);
        Ok(())
    }

    fn push_histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        start: Timestamp,
        histogram: &FloatHistogram,
    ) {
        let columns = Arc::make_mut(self.columns(series));
        let previous = columns.histograms.last().map(|(_, histogram)| &**histogram);
        let stored = Arc::new(with_hint(histogram, previous));
        columns.push_histogram(at, start, stored);
    }

    /// As [`State::push`], for a histogram.
    fn append_histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: &Histogram,
    ) -> Result<(), RejectReason> {
        let columns = self.columns(series);
        if columns.last().is_some_and(|last| last.timestamp >= at) {
            return Err(RejectReason::OutOfOrder);
        }
        let float = histogram.to_float();
        match columns.histograms.last() {
            Some((newest, last)) if *newest == at && **last == float => Ok(()), // APPEND-3
            Some((newest, _)) if *newest == at => Err(RejectReason::DuplicateTimestamp),
            Some((newest, _)) if *newest > at => Err(RejectReason::OutOfOrder),
            _ => {
                self.push_histogram(series, at, Timestamp::EPOCH, &float);
                Ok(())
            }
        }
    }

    /// The series that a question about labels is about, in order of their labels.
    fn asked<'a>(&'a self, query: &'a LabelQuery) -> impl Iterator<Item = &'a Labels> {
        let sets = &query.matcher_sets;
        self.references.iter().filter_map(move |(labels, reference)| {
            let columns = &self.series[reference.0 as usize].1;
            let matches = sets.is_empty() || sets.iter().any(|set| all_match(set, labels));
            (matches && has_sample_in(columns, query.range)).then_some(labels)
        })
    }
}

fn has_sample_in(columns: &Columns, range: TimeRange) -> bool {
    let histograms = columns.histograms.iter().map(|(at, _)| at);
    columns.timestamps.iter().chain(histograms).any(|at| range.contains(*at))
}

/// As a database gives a histogram back: inside a chunk nothing was reset, at its start it may have.
fn with_hint(histogram: &FloatHistogram, previous: Option<&FloatHistogram>) -> FloatHistogram {
    let mut stored = histogram.clone();
    if stored.counter_reset != CounterReset::Unknown {
        return stored;
    }
    let continues = previous.is_some_and(|previous| {
        previous.counter_reset != CounterReset::Gauge && !stored.is_reset_since(previous)
    });
    stored.counter_reset = if continues { CounterReset::NotReset } else { CounterReset::Unknown };
    stored
}

impl Append for Memory {
    fn appender(&self) -> Box<dyn Appender + '_> {
        Box::new(Batch { memory: self, samples: Vec::new(), exemplars: 0 })
    }
}

struct Batch<'a> {
    memory: &'a Memory,
    samples: Vec<(SeriesRef, Timestamp, SampleValue)>,
    exemplars: usize,
}

impl Batch<'_> {
    fn add(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        value: SampleValue,
    ) -> Result<(), AppendError> {
        if series.0 >= self.memory.0.read().series.len() as u64 {
            return Err(AppendError::UnknownSeries(series));
        }
        self.samples.push((series, at, value));
        Ok(())
    }
}

impl Appender for Batch<'_> {
    fn lookup(&mut self, keys: &[SeriesKey], found: &mut Vec<Option<SeriesRef>>) {
        found.clear();
        found.resize(keys.len(), None); // nothing is remembered: series are asked for by their labels
    }

    fn series(&mut self, labels: &Labels, _: Option<SeriesKey>) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::NoLabels);
        }
        Ok(self.memory.0.write().reference(labels))
    }

    fn sample(&mut self, series: SeriesRef, sample: Sample) -> Result<(), AppendError> {
        self.add(series, sample.timestamp, SampleValue::Float(sample.value))
    }

    fn histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: Arc<Histogram>,
    ) -> Result<(), AppendError> {
        self.add(series, at, SampleValue::Histogram(histogram))
    }

    fn exemplar(&mut self, _: SeriesRef, _: Exemplar) -> Result<(), AppendError> {
        self.exemplars += 1; // none are kept
        Ok(())
    }

    fn metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), AppendError> {
        self.memory.0.write().metadata.insert(family.to_owned(), metadata.clone());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Appended, AppendError> {
        let mut state = self.memory.0.write();
        let exemplars_dropped = vec![ExemplarDropReason::Disabled; self.exemplars];
        let mut appended = Appended { exemplars_dropped, ..Appended::default() };
        for (series, timestamp, value) in self.samples {
            let is_histogram = matches!(value, SampleValue::Histogram(_));
            let (result, count) = match value {
                SampleValue::Float(value) => {
                    let sample = Sample { timestamp, value };
                    let result = state.push(series, Timestamp::EPOCH, sample);
                    (result, &mut appended.samples)
                }
                SampleValue::Histogram(histogram) => {
                    let result = state.append_histogram(series, timestamp, &histogram);
                    (result, &mut appended.histograms)
                }
            };
            match result {
                Ok(()) => *count += 1,
                Err(reason) => {
                    let rejected = Rejected { series, timestamp, reason, is_histogram };
                    appended.rejected.push(rejected);
                }
            }
        }
        Ok(appended)
    }
}

impl Query for Memory {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        let state = self.0.read();
        let matching = state.references.iter().filter_map(|(labels, reference)| {
            let columns = &state.series[reference.0 as usize].1;
            let selected =
                all_match(&selection.matchers, labels) && has_sample_in(columns, selection.range);
            selected.then(|| (labels.clone(), Arc::clone(columns)))
        });
        let series: Vec<(Labels, Arc<Columns>)> = matching.collect();
        let grouping = selection.hints.grouping.as_ref().filter(|_| selection.hints.only_groups);
        let groups = grouping.map(|grouping| groups(&series, grouping));
        Ok(Box::new(Selected { series, groups, range: selection.range }))
    }

    fn series_at_most(&self, matchers: &[Matcher], _range: TimeRange) -> Option<u64> {
        let state = self.0.try_read()?;
        Some(state.references.keys().filter(|labels| all_match(matchers, labels)).count() as u64)
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        let state = self.0.read();
        let names: BTreeSet<&str> =
            state.asked(query).flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
        Ok(limited(names, query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        let state = self.0.read();
        let values: BTreeSet<&str> =
            state.asked(query).filter_map(|labels| labels.get(name)).collect();
        Ok(limited(values, query.limit))
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        let state = self.0.read();
        let asked = state.metadata.iter().filter(|(family, _)| metric.is_none_or(|m| m == *family));
        Ok(asked.map(|(family, metadata)| (family.clone(), metadata.clone())).collect())
    }
}

fn limited(texts: BTreeSet<&str>, limit: Option<usize>) -> Vec<String> {
    texts.into_iter().take(limit.unwrap_or(usize::MAX)).map(str::to_owned).collect()
}

fn groups(series: &[(Labels, Arc<Columns>)], grouping: &Grouping) -> SeriesGroups {
    let mut numbers: BTreeMap<Labels, u32> = BTreeMap::new();
    let mut groups = SeriesGroups::default();
    for (labels, _) in series {
        let next = numbers.len() as u32;
        let number = *numbers.entry(grouping.labels(labels)).or_insert_with_key(|labels| {
            groups.labels.push(labels.clone());
            next
        });
        groups.of.push(number);
    }
    groups
}

struct Selected {
    series: Vec<(Labels, Arc<Columns>)>,
    groups: Option<SeriesGroups>,
    range: TimeRange,
}

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        match &self.groups {
            None => self.series[index].0.clone(),
            Some(groups) => groups.labels[groups.of[index] as usize].clone(),
        }
    }

    fn groups(&self) -> Option<&SeriesGroups> {
        self.groups.as_ref()
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let stored = &self.series[index].1;
        for (index, sample) in stored.iter().enumerate() {
            if self.range.contains(sample.timestamp) {
                let start = stored.starts.get(index).copied().unwrap_or_default();
                columns.push_started(start, sample);
            }
        }
        for (index, (at, histogram)) in stored.histograms.iter().enumerate() {
            if self.range.contains(*at) {
                let start = stored.histogram_starts.get(index).copied().unwrap_or_default();
                columns.push_histogram(*at, start, Arc::clone(histogram));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::Matcher;

    use super::*;

    fn labels(instance: &str) -> Labels {
        [("__name__", "up"), ("instance", instance)].into_iter().collect()
    }

    fn sample(seconds: i64, value: f64) -> Sample {
        Sample { timestamp: Timestamp::from_millis(seconds * 1000), value }
    }

    fn append(memory: &Memory, instance: &str, samples: &[Sample]) -> Appended {
        let mut appender = memory.appender();
        let series = appender.series(&labels(instance), None).unwrap();
        for sample in samples {
            appender.sample(series, *sample).unwrap();
        }
        appender.commit().unwrap()
    }

    fn read(memory: &Memory, range: TimeRange) -> Vec<(Labels, Vec<Sample>)> {
        let matchers = vec![Matcher::equal("__name__", "up")];
        let set = memory.select(&Selection::new(range, matchers)).unwrap();
        (0..set.len())
            .map(|index| {
                let mut columns = Columns::default();
                set.read(index, &mut columns).unwrap();
                (set.labels(index), columns.iter().collect())
            })
            .collect()
    }

    #[test]
    fn samples_come_back_by_series_and_range() {
        let memory = Memory::default();
        append(&memory, "b", &[sample(1, 1.0)]);
        append(&memory, "a", &[sample(1, 2.0), sample(2, 3.0)]);
        let all = [
            (labels("a"), vec![sample(1, 2.0), sample(2, 3.0)]),
            (labels("b"), vec![sample(1, 1.0)]),
        ];
        assert_eq!(read(&memory, TimeRange::ALL), all);
        let late = TimeRange::new(sample(2, 0.0).timestamp, Timestamp::MAX);
        assert_eq!(read(&memory, late), [(labels("a"), vec![sample(2, 3.0)])]);
    }

    #[test]
    fn samples_out_of_order_are_rejected_and_repeated_ones_stored_once() {
        let memory = Memory::default();
        let samples = [sample(2, 1.0), sample(2, 1.0), sample(2, 5.0), sample(1, 1.0)];
        let appended = append(&memory, "a", &samples);
        assert_eq!(appended.samples, 2);
        let reasons: Vec<_> = appended.rejected.iter().map(|rejected| rejected.reason).collect();
        assert_eq!(reasons, [RejectReason::DuplicateTimestamp, RejectReason::OutOfOrder]);
        assert_eq!(read(&memory, TimeRange::ALL), [(labels("a"), vec![sample(2, 1.0)])]);
    }

    #[test]
    fn nothing_shows_before_the_commit() {
        let memory = Memory::default();
        let mut appender = memory.appender();
        let series = appender.series(&labels("a"), None).unwrap();
        appender.sample(series, sample(1, 1.0)).unwrap();
        drop(appender);
        assert_eq!(read(&memory, TimeRange::ALL), []);
    }

    #[test]
    fn labels_are_listed_of_the_series_asked_for() {
        let memory = Memory::default();
        append(&memory, "a", &[sample(1, 1.0)]);
        append(&memory, "b", &[sample(9, 1.0)]);
        let query = |sets: Vec<Vec<Matcher>>, limit| LabelQuery {
            range: TimeRange::new(Timestamp::MIN, sample(5, 0.0).timestamp),
            matcher_sets: sets,
            limit,
        };
        let values = |query: &LabelQuery| memory.label_values("instance", query).unwrap();
        assert_eq!(values(&query(Vec::new(), None)), ["a"]);
        assert_eq!(values(&query(vec![vec![Matcher::equal("instance", "b")]], None)), [""; 0]);
        let names = memory.label_names(&query(Vec::new(), None)).unwrap();
        assert_eq!(names, ["__name__", "instance"]);
        let names = memory.label_names(&query(Vec::new(), Some(1))).unwrap();
        assert_eq!(names, ["__name__"]);
    }
}
