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
    late: HashMap<Timestamp, SampleValue>,
    in_batch: HashMap<Timestamp, usize>,
    /// How many of the planned samples are in `in_batch`.
    taken: usize,
}

impl<'a> Stored<'a> {
    pub(super) fn new(series: &'a Series, group: &'a [Pending]) -> Self {
        let (late, in_batch) = (HashMap::new(), HashMap::new());
        Self { series, group, looked_for: 0, late, in_batch, taken: 0 }
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
        if self.looked_for == FEW + 1 {
            self.decode_late();
        }
        for (which, planned) in planned.iter().enumerate().skip(self.taken) {
            self.in_batch.insert(planned.point.timestamp, which);
        }
        self.taken = planned.len();
        let in_batch = self.in_batch.get(&at).map(|&which| &planned[which].point.value);
        let value = in_batch.or_else(|| self.late.get(&at)).cloned();
        value.or_else(|| self.series.value_in_order_at(at))
    }

    /// What does not decode is not there.
    fn decode_late(&mut self) {
        let times = self.group.iter().map(|pending| pending.point.timestamp);
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return };
        let range = TimeRange::new(first, last);
        let chunks = self.series.late_chunks(range);
        let points = chunks.filter_map(|chunk| chunk.points().ok()).flatten();
        let recent = self.series.late_recent(self.series.visible_at(u64::MAX), range);
        let points = points.filter(|point| range.contains(point.timestamp)).chain(recent.cloned());
        self.late.extend(points.map(|point| (point.timestamp, point.value)));
    }
}
