//! Takes samples out of a series in the head.

use model::TimeRange;

use super::Series;
use crate::chunk::merge::without;
use crate::chunk::points_of;
use crate::chunk::xor::BadChunk;
use crate::head::full_chunk::FullChunk;
use crate::head::out_of_order::OutOfOrder;

impl Series {
    /// The times that the series spans; `None` where it has no samples.
    pub(crate) fn times(&self) -> Option<TimeRange> {
        let full = self.full.iter().map(FullChunk::range);
        let open = self.open.iter().map(|open| TimeRange::new(open.start, open.points.last_time()));
        full.chain(open)
            .chain(self.late_times())
            .reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end)))
    }

    /// Drops the samples within `range`. The caller makes sure that every reader sees all there is. An
    /// error leaves the series as it was.
    pub(crate) fn delete(&mut self, range: TimeRange) -> Result<(), BadChunk> {
        if self.late_times().is_some_and(|times| times.overlaps(&range)) {
            let late = without(self.late_points()?, &[range]);
            self.delete_in_order(range)?;
            self.out_of_order = OutOfOrder::new(&late).map(Box::new);
            return Ok(());
        }
        self.delete_in_order(range)
    }

    fn delete_in_order(&mut self, range: TimeRange) -> Result<(), BadChunk> {
        let mut full = Vec::with_capacity(self.full.len());
        for chunk in &self.full {
            if chunk.overlaps(range) {
                full.extend(FullChunk::run(&without(chunk.points()?, &[range])));
            } else {
                full.push(chunk.clone());
            }
        }
        let Some(open) = self.open_chunk(range) else {
            self.full = full.into();
            return Ok(());
        };
        let mut newest = without(points_of(open.encoding(), &open.to_bytes())?, &[range]);
        if newest.is_empty()
            && let Some(last) = full.last()
        {
            newest = last.points()?; // SERIES-1
            full.pop();
        }
        (self.full, self.open) = (full.into(), None);
        newest.iter().for_each(|point| self.push(point));
        Ok(())
    }
}
