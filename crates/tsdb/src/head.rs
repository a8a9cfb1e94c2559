//! The head: the series that take samples now, in memory.
//!
//! ```text
//! labels ──Index──► slot ──► shard ──► Series: open chunk, full chunks, out-of-order samples
//! key ───Keys────► SeriesRef = generation << 32 | slot ──Generations──► does it live?
//! ```
//! One batch at a time is checked, logged and applied, by whoever holds the committer; readers lock
//! single shards, and the index only to find series.
//!
//! - HEAD-1: a slot is taken again only under a higher generation: a reference never names another
//!   series.
//! - HEAD-2: a series in a shard is in the index, and the reverse, as far as anyone holding the
//!   index can see.
//! - Locks are taken in this order: committer, index, exemplars, shard.

pub(crate) mod exemplars;
pub(crate) mod full_chunk;
pub(crate) mod generations;
pub(crate) mod index;
pub(crate) mod keys;
pub(crate) mod metadata;
pub(crate) mod out_of_order;
pub(crate) mod postings;
pub(crate) mod readers;
pub(crate) mod saved;
pub(crate) mod series;
pub(crate) mod snapshots;
pub(crate) mod spill;
pub(crate) mod truncation;

use std::sync::atomic::{AtomicI64, Ordering};

use model::{Labels, TimeRange, Timestamp};
use parking_lot::{Mutex, MutexGuard, RwLock};
use storage::{SeriesKey, SeriesRef};

use crate::chunk::xor::BadChunk;
use crate::log::LogSeries;
use exemplars::Exemplars;
use generations::Generations;
use index::{Entered, Index};
use keys::Keys;
use metadata::MetadataStore;
use readers::Readers;
use series::Series;
use snapshots::Snapshots;

const SHARDS: usize = 16;
/// Runs of neighbouring slots share a shard, so that a sorted batch locks each shard a few times only.
const RUN_BITS: u32 = 6;
const RUN: usize = 1 << RUN_BITS;
/// Whoever goes through all series holds a shard for no more runs than this.
const RUNS_AT_ONCE: usize = 32;

/// Where a series lives in memory. Taken again after the series is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) const fn shard(self) -> usize {
        (self.0 >> RUN_BITS) as usize % SHARDS
    }

    /// Which of its shard's runs the slot is in, and where in that.
    const fn within_shard(self) -> (usize, usize) {
        ((self.0 >> RUN_BITS) as usize / SHARDS, self.0 as usize % RUN)
    }
}

/// A [`SeriesRef`] taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
}

impl From<SeriesRef> for Place {
    fn from(series: SeriesRef) -> Self {
        Self { slot: Slot(series.0 as u32), generation: (series.0 >> 32) as u32 }
    }
}

impl From<Place> for SeriesRef {
    fn from(place: Place) -> Self {
        Self(u64::from(place.generation) << 32 | u64::from(place.slot.0))
    }
}

/// The series whose slots belong to one shard. It grows by a run at a time, and so never copies or
/// has room for many more than there are.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    runs: Vec<Box<[Option<Series>]>>,
}

