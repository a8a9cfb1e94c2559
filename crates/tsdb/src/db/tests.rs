use std::collections::{BTreeMap, BTreeSet};

use model::{
    Labels, MatchOp, Matcher, Metadata, MetricType, Point, STALE_NAN, Sample, SampleValue,
};
use prometheus::Registry;
use proptest::prelude::*;
use storage::{
    Columns, LabelQuery, Query, RejectReason, Selection, SeriesKey, SeriesRef, SeriesSet,
};
use tempfile::TempDir;

use super::*;
use crate::log::{LogEntry, LogItem};

#[path = "tests/churn.rs"]
mod churn;
#[path = "tests/damage.rs"]
mod damage;
#[path = "tests/delete.rs"]
mod delete;
#[path = "tests/durable.rs"]
mod durable;
#[path = "tests/exemplars.rs"]
mod exemplars;
#[path = "tests/grouped.rs"]
mod grouped;
#[path = "tests/histograms.rs"]
mod histograms;
#[path = "tests/late.rs"]
mod late;
#[path = "tests/saved.rs"]
mod saved;
#[path = "tests/snapshot.rs"]
mod snapshot;
#[path = "tests/model.rs"]
mod store_model;

const HOUR: i64 = 3600 * 1000;
const MINUTE: i64 = 60_000;

fn open(options: &Options) -> Arc<Db> {
    Db::open(options.clone(), Metrics::register(&Registry::new()).unwrap()).unwrap()
}

fn fresh() -> (TempDir, Options) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path());
    (dir, options)
}

fn labels(text: &str) -> Labels {
    [("__name__", "m"), ("series", text)].into_iter().collect()
}

fn at(millis: i64, value: f64) -> Sample {
    Sample { timestamp: Timestamp::from_millis(millis), value }
}

fn append(db: &Db, samples: &[(&str, Sample)]) -> Result<Appended, AppendError> {
    let mut batch = db.appender();
    for &(series, sample) in samples {
        let series = batch.series(&labels(series), None)?;
        batch.sample(series, sample)?;
    }
    batch.commit()
}

type Contents = BTreeMap<Labels, Vec<Sample>>;

fn select(db: &Db, range: TimeRange, matchers: Vec<Matcher>) -> Contents {
    let set = db.select(&Selection::new(range, matchers)).unwrap();
    read(&*set)
}

fn read(set: &dyn SeriesSet) -> Contents {
    let read = |index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        (set.labels(index), columns.iter().collect())
    };
    (0..set.len()).map(read).collect()
}

fn contents(db: &Db) -> Contents {
    select(db, TimeRange::ALL, Vec::new())
}

/// The series that have samples: one that a block has lost all samples of may still be named.
fn samples_in(db: &Db) -> Contents {
    contents(db).into_iter().filter(|(_, samples)| !samples.is_empty()).collect()
}

fn contents_of(samples: &[(&str, Sample)]) -> Contents {
    let mut contents = Contents::new();
    for &(series, sample) in samples {
        contents.entry(labels(series)).or_default().push(sample);
    }
    contents
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let (_dir, options) = fresh();
    let samples = [("a", at(1, 1.0)), ("b", at(1, STALE_NAN)), ("a", at(2, f64::NAN))];
    let db = open(&options);
    let appended = append(&db, &samples).unwrap();
    assert_eq!(appended, Appended { samples: 3, ..Appended::default() });
    assert_eq!(contents(&db), contents_of(&samples));
    drop(db);
    assert_eq!(contents(&open(&options)), contents_of(&samples));
}

#[test]
fn a_log_may_be_compressed_in_any_way_and_in_several() {
    let (_dir, mut options) = fresh();
    let ways = [Compression::None, Compression::Snappy, Compression::Zstd];
    for (first, compression) in [0, 1000, 2000].into_iter().zip(ways) {
        options.log_compression = compression;
        let db = open(&options);
        for i in first..first + 1000 {
            append(&db, &[("a", at(i, 1.0)), ("b", at(i, i as f64))]).unwrap();
        }
    }
    let found = contents(&open(&options));
    assert_eq!(found.values().map(Vec::len).collect::<Vec<_>>(), [3000, 3000]);
}

