//! Senders' own names for series: finds a series by a hash of encoded labels, decoding nothing.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use parking_lot::Mutex;
use storage::{SeriesKey, SeriesRef};

const SHARDS: usize = 16;
/// A sender that names its series anew all the time would fill memory: beyond this many keys per
/// series, and some to start with, a shard is emptied and learns again.
const KEYS_PER_SERIES_MAX: usize = 8;
const KEYS_PER_SHARD_MIN: usize = 4096;

/// Keys are hashes of senders' bytes under a secret seed: hashing them again would add nothing.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a key hashes as one u128");
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

type Map = HashMap<SeriesKey, SeriesRef, BuildHasherDefault<KeyHasher>>;

#[derive(Debug)]
pub(crate) struct Keys {
    shards: [Mutex<Map>; SHARDS],
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(crate) fn get(&self, key: SeriesKey) -> Option<SeriesRef> {
        self.shard(key).lock().get(&key).copied()
    }

    /// `series_count`: how many series there are, by which the number of keys is bounded.
    pub(crate) fn insert(&self, key: SeriesKey, series: SeriesRef, series_count: usize) {
        let mut map = self.shard(key).lock();
        if map.len() >= KEYS_PER_SHARD_MIN + series_count * KEYS_PER_SERIES_MAX / SHARDS {
            map.clear();
        }
        map.insert(key, series);
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(SeriesRef) -> bool) {
        for shard in &self.shards {
            let mut map = shard.lock();
            map.retain(|_, &mut series| keep(series));
            map.shrink_to_fit();
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// By bits that the map itself does not use first.
    fn shard(&self, key: SeriesKey) -> &Mutex<Map> {
        &self.shards[(key.0 >> 64) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_new_keys_do_not_fill_memory() {
        let keys = Keys::new();
        let key = |i: u128| SeriesKey(i << 64 | i);
        for i in 0..1_000_000 {
            keys.insert(key(i), SeriesRef(7), 1);
        }
        let kept = keys.len();
        assert!(kept <= SHARDS * (KEYS_PER_SHARD_MIN + KEYS_PER_SERIES_MAX), "{kept}");
        assert_eq!(keys.get(key(999_999)), Some(SeriesRef(7)));
    }
}
