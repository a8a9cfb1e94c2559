//! All samples of a directory, series by series: those in blocks and those in the log.
//!
//! The log is read first: what moves from it into a block meanwhile is then seen twice, which does not
//! show, rather than not at all.

use std::fmt;
use std::io;
use std::path::Path;

use model::{Labels, Matcher, Point, TimeRange, Timestamp};
use prometheus::Registry;
use roaring::RoaringBitmap;
use roaring::bitmap::IntoIter;
use storage::{Selection, SeriesSet};

use super::{InspectError, block_dirs, open_block};
use crate::Metrics;
use crate::block::meta::BlockMeta;
use crate::block::{self, Block, BlockSeries};
use crate::chunk::merge::merge;
use crate::db::merged::block_points;
use crate::db::read::{self, HeadSet};
use crate::db::replay::{LogSegments, Replay};
use crate::head::Head;

/// So many times a server may take away what is about to be read.
const ATTEMPTS: usize = 10;

/// Goes through the series in the order of their labels.
pub struct Dump {
    range: TimeRange,
    log: HeadSet,
    log_at: usize,
    blocks: Vec<BlockWalk>,
    log_damage: u64,
}

impl fmt::Debug for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dump").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Dump {
    /// Of the series that meet all matchers of any one set.
    pub fn open(
        dir: &Path,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Self, InspectError> {
        let log_error = |source| InspectError::Log { dir: dir.to_owned(), source };
        let (log, log_damage) = attempt(|| read_log(dir, matcher_sets, range).map_err(log_error))?;
        let blocks = attempt(|| open_blocks(dir, matcher_sets, range))?;
        Ok(Self { range, log, log_at: 0, blocks, log_damage })
    }

    /// In how many places of the log something is lost; `verify` tells where.
    pub const fn log_damage(&self) -> u64 {
        self.log_damage
    }

    /// The next series that has samples, and these.
    pub fn next_series(&mut self) -> Result<Option<(Labels, Vec<Point>)>, InspectError> {
        loop {
            let in_log = (self.log_at < self.log.len()).then(|| self.log.labels(self.log_at));
            let in_blocks =
                self.blocks.iter().filter_map(|block| Some(&block.next.as_ref()?.labels));
            let Some(labels) = in_blocks.chain(&in_log).min().cloned() else { return Ok(None) };
            let mut runs = Vec::new();
            for block in &mut self.blocks {
                runs.extend(block.take(&labels, self.range)?);
            }
            if in_log.is_some_and(|in_log| in_log == labels) {
                runs.push(self.log.read_points(self.log_at)?);
                self.log_at += 1;
            }
            let points = merge(runs);
            if !points.is_empty() {
                return Ok(Some((labels, points)));
            }
        }
    }
}

/// Tries again where something is gone that was there just before.
fn attempt<T>(act: impl Fn() -> Result<T, InspectError>) -> Result<T, InspectError> {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let mut attempts = (1..ATTEMPTS).map(|_| act());
    let done = attempts.find(|done| match done {
        Err(InspectError::Log { source, .. } | InspectError::Open { source, .. }) => {
            !is_gone(source)
        }
        _ => true,
    });
    done.unwrap_or_else(act)
}

/// What the log has, and in how many places it is damaged.
fn read_log(
    dir: &Path,
    matcher_sets: &[Vec<Matcher>],
    range: TimeRange,
) -> io::Result<(HeadSet, u64)> {
    let head = Head::new(0);
    if let Some(end) = in_order_end(dir)? {
        head.bounds.written(end); // what the log still has of it may be deleted in blocks
    }
    let metrics = Metrics::register(&Registry::new()).map_err(io::Error::other)?;
    let mut replay = Replay::looking(&head, &metrics, matcher_sets);
    let (log, late_log) = (dir.join("wal"), dir.join("wbl"));
    if log.exists() {
        replay.log(&LogSegments::of_log(&log, &metrics)?)?;
    }
    if late_log.exists() {
        replay.late_log(&LogSegments::from(&late_log, 0, &metrics)?)?;
    }
    Ok((read::select(&head, &Selection::new(range, Vec::new())), metrics.log_damage.get()))
}