#[test]
fn an_appender_dropped_without_commit_stores_nothing() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let mut batch = db.appender();
    let series = batch.series(&labels("a"), None).unwrap();
    batch.sample(series, at(1, 1.0)).unwrap();
    assert_eq!(contents(&db), Contents::new());
    drop(batch);
    assert_eq!(contents(&db), Contents::new());
    assert_eq!(db.log_end().offset, 0);
}

#[test]
fn a_series_is_found_by_its_key_while_it_lives() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let key = SeriesKey(7 << 64 | 7);
    let mut batch = db.appender();
    let mut found = Vec::new();
    batch.lookup(&[key], &mut found);
    assert_eq!(found, [None]);
    let series = batch.series(&labels("a"), Some(key)).unwrap();
    let other = SeriesKey(8 << 64 | 8);
    batch.lookup(&[other, key, key], &mut found);
    assert_eq!(found, [None, Some(series), Some(series)]);
    assert_eq!(batch.series(&labels("a"), None).unwrap(), series);
    assert!(matches!(batch.series(&Labels::empty(), None), Err(AppendError::NoLabels)));
    let stranger = SeriesRef(series.0 + 1);
    let refused = batch.sample(stranger, at(1, 1.0));
    assert!(matches!(refused, Err(AppendError::UnknownSeries(s)) if s == stranger));
}

/// APPEND-2, APPEND-3.
#[test]
fn each_sample_is_stored_or_refused_for_a_reason() {
    use RejectReason::{DuplicateTimestamp, OutOfOrder, TooOld};
    #[track_caller]
    fn check(window_hours: u64, sample: Sample, expect: Result<(), RejectReason>) {
        let (_dir, mut options) = fresh();
        options.out_of_order_window = Duration::from_secs(window_hours * 3600);
        let db = open(&options);
        append(&db, &[("a", at(4 * HOUR, 1.0)), ("a", at(5 * HOUR, f64::NAN))]).unwrap();
        let appended = append(&db, &[("b", at(6 * HOUR, 0.0)), ("a", sample)]).unwrap();
        let reasons: Vec<_> = appended.rejected.iter().map(|rejected| rejected.reason).collect();
        assert_eq!(reasons, Vec::from_iter(expect.err()), "{sample:?}");
        assert_eq!(appended.samples, 2 - reasons.len() as u64);
        let stored = &contents(&db)[&labels("a")];
        let times = stored.iter().filter(|stored| **stored == sample).count();
        assert_eq!(times, usize::from(expect.is_ok()), "{stored:?}");
    }
    for window in [0, 2] {
        check(window, at(6 * HOUR, 2.0), Ok(()));
        check(window, at(5 * HOUR, f64::NAN), Ok(()));
        check(window, at(5 * HOUR, 2.0), Err(DuplicateTimestamp));
        check(window, at(4 * HOUR, 1.0), Ok(()));
        check(window, at(4 * HOUR, 2.0), Err(DuplicateTimestamp));
    }
    check(0, at(5 * HOUR - 1, 2.0), Err(OutOfOrder));
    check(2, at(5 * HOUR - 1, 2.0), Ok(()));
    check(2, at(3 * HOUR, 2.0), Ok(()));
    check(2, at(3 * HOUR - 1, 2.0), Err(TooOld));
}

#[test]
fn what_is_dated_far_ahead_is_refused() {
    let (_dir, mut options) = fresh();
    options.clock = Some(|| Timestamp::from_millis(HOUR));
    let db = open(&options);
    let limit = HOUR + 600_000;
    let appended = append(&db, &[("a", at(limit, 1.0)), ("a", at(limit + 1, 1.0))]).unwrap();
    assert_eq!((appended.samples, appended.rejected.len()), (1, 1));
    assert_eq!(appended.rejected[0].reason, RejectReason::OutOfBounds);
}

#[test]
fn a_selection_gives_the_matching_series_sorted_and_cut_to_its_range() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let samples: Vec<_> =
        (0..10).flat_map(|i| [("b", at(i, i as f64)), ("a", at(i, 0.0))]).collect();
    append(&db, &samples).unwrap();
    let range = TimeRange::new(Timestamp::from_millis(3), Timestamp::from_millis(4));
    let b = Matcher::new("series", MatchOp::Regex, "b|c").unwrap();
    assert_eq!(select(&db, range, vec![b]), contents_of(&[("b", at(3, 3.0)), ("b", at(4, 4.0))]));
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    assert_eq!([set.labels(0), set.labels(1)], [labels("a"), labels("b")]);
    let later = TimeRange::new(Timestamp::from_millis(10), Timestamp::MAX);
    assert_eq!(select(&db, later, vec![]), Contents::new());
}

