//! Exemplars in the log of either side, replayed by the other.

use std::collections::BTreeMap;

use model::{Exemplar, Labels, TimeRange, Timestamp};
use proto::v1::{self, Label, TimeSeries, WriteRequest};
use storage::{Append, LabelQuery, Query};

use super::histograms::FEATURES;
use super::{MINUTE, Prometheus, START, open};
use crate::Db;

type Contents = BTreeMap<Labels, Vec<Exemplar>>;

fn series(name: &str) -> Labels {
    [("__name__", "requests_total"), ("path", name)].into_iter().collect()
}

fn exemplar(i: i64) -> Exemplar {
    let labels = [("trace_id", format!("é{i}")), ("user", "x".to_owned())];
    let labels = if i % 5 == 0 { Labels::empty() } else { labels.into_iter().collect() };
    let timestamp = Timestamp::from_millis(START + i * MINUTE - 7);
    Exemplar { labels, value: i as f64 * 0.25, timestamp }
}

fn ours(db: &Db) -> Contents {
    let query = LabelQuery { range: TimeRange::ALL, matcher_sets: Vec::new(), limit: None };
    db.exemplars(&query).unwrap().into_iter().collect()
}

fn theirs(server: &Prometheus) -> Contents {
    let path = format!("/api/v1/query_exemplars?query=requests_total&start=0&end={}", START / 100);
    let answer: serde_json::Value = serde_json::from_str(&server.get(&path).unwrap()).unwrap();
    let labels = |labels: &serde_json::Value| -> Labels {
        let pairs = labels.as_object().unwrap().iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
    };
    let exemplar = |one: &serde_json::Value| Exemplar {
        labels: labels(&one["labels"]),
        value: one["value"].as_str().unwrap().parse().unwrap(),
        timestamp: Timestamp::from_seconds(one["timestamp"].as_f64().unwrap()),
    };
    let series = answer["data"].as_array().unwrap().iter();
    let exemplars = |series: &serde_json::Value| {
        let exemplars = series["exemplars"].as_array().unwrap();
        (labels(&series["seriesLabels"]), exemplars.iter().map(exemplar).collect())
    };
    series.map(exemplars).collect()
}

#[test]
fn prometheus_replays_our_exemplars() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for i in 0..60 {
        let mut batch = db.appender();
        for name in ["/a", "/b"] {
            let series = batch.series(&series(name), None).unwrap();
            batch.sample(series, super::at(START + i * MINUTE, 1.0)).unwrap();
            batch.exemplar(series, exemplar(i)).unwrap();
        }
        assert_eq!(batch.commit().unwrap().exemplars, 2);
    }
    let ours = ours(&db);
    drop(db);
    assert_eq!(ours.values().map(Vec::len).sum::<usize>(), 120);
    assert_eq!(theirs(&Prometheus::start_with(dir.path(), &[FEATURES])), ours);
}

#[test]
fn we_replay_the_exemplars_of_a_killed_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let server = Prometheus::receiver(dir.path());
    let wire_labels = |labels: &Labels| -> Vec<Label> {
        let pairs = labels.iter();
        pairs.map(|(name, value)| Label { name: name.into(), value: value.into() }).collect()
    };
    for i in 0..60 {
        let Exemplar { labels, value, timestamp } = exemplar(i);
        let timestamp = timestamp.as_millis();
        let timeseries = ["/a", "/b"].map(|name| TimeSeries {
            labels: wire_labels(&series(name)),
            samples: vec![v1::Sample { value: 1.0, timestamp: START + i * MINUTE }],
            exemplars: vec![v1::Exemplar { labels: wire_labels(&labels), value, timestamp }],
            ..TimeSeries::default()
        });
        server.write(&WriteRequest { timeseries: timeseries.into(), metadata: Vec::new() });
    }
    let theirs = theirs(&server);
    server.kill();
    assert_eq!(theirs.values().map(Vec::len).sum::<usize>(), 120);
    assert_eq!(ours(&open(dir.path())), theirs);
}