/// As the blocks say that are there before the log is read.
fn in_order_end(dir: &Path) -> io::Result<Option<Timestamp>> {
    let metas = block::list(dir)?.into_iter().filter_map(|dir| BlockMeta::read(&dir).ok());
    Ok(metas.filter(BlockMeta::is_in_order).map(|meta| meta.end()).max())
}

fn open_blocks(
    dir: &Path,
    matcher_sets: &[Vec<Matcher>],
    range: TimeRange,
) -> Result<Vec<BlockWalk>, InspectError> {
    let mut blocks = Vec::new();
    for path in block_dirs(dir)? {
        let block = open_block(&path)?;
        if block.range().overlaps(&range) {
            blocks.push(BlockWalk::new(block, matcher_sets)?);
        }
    }
    blocks.sort_by_key(|walk| walk.block.meta().start());
    Ok(blocks)
}

struct BlockWalk {
    block: Block,
    ids: IntoIter,
    next: Option<BlockSeries>,
}

impl BlockWalk {
    fn new(block: Block, matcher_sets: &[Vec<Matcher>]) -> Result<Self, InspectError> {
        let mut ids = RoaringBitmap::new();
        for matchers in matcher_sets {
            ids |= block.select(matchers)?;
        }
        let mut walk = Self { block, ids: ids.into_iter(), next: None };
        walk.advance()?;
        Ok(walk)
    }

    /// Gives the series that was next.
    fn advance(&mut self) -> Result<Option<BlockSeries>, InspectError> {
        let next = self.ids.next().map(|id| self.block.series(id)).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// The samples of `labels`, where it is the next series.
    fn take(
        &mut self,
        labels: &Labels,
        range: TimeRange,
    ) -> Result<Option<Vec<Point>>, InspectError> {
        if self.next.as_ref().is_none_or(|next| next.labels != *labels) {
            return Ok(None);
        }
        let series = self.advance()?;
        Ok(series.map(|series| block_points(&self.block, &series, range)).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use model::{MatchOp, Sample, SampleValue};

    use super::*;
    use crate::interop::{files, write_directory};

    fn samples(dump: &mut Dump) -> BTreeMap<Labels, Vec<Sample>> {
        let mut found = BTreeMap::new();
        while let Some((labels, points)) = dump.next_series().unwrap() {
            assert!(found.last_key_value().is_none_or(|(last, _)| *last < labels));
            let sample = |point: Point| match point.value {
                SampleValue::Float(value) => Sample { timestamp: point.timestamp, value },
                SampleValue::Histogram(_) => unreachable!("there are only numbers"),
            };
            found.insert(labels, points.into_iter().map(sample).collect());
        }
        found
    }

    #[test]
    fn a_dump_is_what_the_selected_series_have() {
        let dir = tempfile::tempdir().unwrap();
        let all = write_directory(dir.path());
        let dump = |matcher_sets: &[Vec<Matcher>]| {
            samples(&mut Dump::open(dir.path(), matcher_sets, TimeRange::ALL).unwrap())
        };
        assert_eq!(dump(&[vec![]]), all);
        let series = |text: &str| vec![Matcher::new("series", MatchOp::Regex, text).unwrap()];
        let mut some = all;
        some.retain(|labels, _| ["7", "8", "9"].contains(&labels.value("series")));
        assert_eq!(dump(&[series("7|8"), series("8|9")]), some);
    }

    /// INSPECT-1.
    #[test]
    fn a_damaged_log_is_read_as_far_as_it_goes_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let all = write_directory(dir.path());
        let mut segments = files(&dir.path().join("wal"));
        segments.retain(|path, bytes| {
            !path.to_string_lossy().contains("checkpoint") && bytes.len() > 1000
        });
        let (segment, mut bytes) = segments.pop_last().unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(segment, bytes).unwrap();

        let before = files(dir.path());
        let mut dump = Dump::open(dir.path(), &[vec![]], TimeRange::ALL).unwrap();
        assert_eq!(dump.log_damage(), 1);
        let found = samples(&mut dump);
        assert!(found.iter().all(|(labels, samples)| samples.len() < all[labels].len()));
        assert_eq!(files(dir.path()), before);
    }
}