/// QUERY-2: though labels are made of some thousand series at a time.
#[test]
fn a_selection_of_many_series_is_sorted() {
    const SERIES: usize = 20_000;
    let (_dir, options) = fresh();
    let db = open(&options);
    let names: Vec<String> = (0..SERIES).map(|i| (i * 7919 % SERIES).to_string()).collect();
    let samples: Vec<_> = names.iter().map(|name| (name.as_str(), at(1, 1.0))).collect();
    append(&db, &samples).unwrap();
    let sorted: Vec<Labels> = contents_of(&samples).into_keys().collect();
    let selection = Selection::new(TimeRange::ALL, vec![]);
    let set = db.select(&selection).unwrap();
    assert!((0..set.len()).map(|index| set.labels(index)).eq(sorted.iter().cloned()));
    let latest = db.latest(&selection).unwrap();
    assert!(latest.into_iter().map(|(labels, _)| labels).eq(sorted));
}

/// QUERY-1.
#[test]
fn a_selection_does_not_see_what_is_appended_later() {
    let (_dir, mut options) = fresh();
    options.out_of_order_window = Duration::from_secs(3600);
    let db = open(&options);
    append(&db, &[("a", at(1000, 1.0)), ("a", at(2000, 1.0)), ("a", at(1500, 1.0))]).unwrap();
    let before = contents(&db);
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    for i in 3..2000 {
        append(&db, &[("a", at(i * 1000, 0.5)), ("a", at(i * 1000 - 500, 0.5)), ("b", at(i, 0.0))])
            .unwrap();
    }
    assert_eq!(read(&*set), before);
}

/// APPEND-1: readers see all of a commit or nothing of it.
#[test]
fn readers_see_whole_commits_while_others_write() {
    const SERIES: usize = 3000;
    let (_dir, options) = fresh();
    let db = open(&options);
    let names: Vec<String> = (0..SERIES).map(|i| i.to_string()).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..60 {
                let batch: Vec<_> =
                    names.iter().map(|name| (name.as_str(), at(round, round as f64))).collect();
                append(&db, &batch).unwrap();
            }
        });
        while !writer.is_finished() {
            let lengths: Vec<usize> = contents(&db).values().map(Vec::len).collect();
            assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{lengths:?}");
            assert!(lengths.is_empty() || lengths.len() == SERIES);
            let latest = db.latest(&Selection::new(TimeRange::ALL, vec![])).unwrap();
            assert!(latest.windows(2).all(|pair| pair[0].1 == pair[1].1));
        }
    });
}

#[test]
fn the_newest_sample_of_a_series_is_given_where_it_lies_in_the_range() {
    #[track_caller]
    fn check(start: i64, end: i64, expect: Option<Sample>) {
        let (_dir, options) = fresh();
        let db = open(&options);
        append(&db, &[("a", at(10, 1.0)), ("a", at(20, STALE_NAN))]).unwrap();
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        let latest = db.latest(&Selection::new(range, vec![])).unwrap();
        let expect: Vec<_> = expect.into_iter().map(|sample| (labels("a"), sample)).collect();
        assert_eq!(latest, expect, "{start}..{end}");
    }
    check(0, 30, Some(at(20, STALE_NAN)));
    check(0, 15, Some(at(10, 1.0)));
    check(11, 19, None);
    check(21, 30, None);
}

#[test]
fn label_questions_honour_matchers_range_and_limit() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("b", at(1, 1.0)), ("a", at(1, 1.0)), ("c", at(1, 1.0))]).unwrap();
    let query = |matchers: Vec<Vec<Matcher>>, limit| LabelQuery {
        range: TimeRange::ALL,
        matcher_sets: matchers,
        limit,
    };
    let not_b = || vec![vec![Matcher::new("series", MatchOp::NotEqual, "b").unwrap()]];
    assert_eq!(db.label_names(&query(vec![], None)).unwrap(), ["__name__", "series"]);
    assert_eq!(db.label_values("series", &query(vec![], None)).unwrap(), ["a", "b", "c"]);
    assert_eq!(db.label_values("series", &query(not_b(), None)).unwrap(), ["a", "c"]);
    assert_eq!(db.label_values("series", &query(vec![], Some(2))).unwrap(), ["a", "b"]);
    let range = TimeRange::new(Timestamp::from_millis(2), Timestamp::MAX);
    let later = LabelQuery { range, matcher_sets: vec![], limit: None };
    assert_eq!(db.label_values("series", &later).unwrap(), Vec::<String>::new());
}

