//! Which samples of the late log the log has deleted.
//!
//! The late log repeats what the log has and does not tell of deletions. Hence a sample of it in a
//! deleted range counts only where the log has it once more behind the deletion (DELETE-1).

use std::collections::HashMap;

use model::{Point, SampleValue, TimeRange, Timestamp};

use crate::head::Place;

#[derive(Debug, Default)]
pub(super) struct Deleted(HashMap<Place, DeletedFrom>);

#[derive(Debug, Default)]
struct DeletedFrom {
    ranges: Vec<TimeRange>,
    /// What was appended after the deletion and lies in the ranges.
    appended: HashMap<Timestamp, SampleValue>,
}

impl Deleted {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The log deletes `range`. All of time is what Prometheus logs when a series leaves its head: what
    /// that had is in blocks.
    pub(super) fn delete(&mut self, place: Place, range: TimeRange) {
        if range != TimeRange::ALL {
            let series = self.0.entry(place).or_default();
            series.ranges.push(range);
            series.appended.retain(|&at, _| !range.contains(at));
        }
    }

    /// The log has a sample.
    pub(super) fn append(&mut self, place: Place, point: &Point) {
        if let Some(series) = self.0.get_mut(&place)
            && series.covers(point.timestamp)
        {
            series.appended.insert(point.timestamp, point.value.clone());
        }
    }

    /// Whether a sample of the late log is gone.
    pub(super) fn hides(&self, place: Place, point: &Point) -> bool {
        self.0.get(&place).is_some_and(|series| {
            series.covers(point.timestamp)
                && series.appended.get(&point.timestamp) != Some(&point.value)
        })
    }
}

impl DeletedFrom {
    fn covers(&self, at: Timestamp) -> bool {
        self.ranges.iter().any(|range| range.contains(at))
    }
}
