//! Senders' own names for series: finds a series by a hash of encoded labels, decoding nothing.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use parking_lot::Mutex;
use storage::{SeriesKey, SeriesRef};

const SHARDS: usize = 16;

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

    pub(crate) fn insert(&self, key: SeriesKey, series: SeriesRef) {
        self.shard(key).lock().insert(key, series);
    }

    pub(crate) fn retain(&self, mut keep: impl FnMut(SeriesRef) -> bool) {
        for shard in &self.shards {
            let mut map = shard.lock();
            map.retain(|_, &mut series| keep(series));
            map.shrink_to_fit();
        }
    }

    /// By bits that the map itself does not use first.
    fn shard(&self, key: SeriesKey) -> &Mutex<Map> {
        &self.shards[(key.0 >> 64) as usize % SHARDS]
    }
}
