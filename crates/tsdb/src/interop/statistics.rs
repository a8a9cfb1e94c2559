//! The figures of `/api/v1/status/tsdb`, of a Prometheus and of us on one directory.

use model::{Labels, TimeRange, Timestamp};
use serde_json::{Value, json};
use storage::Append;

use super::peer::Prometheus;
use super::{MINUTE, START, at, open};
use crate::ranking::Ranked;
use crate::statistics::Statistics;

/// Series of different sizes, so that rankings have one order.
fn series() -> Vec<Labels> {
    let counts = [("a_total", 7), ("b", 3), ("http_request_duration_seconds", 12), ("é", 1)];
    let series = counts.into_iter().flat_map(|(metric, count)| {
        (0..count).map(move |i| {
            let pod = format!("{metric}-{i}-{}", "x".repeat(i));
            let mut pairs = vec![("__name__", metric.to_owned()), ("pod", pod)];
            pairs.extend((i > 2).then(|| ("zone", "abc"[i % 3..=i % 3].to_owned())));
            pairs.into_iter().collect()
        })
    });
    series.collect()
}

fn table(ranked: &[Ranked]) -> Value {
    ranked.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

#[test]
fn figures_are_those_of_a_real_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let mut batch = db.appender();
    for labels in series() {
        let series = batch.series(&labels, None).unwrap();
        (0..150).for_each(|i| batch.sample(series, at(START + i * MINUTE, i as f64)).unwrap());
    }
    assert_eq!(batch.commit().unwrap().rejected, []);
    drop(db);
    let server = Prometheus::with_admin_api(dir.path());
    let page = server.get("/api/v1/status/tsdb").unwrap();
    let theirs = serde_json::from_str::<Value>(&page).unwrap()["data"].clone();
    server.kill();
    let ours = open(dir.path()).statistics(10); // its limit
    assert_eq!(table(&ours.values_by_label), theirs["labelValueCountByLabelName"]);
    assert_eq!(table(&ours.bytes_by_label), theirs["memoryInBytesByLabelName"]);
    assert_eq!(table(&ours.series_by_metric), theirs["seriesCountByMetricName"]);
    // Of pairs that as many series have it picks some.
    let pairs = theirs["seriesCountByLabelValuePair"].as_array().unwrap();
    let figures: Vec<u64> = ours.series_by_pair.iter().map(|(_, figure)| *figure).collect();
    let wanted: Vec<u64> = pairs.iter().map(|row| row["value"].as_u64().unwrap()).collect();
    assert_eq!(figures, wanted);
    let times = ours.times.unwrap();
    let head = json!({
        "numSeries": ours.series,
        "numLabelPairs": ours.label_pairs,
        "chunkCount": ours.chunks,
        "minTime": times.start.as_millis(),
        "maxTime": times.end.as_millis(),
    });
    assert_eq!(head, theirs["headStats"]);
}

#[test]
fn an_empty_head_has_no_figures() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let statistics = db.statistics(10);
    assert_eq!((statistics.series, statistics.chunks, statistics.times), (0, 0, None));
    assert_eq!(statistics.series_by_pair, []);
}

/// Pairs that are gone leave holes in the table of pairs.
#[test]
fn what_left_the_head_does_not_count() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let append = |name: &str, minute: i64| {
        let labels = [("__name__", "m"), ("series", name)].into_iter().collect();
        let mut batch = db.appender();
        let series = batch.series(&labels, None).unwrap();
        batch.sample(series, at(START + minute * MINUTE, 0.0)).unwrap();
        batch.commit().unwrap();
    };
    append("old", 0);
    append("new", 1);
    append("new", 600);
    db.maintain().unwrap();
    append("new", 1200);
    db.maintain().unwrap();
    let Statistics { series, times, series_by_pair, .. } = db.statistics(10);
    let at = Timestamp::from_millis(START + 1200 * MINUTE);
    assert_eq!((series, times), (1, Some(TimeRange::new(at, at))));
    assert_eq!(series_by_pair, [("__name__=m".to_owned(), 1), ("series=new".to_owned(), 1)]);
}
