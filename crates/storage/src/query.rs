//! How data is asked for.
//!
//! - QUERY-1: a [`SeriesSet`] is a consistent cut: what is appended after `select` does not show. One that
//!   tells groups may be cut series by series as they are read: of those that are appended to more than
//!   once meanwhile all but the last may show.
//! - QUERY-2: a set is sorted by labels, unless it tells groups, and names each series once.
//! - QUERY-3: `select` decodes no samples; [`SeriesSet::read`] decodes one series.
//! - QUERY-4 (of aggregations) is in [`crate::aggregation`].

use std::sync::Arc;
use std::time::Duration;

use model::{Exemplar, FloatHistogram, Labels, Matcher, Metadata, Sample, TimeRange, Timestamp};

use crate::aggregation::{Aggregated, Aggregation, Grouping};

/// Answers selections. Implemented by the database, and by tests; a remote tier can implement it.
/// Calls may block, but for those that say they do not: keep them off async threads.
pub trait Query: Send + Sync {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError>;

    /// No fewer series than that are in `range` and meet `matchers`, where it can be told at once, without
    /// waiting for anybody or looking at a disk.
    fn series_at_most(&self, _matchers: &[Matcher], _range: TimeRange) -> Option<u64> {
        None
    }

    /// Likewise, how many values `name` has, or, without one, how many label names there are.
    fn labels_at_most(&self, _name: Option<&str>, _range: TimeRange) -> Option<u64> {
        None
    }

    /// The groups of `aggregation`, if this storage makes them itself: a remote tier does, so that its
    /// series stay where they are. `None` says that the series are to be selected.
    fn aggregate(&self, _aggregation: &Aggregation) -> Result<Option<Aggregated>, QueryError> {
        Ok(None)
    }

    /// The label names of the series asked for, sorted.
    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError>;

    /// The values that `name` has on the series asked for, sorted.
    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError>;

    /// What is known of metric families, by name: all of `metric`, or of every one.
    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError>;

    /// The exemplars kept within the query's range, of each series that has any, sorted by labels and
    /// then by time. The limit does not count.
    fn exemplars(&self, _query: &LabelQuery) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryError> {
        Ok(Vec::new())
    }

    /// The newest sample of each series selected, where it lies in the selection's range: what
    /// federation serves. Staleness markers are given as they are.
    fn latest(&self, selection: &Selection) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let set = self.select(selection)?;
        let mut columns = Columns::default();
        let mut latest = Vec::with_capacity(set.len());
        for index in 0..set.len() {
            columns.clear();
            set.read(index, &mut columns)?;
            if let Some(sample) = columns.last() {
                latest.push((set.labels(index), sample));
            }
        }
        Ok(latest)
    }
}

/// Which series, over which time.
#[derive(Clone, Debug)]
pub struct Selection {
    pub range: TimeRange,
    pub matchers: Vec<Matcher>,
    pub hints: SelectionHints,
}

impl Selection {
    pub fn new(range: TimeRange, matchers: Vec<Matcher>) -> Self {
        Self { range, matchers, hints: SelectionHints::default() }
    }
}

/// What the asker will do with the answer. An implementation may ignore all of it.
#[derive(Clone, Debug, Default)]
pub struct SelectionHints {
    /// The function or aggregation around the selector, such as `rate`.
    pub function: Option<&'static str>,
    pub step: Option<Duration>,
    /// The selector's range, such as `5m`.
    pub window: Option<Duration>,
    /// By what the aggregation around tells its groups apart, if nothing between it and the selector
    /// looks at more than one series at a time.
    pub grouping: Option<Grouping>,
    /// Of labels nothing is asked but what `grouping` goes by: see [`SeriesSet::groups`].
    pub only_groups: bool,
    pub samples: SamplesNeeded,
}

/// Which samples of a series are looked at: the others may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamplesNeeded {
    #[default]
    All,
    Newest,
    /// Only whether there are any.
    None,
}

