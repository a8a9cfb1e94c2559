//! Damage to the files of blocks: a byte flipped or a tail cut anywhere.
//!
//! The directory opens all the same, and what is read is what was written, or an error that names the
//! place; never another value, and never less without a word. (`meta.json` has no checksum: what it
//! says of times may hide samples, but changes none.)
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, Sample, TimeRange, Timestamp};
use prometheus::{Registry, TextEncoder};
use storage::{Append, Columns, Query, QueryError, Selection};
use tempfile::TempDir;
use tsdb::{Db, Metrics, Options};

const SERIES: usize = 6;
const STEP: i64 = 60_000;
const SCRAPES: i64 = 400;
/// Damages of each kind of file.
const ROUNDS: usize = 60;

type Contents = BTreeMap<Labels, Vec<Sample>>;

fn open(dir: &Path, registry: &Registry) -> Arc<Db> {
    Db::open(Options::new(dir), Metrics::register(registry).unwrap()).unwrap()
}

fn labels(series: usize) -> Labels {
    [("__name__", "m".to_owned()), ("series", series.to_string())].into_iter().collect()
}

fn value(series: usize, scrape: i64) -> f64 {
    series as f64 * 1000.0 + (scrape * 7 % 13) as f64 * 0.1
}

/// A directory with blocks and little in the log.
fn write_directory(dir: &Path) {
    let db = open(dir, &Registry::new());
    for scrape in 0..SCRAPES {
        let mut batch = db.appender();
        for series in 0..SERIES {
            let timestamp = Timestamp::from_millis(scrape * STEP);
            let reference = batch.series(&labels(series), None).unwrap();
            batch.sample(reference, Sample { timestamp, value: value(series, scrape) }).unwrap();
        }
        batch.commit().unwrap();
    }
    db.maintain().unwrap();
    db.close().unwrap();
}

fn read(db: &Db) -> Result<Contents, QueryError> {
    let set = db.select(&Selection::new(TimeRange::ALL, vec![]))?;
    let mut contents = Contents::new();
    for index in 0..set.len() {
        let mut columns = Columns::default();
        set.read(index, &mut columns)?;
        contents.insert(set.labels(index), columns.iter().collect());
    }
    Ok(contents)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = (entry.unwrap().path(), to.to_owned());
        let target = target.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, target).unwrap();
        }
    }
}

/// The files of blocks whose path ends so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Flips a bit or cuts the tail off, at a place that follows from `round`.
fn damage(file: &Path, round: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % bytes.len();
    if round.is_multiple_of(4) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << (round % 8);
    }
    fs::write(file, bytes).unwrap();
}

fn broken_blocks(registry: &Registry) -> bool {
    let page = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    !page.contains("watershed_tsdb_blocks_broken_total 0")
}

/// Gives how often the damage was seen. The log may still have what a broken block had.
fn try_damages(ending: &str, hides: bool) -> usize {
    let original = TempDir::new().unwrap();
    write_directory(original.path());
    let whole = read(&open(original.path(), &Registry::new())).unwrap();
    assert_eq!(whole.values().map(Vec::len).sum::<usize>(), SERIES * SCRAPES as usize);
    assert!(files(original.path(), ending).len() > 1, "{ending}");
    let mut seen = 0;
    for round in 0..ROUNDS {
        let dir = TempDir::new().unwrap();
        copy(original.path(), dir.path());
        let files = files(dir.path(), ending);
        damage(&files[round % files.len()], round);
        let registry = Registry::new();
        let db = open(dir.path(), &registry);
        match read(&db) {
            Err(error) => {
                assert!(error.to_string().contains("block"), "{error}");
                seen += 1;
            }
            Ok(found) => {
                for (labels, samples) in &found {
                    let all = &whole[labels];
                    assert!(samples.iter().all(|sample| all.contains(sample)), "{ending} {round}");
                }
                let is_seen = broken_blocks(&registry);
                assert!(is_seen || hides || found == whole, "{ending} {round}: less, and no word");
                seen += usize::from(is_seen);
            }
        }
    }
    seen
}

#[test]
fn a_damaged_chunk_is_never_read_as_another() {
    let seen = try_damages("chunks/000001", false);
    assert!(seen > ROUNDS * 9 / 10, "{seen}");
}

#[test]
fn a_damaged_index_is_never_read_as_another() {
    let seen = try_damages("index", false);
    assert!(seen > ROUNDS / 2, "{seen}");
}

#[test]
fn damaged_tombstones_are_seen() {
    assert_eq!(try_damages("tombstones", false), ROUNDS);
}

#[test]
fn a_damaged_meta_changes_no_sample() {
    try_damages("meta.json", true);
}
