//! Records of samples of any kind, being put together: one record for each kind.
//!
//! - POINTS-1: read one after the other, the records give the samples of each series in the order in
//!   which they were pushed. A series that changes kinds may need several records of a kind for that.
//! - POINTS-2: no record is much larger than [`RECORD_BYTES`], however many points there are.

use std::collections::HashMap;
use std::mem;

use model::{Point, Sample, SampleValue};

use super::{RecordBuilder, histograms};
use crate::log::{LogSeries, LoggedSample};

/// At this size a record ends, and the next one begins.
pub(crate) const RECORD_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct PointRecords {
    /// To be read before the others.
    earlier: Vec<RecordBuilder>,
    floats: RecordBuilder,
    /// By [`histograms::KINDS`].
    histograms: [RecordBuilder; histograms::KINDS.len()],
    /// Of series with histograms: the kind of the newest one.
    newest: HashMap<LogSeries, usize>,
}

impl PointRecords {
    #[inline]
    pub(crate) fn push(&mut self, series: LogSeries, point: &Point) {
        let record = match &point.value {
            &SampleValue::Float(value) => {
                if !self.newest.is_empty() && self.newest.contains_key(&series) {
                    self.finish_records();
                }
                let sample = Sample { timestamp: point.timestamp, value };
                self.floats.sample(LoggedSample { series, sample });
                &self.floats
            }
            SampleValue::Histogram(histogram) => {
                let kind = histograms::kind_of(histogram);
                if self.newest.get(&series).is_some_and(|&newest| newest > kind) {
                    self.finish_records();
                }
                self.newest.insert(series, kind);
                self.histograms[kind].histogram(series, point.timestamp, histogram);
                &self.histograms[kind]
            }
        };
        if record.bytes().len() >= RECORD_BYTES {
            self.finish_records();
        }
    }

    /// How large all of them are.
    pub(crate) fn byte_count(&self) -> usize {
        self.all().map(|record| record.bytes().len()).sum()
    }

    /// Those that hold anything.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.all().filter(|record| !record.is_empty()).map(RecordBuilder::bytes)
    }

    pub(crate) fn clear(&mut self) {
        self.earlier.clear();
        self.floats.clear();
        self.histograms.iter_mut().for_each(RecordBuilder::clear);
        self.newest.clear();
    }

    fn all(&self) -> impl Iterator<Item = &RecordBuilder> {
        self.earlier.iter().chain([&self.floats]).chain(&self.histograms)
    }

    fn finish_records(&mut self) {
        let records = [&mut self.floats].into_iter().chain(&mut self.histograms);
        self.earlier.extend(records.filter(|record| !record.is_empty()).map(mem::take));
        self.newest.clear();
    }
}
