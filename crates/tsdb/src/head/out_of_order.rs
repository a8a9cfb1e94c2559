//! Samples of one series that arrived behind its newest one.
//!
//! New ones are kept as they came, until there are enough for a chunk of their own. Chunks may
//! overlap each other and the chunks in order; reading merges them.

use model::{Point, SampleValue, TimeRange, Timestamp};

use super::full_chunk::FullChunk;
use crate::chunk::SAMPLES_WANTED;
use crate::chunk::merge::merge;
use crate::chunk::xor::BadChunk;

/// This many make a chunk.
const RECENT_MAX: usize = SAMPLES_WANTED;

#[derive(Debug)]
pub(crate) struct OutOfOrder {
    /// On their way into a block.
    leaving: Vec<FullChunk>,
    chunks: Vec<FullChunk>,
    /// In order of arrival, so that a reader's cut is a length.
    recent: Vec<Point>,
    /// How many of them there were before the newest commit.
    recent_before: usize,
    newest: Timestamp,
}

impl Default for OutOfOrder {
    fn default() -> Self {
        let (leaving, chunks, recent) = (Vec::new(), Vec::new(), Vec::new());
        Self { leaving, chunks, recent, recent_before: 0, newest: Timestamp::MIN }
    }
}

impl OutOfOrder {
    /// `points`: sorted by time; `None` where there are none.
    pub(crate) fn new(points: &[Point]) -> Option<Self> {
        let newest = points.last()?.timestamp;
        Some(Self {
            leaving: Vec::new(),
            chunks: FullChunk::run(points),
            recent: Vec::new(),
            recent_before: 0,
            newest,
        })
    }

    /// Nothing in `chunks` is newer than `newest`.
    pub(crate) const fn from_chunks(chunks: Vec<FullChunk>, newest: Timestamp) -> Self {
        Self { leaving: Vec::new(), chunks, recent: Vec::new(), recent_before: 0, newest }
    }

    /// All there is, in chunks that may overlap.
    pub(crate) fn to_chunks(&self) -> Vec<FullChunk> {
        let mut recent = self.recent.clone();
        recent.sort_by_key(|point| point.timestamp);
        let mut chunks: Vec<FullChunk> = self.chunks().cloned().collect();
        chunks.extend(FullChunk::run(&recent));
        chunks
    }

    /// Nothing here is newer.
    pub(crate) const fn newest(&self) -> Timestamp {
        self.newest
    }

    /// To be called before a commit adds its first sample, and never between those of one commit: a
    /// chunk holds whole commits only.
    pub(crate) fn begin_commit(&mut self) {
        if self.recent.len() >= RECENT_MAX {
            let recent = merge(self.take_recent());
            self.chunks.extend(FullChunk::run(&recent));
        }
        self.recent_before = self.recent.len();
    }

    pub(crate) const fn recent_before(&self) -> usize {
        self.recent_before
    }

    /// Each is a run of its own: it did not arrive after the one before it in time.
    fn take_recent(&mut self) -> Vec<Vec<Point>> {
        std::mem::take(&mut self.recent).into_iter().map(|point| vec![point]).collect()
    }

    /// Adds a sample whose time is not stored yet.
    pub(crate) fn push(&mut self, point: Point) {
        self.newest = self.newest.max(point.timestamp);
        self.recent.push(point);
    }

    /// Whether few samples are in no chunk yet, compared with all there are.
    pub(crate) fn is_settled(&self) -> bool {
        self.recent.len() < RECENT_MAX * self.chunks.len().max(1)
    }

    pub(crate) fn value_at(&self, at: Timestamp) -> Option<SampleValue> {
        let recent = self.recent.iter().find(|point| point.timestamp == at);
        let in_chunks = || self.chunks().find_map(|chunk| chunk.value_at(at));
        recent.map(|point| point.value.clone()).or_else(in_chunks)
    }

    /// All there is, sorted by time.
    pub(crate) fn points(&self) -> Result<Vec<Point>, BadChunk> {
        let mut runs = self.chunks().map(FullChunk::points).collect::<Result<Vec<_>, _>>()?;
        runs.extend(self.recent.iter().map(|point| vec![point.clone()]));
        Ok(merge(runs))
    }

    /// What is in no chunk yet counts as one.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks().count() + usize::from(!self.recent.is_empty())
    }

    /// The times between which there is something.
    pub(crate) fn times(&self) -> Option<TimeRange> {
        let recent =
            self.recent.iter().map(|point| TimeRange::new(point.timestamp, point.timestamp));
        let ranges = self.chunks().map(FullChunk::range).chain(recent);
        ranges.reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end)))
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &FullChunk> {
        self.leaving.iter().chain(&self.chunks)
    }

    /// Prepares what is older than `before` to leave for a block. The caller makes sure that every
    /// reader sees all there is.
    pub(crate) fn prepare_to_leave(&mut self, before: Timestamp) -> Result<(), BadChunk> {
        let points = self.points()?;
        self.recent = Vec::new();
        let staying = points.partition_point(|point| point.timestamp < before);
        self.leaving = FullChunk::run(&points[..staying]);
        self.chunks = FullChunk::run(&points[staying..]);
        Ok(())
    }

    pub(crate) fn leaving(&self) -> &[FullChunk] {
        &self.leaving
    }

    /// The first `visible` of the samples that are in no chunk yet, those within `range`.
    pub(crate) fn recent(&self, visible: usize, range: TimeRange) -> impl Iterator<Item = &Point> {
        let visible = &self.recent[..visible.min(self.recent.len())];
        visible.iter().filter(move |point| range.contains(point.timestamp))
    }

    /// What does not leave, right after that was decided.
    pub(crate) fn staying(&self) -> &[FullChunk] {
        &self.chunks
    }

    /// Drops what is in a block now; gives the oldest time that is left.
    pub(crate) fn drop_left(&mut self) -> Option<Timestamp> {
        self.leaving = Vec::new();
        let recent = self.recent.iter().map(|point| point.timestamp);
        self.chunks.iter().map(|chunk| chunk.start).chain(recent).min()
    }
}
