//! Faults that only a process of its own can have: sudden death, and a full disk.
//!
//! ```text
//! test ──spawns──► this binary again, running one ignored test ──writes──► data directory
//!   └──────────── reads what the child acknowledged, kills it, opens the directory itself
//! ```
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::histogram::{Bucket, IntegerHistogram};
use model::{Histogram, Labels, Matcher, Sample, TimeRange, Timestamp};
use prometheus::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use storage::{Append, AppendError, Appended, Columns, Query, Selection};
use tsdb::{Db, Metrics, OpenError, Options};

const DIRECTORY: &str = "TSDB_TEST_DIRECTORY";
const SERIES: usize = 20;
const STEP: i64 = 30_000;
const RETENTION: i64 = 24 * 3600 * 1000;

fn open(dir: &Path) -> Result<Arc<Db>, OpenError> {
    let mut options = Options::new(dir);
    options.segment_bytes_max = 64 * 1024;
    options.out_of_order_window = Duration::from_secs(3600);
    options.retention = Some(Duration::from_millis(RETENTION as u64));
    Db::open(options, Metrics::register(&Registry::new()).unwrap())
}

fn labels(series: usize) -> Labels {
    [("__name__", "m".to_owned()), ("series", series.to_string())].into_iter().collect()
}

/// One sample for every series.
fn append(db: &Db, time: i64) -> Result<Appended, AppendError> {
    let mut batch = db.appender();
    for series in 0..SERIES {
        let series = batch.series(&labels(series), None)?;
        let timestamp = Timestamp::from_millis(time);
        batch.sample(series, Sample { timestamp, value: time as f64 * 0.1 })?;
    }
    batch.commit()
}

/// The times of each series, whose values are checked.
fn times(db: &Db) -> Vec<Vec<i64>> {
    let numbers = Matcher::equal("__name__", "m");
    let set = db.select(&Selection::new(TimeRange::ALL, vec![numbers])).unwrap();
    let read = |index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        let time = |sample: Sample| {
            let time = sample.timestamp.as_millis();
            assert_eq!(sample.value, time as f64 * 0.1);
            time
        };
        columns.iter().map(time).collect()
    };
    (0..set.len()).map(read).collect()
}

/// This binary, running `test` only, in a shell that has run `setup`.
fn child(setup: &str, test: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{setup} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped());
    command
}

fn directory() -> PathBuf {
    env::var_os(DIRECTORY).expect("run by another test").into()
}

/// Samples of every kind in one batch: numbers of all series in order, one series whose samples
/// change places two by two, and a series of native histograms.
fn append_mixture(db: &Db, time: i64) {
    let mut batch = db.appender();
    for series in 0..SERIES {
        let series = batch.series(&labels(series), None).unwrap();
        batch.sample(series, sample(time)).unwrap();
    }
    let late = batch.series(&[("__name__", "late")].into_iter().collect(), None).unwrap();
    batch.sample(late, sample(swapped(time))).unwrap();
    let histograms = batch.series(&[("__name__", "h")].into_iter().collect(), None).unwrap();
    let histogram = histogram(time).into();
    batch.histogram(histograms, Timestamp::from_millis(time), Arc::new(histogram)).unwrap();
    assert_eq!(batch.commit().unwrap().rejected, []);
}

fn sample(time: i64) -> Sample {
    Sample { timestamp: Timestamp::from_millis(time), value: time as f64 * 0.1 }
}

fn swapped(time: i64) -> i64 {
    ((time / STEP) ^ 1) * STEP
}

/// A counter whose buckets shift with time, and which is reset now and then.
fn histogram(time: i64) -> IntegerHistogram {
    let scrape = (time / STEP).cast_unsigned();
    let count = 5 + scrape % 50;
    let index = (scrape / 100 % 7) as i32;
    IntegerHistogram {
        count,
        sum: time as f64,
        positive: vec![Bucket { index, count: 3 }, Bucket { index: index + 2, count: count - 3 }],
        ..IntegerHistogram::default()
    }
}

