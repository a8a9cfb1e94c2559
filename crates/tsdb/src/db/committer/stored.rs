//! What there is for times of one series that are not newer than all it has, the batch at hand included.
//!
//! The first few are looked for one by one. For more, what came late is decoded once and found by its
//! time, so that a batch takes time in proportion to its samples, however many of them are late.

use std::collections::HashMap;

use model::{SampleValue, TimeRange, Timestamp};

use super::{Pending, Planned};
use crate::head::series::Series;

/// So many times are looked for one by one.
const FEW: usize = 16;

pub(super) struct Stored<'a> {
    series: &'a Series,
    /// The samples for the series in the batch.
    group: &'a [Pending],
    looked_for: usize,
    by_time: Option<ByTime>,
}

struct ByTime {
    late: HashMap<Timestamp, SampleValue>,
    in_batch: HashMap<Timestamp, usize>,
    /// How many of the planned samples are in `in_batch`.
    taken: usize,
}

impl<'a> Stored<'a> {
    pub(super) const fn new(series: &'a Series, group: &'a [Pending]) -> Self {
        Self { series, group, looked_for: 0, by_time: None }
    }

    /// `planned`: the samples of the group that will be stored, as far as is decided: from call to call
    /// there may be more at the end.
    pub(super) fn value_at(&mut self, at: Timestamp, planned: &[Planned]) -> Option<SampleValue> {
        self.looked_for += 1;
        if self.looked_for <= FEW {
            let same_time = planned.iter().find(|planned| planned.point.timestamp == at);
            let in_batch = same_time.map(|planned| planned.point.value.clone());
            return in_batch.or_else(|| self.series.value_at(at));
        }
        let by_time = self.by_time.get_or_insert_with(|| ByTime::new(self.series, self.group));
        by_time.value_at(at, planned).or_else(|| self.series.value_in_order_at(at))
    }
}

impl ByTime {
    /// What does not decode is not there.
    fn new(series: &Series, group: &[Pending]) -> Self {
        let range =
            group.iter().fold(TimeRange::new(Timestamp::MAX, Timestamp::MIN), |range, p| {
                TimeRange::new(range.start.min(p.point.timestamp), range.end.max(p.point.timestamp))
            });
        let chunks = series.late_chunks(range);
        let points = chunks.filter_map(|chunk| chunk.points().ok()).flatten();
        let recent = series.late_recent(series.visible_at(u64::MAX), range);
        let points = points.filter(|point| range.contains(point.timestamp)).chain(recent.cloned());
        let late = points.map(|point| (point.timestamp, point.value)).collect();
        Self { late, in_batch: HashMap::new(), taken: 0 }
    }

    fn value_at(&mut self, at: Timestamp, planned: &[Planned]) -> Option<SampleValue> {
        for (which, planned) in planned.iter().enumerate().skip(self.taken) {
            self.in_batch.insert(planned.point.timestamp, which);
        }
        self.taken = planned.len();
        let in_batch = self.in_batch.get(&at).map(|&which| &planned[which].point.value);
        in_batch.or_else(|| self.late.get(&at)).cloned()
    }
}
