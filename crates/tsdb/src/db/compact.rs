//! Moves data from the head into blocks; `blocks` beside it merges those into larger ones.
//!
//! - COMPACT-1: data leaves the head only when a block that has it is on the disk and being read; a
//!   crash anywhere leaves it in the log, in a block, or in both, and reading gives it once.
//! - COMPACT-2: ingest goes on meanwhile. Only what arrives out of order is put in order under the
//!   committer's lock; what else needs it or the index goes in steps, between which others get them.
//! - COMPACT-3: the block in order that ends last stays, even if all of it is deleted or past retention,
//!   until there is a later one: its end tells replay what the log has of it still, and is not to come
//!   back.

mod blocks;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use model::{Labels, Point, TimeRange, Timestamp};
use parking_lot::RwLockReadGuard;
use tracing::info;

use super::Db;
use super::committer::late_log::Left;
use crate::block::meta::BlockMeta;
use crate::block::symbols::{Symbols, Texts};
use crate::block::{Block, BlockWriter, ChunkData};
use crate::chunk::merge::merge;
use crate::chunk::xor::BadChunk;
use crate::head::full_chunk::FullChunk;
use crate::head::series::{CHUNK_RANGE, Series};
use crate::head::{Head, Place};

/// Series are taken out of the head in batches of this many.
const BATCH: usize = 1024;
/// While the head is sorted, others get at its index this often.
const COMPARED_AT_ONCE: u32 = 4096;

impl Db {
    /// Where the head should be cut, if it holds enough for a block and half of one more.
    pub(super) fn head_due(&self) -> Option<Timestamp> {
        let bounds = &self.head.bounds;
        let oldest = bounds.oldest()?.max(bounds.written_until());
        let length = bounds.newest()?.millis_since(oldest);
        (length > CHUNK_RANGE / 2 * 3).then(|| range_of(oldest).end.plus_millis(1))
    }

    /// Moves what is due from the head into blocks.
    pub(super) fn compact_what_is_due(&self) -> io::Result<()> {
        while let Some(end) = self.head_due() {
            self.compact_head(end)?;
        }
        Ok(())
    }

    /// Writes everything older than `end`, a multiple of two hours, into blocks and drops it from the
    /// head.
    pub(super) fn compact_head(&self, end: Timestamp) -> io::Result<()> {
        let Leaving { ranges, late_first } = self.prepare_to_leave(end)?;
        let mut written = Vec::new();
        if let Err(error) = self.write_blocks(ranges, &mut written) {
            // All of it is in the head still, and will be written again: on a full disk, too, this
            // leaves no more behind than there was.
            self.blocks.remove(&written);
            written.iter().try_for_each(|block| block.remove())?;
            return Err(error);
        }
        self.truncate_head(end);
        self.shorten_log(end, late_first)
    }

    fn write_blocks(
        &self,
        ranges: BTreeSet<AlignedRange>,
        written: &mut Vec<Arc<Block>>,
    ) -> io::Result<()> {
        let (symbols, places) = sorted(&self.head); // series that come later have nothing to leave
        for range in ranges {
            let meta = BlockMeta::new(range.start, range.end.plus_millis(1), &[]);
            let symbols = Arc::clone(&symbols);
            let mut writer = BlockWriter::create(&self.options.dir, meta, symbols)?;
            write_head(&self.head, &places, range.times(), leaving, &mut writer)?;
            if let Some(block) = writer.finish()? {
                info!(
                    block = block.meta().ulid.as_str(),
                    series = block.meta().stats.num_series,
                    samples = block.meta().stats.num_samples,
                    "head written to a block"
                );
                self.metrics.blocks_written.inc();
                let block = Arc::new(block);
                self.blocks.add(Arc::clone(&block), &[]);
                written.push(block);
            }
        }
        Ok(())
    }

    /// From here on nothing in order enters the head before `end`, and what is out of order there
    /// keeps still. What stays of the late log is written again, into a new segment.
    fn prepare_to_leave(&self, end: Timestamp) -> io::Result<Leaving> {
        let mut ranges = BTreeSet::new();
        let mut committer = self.committer.lock();
        let bounds = &self.head.bounds;
        let mut at = bounds.oldest().unwrap_or(end).max(bounds.written_until());
        while at < end {
            ranges.insert(range_of(at));
            at = range_of(at).end.plus_millis(1);
        }
        bounds.raise_valid_from(end);
        let mut staying = Left::default();
        self.head
            .each_late(|series| {
                series.late_prepare_to_leave(end)?;
                for point in points(series.late_leaving())? {
                    ranges.insert(range_of(point.timestamp));
                }
                for point in points(series.late_staying())? {
                    staying.push(series.number, &point);
                }
                Ok(())
            })
            .map_err(|BadChunk| io::Error::other("late samples in the head do not decode"))?;
        let late_first = committer.restart_late_log(&staying)?;
        Ok(Leaving { ranges, late_first })
    }
}

