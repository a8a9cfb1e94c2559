//! Samples of one series that arrived behind its newest one.
//!
//! New ones are kept as they came, until there are enough for a chunk of their own. Chunks may
//! overlap each other and the chunks in order; reading merges them.

use model::{Sample, TimeRange, Timestamp};

use super::series::FullChunk;
use crate::chunk::XorChunk;

/// This many make a chunk.
const RECENT_MAX: usize = 120;

#[derive(Debug, Default)]
pub(crate) struct OutOfOrder {
    chunks: Vec<FullChunk>,
    /// In order of arrival, so that a reader's cut is a length.
    recent: Vec<Sample>,
}

impl OutOfOrder {
    /// To be called before a commit adds its first sample, and never between those of one commit: a
    /// chunk holds whole commits only.
    pub(crate) fn begin_commit(&mut self) -> usize {
        if self.recent.len() >= RECENT_MAX {
            self.recent.sort_unstable_by_key(|sample| sample.timestamp);
            self.chunks.extend(self.recent.chunks(RECENT_MAX).map(|run| {
                let mut chunk = XorChunk::new(run[0]);
                run[1..].iter().for_each(|&sample| chunk.push(sample));
                FullChunk::new(run[0].timestamp, &chunk)
            }));
            self.recent = Vec::new();
        }
        self.recent.len()
    }

    /// Adds a sample whose time is not stored yet.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.recent.push(sample);
    }

    pub(crate) fn value_at(&self, at: Timestamp) -> Option<f64> {
        let recent = self.recent.iter().find(|sample| sample.timestamp == at);
        recent
            .map(|sample| sample.value)
            .or_else(|| self.chunks.iter().find_map(|chunk| chunk.value_at(at)))
    }

    pub(crate) fn chunks(&self) -> &[FullChunk] {
        &self.chunks
    }

    /// The first `visible` of the samples that are in no chunk yet, those within `range`.
    pub(crate) fn recent(&self, visible: usize, range: TimeRange) -> impl Iterator<Item = Sample> {
        let visible = &self.recent[..visible.min(self.recent.len())];
        visible.iter().copied().filter(move |sample| range.contains(sample.timestamp))
    }

    /// Drops what is older than `before`; gives the oldest time that is left.
    pub(crate) fn truncate(&mut self, before: Timestamp) -> Option<Timestamp> {
        self.chunks.retain(|chunk| chunk.end >= before);
        self.recent.retain(|sample| sample.timestamp >= before);
        let recent = self.recent.iter().map(|sample| sample.timestamp);
        self.chunks.iter().map(|chunk| chunk.start).chain(recent).min()
    }
}
