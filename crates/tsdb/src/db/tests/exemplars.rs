use model::histogram::IntegerHistogram;
use model::{Exemplar, Histogram};
use storage::ExemplarDropReason;

use super::*;

fn exemplar(millis: i64, value: f64) -> Exemplar {
    let labels = [("trace_id", "é")].into_iter().collect();
    Exemplar { labels, value, timestamp: Timestamp::from_millis(millis) }
}

fn append_exemplars(db: &Db, exemplars: &[(&str, Exemplar)]) -> Appended {
    let mut batch = db.appender();
    for (series, exemplar) in exemplars {
        let series = batch.series(&labels(series), None).unwrap();
        batch.exemplar(series, exemplar.clone()).unwrap();
    }
    batch.commit().unwrap()
}

fn exemplars(db: &Db) -> Vec<(Labels, Vec<Exemplar>)> {
    let query = LabelQuery { range: TimeRange::ALL, matcher_sets: Vec::new(), limit: None };
    db.exemplars(&query).unwrap()
}

/// APPEND-2, COMMIT-2.
#[test]
fn exemplars_are_counted_and_there_after_a_restart() {
    let (_dir, mut options) = fresh();
    options.clock = Some(|| Timestamp::from_millis(100));
    let db = open(&options);
    let ahead = 100 + 600 * 1000;
    let given = [
        ("b", exemplar(7, 1.0)),
        ("a", exemplar(5, 1.0)),
        ("b", exemplar(8, 1.0)),
        ("b", exemplar(7, 1.0)),
        ("b", exemplar(6, 1.0)),
        ("a", exemplar(ahead + 1, 1.0)),
        ("c", exemplar(ahead, f64::INFINITY)),
    ];
    let appended = append_exemplars(&db, &given);
    assert_eq!((appended.samples, appended.exemplars), (0, 5));
    let reasons = [ExemplarDropReason::OutOfOrder, ExemplarDropReason::OutOfBounds];
    assert_eq!(appended.exemplars_dropped, reasons);
    let expect = [
        (labels("a"), vec![exemplar(5, 1.0)]),
        (labels("b"), vec![exemplar(7, 1.0), exemplar(8, 1.0)]),
        (labels("c"), vec![exemplar(ahead, f64::INFINITY)]),
    ];
    assert_eq!(exemplars(&db), expect);

    let end = db.log_end();
    let again = append_exemplars(&db, &given[..4]);
    assert_eq!((again.exemplars, again.exemplars_dropped.len()), (4, 0));
    assert_eq!(db.log_end(), end, "what is there already is not logged again");
    drop(db);
    assert_eq!(exemplars(&open(&options)), expect);
}

#[test]
fn an_exemplar_that_cannot_be_logged_is_not_kept() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let mut batch = db.appender();
    let series = batch.series(&labels("a"), None).unwrap();
    batch.exemplar(series, exemplar(1, 1.0)).unwrap();
    db.close().unwrap();
    assert!(batch.commit().is_err());
    assert_eq!(exemplars(&db), []);
}

#[test]
fn a_checkpoint_keeps_the_exemplars_that_the_head_could_still_have() {
    let (_dir, mut options) = fresh();
    options.segment_bytes_max = 32 * 1024;
    let db = open(&options);
    for hour in 0..8 {
        let filler: Vec<_> = (0..4000).map(|i| at(hour * HOUR + i * 900, i as f64)).collect();
        let filler: Vec<_> = filler.into_iter().map(|sample| ("a", sample)).collect();
        append(&db, &filler).unwrap();
        append_exemplars(&db, &[("a", exemplar(hour * HOUR, 1.0))]);
    }
    db.maintain().unwrap();
    assert!(checkpoint::newest(&db.log_dir).unwrap().is_some());
    let times = |db: &Db| {
        let kept = exemplars(db).into_iter().flat_map(|(_, kept)| kept);
        kept.map(|exemplar| exemplar.timestamp.as_millis() / HOUR).collect::<Vec<_>>()
    };
    assert_eq!(times(&db), Vec::from_iter(0..8));
    let valid_from = db.head.bounds.valid_from().as_millis() / HOUR;
    assert!((1..7).contains(&valid_from), "{valid_from}");
    drop(db);
    assert_eq!(times(&open(&options)), Vec::from_iter(valid_from..8));
}

/// READER-1.
#[test]
fn a_reader_of_the_log_gives_exemplars_behind_the_samples_of_their_commit() {
    let (_dir, options) = fresh();
    let db = open(&options);
    let histogram = Arc::new(Histogram::Integer(IntegerHistogram::default()));
    for millis in [10, 20] {
        let mut batch = db.appender();
        let series = batch.series(&labels("a"), None).unwrap();
        batch.exemplar(series, exemplar(millis - 1, 1.0)).unwrap();
        batch.histogram(series, Timestamp::from_millis(millis), Arc::clone(&histogram)).unwrap();
        batch.sample(series, at(millis + 1, 2.0)).unwrap();
        batch.commit().unwrap();
    }
    let mut entries = Vec::new();
    let read = db.log_reader(LogPosition::default()).read(&mut entries, usize::MAX).unwrap();
    assert_eq!(read, entries.len());
    let text = |entry: &LogEntry| match &entry.item {
        LogItem::Exemplar(exemplar) => format!("exemplar@{}", exemplar.timestamp),
        LogItem::Point(Point { timestamp, value: SampleValue::Float(_) }) => {
            format!("number@{timestamp}")
        }
        LogItem::Point(Point { timestamp, .. }) => format!("histogram@{timestamp}"),
    };
    let found: Vec<String> = entries.iter().map(text).collect();
    let expect =
        ["histogram@10", "number@11", "exemplar@9", "histogram@20", "number@21", "exemplar@19"];
    assert_eq!(found, expect);
}
