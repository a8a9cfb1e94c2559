use storage::Admin;

use super::*;

fn opened(options: &Options, name: &str) -> Arc<Db> {
    open(&Options { dir: options.dir.join("snapshots").join(name), ..options.clone() })
}

/// Blocks, and a head with late samples of several ranges of two hours, some of which blocks have.
fn filled() -> (TempDir, Options, Arc<Db>) {
    let (dir, mut options) = small_segments();
    options.out_of_order_window = Duration::from_secs(6 * 3600);
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    let late = [3 * HOUR + 500, 7 * HOUR + 500, 7 * HOUR + 400].map(|time| ("new", at(time, 0.5)));
    assert_eq!(append(&db, &late).unwrap().rejected, []);
    (dir, options, db)
}

#[test]
fn a_database_opens_on_a_snapshot_with_what_was_there() {
    let (_dir, options, db) = filled();
    let before = contents(&db);
    db.snapshot("all", true).unwrap();
    assert_eq!(contents(&opened(&options, "all")), before);
    assert_eq!(contents(&db), before);

    append(&db, &[("new", at(9 * HOUR, 1.0)), ("newer", at(9 * HOUR, 1.0))]).unwrap();
    db.delete(&[vec![]], TimeRange::ALL).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(contents(&db), Contents::new());
    let snapshot = opened(&options, "all");
    assert_eq!(contents(&snapshot), before);
    snapshot.maintain().unwrap(); // merges what overlaps
    assert_eq!(contents(&snapshot), before);
}

#[test]
fn a_snapshot_without_the_head_has_the_blocks() {
    let (_dir, options, db) = filled();
    db.delete(&[vec![Matcher::equal("series", "old")]], TimeRange::ALL).unwrap();
    db.snapshot("blocks", false).unwrap();
    let mut expect = contents(&db);
    let samples = expect.get_mut(&labels("new")).unwrap();
    samples.retain(|s| s.timestamp.as_millis() < 6 * HOUR && s.value.fract() == 0.0);
    assert_eq!(contents(&opened(&options, "blocks")), expect);
}

#[test]
fn an_empty_database_has_an_empty_snapshot() {
    let (_dir, options) = fresh();
    let db = open(&options);
    db.snapshot("none", true).unwrap();
    assert_eq!(contents(&opened(&options, "none")), Contents::new());
}

/// A series made meanwhile does no harm.
#[test]
fn ingest_goes_on_while_a_snapshot_is_written() {
    let (_dir, options, db) = filled();
    let before = contents(&db);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for minute in 0..300 {
                let time = at(8 * HOUR + minute * MINUTE, 1.0);
                append(&db, &[("new", time), (&format!("made at {minute}"), time)]).unwrap();
            }
        });
        (0..3).for_each(|name| db.snapshot(&name.to_string(), true).unwrap());
    });
    for snapshot in 0..3 {
        let found = contents(&opened(&options, &snapshot.to_string()));
        assert!(found[&labels("new")].starts_with(&before[&labels("new")]));
    }
}

#[test]
fn what_is_newer_than_a_snapshot_is_left_out() {
    let (_dir, options, db) = filled();
    let until = Timestamp::from_millis(7 * HOUR + 450);
    let dir = tempfile::tempdir().unwrap();
    db.write_head_into(dir.path(), until).unwrap();
    let mut expect = contents(&db);
    let samples = expect.get_mut(&labels("new")).unwrap();
    let in_blocks = |s: &Sample| s.timestamp.as_millis() < 6 * HOUR && s.value.fract() == 0.0;
    samples.retain(|sample| sample.timestamp <= until && !in_blocks(sample));
    expect.remove(&labels("old"));
    assert_eq!(contents(&open(&Options { dir: dir.path().to_owned(), ..options })), expect);
}

#[test]
fn names_that_are_taken_or_lead_elsewhere_are_refused() {
    let (dir, _options, db) = filled();
    db.snapshot("a", true).unwrap();
    for name in ["a", "", "..", "../a", "a/b", "/tmp/a"] {
        assert!(db.snapshot(name, true).is_err(), "{name:?}");
    }
    let names = fs::read_dir(dir.path().join("snapshots")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a"]);
}

/// SNAPSHOT-1.
#[test]
fn what_a_crash_left_of_a_snapshot_is_removed() {
    let (dir, options, db) = filled();
    db.snapshot("whole", true).unwrap();
    let snapshots = dir.path().join("snapshots");
    let part = snapshots.join("part.tmp-for-creation");
    copy_directory(&snapshots.join("whole"), &part);
    drop(db);
    let db = open(&options);
    assert!(!part.exists());
    assert_eq!(contents(&opened(&options, "whole")), contents(&db));
}

/// The last block ends where the samples do: a database takes new ones from there on.
#[test]
fn a_database_on_a_snapshot_goes_on_where_that_ended() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    for minute in 0..10 {
        append(&db, &[("a", at(8 * HOUR + minute * 60_000, 1.0))]).unwrap();
    }
    db.snapshot("s", true).unwrap();
    let snapshot = opened(&options, "s");
    let next = at(8 * HOUR + 10 * 60_000, 1.0);
    assert_eq!(append(&snapshot, &[("a", next)]).unwrap().rejected, []);
    assert_eq!(contents(&snapshot)[&labels("a")].len(), 11);
}