#[test]
#[ignore = "the child of another test"]
fn write_until_killed() {
    let mut db = open(&directory()).unwrap();
    let mut time = times(&db).first().and_then(|times| times.last()).map_or(0, |time| time + STEP);
    loop {
        append_mixture(&db, time);
        println!("acknowledged {time}");
        time += STEP;
        if time % (20 * STEP) == 0 {
            db.maintain().unwrap();
        }
        if time % (70 * STEP) == 0 {
            db.close().unwrap();
            drop(db);
            db = open(&directory()).unwrap();
        }
    }
}

/// What there is beside the numbers of all series: late samples, and histograms. (Of a batch that was
/// not acknowledged the late samples may be missing alone: they have a log of their own.)
fn assert_mixture(db: &Db, from: i64, acknowledged: &[i64]) {
    let named = |name| Selection::new(TimeRange::ALL, vec![Matcher::equal("__name__", name)]);
    let read = |name| {
        let mut columns = Columns::default();
        db.select(&named(name)).unwrap().read(0, &mut columns).unwrap();
        columns
    };
    let (late, histograms) = (read("late"), read("h").histograms);
    for &time in acknowledged.iter().filter(|&&time| time >= from) {
        let expect = sample(swapped(time));
        let is_there = late.iter().any(|found| found == expect);
        assert!(
            is_there || expect.timestamp.as_millis() < from,
            "late sample {expect:?} is missing"
        );
        let expect = Histogram::from(histogram(time)).to_float();
        let at = Timestamp::from_millis(time);
        let found = histograms.binary_search_by_key(&at, |(at, _)| *at).expect("acknowledged");
        assert_eq!(*histograms[found].1, expect, "at {time}");
    }
}

/// TSDB-1: whatever a process was doing when it was killed, what it acknowledged is there.
#[test]
fn what_was_acknowledged_survives_sudden_death() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut acknowledged: Vec<i64> = Vec::new();
    for _round in 0..50 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let life = 20 + random % 200; // commits
        let mut writer = child("", "write_until_killed", dir.path()).spawn().unwrap();
        let output = BufReader::new(writer.stdout.take().unwrap());
        let mut commits = 0;
        for line in output.lines().map_while(Result::ok) {
            let Some((_, time)) = line.rsplit_once("acknowledged ") else { continue };
            acknowledged.push(time.parse().unwrap());
            commits += 1;
            if commits == life {
                writer.kill().unwrap();
            }
        }
        writer.wait().unwrap();

        let db = open(dir.path()).unwrap();
        let series = times(&db);
        let last = *acknowledged.last().unwrap();
        assert_eq!(series.len(), SERIES);
        for times in &series {
            assert_eq!(times, &series[0], "a batch is there as a whole");
            assert!(*times.last().unwrap() >= last);
            assert!(times[0] <= (last - RETENTION).max(0), "{} {last}", times[0]);
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == STEP));
        }
        assert_mixture(&db, series[0][0], &acknowledged);
    }
    let last = *acknowledged.last().unwrap();
    assert!(last > RETENTION, "long enough for blocks to merge and go: {last}");
}

