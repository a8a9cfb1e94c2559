//! `meta.json`: what a block is, in Prometheus' words.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::replace::replace_file;

const FILE: &str = "meta.json";
const VERSION: u32 = 1;
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A block's name: 26 letters that sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ulid(String);

impl Ulid {
    /// A new name for a block whose newest data is from `time`.
    pub(crate) fn new(time: Timestamp) -> Self {
        let random = u128::from(RandomState::new().hash_one(1)) << 64
            | u128::from(RandomState::new().hash_one(2));
        let time = time.as_millis().max(0).cast_unsigned() & ((1 << 48) - 1);
        let bits = u128::from(time) << 80 | random >> 48;
        let letter = |at: u32| char::from(CROCKFORD[(bits >> (5 * at)) as usize & 31]);
        Self((0..26).rev().map(letter).collect())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 26 && text.bytes().all(|byte| CROCKFORD.contains(&byte));
        valid.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BlockMeta {
    pub(crate) ulid: Ulid,
    #[serde(rename = "minTime")]
    start: i64,
    /// Exclusive.
    #[serde(rename = "maxTime")]
    end: i64,
    #[serde(default)]
    pub(crate) stats: Stats,
    pub(crate) compaction: Compaction,
    version: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stats {
    pub(crate) num_samples: u64,
    pub(crate) num_series: u64,
    pub(crate) num_chunks: u64,
    /// Of the ranges in `tombstones`.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) num_tombstones: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Compaction {
    pub(crate) level: u32,
    /// The blocks of level 1 that the data came from.
    pub(crate) sources: Vec<Ulid>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parents: Vec<Parent>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) failed: bool,
    /// Where the data came from, in Prometheus' words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

/// Hints of blocks that hold what was taken out of the head before its time: the log may have more of
/// theirs.
const BESIDE_THE_HEAD: [&str; 2] = ["from-out-of-order", "from-stale-series"];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parent {
    ulid: Ulid,
    #[serde(rename = "minTime")]
    start: i64,
    #[serde(rename = "maxTime")]
    end: i64,
}

impl BlockMeta {
    /// Of a block from `start` up to before `end`.
    pub(crate) fn new(start: Timestamp, end: Timestamp, parents: &[&Self]) -> Self {
        let ulid = Ulid::new(end);
        let mut sources: Vec<Ulid> =
            parents.iter().flat_map(|parent| parent.compaction.sources.iter().cloned()).collect();
        sources.sort();
        sources.dedup();
        if parents.is_empty() {
            sources.push(ulid.clone());
        }
        let mut hints =
            parents.first().map_or_else(Vec::new, |first| first.compaction.hints.clone());
        hints.retain(|hint| parents.iter().all(|parent| parent.compaction.hints.contains(hint)));
        let level = parents.iter().map(|parent| parent.compaction.level).max().unwrap_or(0) + 1;
        let parents = parents.iter().map(|parent| Parent {
            ulid: parent.ulid.clone(),
            start: parent.start,
            end: parent.end,
        });
        let compaction =
            Compaction { level, sources, parents: parents.collect(), failed: false, hints };
        Self {
            ulid,
            start: start.as_millis(),
            end: end.as_millis(),
            stats: Stats::default(),
            compaction,
            version: VERSION,
        }
    }

    pub(crate) const fn start(&self) -> Timestamp {
        Timestamp::from_millis(self.start)
    }

    pub(crate) const fn end(&self) -> Timestamp {
        Timestamp::from_millis(self.end)
    }

    /// Whether what the log has of the block's times is all in blocks.
    pub(crate) fn is_in_order(&self) -> bool {
        !self.compaction.hints.iter().any(|hint| BESIDE_THE_HEAD.contains(&hint.as_str()))
    }

    pub(crate) fn replaces(&self, other: &Ulid) -> bool {
        self.compaction.parents.iter().any(|parent| parent.ulid == *other)
    }

    pub(crate) fn read(dir: &Path) -> io::Result<Self> {
        let meta: Self = serde_json::from_slice(&fs::read(dir.join(FILE))?)?;
        if meta.version != VERSION {
            return Err(io::Error::other(format!("meta.json has version {}", meta.version)));
        }
        let name = dir.file_name().and_then(|name| name.to_str()).and_then(Ulid::parse);
        if name.as_ref() != Some(&meta.ulid) {
            return Err(io::Error::other("meta.json is not that of the block in its directory"));
        }
        Ok(meta)
    }

    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        replace_file(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Says in a finished block how many deleted ranges it has. What the file says beyond what we
    /// know of stays: others (Thanos) add to it.
    pub(super) fn write_tombstone_count(&mut self, dir: &Path, count: u64) -> io::Result<()> {
        let path = dir.join(FILE);
        let mut meta: Map<String, Value> = serde_json::from_slice(&fs::read(&path)?)?;
        if let Value::Object(stats) = meta.entry("stats").or_insert_with(|| json!({})) {
            stats.insert("numTombstones".to_owned(), count.into());
        }
        replace_file(&path, &serde_json::to_vec_pretty(&meta)?)?;
        self.stats.num_tombstones = count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_differ() {
        let names: Vec<Ulid> = [1, 1, 1_700_000_000_000, 1_700_000_000_001]
            .map(|millis| Ulid::new(Timestamp::from_millis(millis)))
            .into();
        assert!(names[1] < names[2] && names[2] < names[3]);
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| Ulid::parse(name.as_str()).as_ref() == Some(name)));
        assert_eq!(Ulid::parse("wal"), None);
    }
}
