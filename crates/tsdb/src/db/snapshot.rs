//! Copies of the database, on which another one can be opened.
//!
//! ```text
//! snapshots/<name>/<ULID>/ …   links to the blocks, and what is in the head as blocks of its own
//! ```
//! - SNAPSHOT-1: a snapshot appears whole; what a crash left of one is removed when the database opens.
//! - Samples newer than those that were there at the start are left out; ingest goes on meanwhile.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use model::{Point, TimeRange, Timestamp};
use storage::AdminError;
use tracing::info;

use super::Db;
use super::compact::{AlignedRange, range_of, sorted, write_head};
use crate::block::meta::BlockMeta;
use crate::block::{BEING_WRITTEN, BlockWriter, Unfinished};
use crate::chunk::xor::BadChunk;
use crate::head::series::Series;
use crate::wal::sync_dir;

const SNAPSHOTS: &str = "snapshots";

impl Db {
    pub(super) fn snapshot_to(&self, name: &str, with_head: bool) -> Result<(), AdminError> {
        let _maintenance = self.maintenance.lock();
        let written = self.write_snapshot(name, with_head);
        written.map_err(AdminError::while_doing("write the snapshot"))?;
        info!(name, "snapshot written");
        Ok(())
    }

    fn write_snapshot(&self, name: &str, with_head: bool) -> io::Result<()> {
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file name"));
        }
        let snapshots = self.options.dir.join(SNAPSHOTS);
        let finished = snapshots.join(name);
        if finished.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let unfinished = Unfinished(snapshots.join(format!("{name}{BEING_WRITTEN}")));
        fs::create_dir_all(&unfinished.0)?;
        for block in self.blocks.all() {
            block.link_into(&unfinished.0)?;
        }
        if with_head {
            let until = {
                let _between_commits = self.committer.lock();
                self.head.bounds.newest()
            };
            until.map_or(Ok(()), |until| self.write_head_into(&unfinished.0, until))?;
        }
        sync_dir(&unfinished.0)?;
        fs::rename(&unfinished.0, finished)?;
        sync_dir(&snapshots)?;
        sync_dir(&self.options.dir)
    }

    pub(super) fn write_head_into(&self, dir: &Path, until: Timestamp) -> io::Result<()> {
        let ranges = self.ranges_in_head(until);
        let ranges = ranges.map_err(|BadChunk| io::Error::other("late samples do not decode"))?;
        let (symbols, places) = sorted(&self.head);
        for AlignedRange { start, end } in ranges {
            // The end says from when on whoever opens this takes new samples.
            let range = TimeRange::new(start, end.min(until));
            let meta = BlockMeta::new(start, range.end.plus_millis(1), &[]);
            let mut writer = BlockWriter::create(dir, meta, Arc::clone(&symbols))?;
            write_head(&self.head, &places, range, late_within, &mut writer)?;
            writer.finish()?;
        }
        Ok(())
    }

    /// Where there are samples up to `until`.
    fn ranges_in_head(&self, until: Timestamp) -> Result<BTreeSet<AlignedRange>, BadChunk> {
        let mut ranges = BTreeSet::new();
        let mut outcome = Ok(());
        self.head.visit(|_, series| match series.late_points() {
            Ok(late) => {
                let late = late.iter().map(|point| point.timestamp);
                let starts = series.chunk_starts().chain(late).filter(|&at| at <= until);
                ranges.extend(starts.map(range_of)); // a chunk in order is in one range (SERIES-3)
            }
            Err(bad) => outcome = Err(bad),
        });
        outcome.map(|()| ranges)
    }
}

fn late_within(series: &Series, range: TimeRange) -> Result<Vec<Vec<Point>>, BadChunk> {
    let mut late = series.late_points()?;
    late.retain(|point| range.contains(point.timestamp));
    Ok(if late.is_empty() { Vec::new() } else { vec![late] })
}

/// Removes what a crash left of snapshots in the data directory `dir`.
pub(super) fn clean_up(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir.join(SNAPSHOTS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.ends_with(BEING_WRITTEN)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
