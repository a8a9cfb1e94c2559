//! Merges blocks into larger ones, and writes anew what lost much.

mod walk;

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use model::Timestamp;
use storage::QueryError;
use tracing::info;

use crate::block::meta::BlockMeta;
use crate::block::{Block, BlockWriter};
use crate::db::Db;
use crate::head::series::CHUNK_RANGE;
use walk::{Walk, merged_symbols};

/// Ranges of blocks: each this many times the one before.
const RANGE_FACTOR: i64 = 3;
/// No block is longer than this: 31 days.
const RANGE_MAX: i64 = 31 * 24 * 3600 * 1000;
/// Nor longer than this part of retention.
const RETENTION_PART: i64 = 10;
/// A block with more deletions than this part of its series is written anew.
const TOMBSTONES_PART: f64 = 0.05;

impl Db {
    /// Merges blocks as long as some should be.
    pub(in crate::db) fn compact_blocks(&self) -> io::Result<()> {
        let mut failed = HashSet::new();
        loop {
            let mut blocks = self.blocks.all();
            blocks.retain(|block| !failed.contains(&block.meta().ulid));
            let parents = plan(&blocks, &self.ranges());
            if parents.is_empty() {
                return Ok(());
            }
            match self.merge(&parents)? {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, "blocks are left as they are");
                    self.metrics.compactions_failed.inc();
                    failed.extend(parents.iter().map(|block| block.meta().ulid.clone()));
                }
            }
        }
    }

    /// The lengths that blocks may grow to, shortest first.
    fn ranges(&self) -> Vec<i64> {
        let retention = self.options.retention.map_or(i64::MAX, model::time::millis);
        let longest = RANGE_MAX.min(retention / RETENTION_PART).max(CHUNK_RANGE);
        let longer = |range: &i64| Some(range * RANGE_FACTOR);
        std::iter::successors(Some(CHUNK_RANGE), longer)
            .take_while(|&range| range <= longest)
            .collect()
    }

    /// The inner error: the parents cannot be read. The outer one: the new block cannot be written.
    pub(in crate::db) fn merge(
        &self,
        parents: &[Arc<Block>],
    ) -> io::Result<Result<(), QueryError>> {
        let start = parents.iter().map(|block| block.meta().start()).min();
        let end = parents.iter().map(|block| block.meta().end()).max();
        let (Some(start), Some(end)) = (start, end) else { return Ok(Ok(())) };
        let metas: Vec<&BlockMeta> = parents.iter().map(|block| block.meta()).collect();
        let symbols = match merged_symbols(parents) {
            Ok(symbols) => Arc::new(symbols),
            Err(error) => return Ok(Err(error)),
        };
        let meta = BlockMeta::new(start, end, &metas);
        let mut writer = BlockWriter::create(&self.options.dir, meta, symbols)?;
        let mut walk = match Walk::new(parents) {
            Ok(walk) => walk,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match walk.next() {
                Ok(Some((labels, chunks))) => writer.series(&labels, &chunks)?,
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        let block = writer.finish()?.map(Arc::new);
        info!(parents = parents.len(), level = metas[0].compaction.level + 1, "blocks merged");
        self.metrics.compactions.inc();
        let replaced =
            if block.is_some() { parents.to_vec() } else { self.not_the_latest(parents) };
        match block {
            Some(block) => self.blocks.add(block, &replaced),
            None => self.blocks.remove(&replaced),
        }
        for block in replaced {
            block.remove()?;
        }
        Ok(Ok(()))
    }

    /// Those of `blocks`, of which nothing is left, that may go (COMPACT-3).
    fn not_the_latest(&self, blocks: &[Arc<Block>]) -> Vec<Arc<Block>> {
        let end = self.blocks.in_order_end();
        let in_order = blocks.iter().filter(|block| block.meta().is_in_order());
        let stays = in_order.max_by_key(|block| block.meta().end());
        let stays = stays.filter(|block| Some(block.meta().end()) == end);
        let goes = |block: &&Arc<Block>| stays.is_none_or(|stays| !Arc::ptr_eq(block, stays));
        blocks.iter().filter(goes).cloned().collect()
    }
}

/// The blocks to merge next, sorted by time: any that overlap; otherwise the oldest ones that fill a
/// longer range, or will get no company in it; otherwise one that lost much; but never the newest one
/// (Prometheus `tsdb/compact.go`).
fn plan(blocks: &[Arc<Block>], ranges: &[i64]) -> Vec<Arc<Block>> {
    let overlapping = overlapping(blocks);
    if !overlapping.is_empty() {
        return overlapping;
    }
    let Some((_newest, older)) = blocks.split_last() else { return Vec::new() };
    let Some(last_start) = older.last().map(|block| block.meta().start()) else {
        return Vec::new();
    };
    for &range in ranges.iter().skip(1) {
        let same = |a: &Arc<Block>, b: &Arc<Block>| slot_of(a, range) == slot_of(b, range);
        for group in older.chunk_by(same) {
            let (first, last) = (&group[0], &group[group.len() - 1]);
            let fits = group.iter().all(|block| slot_of(block, range).is_some());
            let length = last.meta().end().millis_since(first.meta().start());
            let is_complete = length == range || last.meta().end() <= last_start;
            let may_merge = group.iter().all(|block| !block.meta().compaction.failed);
            if group.len() > 1 && fits && is_complete && may_merge {
                return group.to_vec();
            }
        }
    }
    deleted_from(older, ranges[ranges.len() / 2]).into_iter().collect()
}

/// The newest block that is as long as `length` and has many deletions, or, of the shorter ones that
/// are newer, the newest if all of it is deleted.
fn deleted_from(blocks: &[Arc<Block>], length: i64) -> Option<Arc<Block>> {
    for block in blocks.iter().rev() {
        let (tombstones, series) = (block.tombstones().count(), block.meta().stats.num_series);
        let is_short = block.meta().end().millis_since(block.meta().start()) < length;
        let many = (series + 1) as f64 * TOMBSTONES_PART;
        if is_short && tombstones > 0 && tombstones >= series
            || !is_short && tombstones as f64 > many
        {
            return Some(Arc::clone(block));
        }
        if is_short {
            return None;
        }
    }
    None
}

/// Which multiple of `range` the block lies in; `None` if not in one.
fn slot_of(block: &Block, range: i64) -> Option<i64> {
    let slot = block.meta().start().as_millis().div_euclid(range);
    (block.meta().end().as_millis() <= (slot + 1) * range).then_some(slot)
}

/// The first group of blocks that overlap one another; `blocks` are sorted by start.
fn overlapping(blocks: &[Arc<Block>]) -> Vec<Arc<Block>> {
    let mut group: Vec<Arc<Block>> = Vec::new();
    let mut end = Timestamp::MIN;
    for block in blocks {
        if block.meta().start() >= end {
            if group.len() > 1 {
                return group;
            }
            group.clear();
        }
        group.push(Arc::clone(block));
        end = end.max(block.meta().end());
    }
    if group.len() > 1 { group } else { Vec::new() }
}
