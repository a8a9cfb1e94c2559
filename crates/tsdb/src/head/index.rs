//! Finds series: by all their labels, by matchers, by their number in the log.
//!
//! Label pairs are interned: a series is a list of pair ids, sorted by label name; a pair knows the
//! series that have it. A pair lives as long as it has series, so that the memory of what is gone
//! comes back without counting.
//!
//! - INDEX-1: a pair's postings are the live series whose list names the pair; no pair has none.
//! - INDEX-2: equal labels have equal lists, so finding a series compares integers only.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::ops::Range;

use hashbrown::HashTable;
use model::{Labels, METRIC_NAME};
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::postings::Postings;
use super::{Place, Slot};
use crate::log::{LogPosition, LogSeries};
use numbers::Numbers;
pub(crate) use saved::{LoadedPairs, LoadedSeries};
pub(crate) use selected::{LabelList, SelectedLabels};

#[path = "index/groups.rs"]
mod groups;
#[path = "index/numbers.rs"]
mod numbers;
#[path = "index/saved.rs"]
mod saved;
#[path = "index/select.rs"]
mod select;
#[path = "index/selected.rs"]
mod selected;

/// The golden ratio's fraction: multiplying by it spreads small integers over all bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

type NameId = u32;
type PairId = u32;

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// The pairs with this name, by their value.
    values: HashTable<PairId>,
}

#[derive(Debug)]
struct Pair {
    name: NameId,
    value: Box<str>,
    postings: Postings,
}

/// What a slot holds. Without labels it is free.
#[derive(Debug)]
struct Entry {
    labels: Box<[PairId]>,
    hash: u32,
    generation: u32,
    number: LogSeries,
}

const _: () = assert!(size_of::<Entry>() == 32, "two to a line of the processor's cache");

/// A series that was found or added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    pub(crate) place: Place,
    /// The number of one that was added.
    pub(crate) new_number: Option<LogSeries>,
}

