//! Native histograms in the head: what they become, and what is known of resets.

use ::model::histogram::{Bucket, CounterReset, IntegerHistogram};
use ::model::{FloatHistogram, Histogram, is_stale};

use super::*;

fn counter(count: u64) -> Histogram {
    let positive = vec![Bucket { index: 1, count }];
    Histogram::Integer(IntegerHistogram { count, positive, ..Default::default() })
}

fn float(count: f64) -> Histogram {
    let positive = vec![Bucket { index: 1, count }];
    Histogram::Float(FloatHistogram { count, positive, ..Default::default() })
}

fn append_histograms(db: &Db, histograms: &[(i64, Histogram)]) -> Appended {
    let mut batch = db.appender();
    let series = batch.series(&labels("h"), None).unwrap();
    for (time, histogram) in histograms {
        let at = Timestamp::from_millis(*time);
        batch.histogram(series, at, Arc::new(histogram.clone())).unwrap();
    }
    batch.commit().unwrap()
}

/// `count@time` with what is known of a reset: `!` there was one, `=` there was none.
fn read_histograms(db: &Db) -> Vec<String> {
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    let mut columns = Columns::default();
    set.read(0, &mut columns).unwrap();
    assert_eq!(columns.len(), 0, "no numbers");
    let text = |(at, histogram): &(Timestamp, Arc<FloatHistogram>)| {
        let hint = match histogram.counter_reset {
            CounterReset::Unknown => "",
            CounterReset::Reset => "!",
            CounterReset::NotReset => "=",
            CounterReset::Gauge => "~",
        };
        let count =
            if is_stale(histogram.sum) { "stale".to_owned() } else { histogram.count.to_string() };
        format!("{count}@{at}{hint}")
    };
    columns.histograms.iter().map(text).collect()
}

#[test]
fn a_marker_ends_a_series_of_histograms_as_a_histogram() {
    #[track_caller]
    fn check(histogram: Histogram) {
        let (_dir, options) = fresh();
        let db = open(&options);
        append_histograms(&db, &[(1, histogram.clone())]);
        let appended = append(&db, &[("h", at(2, STALE_NAN))]).unwrap();
        assert_eq!((appended.samples, appended.histograms), (1, 0), "as it was given");
        append_histograms(&db, &[(3, histogram)]);
        let expect = ["5@1", "stale@2", "5@3"];
        assert_eq!(read_histograms(&db), expect);
        drop(db);
        assert_eq!(read_histograms(&open(&options)), expect);
    }
    check(counter(5));
    check(float(5.0));
}

#[test]
fn a_histogram_knows_whether_the_counter_was_reset_before_it() {
    let (_dir, mut options) = fresh();
    options.out_of_order_window = Duration::from_secs(60);
    let db = open(&options);
    let growing = [(1, counter(5)), (2, counter(6)), (5, counter(2)), (6, counter(2))];
    assert_eq!(append_histograms(&db, &growing).histograms, 4);
    assert_eq!(read_histograms(&db), ["5@1", "6@2=", "2@5!", "2@6="]);
    // A late one comes between: what the one after it knew was of another.
    append_histograms(&db, &[(4, counter(9))]);
    assert_eq!(read_histograms(&db), ["5@1", "6@2=", "9@4", "2@5", "2@6="]);
    drop(db);
    assert_eq!(read_histograms(&open(&options)), ["5@1", "6@2=", "9@4", "2@5", "2@6="]);
}

/// POINTS-1.
#[test]
fn a_series_that_changes_kinds_within_a_batch_is_replayed_in_order() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append_histograms(&db, &[(1, float(5.0)), (2, counter(6)), (3, float(7.0)), (4, counter(8))]);
    let expect = ["5@1", "6@2", "7@3", "8@4"];
    assert_eq!(read_histograms(&db), expect);
    drop(db);
    assert_eq!(read_histograms(&open(&options)), expect);
}

#[test]
fn the_same_histogram_twice_is_stored_once_and_another_one_is_refused() {
    let (_dir, options) = fresh();
    let db = open(&options);
    append_histograms(&db, &[(1, counter(5))]);
    let appended = append_histograms(&db, &[(1, counter(5)), (1, counter(6)), (1, float(5.0))]);
    assert_eq!(appended.histograms, 1);
    let reasons: Vec<_> = appended.rejected.iter().map(|rejected| rejected.reason).collect();
    assert_eq!(reasons, [RejectReason::DuplicateTimestamp; 2]);
    assert_eq!(read_histograms(&db), ["5@1"]);
}

#[test]
fn histograms_move_into_blocks_and_merge_there() {
    let (_dir, mut options) = fresh();
    options.retention = None;
    let db = open(&options);
    let minutes: Vec<_> = (0..1200).map(|i| (i * 60_000, counter((i % 400) as u64 + 1))).collect();
    for part in minutes.chunks(100) {
        append_histograms(&db, part);
        db.maintain().unwrap();
    }
    let levels: Vec<u32> = db.blocks_for_test().iter().map(|meta| meta.compaction.level).collect();
    assert!(levels.iter().any(|&level| level > 1), "{levels:?}");
    let found = read_histograms(&db);
    assert_eq!(found.len(), minutes.len());
    for (text, (time, histogram)) in found.iter().zip(&minutes) {
        let count = histogram.to_float().count;
        assert!(text.starts_with(&format!("{count}@{time}")), "{text}");
        let is_reset = *time > 0 && count == 1.0;
        assert!(text.ends_with('!') == is_reset, "{text}");
    }
}
