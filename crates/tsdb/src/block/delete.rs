//! Deletes from a finished block: what is gone is written down beside it, and cut out when blocks
//! merge.

use std::io;
use std::sync::Arc;

use model::{Matcher, TimeRange};
use storage::QueryError;

use super::tombstones::Tombstones;
use super::{Block, BlockSeries, TOMBSTONES};

impl Block {
    /// What there would be to delete of the series that meet all matchers of any one set, together
    /// with what is deleted already; `None` where that adds nothing.
    pub(crate) fn tombstones_for(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Option<Tombstones>, QueryError> {
        let mut tombstones = self.tombstones.clone();
        for matchers in matcher_sets {
            for id in self.select(matchers)? {
                if let Some(range) = within(&self.series(id)?, range) {
                    tombstones.add(u64::from(id), range);
                }
            }
        }
        Ok((tombstones != self.tombstones).then_some(tombstones))
    }

    /// The same block with other deletions, on the disk and in what is returned (BLOCK-2).
    pub(crate) fn with_tombstones(&self, tombstones: Tombstones) -> io::Result<Self> {
        let mut meta = self.meta.clone();
        meta.write_tombstone_count(&self.dir, tombstones.count())?; // which decides nothing
        tombstones.write(&self.dir.join(TOMBSTONES))?;
        Ok(Self {
            dir: self.dir.clone(),
            meta,
            bytes: super::directory_bytes(&self.dir)?,
            index: Arc::clone(&self.index),
            chunks: Arc::clone(&self.chunks),
            tombstones,
        })
    }
}

/// The part of `range` that the series' samples span; `None` where none of its chunks is in it
/// (Prometheus `tsdb/block.go`).
fn within(series: &BlockSeries, range: TimeRange) -> Option<TimeRange> {
    series.chunks.iter().find(|chunk| chunk.range().overlaps(&range))?;
    let start = series.chunks.iter().map(|chunk| chunk.start).min()?;
    let end = series.chunks.iter().map(|chunk| chunk.end).max()?;
    Some(TimeRange::new(start.max(range.start), end.min(range.end)))
}