#[test]
fn metadata_survives_restarts_once_its_family_has_a_series() {
    let (_dir, options) = fresh();
    let requests = Metadata {
        metric_type: MetricType::Histogram,
        help: "Requests.".to_owned(),
        unit: "seconds".to_owned(),
    };
    let series = [("__name__", "requests_bucket"), ("le", "1")].into_iter().collect();
    let store = |db: &Db| {
        let mut batch = db.appender();
        batch.metadata("requests", &requests).unwrap();
        batch.commit().unwrap();
    };
    let db = open(&options);
    store(&db);
    assert_eq!(db.metadata(None).unwrap(), [("requests".to_owned(), requests.clone())]);
    let mut batch = db.appender();
    let bucket = batch.series(&series, None).unwrap();
    batch.sample(bucket, at(1, 1.0)).unwrap();
    batch.commit().unwrap();
    store(&db); // again, as senders do
    drop(db);
    let db = open(&options);
    assert_eq!(db.metadata(Some("requests")).unwrap(), [("requests".to_owned(), requests)]);
    assert_eq!(db.metadata(Some("other")).unwrap(), []);
}

#[test]
fn a_second_process_is_kept_out() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let again = || Db::open(options.clone(), Metrics::register(&Registry::new()).unwrap());
    assert!(matches!(again(), Err(OpenError::Locked { .. })));
    drop(db);
    assert!(again().is_ok());
}

#[test]
fn a_closed_database_refuses_commits() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append(&db, &[("a", at(1, 1.0))]).unwrap();
    db.close().unwrap();
    let refused = append(&db, &[("a", at(2, 1.0))]).unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(contents(&db), contents_of(&[("a", at(1, 1.0))]));
}

/// Fills `db` with a sample a minute of "new" for 8 h and of "old" for 4 h.
fn fill(db: &Db) {
    for minute in 0..480 {
        let sample = at(minute * 60_000, minute as f64);
        let batch = [("new", sample), ("old", sample)];
        append(db, if minute < 240 { &batch } else { &batch[..1] }).unwrap();
    }
}

fn small_segments() -> (TempDir, Options) {
    let (dir, mut options) = fresh();
    options.segment_bytes_max = 32 * 1024;
    (dir, options)
}

fn block_ranges(db: &Db) -> Vec<(i64, i64)> {
    let hours = |time: Timestamp| time.as_millis() / HOUR;
    let blocks = db.blocks.all();
    blocks.iter().map(|b| (hours(b.meta().start()), hours(b.meta().end()))).collect()
}

/// A Prometheus writes what is late into blocks of its own, of times that the head has more of.
#[test]
fn blocks_of_late_samples_do_not_end_what_the_log_has() {
    let (dir, options) = small_segments();
    let db = open(&options);
    db.hold_log("x", LogPosition::default());
    fill(&db);
    let before = contents(&db);
    db.maintain().unwrap();
    let last = db.blocks_for_test().pop().unwrap();
    drop(db);
    let meta = dir.path().join(last.ulid.as_str()).join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    let hinted = text.replace("\"level\"", "\"hints\": [\"from-out-of-order\"], \"level\"");
    assert_ne!(hinted, text);
    fs::write(meta, hinted).unwrap();
    let db = open(&options);
    assert_eq!(db.head.bounds.valid_from().as_millis(), 4 * HOUR);
    assert_eq!(contents(&db), before);
}

/// COMPACT-1.
#[test]
fn what_leaves_the_head_is_read_from_blocks() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    let before = contents(&db);
    let segments = || list_segments(&dir.path().join("wal")).unwrap();
    let segments_before = segments();
    db.maintain().unwrap();
    assert_eq!(block_ranges(&db), [(0, 2), (2, 4), (4, 6)]);
    assert_eq!(contents(&db), before);

    append(&db, &[("new", at(9 * HOUR + 1, 0.0))]).unwrap();
    db.maintain().unwrap();
    assert_eq!(db.series_count(), 1);
    assert_eq!(block_ranges(&db), [(0, 6), (6, 8)]);
    assert!(
        segments().first() > segments_before.first(),
        "{:?} of {segments_before:?}",
        segments()
    );
    let refused = append(&db, &[("third", at(8 * HOUR - 1, 0.0))]).unwrap();
    assert_eq!(refused.rejected[0].reason, RejectReason::OutOfBounds);
    let after = contents(&db);
    assert_eq!(after[&labels("old")], before[&labels("old")]);
    assert!(after[&labels("new")].starts_with(&before[&labels("new")]));
    drop(db);
    assert_eq!(contents(&open(&options)), after);
}

