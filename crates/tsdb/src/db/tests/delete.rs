use storage::{Admin, AdminError};

use super::*;

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end))
}

fn named(series: &str) -> Vec<Vec<Matcher>> {
    vec![vec![Matcher::equal("series", series)]]
}

/// Samples at the given minutes, with the minute as value or another.
fn put(db: &Db, series: &str, minutes: &[(i64, f64)]) {
    let samples: Vec<_> =
        minutes.iter().map(|&(minute, value)| (series, at(minute * MINUTE, value))).collect();
    let appended = append(db, &samples).unwrap();
    assert_eq!(appended.rejected, [], "{minutes:?}");
}

/// Minutes and values of the series.
fn minutes(db: &Db, series: &str) -> Vec<(i64, f64)> {
    let contents = select(db, TimeRange::ALL, vec![Matcher::equal("series", series)]);
    let samples = contents.into_values().next().unwrap_or_default();
    samples
        .into_iter()
        .map(|sample| (sample.timestamp.as_millis() / MINUTE, sample.value))
        .collect()
}

fn delete_minutes(db: &Db, series: &str, start: i64, end: i64) {
    db.delete(&named(series), range(start * MINUTE, end * MINUTE)).unwrap();
}

#[test]
fn what_is_deleted_is_gone_from_head_and_blocks_for_good() {
    #[track_caller]
    fn check(start: i64, end: i64) {
        let (_dir, options) = small_segments();
        let db = open(&options);
        fill(&db);
        db.maintain().unwrap();
        let mut expect = contents(&db);
        let sets = [named("new"), named("nobody")].concat();
        db.delete(&sets, range(start, end)).unwrap();
        let samples = expect.get_mut(&labels("new")).unwrap();
        samples.retain(|sample| !range(start, end).contains(sample.timestamp));
        expect.retain(|_, samples| !samples.is_empty());
        assert_eq!(contents(&db), expect, "{start} to {end}");
        drop(db);
        let db = open(&options);
        assert_eq!(contents(&db), expect, "{start} to {end}, after a restart");
        put(&db, "other", &[(9 * 60 + 1, 0.0)]);
        db.maintain().unwrap();
        let mut left = contents(&db);
        left.remove(&labels("other"));
        assert_eq!(left, expect, "{start} to {end}, after a compaction");
        drop(db);
        let mut left = contents(&open(&options));
        left.remove(&labels("other"));
        assert_eq!(left, expect, "{start} to {end}, after both");
    }
    check(i64::MIN, i64::MAX);
    check(HOUR, 2 * HOUR - 1); // in one block
    check(HOUR, 7 * HOUR); // blocks and head
    check(7 * HOUR + 1, i64::MAX); // the newest
    check(6 * HOUR + MINUTE, 6 * HOUR + 2 * MINUTE); // in the middle of a chunk
    check(20 * HOUR, i64::MAX); // nothing
    check(2, 1);
}

