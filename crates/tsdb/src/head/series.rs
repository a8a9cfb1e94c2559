//! One series in the head.
//!
//! - SERIES-1: times in `full` chunks and then `open` rise strictly; the open chunk holds the newest
//!   sample that is in order.
//! - SERIES-2: no time is stored twice.
//! - SERIES-3: no chunk in order spans a multiple of [`CHUNK_RANGE`], so that blocks of that length
//!   take chunks as they are.
//! - SERIES-4: what enters in order is newer than all that is out of order, too: that may be newer than
//!   the newest in order, where what was has been deleted.

mod delete;
mod saved;

use std::mem;

use model::{Point, SampleValue, TimeRange, Timestamp};

use super::full_chunk::FullChunk;
use super::out_of_order::OutOfOrder;
use super::spill::SpilledChunk;
use crate::chunk::xor::BadChunk;
use crate::chunk::{Chunk, SAMPLES_WANTED, value_at};
use crate::log::LogSeries;

/// Milliseconds: the shortest block.
pub(crate) const CHUNK_RANGE: i64 = 2 * 3600 * 1000;
/// A chunk that was foreseen to end elsewhere is cut at this length.
const SAMPLES_LIMIT: usize = 2 * SAMPLES_WANTED;

#[derive(Debug)]
struct OpenChunk {
    start: Timestamp,
    /// The chunk takes no sample that is this many milliseconds after `start` or more (SERIES-3).
    duration: u32,
    points: Chunk,
}

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) generation: u32,
    /// Whether the log says what `number` stands for.
    pub(crate) is_logged: bool,
    /// Whether the last truncation found no samples here.
    pub(crate) was_empty: bool,
    pub(crate) number: LogSeries,
    open: Option<OpenChunk>,
    full: Box<[FullChunk]>,
    out_of_order: Option<Box<OutOfOrder>>,
    /// The newest commit that touched the series, and the newest time in order before it.
    commit: u64,
    newest_before: Timestamp,
}

const _: () = assert!(size_of::<Series>() <= 136, "what every series costs, data apart");

/// How much of a series a reader sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visible {
    /// Nothing in order that is newer.
    pub(crate) newest: Timestamp,
    /// How many of the recent samples out of order.
    recent: usize,
}

impl Series {
    pub(crate) fn new(generation: u32, number: LogSeries, is_logged: bool) -> Self {
        Self {
            generation,
            is_logged,
            was_empty: false,
            number,
            open: None,
            full: Box::default(),
            out_of_order: None,
            commit: 0,
            newest_before: Timestamp::MIN,
        }
    }