#[test]
fn what_is_in_blocks_is_not_replayed() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    db.hold_log("a destination that keeps all of the log", LogPosition::default());
    fill(&db);
    db.maintain().unwrap();
    drop(db);
    let db = open(&options);
    assert_eq!(db.log_start(), LogPosition::default());
    let head_start = db.head.bounds.oldest().map(|oldest| oldest.as_millis() / HOUR);
    assert_eq!(head_start, Some(6));
}

#[test]
fn full_chunks_leave_memory_and_their_files_go_with_them() {
    let (dir, options) = small_segments();
    let db = open(&options);
    db.spill_eagerly();
    let files = || fs::read_dir(dir.path().join("chunks_head")).map_or(0, Iterator::count);
    for minute in 0..170 {
        append(&db, &[("a", at(minute * 60_000, minute as f64))]).unwrap();
    }
    let before = contents(&db);
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    db.maintain().unwrap();
    assert_eq!(files(), 1);
    assert_eq!((contents(&db), read(&*set)), (before.clone(), before.clone()));
    append(&db, &[("a", at(8 * HOUR, 0.0))]).unwrap();
    db.maintain().unwrap();
    db.maintain().unwrap();
    assert_eq!(read(&*set), before);
    drop(set);
    assert_eq!((files(), db.blocks.all().len()), (0, 2));
    assert_eq!(contents(&db)[&labels("a")].len(), 171);
}

#[test]
fn how_much_there_is_at_most_is_told_of_the_head_only() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    let range = |start: i64| {
        let [start, end] = [start, 10 * HOUR].map(Timestamp::from_millis);
        TimeRange::new(start, end)
    };
    let told = |range: TimeRange| {
        let series = db.series_at_most(&[Matcher::equal("series", "new")], range);
        (series, db.labels_at_most(Some("series"), range), db.labels_at_most(None, range))
    };
    assert_eq!(told(range(0)), (Some(1), Some(2), Some(2)));
    db.maintain().unwrap();
    assert_eq!(told(range(0)), (None, None, None));
    assert_eq!(told(range(9 * HOUR)), (Some(1), Some(1), Some(2))); // the other series left
    let _writing = db.head.index.write();
    assert_eq!(told(range(9 * HOUR)), (None, None, None));
}

#[test]
fn questions_are_answered_from_head_and_blocks_together() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    append(&db, &[("new", at(9 * HOUR + 1, 0.0))]).unwrap();
    db.maintain().unwrap();
    append(&db, &[("newest", at(9 * HOUR + 2, 0.0))]).unwrap();

    let values = |start: i64, end: i64, sets: Vec<Vec<Matcher>>| {
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        let query = LabelQuery { range, matcher_sets: sets, limit: None };
        assert_eq!(db.label_names(&query).unwrap().len(), 2);
        db.label_values("series", &query).unwrap()
    };
    let not_new = || vec![vec![Matcher::new("series", MatchOp::NotEqual, "new").unwrap()]];
    assert_eq!(values(0, 10 * HOUR, vec![]), ["new", "newest", "old"]);
    assert_eq!(values(0, 10 * HOUR, not_new()), ["newest", "old"]);
    assert_eq!(values(0, HOUR, vec![]), ["new", "old"]);

    let old = Matcher::equal("series", "old");
    let range =
        TimeRange::new(Timestamp::from_millis(2 * HOUR - 60_000), Timestamp::from_millis(2 * HOUR));
    let found = select(&db, range, vec![old]);
    assert_eq!(
        found,
        contents_of(&[("old", at(2 * HOUR - 60_000, 119.0)), ("old", at(2 * HOUR, 120.0))])
    );
    let latest = db.latest(&Selection::new(range, vec![])).unwrap();
    assert_eq!(
        latest,
        [(labels("new"), at(2 * HOUR, 120.0)), (labels("old"), at(2 * HOUR, 120.0))]
    );
}

