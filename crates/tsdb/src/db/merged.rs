//! A selection over blocks and head, merged.

use std::sync::Arc;

use model::{Labels, Point, TimeRange, Timestamp};
use storage::{Columns, QueryError, Selection, SeriesSet};

use super::read::{HeadSet, put_points, read_chunk, read_points};
use crate::block::{Block, BlockSeries, ChunkMeta};
use crate::chunk::merge::{merge, without};

/// - MERGED-1: each time of a series comes once; of two values for it the older block's stands.
#[derive(Debug)]
pub(super) struct MergedSet {
    range: TimeRange,
    head: HeadSet,
    blocks: Vec<Arc<Block>>,
    series: Vec<MergedSeries>,
}

#[derive(Debug)]
struct MergedSeries {
    labels: Labels,
    /// Oldest first.
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Block { block: usize, series: BlockSeries },
    Head { index: usize },
}

impl MergedSet {
    /// `head` must have been cut before `blocks` were listed: data moves from the one to the other.
    pub(super) fn new(
        head: HeadSet,
        blocks: Vec<Arc<Block>>,
        selection: &Selection,
    ) -> Result<Self, QueryError> {
        let range = selection.range;
        let mut parts = Vec::new();
        for (number, block) in blocks.iter().enumerate() {
            for id in block.select(&selection.matchers)? {
                let mut series = block.series(id)?;
                series.chunks.retain(|chunk| chunk.range().overlaps(&range));
                if !series.chunks.is_empty() {
                    parts.push((series.labels.clone(), Part::Block { block: number, series }));
                }
            }
        }
        parts.extend((0..head.len()).map(|index| (head.labels(index), Part::Head { index })));
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut series: Vec<MergedSeries> = Vec::new();
        for (labels, part) in parts {
            match series.last_mut() {
                Some(last) if last.labels == labels => last.parts.push(part),
                _ => series.push(MergedSeries { labels, parts: vec![part] }),
            }
        }
        Ok(Self { range, head, blocks, series })
    }

    /// Reads parts that follow one another in time; `false` where they do not, and what was appended to
    /// `columns` is of no use.
    fn read_in_order(&self, parts: &[Part], columns: &mut Columns) -> Result<bool, QueryError> {
        let mut end = Timestamp::MIN;
        for part in parts {
            let (floats, histograms) = (columns.timestamps.len(), columns.histograms.len());
            match part {
                Part::Head { index } => self.head.read(*index, columns)?,
                Part::Block { series, .. } if !series.deleted.is_empty() => return Ok(false),
                Part::Block { block, series } => {
                    let block = &self.blocks[*block];
                    for meta in &series.chunks {
                        let (encoding, bytes) = block.chunk(meta)?;
                        read_chunk(encoding, bytes, self.range, columns)
                            .map_err(|_| corrupt(meta, &series.labels))?;
                    }
                }
            }
            let floats = &columns.timestamps[floats..];
            let histograms = &columns.histograms[histograms..];
            let is_rising = floats.is_sorted_by(|a, b| a < b)
                && histograms.is_sorted_by(|(a, _), (b, _)| a < b)
                && floats.first().is_none_or(|&first| first > end)
                && histograms.first().is_none_or(|&(first, _)| first > end);
            if !is_rising {
                return Ok(false);
            }
            let last = floats.last().copied().max(histograms.last().map(|&(at, _)| at));
            end = end.max(last.unwrap_or(end));
        }
        Ok(true)
    }

    fn points(&self, part: &Part) -> Result<Vec<Point>, QueryError> {
        match part {
            Part::Head { index } => self.head.read_points(*index),
            Part::Block { block, series } => block_points(&self.blocks[*block], series, self.range),
        }
    }
}

/// What is left of a block's series within `range`.
pub(crate) fn block_points(
    block: &Block,
    series: &BlockSeries,
    range: TimeRange,
) -> Result<Vec<Point>, QueryError> {
    let mut points = Vec::new();
    for meta in series.chunks.iter().filter(|meta| meta.range().overlaps(&range)) {
        let (encoding, bytes) = block.chunk(meta)?;
        read_points(encoding, bytes, range, &mut points)
            .map_err(|_| corrupt(meta, &series.labels))?;
    }
    Ok(without(points, &series.deleted))
}

fn corrupt(chunk: &ChunkMeta, labels: &Labels) -> QueryError {
    QueryError::Corrupt {
        place: format!("chunk {:#x} of {labels}", chunk.reference),
        reason: "it does not decode".to_owned(),
    }
}

impl SeriesSet for MergedSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].labels.clone()
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let parts = &self.series[index].parts;
        let (floats, histograms) = (columns.timestamps.len(), columns.histograms.len());
        if !self.read_in_order(parts, columns)? {
            columns.truncate(floats, histograms);
            let runs = parts.iter().map(|part| self.points(part));
            put_points(merge(runs.collect::<Result<_, _>>()?), columns);
        }
        Ok(())
    }
}
