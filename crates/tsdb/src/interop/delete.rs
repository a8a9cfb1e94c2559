//! Deletions and snapshots of either side, seen by the other.

use std::path::Path;

use model::{Matcher, Sample, TimeRange, Timestamp};
use storage::{Admin, Append};

use super::peer::Prometheus;
use super::{
    Contents, MINUTE, START, at, contents, labels, open, parse_dump, promtool, write_directory,
};
use crate::Db;
use crate::inspect::verify::verify;

/// Series, and the minutes from which to which they go: in blocks, where blocks and head meet, all, the
/// newest, late ones, and such as are not there.
const DELETED: [(usize, i64, i64); 8] = [
    (1, 30, 31),
    (2, 100, 350),
    (3, -10, 1000),
    (4, 390, 395),
    (4, 392, 1000),
    (5, 305, 316),
    (6, 500, 600),
    (7, 350, 350),
];
const END: i64 = START + 400 * MINUTE;

fn range(start: i64, end: i64) -> TimeRange {
    let at = |minute| Timestamp::from_millis(START + minute * MINUTE);
    TimeRange::new(at(start), at(end))
}

fn delete(db: &Db, (series, start, end): (usize, i64, i64)) {
    let matchers = vec![Matcher::equal("series", series.to_string())];
    db.delete(&[matchers], range(start, end)).unwrap();
}

/// Takes the deletions out of what there was.
fn without_deleted(mut contents: Contents) -> Contents {
    for (series, start, end) in DELETED {
        let samples = contents.get_mut(&labels(series)).unwrap();
        samples.retain(|sample| !range(start, end).contains(sample.timestamp));
    }
    with_samples(contents)
}

fn with_samples(contents: Contents) -> Contents {
    contents.into_iter().filter(|(_, samples)| !samples.is_empty()).collect()
}

fn dumped(dir: &Path) -> Contents {
    parse_dump(&String::from_utf8(promtool(&["tsdb", "dump"], dir).stdout).unwrap())
}

#[test]
fn prometheus_sees_what_we_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let expect = without_deleted(write_directory(dir.path()));
    let db = open(dir.path());
    DELETED.iter().for_each(|&deletion| delete(&db, deletion));
    assert_eq!(with_samples(contents(&db)), expect);
    drop(db);
    assert_eq!(with_samples(dumped(dir.path())), expect);
    let mut problems = Vec::new();
    verify(dir.path(), &mut |problem| problems.push(problem)).unwrap();
    assert_eq!(problems, []);

    let server = Prometheus::with_admin_api(dir.path());
    assert_eq!(server.samples("metric", END), expect);
    server.kill();
    assert_eq!(with_samples(contents(&open(dir.path()))), expect);
}

#[test]
fn we_see_what_prometheus_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut expect = without_deleted(write_directory(dir.path()));
    let server = Prometheus::with_admin_api(dir.path());
    for (series, start, end) in DELETED {
        let seconds = |minute: i64| START / 1000 + minute * 60;
        server.post(&format!(
            "/api/v1/admin/tsdb/delete_series?match[]=metric%7Bseries=%22{series}%22%7D&start={}&end={}",
            seconds(start),
            seconds(end)
        ));
    }
    // It does not delete from its head what came out of order.
    let mut seen = server.samples("metric", END);
    server.kill();
    let db = open(dir.path());
    assert_eq!(with_samples(contents(&db)), seen);
    db.clean_tombstones().unwrap();
    assert_eq!(with_samples(contents(&db)), seen);
    let in_order = |sample: &Sample| sample.timestamp.as_millis() % MINUTE == START % MINUTE;
    for contents in [&mut seen, &mut expect] {
        contents.values_mut().for_each(|samples| samples.retain(in_order));
    }
    assert_eq!(with_samples(seen), with_samples(expect));
    assert_eq!(db.metrics().blocks_tombstones.get(), 0);
}

/// A tombstone hides a range from a Prometheus for as long as the series is in its head; it would not
/// take such samples itself.
#[test]
fn prometheus_does_not_see_what_came_to_a_deleted_range_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut expect = write_directory(dir.path());
    let db = open(dir.path());
    delete(&db, (1, 390, 1000));
    let mut batch = db.appender();
    let series = batch.series(&labels(1), None).unwrap();
    let again = [at(START + 395 * MINUTE, 0.5), at(START + 400 * MINUTE, 0.5)];
    again.iter().for_each(|&sample| batch.sample(series, sample).unwrap());
    assert_eq!(batch.commit().unwrap().rejected, []);
    drop(db);
    let samples = expect.get_mut(&labels(1)).unwrap();
    samples.retain(|sample| sample.timestamp < range(390, 390).start);
    samples.push(again[1]);
    let server = Prometheus::with_admin_api(dir.path());
    assert_eq!(server.samples("metric", END), expect);
    server.kill();
    let samples = expect.get_mut(&labels(1)).unwrap();
    samples.insert(samples.len() - 1, again[0]);
    assert_eq!(contents(&open(dir.path())), expect);
}

#[test]
fn either_side_opens_snapshots_of_either_side() {
    let dir = tempfile::tempdir().unwrap();
    write_directory(dir.path());
    let db = open(dir.path());
    DELETED.iter().for_each(|&deletion| delete(&db, deletion));
    let expect = with_samples(contents(&db));
    db.snapshot("ours", true).unwrap();
    drop(db);
    let ours = dir.path().join("snapshots/ours");
    let list = String::from_utf8(promtool(&["tsdb", "list"], &ours).stdout).unwrap();
    assert_eq!(list.lines().count(), 1 + open(&ours).blocks_for_test().len(), "{list}");
    let server = Prometheus::with_admin_api(&ours);
    assert_eq!(server.samples("metric", END), expect);

    let answer = server.post("/api/v1/admin/tsdb/snapshot");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let theirs = ours.join("snapshots").join(answer["data"]["name"].as_str().unwrap());
    assert_eq!(with_samples(contents(&open(&theirs))), expect);
    server.kill();
    assert_eq!(with_samples(contents(&open(&ours))), expect);
}