/// What all series of the head consist of, and where they are, in the order of their labels. Those who
/// wait to add series get their turn meanwhile; nobody may remove any.
pub(super) fn sorted(head: &Head) -> (Arc<Symbols>, Vec<Place>) {
    let mut index = head.index.read();
    let texts: Texts = index.symbols().collect();
    let mut slots = index.slots();
    let mut compared = 0u32;
    slots.sort_unstable_by(|&a, &b| {
        compared = compared.wrapping_add(1);
        if compared.is_multiple_of(COMPARED_AT_ONCE) {
            RwLockReadGuard::bump(&mut index);
        }
        index.compare(a, b)
    });
    let places = slots.into_iter().map(|slot| index.place(slot)).collect();
    drop(index);
    (Arc::new(texts.into_symbols()), places)
}

/// What is about to move from the head into blocks.
#[derive(Debug)]
struct Leaving {
    /// One block each.
    ranges: BTreeSet<AlignedRange>,
    /// The first segment of the late log that holds what stays.
    late_first: Option<u32>,
}

/// A range of two hours that begins at a multiple of two hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AlignedRange {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl AlignedRange {
    pub(super) const fn times(self) -> TimeRange {
        TimeRange::new(self.start, self.end)
    }
}

pub(super) fn range_of(at: Timestamp) -> AlignedRange {
    let start = at.as_millis().div_euclid(CHUNK_RANGE).saturating_mul(CHUNK_RANGE);
    let start = Timestamp::from_millis(start);
    AlignedRange { start, end: start.plus_millis(CHUNK_RANGE - 1) }
}

/// Which samples out of order of a series, if any lie in the range: runs that are sorted by time.
pub(super) type LateRuns = fn(&Series, TimeRange) -> Result<Vec<Vec<Point>>, BadChunk>;

fn leaving(series: &Series, range: TimeRange) -> Result<Vec<Vec<Point>>, BadChunk> {
    let late = series.late_leaving().iter().filter(|chunk| chunk.overlaps(range));
    late.map(FullChunk::points).collect()
}

/// Writes what the series at `places`, sorted by labels, have in the range.
pub(super) fn write_head(
    head: &Head,
    places: &[Place],
    range: TimeRange,
    late: LateRuns,
    writer: &mut BlockWriter,
) -> io::Result<()> {
    for batch in places.chunks(BATCH) {
        for (labels, chunks) in chunks_of(head, batch, range, late)? {
            writer.series(&labels, &chunks)?;
        }
    }
    Ok(())
}

fn points(chunks: &[FullChunk]) -> Result<Vec<Point>, BadChunk> {
    let mut points = Vec::new();
    for chunk in chunks {
        points.append(&mut chunk.points()?);
    }
    Ok(points)
}

/// Labels and chunks of those of `places` that have data in the range.
fn chunks_of(
    head: &Head,
    places: &[Place],
    range: TimeRange,
    late: LateRuns,
) -> io::Result<Vec<(Labels, Vec<ChunkData>)>> {
    let index = head.index.read();
    let mut found = Vec::new();
    for &place in places {
        let shard = head.shard_of(place);
        let Some(series) = shard.get(place) else { continue };
        let chunks = late(series, range).and_then(|late| chunks_in(series, range, late));
        drop(shard);
        let chunks = chunks.map_err(|BadChunk| {
            let labels = index.labels(place).unwrap_or_default();
            io::Error::other(format!("a chunk of {labels} in the head does not decode"))
        })?;
        if let Some(labels) = index.labels(place).filter(|_| !chunks.is_empty()) {
            found.push((labels, chunks));
        }
    }
    Ok(found)
}

fn chunks_in(
    series: &Series,
    range: TimeRange,
    mut late: Vec<Vec<Point>>,
) -> Result<Vec<ChunkData>, BadChunk> {
    let mut chunks = series.full_chunks(range).to_vec();
    chunks.extend(series.open_as_full(range));
    let is_within = |chunk: &FullChunk| range.contains(chunk.start) && range.contains(chunk.end);
    if !late.is_empty() || !chunks.iter().all(is_within) {
        late.insert(0, points(&chunks)?); // of two for one time the one in order stands
        late.iter_mut().for_each(|run| run.retain(|point| range.contains(point.timestamp)));
        chunks = FullChunk::run(&merge(late));
    }
    Ok(chunks.into_iter().map(ChunkData::from).collect())
}

impl From<FullChunk> for ChunkData {
    fn from(chunk: FullChunk) -> Self {
        Self {
            start: chunk.start,
            end: chunk.end,
            encoding: chunk.encoding,
            bytes: chunk.to_shared(),
        }
    }
}