#[test]
fn retention_drops_the_oldest_blocks() {
    #[track_caller]
    fn check(hours: Option<u64>, bytes: impl Fn(&Db) -> Option<u64>, expect: &[(i64, i64)]) {
        let (_dir, mut options) = small_segments();
        options.retention = hours.map(|hours| Duration::from_secs(hours * 3600));
        let db = open(&options);
        fill(&db);
        db.maintain().unwrap();
        let bytes = bytes(&db);
        drop(db);
        options.retention_bytes = bytes;
        let db = open(&options);
        db.maintain().unwrap();
        assert_eq!(block_ranges(&db), expect, "{hours:?} {bytes:?}");
        drop(db);
        assert_eq!(block_ranges(&open(&options)), expect);
    }
    check(None, |_| None, &[(0, 2), (2, 4), (4, 6)]);
    check(Some(5), |_| None, &[(2, 4), (4, 6)]);
    check(Some(1), |_| None, &[(4, 6)]); // the last one stays (COMPACT-3)
    let all = |db: &Db| db.blocks.bytes() + db.log_bytes_since(LogPosition::default());
    check(None, |db| Some(all(db)), &[(0, 2), (2, 4), (4, 6)]);
    check(None, |db| Some(all(db) - 1), &[(2, 4), (4, 6)]);
    check(None, |_| Some(0), &[(4, 6)]);
}

#[test]
fn blocks_grow_threefold_and_overlaps_are_merged() {
    let (_dir, mut options) = small_segments();
    options.out_of_order_window = Duration::from_secs(12 * 3600);
    let db = open(&options);
    let mut model = BTreeMap::new();
    let mut put = |time: i64, value: f64| {
        assert_eq!(append(&db, &[("a", at(time, value))]).unwrap().rejected, []);
        model.insert(time, value);
    };
    for hour in 0..60 {
        for minute in 0..60 {
            put(hour * HOUR + minute * 60_000, minute as f64);
        }
        for late in 0..5 {
            put((hour * HOUR - late * 2 * HOUR - 1000 + late).max(hour + 1), 0.5);
        }
        db.maintain().unwrap();
    }
    let expect: Vec<Sample> = model.into_iter().map(|(time, value)| at(time, value)).collect();
    assert_eq!(contents(&db)[&labels("a")], expect);
    let ranges = block_ranges(&db);
    assert!(ranges.starts_with(&[(0, 18), (18, 36)]), "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
    drop(db);
    assert_eq!(contents(&open(&options))[&labels("a")], expect);
}

/// BLOCK-1.
#[test]
fn what_a_crash_left_of_blocks_is_cleaned_up() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    let before = contents(&db);
    let parents: Vec<_> = db.blocks.all();
    let names = || {
        let entries = fs::read_dir(dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.len() >= 26).collect::<BTreeSet<String>>()
    };
    // A merge that did not get to removing its parents, and a block that was being written.
    let metas: Vec<_> = parents.iter().map(|block| block.meta()).collect();
    let meta = BlockMeta::new(metas[0].start(), metas[2].end(), &metas);
    let copy = dir.path().join(meta.ulid.as_str());
    let parent_names = names();
    drop((parents.clone(), db));
    let unfinished = dir.path().join(format!("{}.tmp-for-creation", meta.ulid.as_str()));
    fs::create_dir(&unfinished).unwrap();
    let mut db = open(&options);
    assert_eq!(names(), parent_names);
    assert_eq!(contents(&db), before);
    append(&db, &[("new", at(9 * HOUR + 1, 0.0))]).unwrap();
    let before = contents(&db);
    let keep: Vec<_> = parent_names.iter().map(|name| dir.path().join(name)).collect();
    let saved = tempfile::tempdir().unwrap();
    for path in &keep {
        copy_directory(path, &saved.path().join(path.file_name().unwrap()));
    }
    db.maintain().unwrap();
    assert!(keep.iter().all(|path| !path.exists()) && !copy.exists());
    drop(db);
    for path in &keep {
        copy_directory(&saved.path().join(path.file_name().unwrap()), path);
    }
    db = open(&options);
    assert_eq!(block_ranges(&db), [(0, 6), (6, 8)]);
    assert_eq!(contents(&db), before);
}