#[derive(Debug)]
pub(crate) struct Index {
    /// Secret, so that nobody can choose labels that collide.
    seed: u64,
    names: Slab<Name>,
    names_by_text: HashTable<NameId>,
    pairs: Slab<Pair>,
    entries: Vec<Entry>,
    free: Vec<Slot>,
    live: RoaringBitmap,
    by_labels: HashTable<u32>,
    numbers: Numbers,
    /// Reused from series to series.
    spare_list: Vec<PairId>,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            seed: RandomState::new().build_hasher().finish(),
            names: Slab::new(),
            names_by_text: HashTable::new(),
            pairs: Slab::new(),
            entries: Vec::new(),
            free: Vec::new(),
            live: RoaringBitmap::new(),
            by_labels: HashTable::new(),
            numbers: Numbers::new(),
            spare_list: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len() as usize
    }

    pub(crate) fn find(&self, labels: &Labels) -> Option<Place> {
        let mut list = Vec::with_capacity(32);
        for (name, value) in labels {
            list.push(self.pair(self.name(name)?, value)?);
        }
        self.find_list(&list, hash_list(&list))
    }

    /// Finds a series by its sorted labels, or adds it with `number`, or the next one.
    pub(crate) fn find_or_insert<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        number: Option<LogSeries>,
    ) -> Entered {
        let mut list = mem::take(&mut self.spare_list);
        list.clear();
        let mut is_new = false;
        for (name, value) in labels {
            let (pair, is_new_pair) = self.intern(name, value);
            is_new |= is_new_pair;
            list.push(pair);
        }
        let hash = hash_list(&list);
        let known = if is_new { None } else { self.find_list(&list, hash) };
        let entered = match known {
            Some(place) => Entered { place, new_number: None },
            None => {
                let number = number.unwrap_or_else(|| self.next_log_series());
                let place = self.insert(&list, hash, number);
                Entered { place, new_number: Some(number) }
            }
        };
        self.spare_list = list;
        entered
    }

    fn find_list(&self, list: &[PairId], hash: u32) -> Option<Place> {
        let same = |&slot: &u32| {
            let entry = &self.entries[slot as usize];
            entry.hash == hash && *entry.labels == *list
        };
        let &slot = self.by_labels.find(spread(hash), same)?;
        Some(self.place(Slot(slot)))
    }

    /// Adds a series that is not there yet.
    fn insert(&mut self, labels: &[PairId], hash: u32, number: LogSeries) -> Place {
        let slot = self.free.pop().unwrap_or_else(|| {
            let next =
                u32::try_from(self.entries.len()).expect("memory ends before 2^32 series do");
            self.entries.push(Entry { labels: Box::default(), hash, generation: 0, number });
            Slot(next)
        });
        for &pair in labels {
            self.pairs.get_mut(pair).postings.insert(slot);
        }
        let entry = &mut self.entries[slot.0 as usize];
        entry.labels = labels.into();
        entry.hash = hash;
        entry.generation += 1;
        entry.number = number;
        let entries = &self.entries;
        let rehash = |&slot: &u32| spread(entries[slot as usize].hash);
        self.by_labels.insert_unique(spread(hash), slot.0, rehash);
        self.live.insert(slot.0);
        self.numbers.insert(number, slot);
        self.place(slot)
    }

    pub(crate) fn remove(&mut self, place: Place) {
        let Some(entry) = self.entry(place) else { return };
        let (slot, number, hash) = (place.slot, entry.number, entry.hash);
        if let Ok(found) = self.by_labels.find_entry(spread(hash), |&other| other == slot.0) {
            found.remove();
        }
        let list = mem::take(&mut self.entries[slot.0 as usize].labels);
        for &pair in &list {
            let postings = &mut self.pairs.get_mut(pair).postings;
            postings.remove(slot);
            if postings.is_empty() {
                self.forget(pair);
            }
        }
        self.live.remove(slot.0);
        self.numbers.remove(number, slot);
        self.free.push(slot);
    }

    pub(crate) fn labels(&self, place: Place) -> Option<Labels> {
        Some(self.labels_of(&self.entry(place)?.labels))
    }

    /// As [`Index::labels`], without a copy.
    pub(crate) fn label_pairs(
        &self,
        place: Place,
    ) -> Option<impl Iterator<Item = (&str, &str)> + Clone> {
        Some(self.pairs_of(&self.entry(place)?.labels))
    }

    /// By the labels' order.
    pub(crate) fn compare(&self, a: Slot, b: Slot) -> Ordering {
        let (a, b) = (&self.entries[a.0 as usize].labels, &self.entries[b.0 as usize].labels);
        match a.iter().zip(b).find(|(a, b)| a != b) {
            Some((&a, &b)) => {
                let (a, b) = (self.pairs.get(a), self.pairs.get(b));
                let by_name = || self.names.get(a.name).text.cmp(&self.names.get(b.name).text);
                if a.name == b.name { a.value.cmp(&b.value) } else { by_name() }
            }
            None => a.len().cmp(&b.len()),
        }
    }

    /// Of every series, in no order.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.live.iter().map(Slot).collect()
    }

    /// Name, value and number of series of those pairs whose ids are in `ids`; `None` behind the last.
    pub(crate) fn pairs(
        &self,
        ids: Range<usize>,
    ) -> Option<impl Iterator<Item = (&str, &str, u64)>> {
        let end = ids.end.min(self.pairs.values.len());
        let pairs = self.pairs.values.get(ids.start..end).filter(|pairs| !pairs.is_empty())?;
        let name = |pair: &Pair| &*self.names.get(pair.name).text;
        Some(pairs.iter().flatten().map(move |p| (name(p), &*p.value, p.postings.len())))
    }

    /// Every label name and value, in no order, some repeatedly.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = &str> {
        let names = self.names.values.iter().flatten().map(|name| &*name.text);
        names.chain(self.pairs.values.iter().flatten().map(|pair| &*pair.value))
    }

    pub(crate) fn place(&self, slot: Slot) -> Place {
        Place { slot, generation: self.entries[slot.0 as usize].generation }
    }

    pub(crate) fn has_metric(&self, metric: &str) -> bool {
        self.name(METRIC_NAME).is_some_and(|name| self.pair(name, metric).is_some())
    }

    /// Some series of `metric`.
    pub(crate) fn series_of_metric(&self, metric: &str) -> Option<Place> {
        let pair = self.pair(self.name(METRIC_NAME)?, metric)?;
        self.pairs.get(pair).postings.first().map(|slot| self.place(slot))
    }

    /// What there is memory for.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> Vec<(&'static str, usize)> {
        let mut footprint = self.numbers.footprint();
        footprint.extend([
            ("slots", self.entries.len()),
            ("pairs", self.pairs.values.len()),
            ("names", self.names.values.len()),
        ]);
        footprint
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        let entry = self.entries.get(place.slot.0 as usize)?;
        (entry.generation == place.generation && !entry.labels.is_empty()).then_some(entry)
    }

    fn labels_of(&self, list: &[PairId]) -> Labels {
        Labels::from_sorted(self.pairs_of(list))
    }

    fn pairs_of<'a>(
        &'a self,
        list: &'a [PairId],
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        list.iter().map(|&pair| {
            let pair = self.pairs.get(pair);
            (&*self.names.get(pair.name).text, &*pair.value)
        })
    }

    fn name(&self, text: &str) -> Option<NameId> {
        let same = |&id: &NameId| *self.names.get(id).text == *text;
        self.names_by_text.find(hash_text(self.seed, text), same).copied()
    }

    fn pair(&self, name: NameId, value: &str) -> Option<PairId> {
        let same = |&id: &PairId| *self.pairs.get(id).value == *value;
        self.names.get(name).values.find(hash_text(self.seed, value), same).copied()
    }

    /// Finds or adds a pair; gives whether it was added.
    fn intern(&mut self, name: &str, value: &str) -> (PairId, bool) {
        let seed = self.seed;
        let name_id = self.name(name).unwrap_or_else(|| {
            let id = self.names.insert(Name { text: name.into(), values: HashTable::new() });
            let names = &self.names;
            let rehash = |&id: &NameId| hash_text(seed, &names.get(id).text);
            self.names_by_text.insert_unique(hash_text(seed, name), id, rehash);
            id
        });
        let hash = hash_text(seed, value);
        let pairs = &self.pairs;
        let same = |&id: &PairId| *pairs.get(id).value == *value;
        if let Some(&id) = self.names.get(name_id).values.find(hash, same) {
            return (id, false);
        }
        let pair = Pair { name: name_id, value: value.into(), postings: Postings::new() };
        let id = self.pairs.insert(pair);
        let pairs = &self.pairs;
        let rehash = |&id: &PairId| hash_text(seed, &pairs.get(id).value);
        self.names.get_mut(name_id).values.insert_unique(hash, id, rehash);
        (id, true)
    }

    /// Drops a pair that no series has, and its name with the last pair.
    fn forget(&mut self, pair_id: PairId) {
        let pair = self.pairs.remove(pair_id);
        let values = &mut self.names.get_mut(pair.name).values;
        let hash = hash_text(self.seed, &pair.value);
        if let Ok(found) = values.find_entry(hash, |&id| id == pair_id) {
            found.remove();
        }
        if values.is_empty() {
            let name = self.names.remove(pair.name);
            let hash = hash_text(self.seed, &name.text);
            if let Ok(found) = self.names_by_text.find_entry(hash, |&id| id == pair.name) {
                found.remove();
            }
        }
    }
}