/// DELETE-1.
#[test]
fn what_is_appended_after_a_deletion_is_new() {
    #[track_caller]
    fn check(window_hours: u64, steps: impl Fn(&Db), expect: &[(i64, f64)]) {
        let (_dir, mut options) = small_segments();
        options.out_of_order_window = Duration::from_secs(window_hours * 3600);
        let db = open(&options);
        steps(&db);
        assert_eq!(minutes(&db, "a"), expect);
        drop(db);
        let db = open(&options);
        assert_eq!(minutes(&db, "a"), expect, "after a restart");
        put(&db, "b", &[(600, 0.0)]);
        db.maintain().unwrap();
        assert_eq!(minutes(&db, "a"), expect, "after a compaction");
        drop(db);
        assert_eq!(minutes(&open(&options), "a"), expect, "after both");
    }
    // The newest goes and comes again otherwise.
    let steps = |db: &Db| {
        put(db, "a", &[(1, 1.0), (2, 2.0), (3, 3.0)]);
        delete_minutes(db, "a", 2, 9);
        put(db, "a", &[(3, 30.0), (4, 4.0)]);
    };
    check(0, steps, &[(1, 1.0), (3, 30.0), (4, 4.0)]);
    // Once more.
    let again = |db: &Db| {
        steps(db);
        delete_minutes(db, "a", 3, 3);
    };
    check(0, again, &[(1, 1.0), (4, 4.0)]);
    // All goes.
    let all = |db: &Db| {
        put(db, "a", &[(2, 2.0), (3, 3.0)]);
        delete_minutes(db, "a", 0, 9);
        put(db, "a", &[(1, 1.0)]);
    };
    check(0, all, &[(1, 1.0)]);
    // Something late comes again, and something else does not.
    let late = |db: &Db| {
        put(db, "a", &[(50, 0.0), (10, 1.0), (20, 2.0)]);
        delete_minutes(db, "a", 5, 30);
        put(db, "a", &[(20, 20.0), (15, 15.0)]);
    };
    check(2, late, &[(15, 15.0), (20, 20.0), (50, 0.0)]);
    // What was late is the newest now.
    let newest = |db: &Db| {
        put(db, "a", &[(40, 4.0), (100, 10.0), (50, 5.0), (45, 4.5)]);
        delete_minutes(db, "a", 60, 200);
        put(db, "a", &[(48, 4.8), (50, 5.0), (55, 5.5)]);
    };
    check(2, newest, &[(40, 4.0), (45, 4.5), (48, 4.8), (50, 5.0), (55, 5.5)]);
    // A deleted time in a block is filled in again, and so is one in the head that was compacted since.
    let filled = |db: &Db| {
        put(db, "a", &[(10, 1.0), (130, 2.0), (200, 3.0)]);
        delete_minutes(db, "a", 0, 199);
        db.maintain().unwrap();
        put(db, "a", &[(300, 4.0)]);
        db.maintain().unwrap();
        put(db, "a", &[(130, 20.0)]);
        delete_minutes(db, "a", 200, 200);
        put(db, "a", &[(200, 30.0)]);
    };
    check(5, filled, &[(130, 20.0), (200, 30.0), (300, 4.0)]);
}

/// QUERY-1.
#[test]
fn a_selection_keeps_what_is_deleted_later() {
    let (_dir, mut options) = small_segments();
    options.out_of_order_window = Duration::from_secs(3600);
    let db = open(&options);
    fill(&db);
    append(&db, &[("new", at(8 * HOUR - 90_000, 0.5))]).unwrap();
    db.maintain().unwrap();
    let before = contents(&db);
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    db.delete(&[vec![]], TimeRange::ALL).unwrap();
    assert_eq!(contents(&db), Contents::new());
    db.clean_tombstones().unwrap();
    assert_eq!(read(&*set), before);
}

/// SNAP-1.
#[test]
fn a_deletion_waits_for_readers_that_do_not_see_all_yet() {
    let (_dir, options) = fresh();
    let db = open(&options);
    put(&db, "a", &[(1, 1.0)]);
    let snapshot = db.head.snapshots.begin();
    put(&db, "a", &[(2, 2.0)]);
    std::thread::scope(|scope| {
        let deletion = scope.spawn(|| delete_minutes(&db, "a", 1, 1));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!deletion.is_finished());
        drop(snapshot);
    });
    assert_eq!(minutes(&db, "a"), [(2, 2.0)]);
}

#[test]
fn what_is_left_behind_the_newest_may_be_the_newest_now() {
    let (_dir, mut options) = fresh();
    options.out_of_order_window = Duration::from_secs(3600);
    let db = open(&options);
    put(&db, "a", &[(30, 3.0), (60, 6.0), (40, 4.0)]);
    delete_minutes(&db, "a", 60, 60);
    let latest = db.latest(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    assert_eq!(latest, [(labels("a"), at(40 * MINUTE, 4.0))]);
}

#[test]
fn cleaning_takes_what_was_deleted_off_the_disk() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    assert_eq!(block_ranges(&db), [(0, 2), (2, 4), (4, 6)]);
    let bytes = db.blocks.bytes();
    db.delete(&[vec![]], range(0, 2 * HOUR - 1)).unwrap();
    delete_minutes(&db, "new", 200, 230);
    assert_eq!(db.metrics.blocks_tombstones.get(), 3);
    let expect = contents(&db);
    let kept = db.blocks.all()[2].meta().ulid.clone();
    let written: Vec<u64> = db.blocks_for_test().iter().map(|b| b.stats.num_samples).collect();

    db.clean_tombstones().unwrap();
    assert_eq!(block_ranges(&db), [(2, 4), (4, 6)]);
    assert_eq!(db.blocks.all()[1].meta().ulid, kept);
    assert_eq!(db.blocks.all()[0].meta().stats.num_samples, written[1] - 31);
    assert_eq!(db.metrics.blocks_tombstones.get(), 0);
    assert!(db.blocks.bytes() < bytes);
    assert_eq!(contents(&db), expect);
    let blocks = crate::block::list(dir.path()).unwrap();
    assert_eq!(blocks.len(), 2);
    drop(db);
    assert_eq!(contents(&open(&options)), expect);
}