/// CHECKPOINT-1.
#[test]
fn what_a_crash_left_of_a_checkpoint_is_cleaned_up() {
    let (dir, options) = small_segments();
    let log_dir = dir.path().join("wal");
    let db = open(&options);
    fill(&db);
    let saved = tempfile::tempdir().unwrap();
    for hour in 9..14 {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        copy_directory(&log_dir, saved.path());
        db.maintain().unwrap();
    }
    let (before, segments) = (contents(&db), list_segments(&log_dir).unwrap());
    drop(db);
    // As if it had not got to removing what the checkpoint covers.
    for segment in list_segments(saved.path()).unwrap() {
        if segment < segments[0] {
            let name = segment_path(Path::new(""), segment);
            fs::copy(saved.path().join(&name), log_dir.join(&name)).unwrap();
        }
    }
    let unfinished = log_dir.join("checkpoint.00000099.tmp");
    fs::create_dir(&unfinished).unwrap();
    assert_ne!(list_segments(&log_dir).unwrap(), segments);
    let db = open(&options);
    assert!(!unfinished.exists());
    assert_eq!(list_segments(&log_dir).unwrap()[..segments.len()], segments);
    assert_eq!(contents(&db), before);
}

/// CHECKPOINT-1.
#[test]
fn a_checkpoint_that_fails_leaves_the_log_as_it_was() {
    let (dir, options) = small_segments();
    let log_dir = dir.path().join("wal");
    let db = open(&options);
    fill(&db);
    let first = segment_path(&log_dir, 0);
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap(); // which cannot be read
    let failed = (9..14).any(|hour| {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        db.maintain().is_err()
    });
    assert!(failed);
    let names = fs::read_dir(&log_dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.contains("00000000"));
    assert!(names.iter().all(|name| !name.starts_with("checkpoint")), "{names:?}");
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_damaged_block_is_an_error_or_left_out_and_never_a_wrong_answer() {
    let (dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    let whole = contents(&db);
    let block = db.blocks.all()[0].meta().ulid.as_str().to_owned();
    drop(db);
    let block = dir.path().join(block);
    for file in ["index", "chunks/000001", "meta.json", "tombstones"] {
        let path = block.join(file);
        let intact = fs::read(&path).unwrap();
        for at in (0..intact.len()).step_by(intact.len() / 40 + 1) {
            let mut bytes = intact.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let db = open(&options);
            let Ok(set) = db.select(&Selection::new(TimeRange::ALL, vec![])) else { continue };
            for index in 0..set.len() {
                let mut columns = Columns::default();
                if set.read(index, &mut columns).is_ok() {
                    let samples: Vec<Sample> = columns.iter().collect();
                    assert!(whole[&set.labels(index)].ends_with(&samples), "{file} at {at}");
                }
            }
        }
        fs::write(&path, intact).unwrap();
    }
    assert_eq!(contents(&open(&options)), whole);
}

#[test]
fn a_series_that_left_and_came_back_keeps_its_new_samples() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    fill(&db);
    db.maintain().unwrap();
    for hour in 9..20 {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    assert_eq!(db.series_count(), 1);
    append(&db, &[("old", at(20 * HOUR, 1.0))]).unwrap();
    for hour in 20..22 {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    let before = contents(&db);
    assert_eq!(before[&labels("old")].last(), Some(&at(20 * HOUR, 1.0)));
    drop(db);
    assert_eq!(contents(&open(&options)), before);
}

fn read_log(reader: &mut LogReader) -> Vec<(Labels, Sample)> {
    let (mut batch, mut max) = (Vec::new(), 1);
    while reader.read(&mut batch, max).unwrap() > 0 {
        max = batch.len() + 1;
    }
    let name = |entry: LogEntry| match entry.item {
        LogItem::Point(Point { timestamp, value: SampleValue::Float(value) }) => {
            (reader.labels(entry.series).unwrap(), Sample { timestamp, value })
        }
        other => panic!("no number: {other:?}"),
    };
    batch.into_iter().map(name).collect()
}

/// READER-1.
#[test]
fn a_reader_goes_on_where_it_was_after_a_restart() {
    const BATCHES: i64 = 1000;
    let (_dir, mut options) = fresh();
    options.segment_bytes_max = 32 * 1024;
    let mut position = LogPosition::default();
    for run in 0..4 {
        let db = open(&options);
        let mut reader = db.log_reader(position);
        assert_eq!(read_log(&mut reader), []);
        let times = run * BATCHES..(run + 1) * BATCHES;
        for time in times.clone() {
            append(&db, &[("a", at(time, 0.1 * time as f64))]).unwrap();
        }
        let read = read_log(&mut reader);
        assert!(read.iter().all(|(series, _)| *series == labels("a")));
        assert!(read.iter().map(|(_, sample)| sample.timestamp.as_millis()).eq(times));
        position = reader.position();
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!(db.log_bytes_since(position), 0);
    }
    let db = open(&options);
    assert_eq!(read_log(&mut db.log_reader(LogPosition::default())).len() as i64, 4 * BATCHES);
}

#[test]
fn what_is_held_for_a_destination_stays_readable() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    let start = db.log_end();
    db.hold_log("central", start);
    fill(&db);
    for hour in 9..14 {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    assert_eq!(db.series_count(), 1);
    let mut reader = db.log_reader(start);
    let read = read_log(&mut reader);
    assert_eq!(read.iter().filter(|(series, _)| *series == labels("old")).count(), 240);
    assert_eq!(read.len(), 480 + 240 + 5);

    db.hold_log("central", reader.position());
    append(&db, &[("new", at(20 * HOUR, 1.0))]).unwrap();
    db.maintain().unwrap();
    assert!(db.log_start() > start);
}

#[test]
fn labels_of_series_that_left_are_kept_as_long_as_somebody_holds_the_log() {
    let (_dir, options) = small_segments();
    let db = open(&options);
    db.hold_log("a", db.log_end());
    db.hold_log("b", db.log_end());
    fill(&db);
    let old = db.head.index.read().find(&labels("old")).unwrap();
    let old = db.head.index.read().number(old).unwrap();
    for hour in 9..14 {
        append(&db, &[("new", at(hour * HOUR, 1.0))]).unwrap();
        db.maintain().unwrap();
    }
    assert_eq!(db.series_count(), 1);
    let is_known = || db.head.index.read().knows_number(old);
    db.release_log("a");
    assert!(is_known());
    db.release_log("b");
    assert!(!is_known());
}

#[test]
fn commits_wake_whoever_asked() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let (_dir, options) = fresh();
    let db = open(&options);
    let woken = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&woken);
    db.on_commit(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    append(&db, &[("a", at(1, 1.0))]).unwrap();
    append(&db, &[("a", at(1, 1.0))]).unwrap(); // stored already: nothing new
    append(&db, &[("a", at(2, 1.0))]).unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// REPLAY-1, REPLAY-2: a byte flipped or a tail cut anywhere loses nothing before it, adds nothing,
    /// and is seen once.
    #[test]
    fn a_damaged_log_opens_with_all_that_came_before(
        batches in 1..60usize, at_byte in any::<prop::sample::Index>(), cut: bool,
    ) {
        let (dir, options) = fresh();
        let db = open(&options);
        let mut ends = Vec::new();
        for i in 0..batches {
            let name = (i % 7).to_string();
            append(&db, &[(&name, at(i as i64, i as f64))]).unwrap();
            ends.push(db.log_end().offset);
        }
        let whole = contents(&db);
        drop(db);
        let path = segment_path(&dir.path().join("wal"), 0);
        let mut bytes = fs::read(&path).unwrap();
        let damaged = at_byte.index(bytes.len());
        if cut { bytes.truncate(damaged) } else { bytes[damaged] ^= 1 }
        fs::write(&path, bytes).unwrap();

        let registry = Registry::new();
        let db = Db::open(options.clone(), Metrics::register(&registry).unwrap()).unwrap();
        let kept = ends.iter().filter(|&&end| end <= damaged as u64).count();
        let found = contents(&db);
        prop_assert_eq!(found.values().map(Vec::len).sum::<usize>(), kept);
        for (series, samples) in &found {
            prop_assert!(whole[series].starts_with(samples));
        }
        // A cut between two records, even those of one commit, cannot be told from a clean end.
        let may_seem_clean = u64::from(cut);
        prop_assert!((1 - may_seem_clean..=1).contains(&db.metrics.log_damage.get()));
        append(&db, &[("new", at(1000, 1.0))]).unwrap();
        drop(db);
        let db = open(&options);
        prop_assert_eq!(db.metrics.log_damage.get(), 0);
        prop_assert_eq!(contents(&db).values().map(Vec::len).sum::<usize>(), kept + 1);
    }
}