impl Shard {
    pub(crate) fn get(&self, place: Place) -> Option<&Series> {
        let (run, within) = place.slot.within_shard();
        let series = self.runs.get(run)?[within].as_ref()?;
        (series.generation == place.generation).then_some(series)
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Series> {
        let (run, within) = place.slot.within_shard();
        let series = self.runs.get_mut(run)?[within].as_mut()?;
        (series.generation == place.generation).then_some(series)
    }

    fn put(&mut self, slot: Slot, series: Series) {
        let (run, within) = slot.within_shard();
        if self.runs.len() <= run {
            self.runs.resize_with(run + 1, || (0..RUN).map(|_| None).collect());
        }
        self.runs[run][within] = Some(series);
    }

    /// The series of this shard, which is number `shard`.
    fn iter(&self, shard: usize) -> impl Iterator<Item = (Place, &Series)> {
        self.iter_runs(shard, 0, self.runs.len())
    }

    /// The series of so many runs from `first` on.
    fn iter_runs(
        &self,
        shard: usize,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = (Place, &Series)> {
        let runs = self.runs.iter().skip(first).take(count);
        runs.flatten().enumerate().filter_map(move |(at, series)| {
            let series = series.as_ref()?;
            Some((place_of(shard, first * RUN + at, series), series))
        })
    }

    fn iter_mut(&mut self, shard: usize) -> impl Iterator<Item = (Place, &mut Series)> {
        self.iter_runs_mut(shard, 0, self.runs.len())
    }

    fn iter_runs_mut(
        &mut self,
        shard: usize,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = (Place, &mut Series)> {
        let runs = self.runs.iter_mut().skip(first).take(count);
        runs.flatten().enumerate().filter_map(move |(at, series)| {
            let series = series.as_mut()?;
            Some((place_of(shard, first * RUN + at, series), series))
        })
    }

    fn remove(&mut self, place: Place) {
        if self.get(place).is_some() {
            let (run, within) = place.slot.within_shard();
            self.runs[run][within] = None;
        }
    }
}

/// The place of the series that is the `at`th of its shard.
const fn place_of(shard: usize, at: usize, series: &Series) -> Place {
    let run = at / RUN * SHARDS + shard;
    let slot = Slot((run * RUN + at % RUN) as u32);
    Place { slot, generation: series.generation }
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) index: RwLock<Index>,
    shards: [Mutex<Shard>; SHARDS],
    generations: Generations,
    pub(crate) keys: Keys,
    pub(crate) metadata: Mutex<MetadataStore>,
    pub(crate) exemplars: RwLock<Exemplars>,
    pub(crate) snapshots: Snapshots,
    pub(crate) readers: Readers,
    pub(crate) bounds: Bounds,
}

impl Head {
    pub(crate) fn new(exemplars_max: usize) -> Self {
        Self {
            index: RwLock::new(Index::new()),
            shards: std::array::from_fn(|_| Mutex::default()),
            generations: Generations::default(),
            keys: Keys::default(),
            metadata: Mutex::default(),
            exemplars: RwLock::new(Exemplars::new(exemplars_max)),
            snapshots: Snapshots::default(),
            readers: Readers::default(),
            bounds: Bounds::new(),
        }
    }

    pub(crate) fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock()
    }

    pub(crate) fn shard_of(&self, place: Place) -> MutexGuard<'_, Shard> {
        self.shard(place.slot.shard())
    }

    pub(crate) fn contains(&self, place: Place) -> bool {
        self.generations.lives(place)
    }

    /// Finds or makes the series of `labels`; `is_expected` where it is likely to be there.
    pub(crate) fn series(&self, labels: &Labels, is_expected: bool) -> Entered {
        if is_expected && let Some(place) = self.index.read().find(labels) {
            return Entered { place, new_number: None };
        }
        self.series_in(&mut self.index.write(), labels, None)
    }

    /// As [`Head::series`], for a caller that holds the index; `labels` are sorted. A new series takes
    /// `log_series` as its number, which the log has seen; without one it gets the next number, to be
    /// logged.
    pub(crate) fn series_in<'a>(
        &self,
        index: &mut Index,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        log_series: Option<LogSeries>,
    ) -> Entered {
        let entered = index.find_or_insert(labels, log_series);
        let Entered { place, new_number } = entered;
        if let Some(number) = new_number {
            let series = Series::new(place.generation, number, log_series.is_some());
            self.shard_of(place).put(place.slot, series);
            self.generations.begin(place);
        }
        entered
    }

    /// Makes each key a name of its series.
    pub(crate) fn remember(&self, keys: impl IntoIterator<Item = (SeriesKey, SeriesRef)>) {
        let series_count = self.index.read().len();
        self.keys.insert(keys, series_count);
    }

    /// Calls `visit` for each series. Whoever waits for a shard gets it every so often.
    pub(crate) fn visit(&self, mut visit: impl FnMut(Place, &Series)) {
        for number in 0..SHARDS {
            let mut shard = self.shard(number);
            let mut first = 0;
            while first < shard.runs.len() {
                let series = shard.iter_runs(number, first, RUNS_AT_ONCE);
                series.for_each(|(place, series)| visit(place, series));
                first += RUNS_AT_ONCE;
                MutexGuard::bump(&mut shard);
            }
        }
    }

    /// Calls `visit` for each series with samples out of order, when every reader sees all that the
    /// series has. The caller holds the committer.
    pub(crate) fn each_late(
        &self,
        mut visit: impl FnMut(&mut Series) -> Result<(), BadChunk>,
    ) -> Result<(), BadChunk> {
        for shard in 0..SHARDS {
            let late = |(_, series): (Place, &Series)| series.has_late().then(|| series.commit());
            let newest_commit = self.shard(shard).iter(shard).filter_map(late).max();
            if let Some(newest) = newest_commit {
                self.snapshots.wait_for(newest);
                let mut guard = self.shard(shard);
                let mut late = guard.iter_mut(shard).filter(|(_, series)| series.has_late());
                late.try_for_each(|(_, series)| visit(series))?;
            }
        }
        Ok(())
    }

    /// Drops the samples of a series within `range`, when every reader sees all that the series has.
    pub(crate) fn delete(&self, place: Place, range: TimeRange) -> Result<(), BadChunk> {
        self.shard_of(place).get_mut(place).map_or(Ok(()), |series| series.delete(range))
    }
}

