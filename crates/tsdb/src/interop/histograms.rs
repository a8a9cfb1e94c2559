//! Native histograms, written by either side and read by the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::histogram::{Bucket, CounterReset, NativeHistogram};
use model::{FloatHistogram, Histogram, Labels, STALE_NAN, TimeRange, Timestamp};
use proto::v1::{Label, TimeSeries, WriteRequest};
use storage::{Append, Columns, Query, Selection};

use super::golden::wire;
use super::{MINUTE, Prometheus, START, open};
use crate::Db;

const NAMES: [&str; 3] = ["h_counter", "h_float", "h_gauge"];
pub(super) const FEATURES: &str = "--enable-feature=native-histograms,exemplar-storage";

/// A histogram as the API shows it: count, sum, and each bucket's bounds and count.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    count: f64,
    sum: f64,
    buckets: Vec<(u8, f64, f64, f64)>,
}

type Contents = BTreeMap<Labels, BTreeMap<i64, Shown>>;

fn labels(name: &str) -> Labels {
    [("__name__", name), ("job", "j")].into_iter().collect()
}

/// What each series observes: buckets that come and go, resets, gauges, both signs, and ends.
fn histogram(name: &str, i: i64) -> Histogram {
    let step = i.cast_unsigned();
    let since_reset = step % 70;
    let moving = (step / 25) as i32;
    if i % 60 == 59 {
        let stale = NativeHistogram::<u64> { sum: STALE_NAN, ..Default::default() };
        let stale = Histogram::Integer(stale);
        return if name == "h_float" { Histogram::Float(stale.to_float()) } else { stale };
    }
    let bucket = |index, count| Bucket { index, count };
    let counter = NativeHistogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: since_reset,
        positive: vec![bucket(-2, 1 + since_reset), bucket(0, 3), bucket(moving, 7 * since_reset)],
        negative: vec![bucket(1, since_reset / 2)],
        sum: 1.5 * step as f64,
        ..NativeHistogram::default()
    };
    let mut whole = match name {
        "h_gauge" => NativeHistogram {
            counter_reset: CounterReset::Gauge,
            positive: vec![bucket(moving % 3, 5), bucket(10 + moving % 5, 1 + step % 9)],
            ..NativeHistogram::default()
        },
        _ => counter,
    };
    whole.positive.sort_by_key(|bucket| bucket.index);
    whole.positive.dedup_by_key(|bucket| bucket.index);
    let buckets = whole.positive.iter().chain(&whole.negative);
    whole.count = whole.zero_count + buckets.map(|bucket| bucket.count).sum::<u64>();
    let whole = Histogram::Integer(whole);
    if name != "h_float" {
        return whole;
    }
    let mut float = whole.to_float();
    float.scale(0.25);
    Histogram::Float(float)
}

/// In blocks and in the log, written over restarts.
fn write_directory(dir: &Path) {
    for part in 0..4 {
        let db = open(dir);
        for i in part * 100..(part + 1) * 100 {
            let mut batch = db.appender();
            for name in NAMES {
                let at = Timestamp::from_millis(START + i * MINUTE);
                let series = batch.series(&labels(name), None).unwrap();
                batch.histogram(series, at, Arc::new(histogram(name, i))).unwrap();
            }
            assert_eq!(batch.commit().unwrap().rejected, []);
        }
        db.maintain().unwrap();
    }
}

/// What we read, but for staleness markers, which queries do not show.
fn ours(db: &Db) -> Contents {
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    let mut contents = Contents::new();
    for index in 0..set.len() {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        let histograms = columns.histograms.iter();
        let alive = histograms.filter(|(_, histogram)| !model::is_stale(histogram.sum));
        let shown: BTreeMap<i64, Shown> =
            alive.map(|(at, histogram)| (at.as_millis(), show(histogram))).collect();
        if !shown.is_empty() {
            contents.insert(set.labels(index), shown);
        }
    }
    contents
}

fn show(histogram: &FloatHistogram) -> Shown {
    let buckets = histogram.buckets().filter(|bucket| bucket.count != 0.0);
    let shown = buckets.map(|bucket| {
        let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        (bounds, bucket.lower, bucket.upper, bucket.count)
    });
    Shown { count: histogram.count, sum: histogram.sum, buckets: shown.collect() }
}

/// What a Prometheus reads of the day before `end`, series by series: 2.42 mixes up those of one
/// answer.
fn theirs(server: &Prometheus, end_millis: i64) -> Contents {
    NAMES.iter().flat_map(|name| their_series(server, name, end_millis)).collect()
}

fn their_series(server: &Prometheus, name: &str, end_millis: i64) -> Contents {
    let path = format!(
        "/api/v1/query?query={name}%5B1d%5D&time={}.{:03}",
        end_millis / 1000,
        end_millis % 1000
    );
    let answer: serde_json::Value = serde_json::from_str(&server.get(&path).unwrap()).unwrap();
    let number = |value: &serde_json::Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let shown = |pair: &serde_json::Value| {
        let millis = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
        let buckets = pair[1]["buckets"].as_array().into_iter().flatten();
        let bucket = |b: &serde_json::Value| {
            (b[0].as_u64().unwrap() as u8, number(&b[1]), number(&b[2]), number(&b[3]))
        };
        let (count, sum) = (number(&pair[1]["count"]), number(&pair[1]["sum"]));
        (millis, Shown { count, sum, buckets: buckets.map(bucket).collect() })
    };
    let series = answer["data"]["result"].as_array().expect("a matrix").iter();
    series
        .map(|series| {
            let pairs = series["metric"].as_object().unwrap().iter();
            let labels = pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            let histograms = series["histograms"].as_array().unwrap().iter();
            (labels.collect(), histograms.map(shown).collect())
        })
        .collect()
}

#[test]
fn prometheus_reads_our_histograms() {
    let dir = tempfile::tempdir().unwrap();
    write_directory(dir.path());
    let ours = ours(&open(dir.path()));
    assert_eq!(ours.len(), 3);
    assert_eq!(ours.values().map(BTreeMap::len).sum::<usize>(), 3 * (400 - 6));
    let server = Prometheus::start_with(dir.path(), &[FEATURES]);
    let theirs = theirs(&server, START + 400 * MINUTE);
    for (labels, shown) in &ours {
        for (at, expect) in shown {
            assert_eq!(theirs[labels].get(at), Some(expect), "{labels} {at}");
        }
    }
    assert_eq!(theirs, ours);
}

#[test]
fn we_read_the_histograms_of_a_killed_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let server = Prometheus::receiver(dir.path());
    for i in 0..100 {
        let at = Timestamp::from_millis(START + i * MINUTE);
        let one = |name: &str| {
            let pairs = labels(name);
            let label =
                |(name, value): (&str, &str)| Label { name: name.into(), value: value.into() };
            TimeSeries {
                labels: pairs.iter().map(label).collect(),
                histograms: vec![wire(at, &histogram(name, i))],
                ..TimeSeries::default()
            }
        };
        // 2.42 takes a float histogram without observations, as markers are, for another kind.
        let sent = NAMES.into_iter().filter(|name| *name != "h_float" || i != 59);
        let timeseries = sent.map(one).collect();
        server.write(&WriteRequest { timeseries, metadata: Vec::new() });
    }
    let theirs = theirs(&server, START + 100 * MINUTE);
    server.kill();
    assert_eq!(theirs.values().map(BTreeMap::len).sum::<usize>(), 3 * (100 - 1));
    assert_eq!(ours(&open(dir.path())), theirs);
}