    /// The time of the newest sample that is in order.
    #[inline]
    pub(crate) fn newest_time(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.points.last_time())
    }

    /// The newest time, or, where that was out of order and is gone, a newer one.
    #[inline]
    pub(crate) fn newest_time_of_all(&self) -> Option<Timestamp> {
        self.newest_time().max(self.out_of_order.as_ref().map(|samples| samples.newest()))
    }

    /// The newest sample that is in order.
    pub(crate) fn newest(&self) -> Option<Point> {
        let points = &self.open.as_ref()?.points;
        Some(Point { timestamp: points.last_time(), value: points.last_value() })
    }

    /// The number of the newest commit that touched the series.
    pub(crate) const fn commit(&self) -> u64 {
        self.commit
    }

    /// To be called before the first sample of commit `number` (SNAP-1).
    pub(crate) fn begin_commit(&mut self, number: u64) {
        if let Some(samples) = &mut self.out_of_order {
            samples.begin_commit();
        }
        self.newest_before = self.newest_time().unwrap_or(Timestamp::MIN);
        self.commit = number;
    }

    /// Adds a sample newer than all in order.
    pub(crate) fn push(&mut self, point: &Point) {
        self.was_empty = false;
        let Some(open) = &mut self.open else {
            self.open = Some(OpenChunk::new(point, None));
            return;
        };
        if open.takes(point.timestamp) && open.push(point) {
            return;
        }
        let chunk = FullChunk::new(open.start, &open.points);
        *open = OpenChunk::new(point, Some(&open.points));
        self.push_full(chunk);
    }

    /// There are few in each series, and many series: no room is left for more.
    fn push_full(&mut self, chunk: FullChunk) {
        let mut full = mem::take(&mut self.full).into_vec();
        full.reserve_exact(1);
        full.push(chunk);
        self.full = full.into();
    }

    /// Adds a sample that is not newer than all in order and whose time is not stored yet.
    pub(crate) fn push_out_of_order(&mut self, point: Point) {
        self.was_empty = false;
        self.out_of_order.get_or_insert_default().push(point);
    }

    pub(crate) fn value_at(&self, at: Timestamp) -> Option<SampleValue> {
        if let Some(value) = self.out_of_order.as_ref().and_then(|samples| samples.value_at(at)) {
            return Some(value);
        }
        self.value_in_order_at(at)
    }

    pub(crate) fn value_in_order_at(&self, at: Timestamp) -> Option<SampleValue> {
        match &self.open {
            Some(open) if open.start <= at => match open.points.last_time() {
                last if last == at => Some(open.points.last_value()),
                last if last < at => None,
                _ => value_at(open.points.encoding(), &open.points.to_bytes(), at),
            },
            _ => {
                let after = self.full.partition_point(|chunk| chunk.end < at);
                self.full.get(after)?.value_at(at)
            }
        }
    }

    /// Drops chunks in order that end before `before`, and what left for a block; gives the oldest
    /// time that is left.
    pub(crate) fn truncate(&mut self, before: Timestamp) -> Option<Timestamp> {
        let gone = self.full.partition_point(|chunk| chunk.end < before);
        if gone > 0 {
            self.full = self.full[gone..].into();
        }
        if self.newest_time().is_some_and(|newest| newest < before) {
            self.open = None;
        }
        let late = self.out_of_order.as_mut().and_then(|samples| samples.drop_left());
        if late.is_none() {
            self.out_of_order = None;
        }
        let full = self.full.first().map(|chunk| chunk.start);
        let oldest = full.or_else(|| self.open.as_ref().map(|open| open.start));
        oldest.into_iter().chain(late).min()
    }

    /// Whether anything out of order is here.
    pub(crate) const fn has_late(&self) -> bool {
        self.out_of_order.is_some()
    }

    /// See [`OutOfOrder::prepare_to_leave`].
    pub(crate) fn late_prepare_to_leave(&mut self, before: Timestamp) -> Result<(), BadChunk> {
        self.out_of_order.as_mut().map_or(Ok(()), |samples| samples.prepare_to_leave(before))
    }

    /// The times that are out of order.
    pub(crate) fn late_times(&self) -> Option<TimeRange> {
        self.out_of_order.as_ref().and_then(|samples| samples.times())
    }

    /// All that is out of order.
    pub(crate) fn late_points(&self) -> Result<Vec<Point>, BadChunk> {
        self.out_of_order.as_ref().map_or(Ok(Vec::new()), |samples| samples.points())
    }

    /// Whether it is not worth while yet to look for what is stored twice.
    pub(crate) fn late_is_settled(&self) -> bool {
        self.out_of_order.as_ref().is_none_or(|samples| samples.is_settled())
    }

    /// Drops what is stored twice: in order too, or out of order again. Of the latter the first stands.
    pub(crate) fn settle_late(&mut self) -> Result<(), BadChunk> {
        let mut points = self.late_points()?;
        points.retain(|point| self.value_in_order_at(point.timestamp).is_none());
        self.out_of_order = OutOfOrder::new(&points).map(Box::new);
        Ok(())
    }

    pub(crate) fn late_leaving(&self) -> &[FullChunk] {
        self.out_of_order.as_ref().map_or(&[], |samples| samples.leaving())
    }

    pub(crate) fn chunk_count(&self) -> usize {
        let late = self.out_of_order.as_ref().map_or(0, |samples| samples.chunk_count());
        self.full.len() + usize::from(self.open.is_some()) + late
    }

    /// When the chunks in order begin.
    pub(crate) fn chunk_starts(&self) -> impl Iterator<Item = Timestamp> {
        let full = self.full.iter().map(|chunk| chunk.start);
        full.chain(self.open.iter().map(|open| open.start))
    }

    /// The full chunks in order that are in memory.
    pub(crate) fn chunks_in_memory(&self) -> impl Iterator<Item = &FullChunk> {
        self.full.iter().filter(|chunk| chunk.is_in_memory())
    }

    /// Lets go of the bytes of the chunk that begins at `start`: they are in a file now.
    pub(crate) fn spilled(&mut self, start: Timestamp, chunk: SpilledChunk) {
        if let Ok(found) = self.full.binary_search_by_key(&start, |chunk| chunk.start) {
            self.full[found].spilled(chunk);
        }
    }

    /// The samples out of order that do not leave, right after that was decided.
    pub(crate) fn late_staying(&self) -> &[FullChunk] {
        self.out_of_order.as_ref().map_or(&[], |samples| samples.staying())
    }

    /// The open chunk as if it were full, where it overlaps `range`.
    pub(crate) fn open_as_full(&self, range: TimeRange) -> Option<FullChunk> {
        let open = self.open.as_ref()?;
        Some(FullChunk::new(open.start, &open.points)).filter(|chunk| chunk.overlaps(range))
    }

    /// What a reader sees whose cut is commit `cut`.
    pub(crate) fn visible_at(&self, cut: u64) -> Visible {
        if self.commit <= cut {
            return Visible { newest: Timestamp::MAX, recent: usize::MAX };
        }
        let recent = self.out_of_order.as_ref().map_or(0, |samples| samples.recent_before());
        Visible { newest: self.newest_before, recent }
    }

    /// The full chunks in order that overlap `range`.
    pub(crate) fn full_chunks(&self, range: TimeRange) -> &[FullChunk] {
        let from = self.full.partition_point(|chunk| chunk.end < range.start);
        let to = self.full.partition_point(|chunk| chunk.start <= range.end);
        &self.full[from..to.max(from)]
    }

    /// The open chunk, where it overlaps `range`.
    pub(crate) fn open_chunk(&self, range: TimeRange) -> Option<&Chunk> {
        let open = self.open.as_ref()?;
        let times = TimeRange::new(open.start, open.points.last_time());
        times.overlaps(&range).then_some(&open.points)
    }

    pub(crate) fn late_chunks(&self, range: TimeRange) -> impl Iterator<Item = &FullChunk> {
        let chunks = self.out_of_order.iter().flat_map(|samples| samples.chunks());
        chunks.filter(move |chunk| chunk.overlaps(range))
    }

    pub(crate) fn late_recent(
        &self,
        visible: Visible,
        range: TimeRange,
    ) -> impl Iterator<Item = &Point> {
        let samples = self.out_of_order.iter();
        samples.flat_map(move |samples| samples.recent(visible.recent, range))
    }
}