#[test]
#[ignore = "the child of another test"]
fn write_beyond_the_limit_for_files() {
    let unlimited = getrlimit(Resource::Fsize);
    let db = open(&directory()).unwrap();
    append(&db, 0).unwrap();
    let room = Rlimit { current: Some(db.log_end().offset + 5000), ..unlimited };
    setrlimit(Resource::Fsize, room).unwrap();
    let mut time = 0;
    let error = loop {
        time += STEP;
        if let Err(error) = append(&db, time) {
            break error;
        }
    };
    assert!(error.is_retryable(), "{error}");
    assert!(time > STEP);
    let before = times(&db);
    assert_eq!(before[0].last(), Some(&(time - STEP)), "nothing of the refused batch shows");
    append(&db, time).unwrap_err();

    setrlimit(Resource::Fsize, unlimited).unwrap();
    append(&db, time).unwrap();
    append(&db, time + STEP).unwrap();
    let after = times(&db);
    drop(db);
    assert_eq!(times(&open(&directory()).unwrap()), after);
    assert_eq!(after[0].len(), before[0].len() + 2);
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let ignore_signal = "trap '' XFSZ;";
    let output =
        child(ignore_signal, "write_beyond_the_limit_for_files", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "the child of another test"]
fn compact_beyond_the_limit_for_files() {
    let unlimited = getrlimit(Resource::Fsize);
    let db = open(&directory()).unwrap();
    for i in 0..1000 {
        append(&db, i * STEP).unwrap();
    }
    let before = times(&db);
    setrlimit(Resource::Fsize, Rlimit { current: Some(100), ..unlimited }).unwrap();
    db.maintain().unwrap_err();
    db.maintain().unwrap_err();
    assert_eq!(times(&db), before);
    let left = || std::fs::read_dir(directory()).unwrap().count();
    assert_eq!(left(), 3, "the logs and the lock");

    setrlimit(Resource::Fsize, unlimited).unwrap();
    db.maintain().unwrap();
    assert_eq!(times(&db), before);
    drop(db);
    assert_eq!(times(&open(&directory()).unwrap()), before);
    assert!(left() > 4, "blocks");
}

#[test]
fn a_full_disk_puts_compaction_off() {
    let dir = tempfile::tempdir().unwrap();
    let ignore_signal = "trap '' XFSZ;";
    let output =
        child(ignore_signal, "compact_beyond_the_limit_for_files", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "the child of another test"]
fn spill_beyond_the_limit_for_files() {
    let unlimited = getrlimit(Resource::Fsize);
    let db = open(&directory()).unwrap();
    for time in 0..10_000 {
        append(&db, time).unwrap(); // in all more than a megabyte of full chunks
    }
    let before = times(&db);
    let files = || std::fs::read_dir(directory().join("chunks_head")).map_or(0, Iterator::count);
    setrlimit(Resource::Fsize, Rlimit { current: Some(100), ..unlimited }).unwrap();
    db.maintain().unwrap_err();
    assert_eq!(files(), 0, "what could not be finished does not take the last room");
    drop(db);
    let db = open(&directory()).unwrap();
    assert_eq!(times(&db), before);

    setrlimit(Resource::Fsize, unlimited).unwrap();
    db.maintain().unwrap();
    assert_eq!(files(), 1);
    assert_eq!(times(&db), before);
}

#[test]
fn on_a_full_disk_chunks_stay_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let ignore_signal = "trap '' XFSZ;";
    let output =
        child(ignore_signal, "spill_beyond_the_limit_for_files", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "the child of another test"]
fn open_a_directory_in_use() {
    assert!(matches!(open(&directory()), Err(OpenError::Locked { .. })));
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _db = open(dir.path()).unwrap();
    let output = child("", "open_a_directory_in_use", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
#[ignore = "the child of another test"]
fn close_beyond_the_limit_for_files() {
    let unlimited = getrlimit(Resource::Fsize);
    let db = open(&directory()).unwrap();
    for time in 0..1000 {
        append(&db, time).unwrap();
    }
    let before = times(&db);
    setrlimit(Resource::Fsize, Rlimit { current: Some(100), ..unlimited }).unwrap();
    db.close().unwrap();
    drop(db);
    let left: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.iter().all(|path| !path.display().to_string().contains("saved_head")), "{left:?}");
    setrlimit(Resource::Fsize, unlimited).unwrap();
    assert_eq!(times(&open(&directory()).unwrap()), before);
}

#[test]
fn on_a_full_disk_the_end_leaves_the_log_to_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let ignore_signal = "trap '' XFSZ;";
    let output =
        child(ignore_signal, "close_beyond_the_limit_for_files", dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
