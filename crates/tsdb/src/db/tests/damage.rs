//! Damage to any file of the logs: REPLAY-1 and REPLAY-2.

use std::path::PathBuf;

use proptest::test_runner::TestRunner;

use super::*;
use crate::log::LogSeries;
use crate::log::LoggedSample;
use crate::wal::record::{LabelPairs, Record};
use crate::wal::segment::SegmentReader;

/// A directory with blocks, a checkpoint, and several segments of both logs.
fn directory() -> (TempDir, Options) {
    let (dir, mut options) = fresh();
    options.segment_bytes_max = 8 * 1024;
    options.out_of_order_window = Duration::from_secs(2 * 3600);
    let db = open(&options);
    for minute in 0..600 {
        let name = |series: i64| (series + minute / 300 * 3).to_string();
        for series in 0..5 {
            let value = (minute * 31 % 100) as f64 * 0.1;
            append(&db, &[(&name(series), at(minute * 60_000, value))]).unwrap();
            if minute > 90 {
                append(&db, &[(&name(series), at(minute * 60_000 - 5_000_001, value))]).unwrap();
            }
        }
        if minute % 60 == 0 {
            db.maintain().unwrap();
        }
    }
    drop(db);
    (dir, options)
}

/// The files of the logs, in the order of replay.
fn log_files(dir: &Path) -> Vec<PathBuf> {
    let (checkpoint, covered) = checkpoint::newest(&dir.join("wal")).unwrap().unwrap();
    let files = |dir: &Path, first: u32| {
        let mut segments = list_segments(dir).unwrap();
        segments.retain(|&segment| segment >= first);
        assert!(!segments.is_empty(), "{}", dir.display());
        segments.into_iter().map(|segment| segment_path(dir, segment)).collect::<Vec<_>>()
    };
    let files =
        [files(&checkpoint, 0), files(&dir.join("wal"), covered + 1), files(&dir.join("wbl"), 0)];
    files.concat()
}

