//! Samples of one series that arrived behind its newest one.
//!
//! New ones are kept as they came, until there are enough for a chunk of their own. Chunks may
//! overlap each other and the chunks in order; reading merges them.

use model::{Sample, TimeRange, Timestamp};

use super::series::{FullChunk, SAMPLES_WANTED};
use crate::chunk::xor::samples_of;

/// This many make a chunk.
const RECENT_MAX: usize = SAMPLES_WANTED;

#[derive(Debug, Default)]
pub(crate) struct OutOfOrder {
    /// On their way into a block.
    leaving: Vec<FullChunk>,
    chunks: Vec<FullChunk>,
    /// In order of arrival, so that a reader's cut is a length.
    recent: Vec<Sample>,
}

impl OutOfOrder {
    /// To be called before a commit adds its first sample, and never between those of one commit: a
    /// chunk holds whole commits only.
    pub(crate) fn begin_commit(&mut self) -> usize {
        if self.recent.len() >= RECENT_MAX {
            let mut recent = std::mem::take(&mut self.recent);
            recent.sort_unstable_by_key(|sample| sample.timestamp);
            self.chunks.extend(FullChunk::run(&recent));
        }
        self.recent.len()
    }

    /// Adds a sample whose time is not stored yet.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.recent.push(sample);
    }

    pub(crate) fn value_at(&self, at: Timestamp) -> Option<f64> {
        let recent = self.recent.iter().find(|sample| sample.timestamp == at);
        let in_chunks = || self.chunks().find_map(|chunk| chunk.value_at(at));
        recent.map(|sample| sample.value).or_else(in_chunks)
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &FullChunk> {
        self.leaving.iter().chain(&self.chunks)
    }

    /// Prepares what is older than `before` to leave for a block. The caller makes sure that every
    /// reader sees all there is.
    pub(crate) fn prepare_to_leave(&mut self, before: Timestamp) {
        let chunks = self.leaving.drain(..).chain(self.chunks.drain(..));
        let mut samples: Vec<Sample> = chunks.flat_map(|chunk| samples_of(chunk.bytes())).collect();
        samples.append(&mut self.recent);
        samples.sort_unstable_by_key(|sample| sample.timestamp);
        let staying = samples.partition_point(|sample| sample.timestamp < before);
        self.leaving = FullChunk::run(&samples[..staying]).collect();
        self.chunks = FullChunk::run(&samples[staying..]).collect();
    }

    pub(crate) fn leaving(&self) -> &[FullChunk] {
        &self.leaving
    }

    /// The first `visible` of the samples that are in no chunk yet, those within `range`.
    pub(crate) fn recent(&self, visible: usize, range: TimeRange) -> impl Iterator<Item = Sample> {
        let visible = &self.recent[..visible.min(self.recent.len())];
        visible.iter().copied().filter(move |sample| range.contains(sample.timestamp))
    }

    pub(crate) fn staying(&self) -> Vec<Sample> {
        self.chunks.iter().flat_map(|chunk| samples_of(chunk.bytes())).collect()
    }

    /// Drops what is in a block now; gives the oldest time that is left.
    pub(crate) fn drop_left(&mut self) -> Option<Timestamp> {
        self.leaving = Vec::new();
        let recent = self.recent.iter().map(|sample| sample.timestamp);
        self.chunks.iter().map(|chunk| chunk.start).chain(recent).min()
    }
}
