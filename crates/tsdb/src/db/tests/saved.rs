//! Heads that go from one database to the next in a file.

use std::path::PathBuf;

use ::model::{Exemplar, Histogram};
use proptest::test_runner::TestRunner;

use super::*;
use crate::LogSeries;
use crate::head::saved;

/// A head with all that there may be in one: full chunks in several files, open chunks, late samples,
/// histograms, exemplars, metadata, a series that left.
fn filled() -> (TempDir, Options, Arc<Db>) {
    let (dir, mut options) = small_segments();
    options.out_of_order_window = Duration::from_secs(2 * 3600);
    let db = open(&options);
    db.spill_eagerly();
    db.hold_log("a destination", LogPosition::default());
    append(&db, &[("gone", at(0, 1.0))]).unwrap();
    for minute in 0..600 {
        for name in ["a", "b", "c"] {
            let value = (minute * 31 % 100) as f64 * 0.1;
            append(&db, &[(name, at(minute * 60_000, value))]).unwrap();
            if minute % 5 == 0 && minute > 90 {
                append(&db, &[(name, at(minute * 60_000 - 5_000_001, value))]).unwrap();
            }
        }
        append_more(&db, minute);
        if minute % 100 == 99 {
            db.maintain().unwrap();
        }
    }
    for second in 0..600 {
        let time = 600 * 60_000 + second * 1000;
        append(&db, &[("a", at(time, second as f64)), ("b", at(time, 0.1))]).unwrap();
        if second % 200 == 199 {
            db.maintain().unwrap();
        }
    }
    assert!(db.head.index.read().knows_number(LogSeries(1)) && db.series_count() == 4);
    (dir, options, db)
}

fn append_more(db: &Db, minute: i64) {
    let mut batch = db.appender();
    let series = batch.series(&labels("histogram"), None).unwrap();
    let timestamp = Timestamp::from_millis(minute * 60_000);
    let histogram =
        ::model::histogram::IntegerHistogram { count: minute as u64, ..Default::default() };
    batch.histogram(series, timestamp, Arc::new(Histogram::Integer(histogram))).unwrap();
    let trace = [("trace", minute.to_string())].into_iter().collect();
    batch.exemplar(series, Exemplar { labels: trace, value: 1.0, timestamp }).unwrap();
    let metadata = Metadata { help: format!("Version {}.", minute / 100), ..Metadata::default() };
    batch.metadata("m", &metadata).unwrap();
    batch.commit().unwrap();
}

/// All that can be asked of a head.
fn state(db: &Db) -> String {
    let query = LabelQuery { range: TimeRange::ALL, matcher_sets: Vec::new(), limit: None };
    let set = db.select(&Selection::new(TimeRange::ALL, Vec::new())).unwrap();
    let series = (0..set.len()).map(|index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        (set.labels(index), columns)
    });
    let bounds = db.head.bounds.save();
    let metadata = db.metadata(None).unwrap();
    let exemplars = db.exemplars(&query).unwrap();
    let index = db.head.index.read();
    let numbers = (0..20).map(|number| index.labels_of_number(LogSeries(number)));
    let numbers: Vec<_> = numbers.collect();
    let series: Vec<_> = series.collect();
    let late = db.committer.lock().late_times.save();
    assert!(late.times.is_some());
    format!("{series:?}\n{bounds:?}\n{metadata:?}\n{exemplars:?}\n{numbers:?}\n{late:?}")
}

#[test]
fn what_a_database_held_at_its_end_is_there_without_the_log() {
    let (_dir, options, db) = filled();
    let before = state(&db);
    db.close().unwrap();
    drop(db);
    for _ in 0..2 {
        let db = open(&options);
        assert_eq!(state(&db), before);
        assert_eq!(
            (db.metrics.saved_heads_loaded.get(), db.metrics.saved_heads_discarded.get()),
            (1, 0)
        );
        assert_eq!(db.metrics.replay_progress().to_string(), "opening the storage", "no replay");
        db.close().unwrap();
    }
    let db = open(&options);
    db.spill_eagerly();
    for minute in 610..900 {
        append(&db, &[("a", at(minute * 60_000, 1.0)), ("d", at(minute * 60_000, 1.0))]).unwrap();
        append_more(&db, minute);
        db.maintain().unwrap();
    }
    let refused = append(&db, &[("a", at(899 * 60_000, 2.0))]).unwrap();
    assert_eq!(refused.rejected[0].reason, RejectReason::DuplicateTimestamp);
    let (before, after) = (contents(&db), contents_after_a_crash(db, &options));
    assert_eq!(before[&labels("a")].len(), 600 + 101 + 600 + 290);
    assert_eq!(after, before);
}