/// COMPACT-3: the log still has the samples of the newest block.
#[test]
fn what_was_deleted_does_not_come_back_from_the_log() {
    let (_dir, mut options) = small_segments();
    options.out_of_order_window = Duration::from_secs(3600);
    let db = open(&options);
    db.hold_log("a destination that keeps all of the log", LogPosition::default());
    fill(&db);
    db.maintain().unwrap();
    db.delete(&[vec![]], TimeRange::ALL).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(block_ranges(&db), [(4, 6)]);
    assert_eq!(samples_in(&db), Contents::new());
    drop(db);
    let db = open(&options);
    assert_eq!(samples_in(&db), Contents::new());
    // Later ones, of which two overlap.
    for time in [9 * HOUR, 11 * HOUR, 13 * HOUR, 13 * HOUR - 1] {
        append(&db, &[("new", at(time, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    append(&db, &[("new", at(12 * HOUR + 1, 1.0)), ("new", at(18 * HOUR, 1.0))]).unwrap();
    db.delete(&[vec![]], TimeRange::ALL).unwrap();
    db.maintain().unwrap();
    drop(db);
    assert_eq!(samples_in(&open(&options)), Contents::new());
}

#[test]
fn a_long_block_that_lost_much_is_written_anew() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    for hour in 0..16 {
        for minute in [0, 30] {
            put(&db, "a", &[(hour * 60 + minute, 0.0)]);
            put(&db, "b", &[(hour * 60 + minute, 0.0)]);
        }
    }
    db.maintain().unwrap();
    assert_eq!(block_ranges(&db), [(0, 6), (6, 12), (12, 14)]);
    delete_minutes(&db, "a", 13 * 60, 13 * 60); // in the newest block, which stays as it is
    delete_minutes(&db, "a", 5 * 60, 7 * 60);
    assert_eq!(db.metrics.blocks_tombstones.get(), 3);
    let expect = contents(&db);
    db.maintain().unwrap();
    assert_eq!(db.metrics.blocks_tombstones.get(), 1);
    assert_eq!(block_ranges(&db), [(0, 6), (6, 12), (12, 14)]);
    assert_eq!(contents(&db), expect);
}

/// A deletion is whole on the disk, or not at all, whenever the process is killed.
#[test]
fn a_kill_leaves_a_deletion_done_or_not_done() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    let before = contents(&db);
    let block = dir.path().join(db.blocks.all()[0].meta().ulid.as_str());
    let copy = tempfile::tempdir().unwrap();
    copy_directory(dir.path(), copy.path());
    // Killed while the new file was written.
    let aside = copy.path().join(block.file_name().unwrap()).join("tombstones.tmp");
    fs::write(aside, [1, 2, 3]).unwrap();
    let opened = open(&Options { dir: copy.path().to_owned(), ..options.clone() });
    assert_eq!(contents(&opened), before);
    drop(opened);
    // Killed when the file was there, and its count was not.
    let meta = fs::read(block.join("meta.json")).unwrap();
    db.delete(&[vec![]], TimeRange::ALL).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_directory(dir.path(), copy.path());
    fs::write(copy.path().join(block.file_name().unwrap()).join("meta.json"), meta).unwrap();
    let opened = open(&Options { dir: copy.path().to_owned(), ..options });
    assert_eq!(contents(&opened), Contents::new());
    assert_eq!(opened.metrics.blocks_tombstones.get(), db.metrics.blocks_tombstones.get());
}

#[test]
fn what_others_wrote_into_a_blocks_meta_stays() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    let path = dir.path().join(db.blocks.all()[0].meta().ulid.as_str()).join("meta.json");
    let mut meta: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    meta["thanos"] = serde_json::json!({"labels": {"a": "b"}});
    fs::write(&path, meta.to_string()).unwrap();
    delete_minutes(&db, "new", 0, 1);
    meta["stats"]["numTombstones"] = 1.into();
    let changed: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(changed, meta);
}

#[test]
fn a_closed_database_deletes_nothing() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("a", at(1, 1.0))]).unwrap();
    db.close().unwrap();
    let refused = db.delete(&[vec![]], TimeRange::ALL);
    assert!(matches!(refused, Err(AdminError::Write { .. })), "{refused:?}");
    assert_eq!(contents(&db), contents_of(&[("a", at(1, 1.0))]));
}

