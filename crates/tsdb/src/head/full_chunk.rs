//! A chunk in the head that takes no more samples: in memory, or in a file that is mapped there.

use std::sync::Arc;

use model::{Point, SampleValue, TimeRange, Timestamp};

use super::spill::SpilledChunk;
use crate::chunk::xor::BadChunk;
use crate::chunk::{Chunk, points_of, value_at};

#[derive(Clone, Debug)]
pub(crate) struct FullChunk {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    bytes: ChunkBytes,
    pub(crate) encoding: u8,
}

#[derive(Clone, Debug)]
enum ChunkBytes {
    Heap(Arc<[u8]>),
    File(SpilledChunk),
}

impl FullChunk {
    pub(crate) fn new(start: Timestamp, chunk: &Chunk) -> Self {
        let bytes = ChunkBytes::Heap(chunk.to_bytes().into());
        Self { start, end: chunk.last_time(), bytes, encoding: chunk.encoding() }
    }

    pub(crate) const fn in_memory(
        start: Timestamp,
        end: Timestamp,
        encoding: u8,
        bytes: Arc<[u8]>,
    ) -> Self {
        Self { start, end, bytes: ChunkBytes::Heap(bytes), encoding }
    }

    pub(crate) const fn in_a_file(
        start: Timestamp,
        end: Timestamp,
        encoding: u8,
        chunk: SpilledChunk,
    ) -> Self {
        Self { start, end, bytes: ChunkBytes::File(chunk), encoding }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            ChunkBytes::Heap(bytes) => bytes,
            ChunkBytes::File(chunk) => chunk.bytes(),
        }
    }

    /// The bytes, to share.
    pub(crate) fn to_shared(&self) -> Arc<[u8]> {
        match &self.bytes {
            ChunkBytes::Heap(bytes) => Arc::clone(bytes),
            ChunkBytes::File(chunk) => chunk.bytes().into(),
        }
    }

    pub(crate) const fn is_in_memory(&self) -> bool {
        self.in_file().is_none()
    }

    pub(crate) const fn in_file(&self) -> Option<&SpilledChunk> {
        match &self.bytes {
            ChunkBytes::Heap(_) => None,
            ChunkBytes::File(chunk) => Some(chunk),
        }
    }

    /// Lets go of the bytes: they are in a file now.
    pub(crate) fn spilled(&mut self, chunk: SpilledChunk) {
        self.bytes = ChunkBytes::File(chunk);
    }

    /// Chunks of points that are sorted by time.
    pub(crate) fn run(points: &[Point]) -> Vec<Self> {
        let mut chunks = Vec::new();
        let mut open: Option<(Timestamp, Chunk)> = None;
        for point in points {
            if let Some((_, chunk)) = &mut open
                && !chunk.is_full()
                && chunk.push(point)
            {
                continue;
            }
            let chunk = Chunk::new(point, open.as_ref().map(|(_, chunk)| chunk));
            let full = open.replace((point.timestamp, chunk));
            chunks.extend(full.map(|(start, chunk)| Self::new(start, &chunk)));
        }
        chunks.extend(open.map(|(start, chunk)| Self::new(start, &chunk)));
        chunks
    }

    pub(crate) fn points(&self) -> Result<Vec<Point>, BadChunk> {
        points_of(self.encoding, self.bytes())
    }

    pub(crate) const fn range(&self) -> TimeRange {
        TimeRange::new(self.start, self.end)
    }

    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.range().overlaps(&range)
    }

    pub(crate) fn value_at(&self, at: Timestamp) -> Option<SampleValue> {
        if self.range().contains(at) { value_at(self.encoding, self.bytes(), at) } else { None }
    }
}