/// The times between which the head has samples, and how far it has been written to blocks.
#[derive(Debug)]
pub(crate) struct Bounds {
    oldest: AtomicI64,
    /// Of what was stored since the last truncation began.
    oldest_of_new: AtomicI64,
    newest: AtomicI64,
    /// The oldest time taken in order.
    valid_from: AtomicI64,
    /// What is older and in order is in blocks. Behind `valid_from` while a block is being written,
    /// and for as long as that fails.
    written_until: AtomicI64,
}

impl Bounds {
    const fn new() -> Self {
        Self {
            oldest: AtomicI64::new(i64::MAX),
            oldest_of_new: AtomicI64::new(i64::MAX),
            newest: AtomicI64::new(i64::MIN),
            valid_from: AtomicI64::new(i64::MIN),
            written_until: AtomicI64::new(i64::MIN),
        }
    }

    /// Not later than the oldest sample; `None` where there never was any.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let oldest = self.oldest.load(Ordering::Acquire);
        (oldest != i64::MAX).then_some(Timestamp::from_millis(oldest))
    }

    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.oldest()?;
        Some(Timestamp::from_millis(self.newest.load(Ordering::Acquire)))
    }

    pub(crate) fn valid_from(&self) -> Timestamp {
        Timestamp::from_millis(self.valid_from.load(Ordering::Acquire))
    }

    pub(crate) fn include(&self, oldest: Timestamp, newest: Timestamp) {
        self.newest.fetch_max(newest.as_millis(), Ordering::AcqRel);
        self.oldest.fetch_min(oldest.as_millis(), Ordering::AcqRel);
        self.oldest_of_new.fetch_min(oldest.as_millis(), Ordering::AcqRel);
    }

    /// From now on nothing in order is taken before `from`. The caller holds the committer.
    pub(crate) fn raise_valid_from(&self, from: Timestamp) {
        self.valid_from.fetch_max(from.as_millis(), Ordering::AcqRel);
    }

    pub(crate) fn written_until(&self) -> Timestamp {
        Timestamp::from_millis(self.written_until.load(Ordering::Acquire))
    }

    /// Everything in order before `end` is in blocks.
    pub(crate) fn written(&self, end: Timestamp) {
        self.raise_valid_from(end);
        self.written_until.fetch_max(end.as_millis(), Ordering::AcqRel);
    }

    pub(crate) fn save(&self) -> [i64; 4] {
        let Self { oldest, newest, valid_from, written_until, oldest_of_new: _ } = self;
        [oldest, newest, valid_from, written_until].map(|bound| bound.load(Ordering::Acquire))
    }

    /// Takes over what another head saved.
    pub(crate) fn load(&self, [oldest, newest, valid_from, written_until]: [i64; 4]) {
        self.include(Timestamp::from_millis(oldest), Timestamp::from_millis(newest));
        self.valid_from.fetch_max(valid_from, Ordering::AcqRel);
        self.written_until.fetch_max(written_until, Ordering::AcqRel);
    }

    fn begin_truncation(&self) {
        self.oldest_of_new.store(i64::MAX, Ordering::Release);
    }

    /// `oldest`: of what was there when the truncation came by. The caller holds the committer.
    fn truncated(&self, before: Timestamp, oldest: Timestamp) {
        self.written(before);
        let oldest = oldest.as_millis().min(self.oldest_of_new.load(Ordering::Acquire));
        self.oldest.store(oldest, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_slot_has_a_place_of_its_own(slot: u32, generation: u32) {
            let series = Series::new(generation, LogSeries(1), true);
            let place = Place { slot: Slot(slot), generation };
            let (run, within) = place.slot.within_shard();
            prop_assert_eq!(place_of(place.slot.shard(), run * RUN + within, &series), place);
        }

        #[test]
        fn references_come_apart_as_they_were_put_together(slot: u32, generation: u32) {
            let place = Place { slot: Slot(slot), generation };
            prop_assert_eq!(Place::from(SeriesRef::from(place)), place);
        }
    }
}
