//! A selection over blocks and head, merged.

use std::sync::Arc;

use model::{Labels, Sample, TimeRange};
use storage::{Columns, QueryError, Selection, SeriesSet};

use super::read::{HeadSet, read_chunk, sort_from};
use crate::block::{Block, BlockSeries, XOR};

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

    fn read_block(
        &self,
        block: &Block,
        series: &BlockSeries,
        columns: &mut Columns,
    ) -> Result<(), QueryError> {
        let first = columns.len();
        for meta in &series.chunks {
            let (encoding, bytes) = block.chunk(meta)?;
            if encoding != XOR {
                continue; // native histograms, which a column of floats does not show
            }
            read_chunk(bytes, self.range, columns).map_err(|_| QueryError::Corrupt {
                place: format!("chunk {:#x} of {}", meta.reference, series.labels),
                reason: "it does not decode".to_owned(),
            })?;
        }
        if !series.deleted.is_empty() {
            let is_deleted =
                |sample: &Sample| series.deleted.iter().any(|d| d.contains(sample.timestamp));
            let kept: Vec<Sample> =
                columns.iter().skip(first).filter(|sample| !is_deleted(sample)).collect();
            columns.timestamps.truncate(first);
            columns.values.truncate(first);
            kept.into_iter().for_each(|sample| columns.push(sample));
        }
        Ok(())
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
        let first = columns.len();
        for part in &self.series[index].parts {
            match part {
                Part::Head { index } => self.head.read(*index, columns)?,
                Part::Block { block, series } => {
                    self.read_block(&self.blocks[*block], series, columns)?;
                }
            }
        }
        let times = &columns.timestamps[first..];
        if times.windows(2).any(|pair| pair[0] >= pair[1]) {
            sort_from(columns, first);
        }
        Ok(())
    }
}
