//! The times of what the late log holds, which may be more than the head knows to be late: replay can
//! find in order what came late.
//!
//! - LATE-1: what is deleted leaves the late log, too, before the deletion is done. Where that fails,
//!   the next deletion sees to it, or maintenance.

use model::{Point, TimeRange};

use crate::head::saved::SavedLate;
use crate::log::LogSeries;
use crate::wal::record::points::PointRecords;

#[derive(Debug, Default)]
pub(in crate::db) struct LateTimes {
    /// Of what was written since the log was last written anew.
    current: Option<TimeRange>,
    /// Of the segments before that, which may still be there.
    former: Option<TimeRange>,
    has_deleted: bool,
}

impl LateTimes {
    pub(in crate::db) fn include(&mut self, point: &Point) {
        include(&mut self.current, of(point));
    }

    /// What lies within `range`, of any series, is about to be deleted.
    pub(in crate::db) fn delete(&mut self, range: TimeRange) {
        let mut times = self.current.iter().chain(&self.former);
        self.has_deleted |= times.any(|times| times.overlaps(&range));
    }

    /// Whether the late log may hold anything that is deleted.
    pub(in crate::db) const fn has_deleted(&self) -> bool {
        self.has_deleted
    }

    pub(in crate::db) fn save(&self) -> SavedLate {
        let mut times = self.current;
        if let Some(former) = self.former {
            include(&mut times, former);
        }
        SavedLate { times, has_deleted: self.has_deleted }
    }

    pub(in crate::db) const fn load(saved: SavedLate) -> Self {
        Self { current: saved.times, former: None, has_deleted: saved.has_deleted }
    }

    /// A new segment holds `left`.
    pub(super) fn begin_anew(&mut self, left: &Left) {
        if let Some(current) = self.current {
            include(&mut self.former, current);
        }
        self.current = left.times;
    }

    /// The segments before the new one are gone.
    pub(in crate::db) const fn former_are_gone(&mut self) {
        self.former = None;
        self.has_deleted = false;
    }
}

/// What stays of the late log when it is written anew.
#[derive(Debug, Default)]
pub(in crate::db) struct Left {
    pub(super) points: PointRecords,
    times: Option<TimeRange>,
}

impl Left {
    pub(in crate::db) fn push(&mut self, series: LogSeries, point: &Point) {
        self.points.push(series, point);
        include(&mut self.times, of(point));
    }
}

const fn of(point: &Point) -> TimeRange {
    TimeRange::new(point.timestamp, point.timestamp)
}

fn include(times: &mut Option<TimeRange>, more: TimeRange) {
    let both =
        |times: TimeRange| TimeRange::new(times.start.min(more.start), times.end.max(more.end));
    *times = Some(times.map_or(more, both));
}