/// Numbers in the log.
impl Index {
    pub(crate) const fn next_log_series(&mut self) -> LogSeries {
        self.numbers.take_next()
    }

    /// No series that is new gets `number`.
    pub(crate) fn avoid_number(&mut self, number: LogSeries) {
        self.numbers.avoid(number);
    }

    /// Makes `number`, too, a name of the series at `place`.
    pub(crate) fn add_alias(&mut self, number: LogSeries, place: Place) {
        self.numbers.add_alias(number, place.slot);
    }

    pub(crate) fn by_number(&self, number: LogSeries) -> Option<Place> {
        self.numbers.slot(number).map(|slot| self.place(slot))
    }

    /// As [`Index::by_number`], for many numbers, most of them near the one before.
    pub(crate) fn by_numbers(&self) -> impl FnMut(LogSeries) -> Option<Place> {
        let mut cursor = self.numbers.cursor();
        move |number| cursor.slot(number).map(|slot| self.place(slot))
    }

    pub(crate) fn number(&self, place: Place) -> Option<LogSeries> {
        self.entry(place).map(|entry| entry.number)
    }

    /// The labels of a series in the head, or of one that left it and is not forwarded yet.
    pub(crate) fn labels_of_number(&self, number: LogSeries) -> Option<Labels> {
        match self.by_number(number) {
            Some(place) => self.labels(place),
            None => self.numbers.departed(number).cloned(),
        }
    }

    /// Keeps the labels of a series that is about to be removed, until everything before `until` has
    /// been forwarded.
    pub(crate) fn depart(&mut self, place: Place, until: LogPosition) {
        let Some(entry) = self.entry(place) else { return };
        let (labels, number) = (self.labels_of(&entry.labels), entry.number);
        self.numbers.depart(number, place.slot, &labels, until);
    }

    /// Everything before `position` has been forwarded.
    pub(crate) fn forget_departed(&mut self, position: LogPosition) {
        self.numbers.forget_departed(position);
    }

    pub(crate) fn knows_number(&self, number: LogSeries) -> bool {
        self.numbers.slot(number).is_some() || self.numbers.departed(number).is_some()
    }
}

fn hash_text(seed: u64, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), seed)
}

/// Pair ids are our own and small: a multiplicative hash spreads them well enough.
fn hash_list(list: &[PairId]) -> u32 {
    let fold =
        |hash: u64, &id: &PairId| (hash.rotate_left(25) ^ u64::from(id)).wrapping_mul(FACTOR);
    (list.iter().fold(0, fold) >> 32) as u32
}

/// Over all bits, which hash tables use at both ends.
fn spread(hash: u32) -> u64 {
    let hash = u64::from(hash).wrapping_mul(FACTOR);
    hash ^ hash >> 32
}

/// Values by small numbers that are taken again.
#[derive(Debug)]
struct Slab<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    const fn new() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }

    fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self.values[id as usize] = Some(value);
            return id;
        }
        self.values.push(Some(value));
        u32::try_from(self.values.len() - 1).expect("memory ends before 2^32 values do")
    }

    fn remove(&mut self, id: u32) -> T {
        self.free.push(id);
        self.values[id as usize].take().expect("ids are given back once")
    }

    fn get(&self, id: u32) -> &T {
        self.values[id as usize].as_ref().expect("ids in use have values")
    }

    fn get_mut(&mut self, id: u32) -> &mut T {
        self.values[id as usize].as_mut().expect("ids in use have values")
    }
}

#[cfg(test)]
#[path = "index/tests.rs"]
mod tests;