fn contents_after_a_crash(db: Arc<Db>, options: &Options) -> Contents {
    drop(db);
    let db = open(options);
    assert_eq!(
        (db.metrics.saved_heads_loaded.get(), db.metrics.saved_heads_discarded.get()),
        (0, 0)
    );
    contents(&db)
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let chunks = fs::read_dir(dir.join("chunks_head")).unwrap();
    let mut files: Vec<PathBuf> = chunks.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 2, "{files:?}");
    files.push(saved::path(dir));
    files
}

/// SAVED-2.
#[test]
fn with_any_byte_wrong_the_log_is_replayed() {
    let (_dir, options, db) = filled();
    let (before, range) = (contents(&db), db.time_range());
    db.close().unwrap();
    drop(db);
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(100)
    });
    let damage = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..10u8);
    let outcome = runner.run(&damage, |(file, byte, damage)| {
        let copy = tempfile::tempdir().unwrap();
        copy_directory(&options.dir, copy.path());
        let options = Options { dir: copy.path().to_owned(), ..options.clone() };
        let files = files_of(&options.dir);
        // Half of all damage to the file that refers to the others.
        let file = if damage % 2 == 0 { &files[files.len() - 1] } else { file.get(&files) };
        let mut bytes = fs::read(file).unwrap();
        let at = byte.index(bytes.len());
        match damage {
            9 => fs::remove_file(file).unwrap(),
            8 => bytes.truncate(at),
            bit => bytes[at] ^= 1 << bit,
        }
        if damage < 9 {
            fs::write(file, bytes).unwrap();
        }
        let db = open(&options);
        prop_assert_eq!(db.metrics.saved_heads_loaded.get(), 0);
        let is_there = damage < 9 || *file != files[files.len() - 1];
        prop_assert_eq!(db.metrics.saved_heads_discarded.get(), u64::from(is_there));
        prop_assert_eq!(contents(&db), before.clone());
        prop_assert_eq!(db.time_range(), range);
        prop_assert!(!saved::path(&options.dir).exists());
        Ok(())
    });
    outcome.unwrap();
}

/// SAVED-2, SAVED-3.
#[test]
fn a_saved_head_that_the_log_has_left_behind_is_not_used() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("a", at(1, 1.0))]).unwrap();
    db.close().unwrap();
    drop(db);
    let file = saved::path(&options.dir);
    let bytes = fs::read(&file).unwrap();
    let db = open(&options);
    assert!(!file.exists());
    append(&db, &[("a", at(2, 1.0))]).unwrap();
    drop(db);
    fs::write(&file, bytes).unwrap();
    let db = open(&options);
    assert_eq!(db.metrics.saved_heads_discarded.get(), 1);
    assert_eq!(contents(&db), contents_of(&[("a", at(1, 1.0)), ("a", at(2, 1.0))]));
}

#[test]
fn after_the_end_nothing_is_changed_any_more() {
    let (dir, options, db) = filled();
    append(&db, &[("a", at(700 * 60_000, 1.0))]).unwrap();
    let before = contents(&db);
    db.close().unwrap();
    let files = || walk(dir.path());
    let files_before = files();
    db.maintain().unwrap(); // would have moved two hours into a block
    assert!(append(&db, &[("a", at(701 * 60_000, 1.0))]).is_err());
    db.close().unwrap();
    drop(db);
    assert_eq!(files(), files_before);
    let db = open(&options);
    assert_eq!((contents(&db), db.metrics.saved_heads_loaded.get()), (before, 1));
    db.maintain().unwrap();
}

/// The files below `dir` and their lengths.
fn walk(dir: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.insert(path.clone(), fs::metadata(&path).unwrap().len());
        }
    }
    files
}
