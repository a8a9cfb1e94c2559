//! Deletes series from the head and from blocks, and takes what was deleted off the disk.
//!
//! Blocks do not change, so deletions are written beside them; the head just drops what is deleted,
//! when the log has it.
//!
//! - DELETE-1: what is appended after a deletion is new, whatever its time: the log has deletions in
//!   order with samples. The late log does not tell of any (a Prometheus would not look for them there):
//!   what it had is written anew, without what was deleted.

use std::io;
use std::sync::Arc;

use model::{Matcher, TimeRange};
use storage::AdminError;
use tracing::info;

use super::Db;
use super::committer::late_log::Left;
use crate::chunk::xor::BadChunk;
use crate::head::{Place, Slot};
use crate::wal::record::RecordBuilder;

/// Commits get their turn after so many series.
const SERIES_AT_ONCE: usize = 4096;

impl Db {
    pub(super) fn delete_series(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<(), AdminError> {
        if range.start > range.end {
            return Ok(());
        }
        let _maintenance = self.maintenance.lock(); // or a block might be written with what goes
        let series = self.delete_from_head(matcher_sets, range)?;
        for block in self.blocks.overlapping(range) {
            if let Some(tombstones) = block.tombstones_for(matcher_sets, range)? {
                let changed = block
                    .with_tombstones(tombstones)
                    .map_err(AdminError::while_doing("write the tombstones of a block"))?;
                self.blocks.add(Arc::new(changed), &[block]);
            }
        }
        self.update_gauges();
        info!(start = %range.start, end = %range.end, series_in_head = series, "series deleted");
        Ok(())
    }

    /// Gives how many series had anything to delete.
    fn delete_from_head(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<u64, AdminError> {
        let places: Vec<Place> = {
            let index = self.head.index.read();
            let selected = matcher_sets.iter().map(|matchers| index.select(matchers));
            let selected = selected.reduce(|all, some| all | some).unwrap_or_default();
            selected.iter().map(|slot| index.place(Slot(slot))).collect()
        };
        let mut deleted = 0;
        for places in places.chunks(SERIES_AT_ONCE) {
            let some = self.delete_from_some(places, range);
            deleted += some.map_err(AdminError::while_doing("delete series from the head"))?;
        }
        let end = self.sync().and_then(|()| self.clean_late_log());
        end.map_err(AdminError::while_doing("bring a deletion to the disk"))?;
        Ok(deleted)
    }

    /// Gives how many of the series had anything to delete.
    fn delete_from_some(&self, places: &[Place], range: TimeRange) -> io::Result<u64> {
        let mut committer = self.committer.lock();
        let mut record = RecordBuilder::new();
        let mut going = Vec::new();
        let mut newest_commit = 0;
        for &place in places {
            let shard = self.head.shard_of(place);
            let Some(series) = shard.get(place) else { continue };
            let times = series.times().filter(|times| times.overlaps(&range));
            let Some(times) = times else { continue };
            let range = TimeRange::new(times.start.max(range.start), times.end.min(range.end));
            record.tombstone(series.number, range);
            going.push((place, range));
            committer.late_times.delete(range);
            newest_commit = newest_commit.max(series.commit());
        }
        if going.is_empty() {
            return Ok(0);
        }
        committer.log_tombstones(&record)?;
        *self.log_end.lock() = committer.writer.position();
        self.head.snapshots.wait_for(newest_commit);
        let each = going.iter().map(|&(place, range)| self.head.delete(place, range));
        let all = each.fold(Ok(()), Result::and); // one that fails does not keep the others
        all.map_err(|BadChunk| io::Error::other("a chunk in the head does not decode"))?;
        Ok(going.len() as u64)
    }

    /// Writes the late log anew, where it may hold anything that is deleted (LATE-1).
    pub(super) fn clean_late_log(&self) -> io::Result<()> {
        let mut committer = self.committer.lock();
        if !committer.late_times.has_deleted() {
            return Ok(());
        }
        let mut left = Left::default();
        self.head
            .each_late(|series| {
                for point in series.late_points()? {
                    left.push(series.number, &point);
                }
                Ok(())
            })
            .map_err(|BadChunk| io::Error::other("late samples in the head do not decode"))?;
        let first = committer.restart_late_log(&left)?;
        drop(committer);
        self.sync()?;
        self.drop_late_log_before(first)
    }

    /// Writes every block that has deletions anew, without them.
    pub(super) fn clean_blocks(&self) -> Result<(), AdminError> {
        let _maintenance = self.maintenance.lock();
        for block in self.blocks.all() {
            if !block.tombstones().is_empty() {
                self.merge(&[block]).map_err(AdminError::while_doing("write a block anew"))??;
            }
        }
        self.update_gauges();
        Ok(())
    }
}
