//! Senders' own names for series: finds a series by a hash of encoded labels, decoding nothing.
//!
//! Senders repeat themselves: after a key comes what came after it the last time. Each key remembers
//! that, and keys lie in memory in the order in which they first came, so that the lookups of a
//! request run through memory and ask the hash table only where something changed.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;
use storage::{SeriesKey, SeriesRef};

/// A sender that names its series anew all the time would fill memory: beyond this many keys per
/// series, and some to start with, all are forgotten and learnt again.
const KEYS_PER_SERIES_MAX: usize = 8;
const KEYS_MIN: usize = 1 << 16;

/// Where in [`Table::entries`] a key is.
type Position = u32;

/// No key is there.
const NOWHERE: Position = Position::MAX;

#[derive(Debug)]
struct Entry {
    key: SeriesKey,
    series: SeriesRef,
    /// The key that came after this one.
    next: AtomicU32,
}

const _: () = assert!(size_of::<Entry>() == 32, "two entries lie in one line of the cache");

#[derive(Debug, Default)]
struct Table {
    entries: Vec<Entry>,
    by_key: HashTable<Position>,
}

#[derive(Debug, Default)]
pub(crate) struct Keys(RwLock<Table>);

/// The key that was found last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor(Position);

impl Default for Cursor {
    fn default() -> Self {
        Self(NOWHERE)
    }
}

impl Keys {
    /// Fills `found` with the series of `keys`, dead ones among them.
    pub(crate) fn find(
        &self,
        keys: &[SeriesKey],
        cursor: &mut Cursor,
        found: &mut Vec<Option<SeriesRef>>,
    ) {
        let table = self.0.read();
        found.clear();
        found.extend(keys.iter().map(|&key| table.find_after(cursor, key)));
    }

    /// `series_count`: how many series there are, by which the number of keys is bounded.
    pub(crate) fn insert(
        &self,
        pairs: impl IntoIterator<Item = (SeriesKey, SeriesRef)>,
        series_count: usize,
    ) {
        let mut table = self.0.write();
        for (key, series) in pairs {
            if table.entries.len() >= KEYS_MIN + series_count * KEYS_PER_SERIES_MAX {
                *table = Table::default();
            }
            table.insert(key, series);
        }
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(SeriesRef) -> bool) {
        let mut table = self.0.write();
        table.entries.retain(|entry| keep(entry.series));
        table.entries.shrink_to_fit();
        table.index();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.read().entries.len()
    }
}

impl Table {
    #[inline]
    fn find_after(&self, cursor: &mut Cursor, key: SeriesKey) -> Option<SeriesRef> {
        let previous = self.entries.get(cursor.0 as usize);
        let expected = previous.map_or(NOWHERE, |entry| entry.next.load(Ordering::Relaxed));
        if let Some(entry) = self.entries.get(expected as usize)
            && entry.key == key
        {
            *cursor = Cursor(expected);
            return Some(entry.series);
        }
        let found = self.position(key)?;
        if let Some(previous) = previous {
            previous.next.store(found, Ordering::Relaxed);
        }
        *cursor = Cursor(found);
        Some(self.entries[found as usize].series)
    }

    fn position(&self, key: SeriesKey) -> Option<Position> {
        let same = |&at: &Position| self.entries[at as usize].key == key;
        self.by_key.find(hash(key), same).copied()
    }

    fn insert(&mut self, key: SeriesKey, series: SeriesRef) {
        if let Some(at) = self.position(key) {
            self.entries[at as usize].series = series;
            return;
        }
        let at = self.entries.len() as Position; // the bound on keys per series keeps it below 2^32
        self.entries.push(Entry { key, series, next: AtomicU32::new(at + 1) });
        let entries = &self.entries;
        self.by_key.insert_unique(hash(key), at, |&at| hash(entries[at as usize].key));
    }

    /// Makes the hash table for the entries as they are.
    fn index(&mut self) {
        let entries = &self.entries;
        self.by_key = HashTable::with_capacity(entries.len());
        for (at, entry) in (0..).zip(entries) {
            entry.next.store(at + 1, Ordering::Relaxed);
            self.by_key.insert_unique(hash(entry.key), at, |&at| hash(entries[at as usize].key));
        }
    }
}

/// Keys are hashes of senders' bytes under a secret seed: hashing them again would add nothing.
const fn hash(key: SeriesKey) -> u64 {
    key.0 as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn key(number: u128) -> SeriesKey {
        SeriesKey(number << 64 | number)
    }

    fn find(keys: &Keys, wanted: &[SeriesKey]) -> Vec<Option<SeriesRef>> {
        let mut found = Vec::new();
        keys.find(wanted, &mut Cursor::default(), &mut found);
        found
    }

    #[test]
    fn ever_new_keys_do_not_fill_memory() {
        let keys = Keys::default();
        for number in 0..1_000_000 {
            keys.insert([(key(number), SeriesRef(7))], 1);
        }
        assert!(keys.len() <= KEYS_MIN + KEYS_PER_SERIES_MAX);
        assert_eq!(find(&keys, &[key(999_999)]), [Some(SeriesRef(7))]);
    }

    #[test]
    fn the_table_is_asked_only_where_the_order_changed() {
        let keys = Keys::default();
        keys.insert((0..9).map(|number| (key(number), SeriesRef(number as u64))), 9);
        let order = [0, 1, 2, 5, 4, 3, 8, 0].map(key);
        let expect = [0, 1, 2, 5, 4, 3, 8, 0].map(|number| Some(SeriesRef(number)));
        assert_eq!(find(&keys, &order), expect);
        let mut table = keys.0.write();
        table.by_key.clear();
        let mut cursor = Cursor(0);
        for (wanted, expect) in order.iter().zip(expect).skip(1) {
            assert_eq!(table.find_after(&mut cursor, *wanted), expect);
        }
        assert_eq!(table.find_after(&mut cursor, key(2)), None);
    }

    proptest! {
        #[test]
        fn keys_are_a_map(steps in vec((0u128..20, 0u64..30, 0..8), 0..200)) {
            let (keys, mut model) = (Keys::default(), HashMap::new());
            let mut cursor = Cursor::default();
            let mut found = Vec::new();
            for (number, series, step) in steps {
                let (key, series) = (key(number), SeriesRef(series));
                match step {
                    0..3 => {
                        keys.insert([(key, series)], 20);
                        model.insert(key, series);
                    }
                    3 => {
                        keys.retain(|kept| kept != series);
                        model.retain(|_, kept| *kept != series);
                    }
                    _ => {
                        keys.find(&[key], &mut cursor, &mut found);
                        prop_assert_eq!(&found, &[model.get(&key).copied()]);
                    }
                }
            }
        }
    }
}
