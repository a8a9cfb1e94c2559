//! Merges blocks into larger ones, and writes anew what lost much.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use model::{Labels, Timestamp};
use storage::QueryError;
use tracing::info;

use crate::block::meta::BlockMeta;
use crate::block::{Block, BlockSeries, BlockWriter, ChunkData};
use crate::chunk::merge::{merge, without};
use crate::chunk::points_of;
use crate::db::Db;
use crate::head::full_chunk::FullChunk;
use crate::head::series::CHUNK_RANGE;

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
            Ok(symbols) => symbols,
            Err(error) => return Ok(Err(error)),
        };
        let meta = BlockMeta::new(start, end, &metas);
        let mut writer = BlockWriter::create(&self.options.dir, meta, symbols)?;
        let mut merge = match Merge::new(parents) {
            Ok(merge) => merge,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match merge.next() {
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

fn merged_symbols(blocks: &[Arc<Block>]) -> Result<Vec<String>, QueryError> {
    let mut symbols = BTreeSet::new();
    for block in blocks {
        symbols.extend(block.symbols()?);
    }
    Ok(symbols.into_iter().map(str::to_owned).collect())
}

/// Walks the series of several blocks in the order of their labels.
#[derive(Debug)]
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
}

#[derive(Debug)]
struct Input<'a> {
    block: &'a Block,
    ids: std::vec::IntoIter<u32>,
    next: Option<BlockSeries>,
}

impl Input<'_> {
    fn advance(&mut self) -> Result<Option<BlockSeries>, QueryError> {
        let next = self.ids.next().map(|id| self.block.series(id)).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

impl<'a> Merge<'a> {
    fn new(blocks: &'a [Arc<Block>]) -> Result<Self, QueryError> {
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let ids: Vec<u32> = block.select(&[])?.iter().collect();
            let mut input = Input { block, ids: ids.into_iter(), next: None };
            input.advance()?;
            inputs.push(input);
        }
        Ok(Self { inputs })
    }

    fn next(&mut self) -> Result<Option<(Labels, Vec<ChunkData>)>, QueryError> {
        let heads = self.inputs.iter().filter_map(|input| Some(&input.next.as_ref()?.labels));
        let Some(labels) = heads.min().cloned() else { return Ok(None) };
        let mut chunks = Vec::new();
        let mut has_deletions = false;
        for input in &mut self.inputs {
            if input.next.as_ref().is_some_and(|series| series.labels == labels)
                && let Some(series) = input.advance()?
            {
                has_deletions |= !series.deleted.is_empty();
                put_chunks(input.block, &series, &mut chunks)?;
            }
        }
        chunks.sort_by_key(|chunk| chunk.start);
        if has_deletions || chunks.windows(2).any(|pair| pair[1].start <= pair[0].end) {
            chunks = recoded(&labels, &chunks)?;
        }
        Ok(Some((labels, chunks)))
    }
}

/// The chunks of one series of one block, deleted ranges cut out.
fn put_chunks(
    block: &Block,
    series: &BlockSeries,
    chunks: &mut Vec<ChunkData>,
) -> Result<(), QueryError> {
    for meta in &series.chunks {
        let (encoding, bytes) = block.chunk(meta)?;
        let is_touched = series.deleted.iter().any(|deleted| deleted.overlaps(&meta.range()));
        if !is_touched {
            let (start, end) = (meta.start, meta.end);
            chunks.push(ChunkData { start, end, encoding, bytes: bytes.into() });
            continue;
        }
        let points = points_of(encoding, bytes).map_err(|_| corrupt(&series.labels))?;
        let kept = without(points, &series.deleted);
        chunks.extend(FullChunk::run(&kept).into_iter().map(ChunkData::from));
    }
    Ok(())
}

/// Chunks that overlap, merged; of points of one time that of the first chunk stands.
fn recoded(labels: &Labels, chunks: &[ChunkData]) -> Result<Vec<ChunkData>, QueryError> {
    let points = chunks.iter().map(|chunk| points_of(chunk.encoding, &chunk.bytes));
    let runs = points.collect::<Result<_, _>>().map_err(|_| corrupt(labels))?;
    Ok(FullChunk::run(&merge(runs)).into_iter().map(ChunkData::from).collect())
}

fn corrupt(labels: &Labels) -> QueryError {
    QueryError::Corrupt {
        place: format!("a chunk of {labels}"),
        reason: "it does not decode".to_owned(),
    }
}