/// What the logs hold besides what is lost: of file `damaged.0` the records that reach beyond byte
/// `damaged.1`.
fn held(files: &[PathBuf], valid_from: Timestamp, damaged: (&Path, u64)) -> Contents {
    let mut names: BTreeMap<LogSeries, Labels> = BTreeMap::new();
    let mut held = Contents::new();
    for file in files {
        let segment = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let is_late = file.parent().unwrap().ends_with("wbl");
        let mut reader = SegmentReader::open(file.parent().unwrap(), segment, 0).unwrap();
        let end = reader.file_bytes().unwrap();
        while let Some(record) = reader.next(end).unwrap().map(<[u8]>::to_vec) {
            if file == damaged.0 && reader.offset() > damaged.1 {
                break;
            }
            match Record::parse(&record).unwrap() {
                Record::Series(entries) => {
                    let entries = entries.map(Result::unwrap);
                    let labels = |labels: LabelPairs<'_>| labels.into_iter().collect();
                    names.extend(entries.map(|(number, pairs)| (number, labels(pairs))));
                }
                Record::Samples(entries) => {
                    for LoggedSample { series, sample } in entries.map(Result::unwrap) {
                        let Some(labels) = names.get(&series) else { continue };
                        let samples = held.entry(labels.clone()).or_default();
                        let is_newest =
                            samples.last().is_none_or(|last| last.timestamp < sample.timestamp);
                        if is_late || is_newest && sample.timestamp >= valid_from {
                            samples.push(sample);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    held
}

fn union(a: &Contents, b: Contents) -> Contents {
    let mut union = a.clone();
    for (labels, samples) in b {
        union.entry(labels).or_default().extend(samples);
    }
    for samples in union.values_mut() {
        samples.sort_by_key(|sample| sample.timestamp);
        samples.dedup_by_key(|sample| sample.timestamp);
    }
    union.retain(|_, samples| !samples.is_empty());
    union
}

/// What the blocks hold, and from when on the log is replayed.
fn in_blocks(options: &Options) -> (Contents, Timestamp) {
    let (copy, options) = copy_of(options);
    fs::remove_dir_all(copy.path().join("wal")).unwrap();
    fs::remove_dir_all(copy.path().join("wbl")).unwrap();
    let db = open(&options);
    (contents(&db), db.head.bounds.valid_from())
}

fn copy_of(options: &Options) -> (TempDir, Options) {
    let copy = tempfile::tempdir().unwrap();
    copy_directory(&options.dir, copy.path());
    let options = Options { dir: copy.path().to_owned(), ..options.clone() };
    (copy, options)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut,
    Flip(u8),
}

#[test]
fn damage_to_any_file_of_the_logs_costs_the_rest_of_that_file() {
    let (_dir, options) = directory();
    let (blocks, valid_from) = in_blocks(&options);
    let file = any::<prop::sample::Index>();
    let byte = any::<prop::sample::Index>();
    let damage = prop_oneof![Just(Damage::Cut), (0..8u8).prop_map(Damage::Flip)];
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    });
    let outcome = runner.run(&(file, byte, damage), |(file, byte, damage)| {
        let (_copy, options) = copy_of(&options);
        let files = log_files(&options.dir);
        let damaged = file.get(&files);
        let mut bytes = fs::read(damaged).unwrap();
        prop_assume!(!bytes.is_empty());
        let (at, length) = (byte.index(bytes.len()), bytes.len() as u64);
        let whole = union(&blocks, held(&files, valid_from, (Path::new(""), 0)));
        let expect = union(&blocks, held(&files, valid_from, (damaged, at as u64)));
        match damage {
            Damage::Cut => bytes.truncate(at),
            Damage::Flip(bit) => bytes[at] ^= 1 << bit,
        }
        fs::write(damaged, bytes).unwrap();

        let db = open(&options);
        let found = contents(&db);
        let metrics = &db.metrics;
        let lost = (metrics.log_damage_bytes.get(), metrics.log_damage_records.get());
        match (damage, metrics.log_damage.get()) {
            // A cut between two records looks like the end, and some flags say nothing.
            (Damage::Cut, 0) => prop_assert!(found == expect && lost == (0, 0)),
            (Damage::Flip(_), 0) => prop_assert!(found == whole && lost == (0, 0)),
            (Damage::Cut, 1) => prop_assert!(found == expect && lost.1 == 1),
            (Damage::Flip(_), 1) => {
                prop_assert!(found == expect && lost.0 >= length - at as u64 && lost.1 >= 1);
            }
            (_, places) => prop_assert!(false, "{} damaged places", places),
        }
        drop(db);
        let db = open(&options);
        prop_assert_eq!(db.metrics.log_damage.get(), 0);
        prop_assert!(contents(&db) == found);
        Ok(())
    });
    outcome.unwrap();
}

/// REPLAY-3.
#[test]
fn a_new_series_never_gets_what_the_log_has_of_a_lost_one() {
    let (dir, mut options) = fresh();
    options.out_of_order_window = Duration::from_secs(2 * 3600);
    let db = open(&options);
    append(&db, &[("a", at(HOUR, 1.0))]).unwrap();
    let LogPosition { segment, offset } = db.log_end();
    append(&db, &[("lost", at(HOUR, 2.0)), ("lost", at(HOUR - MINUTE, 2.0))]).unwrap();
    drop(db);
    // Power failed when the disk had the end of the late log, but not that of the log.
    let path = segment_path(&dir.path().join("wal"), segment);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(offset).unwrap();
    let db = open(&options);
    append(&db, &[("new", at(HOUR + MINUTE, 3.0))]).unwrap();
    let expect = contents_of(&[("a", at(HOUR, 1.0)), ("new", at(HOUR + MINUTE, 3.0))]);
    assert_eq!(contents(&db), expect);
    drop(db);
    assert_eq!(contents(&open(&options)), expect);
}

/// CHECKPOINT-2.
#[test]
fn a_log_that_is_damaged_while_it_is_open_is_shortened_all_the_same() {
    let (dir, mut options) = fresh();
    options.segment_bytes_max = 8 * 1024;
    let db = open(&options);
    for minute in 0..179 {
        append(&db, &[("a", at(minute * MINUTE, 1.0)), ("b", at(minute * MINUTE, 1.0))]).unwrap();
    }
    let log = dir.path().join("wal");
    let path = segment_path(&log, 0);
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for minute in 179..600 {
        append(&db, &[("a", at(minute * MINUTE, 1.0)), ("b", at(minute * MINUTE, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    assert_eq!(db.metrics.log_damage.get(), 1);
    assert!(db.metrics.log_damage_records.get() > 1);
    assert!(db.metrics.log_damage_bytes.get() > 0);
    assert!(!path.exists());
    let expect = contents(&db);
    assert_eq!(expect[&labels("a")].len(), 600);
    drop(db);
    assert_eq!(contents(&open(&options)), expect);
}

#[test]
fn numbers_of_segments_that_nothing_can_follow_are_refused() {
    for name in ["wal/4294967295", "wal/checkpoint.4294967295", "wbl/4294967295"] {
        let (dir, options) = fresh();
        let db = open(&options);
        append(&db, &[("a", at(1, 1.0))]).unwrap();
        drop(db);
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let is_checkpoint = name.contains("checkpoint");
        if is_checkpoint { fs::create_dir(&path) } else { fs::write(&path, []) }.unwrap();
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let refused = Db::open(options.clone(), metrics);
        assert!(matches!(refused, Err(OpenError::Io { .. })), "{name}");
        if is_checkpoint { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
        assert_eq!(contents(&open(&options)), contents_of(&[("a", at(1, 1.0))]), "{name}");
    }
}

#[test]
fn a_block_that_says_it_is_another_one_is_left_out() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    assert_eq!(db.blocks.len(), 3);
    let name = db.blocks.all()[0].meta().ulid.as_str().to_owned();
    drop(db);
    let path = dir.path().join(&name).join("meta.json");
    let meta = fs::read_to_string(&path).unwrap();
    for other in ["../../elsewhere", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        fs::write(&path, meta.replace(&name, other)).unwrap();
        assert_eq!(open(&options).blocks.len(), 2, "{other}");
    }
    fs::write(&path, meta).unwrap();
    assert_eq!(open(&options).blocks.len(), 3);
}