/// Which series a question about labels is about.
#[derive(Clone, Debug)]
pub struct LabelQuery {
    pub range: TimeRange,
    /// A series counts if it meets all matchers of any one of these; empty means every series.
    pub matcher_sets: Vec<Vec<Matcher>>,
    pub limit: Option<usize>,
}

/// The series of a selection, by index. Shared between the threads that read it.
pub trait SeriesSet: Send + Sync {
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn labels(&self, index: usize) -> Labels;

    /// Shows the labels of one series in order, without putting them together.
    fn each_label(&self, index: usize, show: &mut dyn FnMut(&str, &str)) {
        self.labels(index).iter().for_each(|(name, value)| show(name, value));
    }

    /// Which series belong together, if nothing else was asked ([`SelectionHints::only_groups`]) and
    /// this set tells that itself. Its series are in any order then, some may have no samples, and
    /// their labels are those of their groups.
    fn groups(&self) -> Option<&SeriesGroups> {
        None
    }

    /// Appends the samples of one series within the selection's range, in time order, to `columns`.
    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError>;
}

/// The series of a set by what a [`Grouping`] goes by.
#[derive(Clone, Debug, Default)]
pub struct SeriesGroups {
    /// What each group's series have in common.
    pub labels: Vec<Labels>,
    /// The group of each series, by the series' index.
    pub of: Vec<u32>,
}

/// Samples of one series, decoded, column by column. Reuse one to save allocations.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub timestamps: Vec<Timestamp>,
    pub values: Vec<f64>,
    /// Native histograms, in time order too; a stale one has the staleness marker as its sum.
    pub histograms: Vec<(Timestamp, Arc<FloatHistogram>)>,
    /// When the counting began that led to each of `values`; the epoch where that is not known.
    /// Empty where it is known of none.
    pub starts: Vec<Timestamp>,
    /// The same for `histograms`.
    pub histogram_starts: Vec<Timestamp>,
    /// Room that whoever fills the columns may use.
    pub spare: Vec<u8>,
}

impl Columns {
    pub fn push(&mut self, sample: Sample) {
        self.timestamps.push(sample.timestamp);
        self.values.push(sample.value);
        if !self.starts.is_empty() {
            self.starts.push(Timestamp::EPOCH);
        }
    }

    /// As [`Columns::push`], for a sample whose counting began at `start`.
    pub fn push_started(&mut self, start: Timestamp, sample: Sample) {
        if start != Timestamp::EPOCH {
            self.starts.resize(self.len(), Timestamp::EPOCH);
        }
        self.push(sample);
        if let Some(last) = self.starts.last_mut() {
            *last = start;
        } else if start != Timestamp::EPOCH {
            self.starts.push(start);
        }
    }

    /// `start` is the epoch where it is not known.
    pub fn push_histogram(
        &mut self,
        at: Timestamp,
        start: Timestamp,
        histogram: Arc<FloatHistogram>,
    ) {
        if start != Timestamp::EPOCH || !self.histogram_starts.is_empty() {
            self.histogram_starts.resize(self.histograms.len(), Timestamp::EPOCH);
            self.histogram_starts.push(start);
        }
        self.histograms.push((at, histogram));
    }

    pub fn clear(&mut self) {
        self.truncate(0, 0);
    }

    /// Keeps the first `floats` numbers and the first `histograms` histograms.
    pub fn truncate(&mut self, floats: usize, histograms: usize) {
        self.timestamps.truncate(floats);
        self.values.truncate(floats);
        self.starts.truncate(floats);
        self.histograms.truncate(histograms);
        self.histogram_starts.truncate(histograms);
    }

    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub fn last(&self) -> Option<Sample> {
        let (&timestamp, &value) = (self.timestamps.last()?, self.values.last()?);
        Some(Sample { timestamp, value })
    }

    pub fn iter(&self) -> impl Iterator<Item = Sample> {
        let pairs = self.timestamps.iter().zip(&self.values);
        pairs.map(|(&timestamp, &value)| Sample { timestamp, value })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A stored chunk does not decode.
    #[error("corrupt data in {place}: {reason}")]
    Corrupt { place: String, reason: String },
    #[error("read {place}")]
    Io { place: String, source: std::io::Error },
}