/// COMPACT-3: of a time that blocks had, nothing comes back from the log.
#[test]
fn retention_by_size_does_not_bring_back_what_was_deleted() {
    let (_dir, mut options) = small_segments();
    let db = open(&options);
    db.hold_log("x", LogPosition::default());
    fill(&db);
    db.maintain().unwrap();
    db.delete(&[vec![]], range(0, 5 * HOUR)).unwrap();
    drop(db);
    options.retention_bytes = Some(1);
    let db = open(&options);
    db.hold_log("x", LogPosition::default());
    db.maintain().unwrap();
    let left = contents(&db);
    assert_eq!(block_ranges(&db).len(), 1);
    drop(db);
    assert_eq!(contents(&open(&options)), left);
}

#[test]
fn a_dump_does_not_show_what_was_deleted_though_the_log_has_it() {
    let (dir, options) = small_segments();
    let db = open(&options);
    db.hold_log("x", LogPosition::default());
    fill(&db);
    db.maintain().unwrap();
    db.delete(&named("new"), range(0, 5 * HOUR)).unwrap();
    let expect = contents(&db);
    drop(db);
    let mut dump = crate::inspect::dump::Dump::open(dir.path(), &[vec![]], TimeRange::ALL).unwrap();
    let mut found = BTreeMap::new();
    while let Some((labels, points)) = dump.next_series().unwrap() {
        found.insert(labels, points.len());
    }
    assert_eq!(found, expect.into_iter().map(|(labels, all)| (labels, all.len())).collect());
}

/// SPILL-1: a Prometheus does not start where one is missing.
#[test]
fn files_of_full_chunks_have_no_gap() {
    let (dir, options) = small_segments();
    let db = open(&options);
    db.spill_eagerly();
    for series in ["a", "b", "c"] {
        put(&db, series, &(0..130).map(|minute| (minute, 1.0)).collect::<Vec<_>>());
        db.maintain().unwrap();
    }
    let files = || {
        let entries = fs::read_dir(dir.path().join("chunks_head")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(files(), ["000001", "000002", "000003"]);
    db.delete(&named("b"), TimeRange::ALL).unwrap();
    db.maintain().unwrap();
    assert_eq!(files(), ["000001", "000002", "000003"]);
    db.delete(&named("a"), TimeRange::ALL).unwrap();
    db.maintain().unwrap();
    assert_eq!(files(), ["000003"]);
    drop(db);
    assert!(files().is_empty());
}

/// LATE-1.
#[test]
fn what_came_late_is_deleted_for_good() {
    #[track_caller]
    fn check(steps: impl Fn(&Options), expect: &[(i64, f64)]) {
        let (_dir, mut options) = fresh();
        options.out_of_order_window = Duration::from_secs(7200);
        steps(&options);
        assert_eq!(minutes(&open(&options), "a"), expect);
    }
    // Replay finds in order what came late: what was before it is deleted.
    let in_order = |options: &Options| {
        let db = open(options);
        put(&db, "a", &[(20, 2.0), (15, 1.5)]);
        delete_minutes(&db, "a", 20, 20);
        put(&db, "a", &[(12, 1.2)]);
        drop(db);
        delete_minutes(&open(options), "a", 12, 12);
    };
    check(in_order, &[(15, 1.5)]);
    // The disk refuses, and is asked again by another deletion, of nothing, or by maintenance.
    let refused = |options: &Options, again: fn(&Db)| {
        let db = open(options);
        put(&db, "a", &[(20, 2.0), (15, 1.5), (14, 1.4)]);
        *db.durable.fault.lock() = Some(Box::new(|| Err(io::Error::other("no disk"))));
        db.delete(&named("a"), range(15 * MINUTE, 15 * MINUTE)).unwrap_err();
        *db.durable.fault.lock() = None;
        again(&db);
    };
    let expect = [(14, 1.4), (20, 2.0)];
    check(|options| refused(options, |db| delete_minutes(db, "a", 15, 15)), &expect);
    check(|options| refused(options, |db| db.maintain().unwrap()), &expect);
}
