//! Walks the series of blocks that are being merged, side by side, in the order of their labels.
//!
//! - WALK-1: memory holds one series at a time, besides which series and texts there are.

use std::sync::Arc;

use model::Labels;
use roaring::bitmap::IntoIter;
use storage::QueryError;

use crate::block::symbols::{Symbols, Texts};
use crate::block::{Block, BlockSeries, ChunkData};
use crate::chunk::merge::{merge, without};
use crate::chunk::points_of;
use crate::head::full_chunk::FullChunk;

/// Those of all blocks.
pub(super) fn merged_symbols(blocks: &[Arc<Block>]) -> Result<Symbols, QueryError> {
    let mut inputs: Vec<_> = blocks.iter().map(|block| block.symbols().peekable()).collect();
    let mut texts = Texts::default();
    loop {
        let mut first: Option<&str> = None;
        for input in &mut inputs {
            if let Some(Err(error)) = input.next_if(Result::is_err) {
                return Err(error);
            }
            let next = input.peek().and_then(|next| next.as_ref().ok().copied());
            first = first.into_iter().chain(next).min();
        }
        let Some(first) = first else { return Ok(texts.into_symbols()) };
        texts.push(first);
        for input in &mut inputs {
            input.next_if(|next| next.as_ref().is_ok_and(|text| *text == first));
        }
    }
}

pub(super) struct Walk<'a> {
    inputs: Vec<Input<'a>>,
}

struct Input<'a> {
    block: &'a Block,
    ids: IntoIter,
    next: Option<BlockSeries>,
}

impl Input<'_> {
    fn advance(&mut self) -> Result<Option<BlockSeries>, QueryError> {
        let next = self.ids.next().map(|id| self.block.series(id)).transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(blocks: &'a [Arc<Block>]) -> Result<Self, QueryError> {
        let mut inputs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let ids = block.select(&[])?.into_iter();
            let mut input = Input { block, ids, next: None };
            input.advance()?;
            inputs.push(input);
        }
        Ok(Self { inputs })
    }

    /// The next series and its chunks, which follow one another.
    pub(super) fn next(&mut self) -> Result<Option<(Labels, Vec<ChunkData>)>, QueryError> {
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
