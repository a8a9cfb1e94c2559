//! Sudden death of a process that deletes series, cleans up and takes snapshots.
//!
//! ```text
//! test ──spawns──► this binary again, running one ignored test ──writes──► data directory
//!   └──────────── reads what the child acknowledged, kills it, opens the directory itself
//! ```
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Matcher, Sample, TimeRange, Timestamp};
use prometheus::Registry;
use storage::{Admin, Append, Columns, Query, Selection};
use tsdb::{Db, Metrics, Options};

const DIRECTORY: &str = "TSDB_TEST_DIRECTORY";
const MINUTE: i64 = 60_000;
/// The one whose samples are deleted, and one whose samples stay.
const SERIES: [&str; 2] = ["deleted", "kept"];

fn open(dir: &Path) -> Arc<Db> {
    let mut options = Options::new(dir);
    options.segment_bytes_max = 32 * 1024;
    options.out_of_order_window = Duration::from_secs(3600);
    options.retention = None;
    Db::open(options, Metrics::register(&Registry::new()).unwrap()).unwrap()
}

fn labels(series: &str) -> Labels {
    [("__name__", "m"), ("series", series)].into_iter().collect()
}

/// A sample for each minute of an hour, every second minute behind the one after it.
fn append_hour(db: &Db, hour: i64) {
    for minute in (hour * 60..(hour + 1) * 60).map(|minute| minute ^ 1) {
        let mut batch = db.appender();
        for series in SERIES {
            let series = batch.series(&labels(series), None).unwrap();
            let timestamp = Timestamp::from_millis(minute * MINUTE);
            batch.sample(series, Sample { timestamp, value: minute as f64 }).unwrap();
        }
        assert_eq!(batch.commit().unwrap().rejected, []);
    }
}

/// The minutes that each series has samples of.
fn minutes(db: &Db) -> BTreeMap<String, Vec<i64>> {
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    let read = |index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        let minutes = columns.iter().map(|sample| sample.timestamp.as_millis() / MINUTE).collect();
        (set.labels(index).get("series").unwrap().to_owned(), minutes)
    };
    (0..set.len()).map(read).collect()
}

#[test]
#[ignore = "the child of another test"]
fn operate_until_killed() {
    let dir = env::var_os(DIRECTORY).expect("run by another test");
    let db = open(dir.as_ref());
    let whole_hours = minutes(&db).get("kept").map_or(0, |minutes| minutes.len() / 60);
    for hour in whole_hours as i64.. {
        append_hour(&db, hour);
        println!("acknowledged appended {hour}");
        let end = Timestamp::from_millis(((hour + 1) * 60 - 1) * MINUTE);
        let deleted = vec![Matcher::equal("series", "deleted")];
        db.delete(&[deleted], TimeRange::new(Timestamp::MIN, end)).unwrap();
        println!("acknowledged deleted {hour}");
        db.maintain().unwrap();
        if hour % 3 == 0 {
            db.clean_tombstones().unwrap();
        }
        db.snapshot(&hour.to_string(), true).unwrap();
        println!("acknowledged snapshot {hour}");
    }
}

fn assert_kept(db: &Db, last_hour: i64) {
    let kept = &minutes(db)["kept"];
    let whole = (last_hour + 1) * 60;
    assert!(
        kept.iter().copied().take(whole as usize).eq(0..whole),
        "to hour {last_hour}: {kept:?}"
    );
}

/// What was deleted stays so, what was not is there, and each snapshot is whole.
#[test]
fn deletions_and_snapshots_survive_sudden_death() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    for _round in 0..20 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "operate_until_killed"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut life = 1 + random % 9;
        for line in output.lines().map_while(Result::ok) {
            let Some((_, what)) = line.rsplit_once("acknowledged ") else { continue };
            let (what, hour) = what.split_once(' ').unwrap();
            acknowledged.insert(what.to_owned(), hour.parse().unwrap());
            life = life.saturating_sub(1);
            if life == 0 {
                std::thread::sleep(Duration::from_micros(random % 20_000));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();

        let db = open(dir.path());
        assert_kept(&db, acknowledged["appended"]);
        if let Some(deleted) = acknowledged.get("deleted") {
            let left = minutes(&db).remove("deleted").unwrap_or_default();
            assert!(left.iter().all(|minute| minute / 60 > *deleted), "{left:?}, {deleted}");
        }
        drop(db);
        let snapshots = dir.path().join("snapshots");
        for hour in 0..=acknowledged.get("snapshot").copied().unwrap_or(-1) {
            let snapshot = snapshots.join(hour.to_string());
            if snapshot.exists() {
                assert_kept(&open(&snapshot), hour);
                fs::remove_dir_all(snapshot).unwrap();
            }
        }
        let rest = fs::read_dir(&snapshots).into_iter().flatten();
        rest.for_each(|entry| fs::remove_dir_all(entry.unwrap().path()).unwrap());
    }
    assert!(acknowledged["appended"] > 24, "long enough for blocks to merge: {acknowledged:?}");
}
