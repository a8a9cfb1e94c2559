//! What a target exposed before: from a series' text to the series in storage.
//!
//! The key is a seeded 128-bit hash of the text as the target writes it, so that a series seen
//! before is found without decoding it, and no target can make two of its texts collide.
//!
//! - CACHE-1: a series is open if the last thing committed for it was a sample (rather than a
//!   staleness marker) and its end is to be marked. When a scrape ends, exactly the open series that
//!   it did not contain, under this or another text, are to be marked stale.
//! - CACHE-2: between scrapes the cache holds what the last good scrape contained; failed ones can
//!   add to it, but no more than the last good one had and [`SLACK`].

use rustc_hash::{FxHashMap, FxHashSet};
use storage::SeriesRef;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// How many entries failed scrapes may add before all of them go.
const SLACK: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u128);

#[derive(Clone, Copy, Debug)]
enum Entry {
    /// Relabelling drops it.
    Dropped {
        seen: u32,
    },
    Series {
        series: SeriesRef,
        seen: u32,
        state: State,
    },
}

const _: () = assert!(size_of::<(Key, Entry)>() == 32, "an edge's memory budget counts on it");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    /// Closed, to be opened if this scrape succeeds.
    Opening,
    /// To be closed without a mark if this scrape succeeds: it carries timestamps of its own now.
    Untracked,
}

/// What the cache knows of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Unknown,
    Dropped,
    Series {
        series: SeriesRef,
        /// It was in this scrape already.
        again: bool,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    seed: u64,
    entries: FxHashMap<Key, Entry>,
    /// Open series whose texts are forgotten.
    textless: Vec<SeriesRef>,
    /// Numbers scrapes; wraps around.
    scrape: u32,
    /// Entries seen in this scrape.
    seen: usize,
    /// Some entry's state must change if this scrape succeeds.
    changed: bool,
    /// Entries after the last good scrape.
    good: usize,
}

impl Cache {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, scrape: 1, ..Self::default() }
    }

    pub(crate) fn key(&self, series_text: &str) -> Key {
        Key(xxh3_128_with_seed(series_text.as_bytes(), self.seed))
    }

    /// Looks a text up, and notes that it is in this scrape. `tracked`: whether its end is to be
    /// marked.
    pub(crate) fn find(&mut self, key: Key, tracked: bool) -> Found {
        match self.entries.get_mut(&key) {
            None => Found::Unknown,
            Some(Entry::Dropped { seen }) => {
                self.seen += usize::from(*seen != self.scrape);
                *seen = self.scrape;
                Found::Dropped
            }
            Some(Entry::Series { series, seen, state }) => {
                let again = *seen == self.scrape;
                self.seen += usize::from(!again);
                *seen = self.scrape;
                match (*state, tracked) {
                    (State::Open | State::Opening, true) | (State::Closed, false) => {}
                    (State::Closed | State::Untracked, true) => {
                        // An untracked one may still be open: opening it again does no harm.
                        *state = State::Opening;
                        self.changed = true;
                    }
                    (State::Open | State::Opening | State::Untracked, false) => {
                        *state = State::Untracked;
                        self.changed = true;
                    }
                }
                Found::Series { series: *series, again }
            }
        }
    }

    pub(crate) fn insert(&mut self, key: Key, series: SeriesRef, tracked: bool) {
        let state = if tracked { State::Opening } else { State::Closed };
        let entry = Entry::Series { series, seen: self.scrape, state };
        let known = self.entries.insert(key, entry).is_some();
        self.seen += usize::from(!known);
        self.changed = true;
    }

    pub(crate) fn insert_dropped(&mut self, key: Key) {
        let known = self.entries.insert(key, Entry::Dropped { seen: self.scrape }).is_some();
        self.seen += usize::from(!known);
    }

    /// Ends a good scrape; gives the series to be marked stale.
    pub(crate) fn finish(&mut self) -> Vec<SeriesRef> {
        let mut ended = std::mem::take(&mut self.textless);
        if self.changed || self.seen != self.entries.len() {
            let scrape = self.scrape;
            self.entries.retain(|_, entry| match entry {
                Entry::Dropped { seen } => *seen == scrape,
                Entry::Series { seen, state, .. } if *seen == scrape => {
                    *state = match state {
                        State::Open | State::Opening => State::Open,
                        State::Closed | State::Untracked => State::Closed,
                    };
                    true
                }
                Entry::Series { series, state, .. } => {
                    if *state == State::Open {
                        ended.push(*series);
                    }
                    false
                }
            });
        }
        if !ended.is_empty() {
            // The same series may live on under another text, its labels in another order, say.
            let living: FxHashSet<SeriesRef> = self.series().collect();
            ended.retain(|series| !living.contains(series));
            ended.sort_unstable();
            ended.dedup();
        }
        self.good = self.entries.len();
        self.start_next();
        ended
    }

    /// Ends a failed scrape, or the target's life; gives the series to be marked stale: all open ones.
    pub(crate) fn fail(&mut self) -> Vec<SeriesRef> {
        let mut ended = std::mem::take(&mut self.textless);
        for entry in self.entries.values_mut() {
            if let Entry::Series { series, state, .. } = entry {
                if matches!(state, State::Open | State::Untracked) {
                    ended.push(*series);
                }
                *state = State::Closed;
            }
        }
        if self.entries.len() > 2 * self.good + SLACK {
            self.entries = FxHashMap::default();
        }
        ended.sort_unstable();
        ended.dedup();
        self.start_next();
        ended
    }

    /// Forgets all texts, because they lead to other series from now on; the open series stay known.
    pub(crate) fn forget_texts(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.textless.extend(entries.into_values().filter_map(|entry| match entry {
            Entry::Series { series, state: State::Open, .. } => Some(series),
            Entry::Series { .. } | Entry::Dropped { .. } => None,
        }));
    }

    fn series(&self) -> impl Iterator<Item = SeriesRef> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Series { series, .. } => Some(*series),
            Entry::Dropped { .. } => None,
        })
    }

    fn start_next(&mut self) {
        self.scrape = self.scrape.wrapping_add(1);
        self.seen = 0;
        self.changed = false;
    }
}

#[cfg(test)]
mod tests;
