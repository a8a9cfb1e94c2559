//! Records of samples of any kind, being put together: one record for each kind.

use model::{Point, Sample, SampleValue};

use super::RecordBuilder;
use crate::log::{LogSeries, LoggedSample};

#[derive(Debug)]
pub(crate) struct PointRecords {
    floats: RecordBuilder,
}

impl PointRecords {
    pub(crate) const fn new() -> Self {
        Self { floats: RecordBuilder::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, series: LogSeries, point: &Point) {
        match &point.value {
            &SampleValue::Float(value) => {
                let sample = Sample { timestamp: point.timestamp, value };
                self.floats.sample(LoggedSample { series, sample });
            }
            SampleValue::Histogram(_) => unimplemented!(),
        }
    }

    /// Those that hold anything.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        [&self.floats].into_iter().filter(|record| !record.is_empty()).map(RecordBuilder::bytes)
    }

    pub(crate) fn clear(&mut self) {
        self.floats.clear();
    }
}