impl OpenChunk {
    fn new(first: &Point, previous: Option<&Chunk>) -> Self {
        let since_range_start = first.timestamp.as_millis().rem_euclid(CHUNK_RANGE);
        Self {
            start: first.timestamp,
            duration: (CHUNK_RANGE - since_range_start) as u32,
            points: Chunk::new(first, previous),
        }
    }

    #[inline]
    fn takes(&self, at: Timestamp) -> bool {
        let has_room = match &self.points {
            Chunk::Floats(chunk) => chunk.len() < SAMPLES_LIMIT,
            histograms @ Chunk::Histograms(_) => !histograms.is_full(),
        };
        has_room && at.millis_since(self.start) < self.duration.into()
    }

    /// `false` where the point needs a chunk of its own.
    #[inline]
    fn push(&mut self, point: &Point) -> bool {
        // A quarter into the chunk its rate is known: spread what is left of the range evenly.
        if let Chunk::Floats(chunk) = &self.points
            && chunk.len() == SAMPLES_WANTED / 4
        {
            let elapsed = chunk.last().timestamp.millis_since(self.start);
            self.duration = even_duration(elapsed, self.duration);
        }
        self.points.push(point)
    }
}

/// How long a chunk should be that is a quarter full after `elapsed`, if the time `left` is to be cut
/// into chunks of one length (Prometheus `tsdb/head_append.go`).
fn even_duration(elapsed: i64, left: u32) -> u32 {
    let chunks = i64::from(left) / elapsed.saturating_add(1).saturating_mul(4);
    if chunks <= 1 { left } else { left / chunks as u32 }
}

#[cfg(test)]
#[path = "series/tests.rs"]
mod tests;
