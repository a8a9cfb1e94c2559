//! A store of samples in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::CounterReset;
use model::matcher::all_match;
use model::{FloatHistogram, Labels, Metadata, Sample, Timestamp};
use storage::{Columns, LabelQuery, Query, QueryError, Selection, SeriesSet};

use super::values::Value;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    series: BTreeMap<Labels, Arc<Columns>>,
}

impl Memory {
    /// Samples come in order of time.
    pub(crate) fn append(&mut self, labels: &Labels, millis: i64, value: &Value) {
        let columns = self.series.entry(labels.clone()).or_default();
        let columns = Arc::make_mut(columns);
        let timestamp = Timestamp::from_millis(millis);
        match value {
            Value::Omitted => {}
            Value::Float(value) => columns.push(Sample { timestamp, value: *value }),
            Value::Histogram(histogram) => {
                let previous = columns.histograms.last().map(|(_, histogram)| &**histogram);
                let stored = Arc::new(with_hint(histogram, previous));
                columns.histograms.push((timestamp, stored));
            }
        }
    }
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

struct Selected {
    series: Vec<(Labels, Arc<Columns>)>,
    selection: Selection,
}

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].0.clone()
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let (range, stored) = (self.selection.range, &self.series[index].1);
        for sample in stored.iter().filter(|sample| range.contains(sample.timestamp)) {
            columns.push(sample);
        }
        let histograms = stored.histograms.iter().filter(|(time, _)| range.contains(*time));
        columns.histograms.extend(histograms.cloned());
        Ok(())
    }
}

impl Query for Memory {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        let matching = self.series.iter().filter(|(l, _)| all_match(&selection.matchers, l));
        let series = matching.map(|(labels, columns)| (labels.clone(), Arc::clone(columns)));
        Ok(Box::new(Selected { series: series.collect(), selection: selection.clone() }))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unimplemented!("evaluation does not ask for label names")
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unimplemented!("evaluation does not ask for label values")
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        unimplemented!("evaluation does not ask for metadata")
    }
}
