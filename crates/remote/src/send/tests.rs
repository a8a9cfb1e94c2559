//! Senders with a real log and sockets, against receivers that fail in all ways there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use model::histogram::IntegerHistogram;
use model::{Exemplar, Histogram, Metadata, MetricType, STALE_NAN, Sample, Timestamp};
use prometheus::Registry;
use prost::Message as _;
use proto::v1;
use storage::Append as _;
use tempfile::TempDir;

mod protocol;

use super::*;
use crate::metrics::Metrics;
use crate::testing::serve;

/// What a destination does with the next request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Takes,
    /// Takes it, and lets the answer be lost.
    TakesAndCloses,
    Answers(u16),
    AnswersRetryAfter(u16, &'static str),
    /// Refuses some for good and says how many it took.
    TakesSome(&'static str),
    /// Takes it, and says how many exemplars it keeps.
    Keeps(&'static str),
    Hangs,
}

#[derive(Clone, Default)]
struct Destination(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    script: VecDeque<Does>,
    then: Option<Does>,
    requests: usize,
    samples: BTreeMap<String, Vec<(i64, u64)>>,
    histograms: Vec<v1::Histogram>,
    exemplars: Vec<v1::Exemplar>,
    metadata: BTreeMap<String, String>,
    headers: HeaderMap,
}

impl Destination {
    fn doing(script: &[Does]) -> Self {
        let destination = Self::default();
        destination.0.lock().script = script.iter().copied().collect();
        destination
    }

    fn then(self, does: Does) -> Self {
        self.0.lock().then = Some(does);
        self
    }

    async fn serve(&self) -> SocketAddr {
        serve(Router::new().route("/write", post(take)).with_state(self.clone())).await
    }

    /// Samples by series, each once; a series' samples in the order of their first arrival.
    fn samples(&self) -> BTreeMap<String, Vec<i64>> {
        let received = self.0.lock();
        let once = |samples: &Vec<(i64, u64)>| {
            let mut seen = BTreeSet::new();
            samples.iter().filter(|sample| seen.insert(**sample)).map(|(at, _)| *at).collect()
        };
        received.samples.iter().map(|(name, samples)| (name.clone(), once(samples))).collect()
    }

    fn count(&self) -> usize {
        self.samples().values().map(Vec::len).sum()
    }
}

async fn take(State(destination): State<Destination>, headers: HeaderMap, body: Bytes) -> Response {
    let does = {
        let mut received = destination.0.lock();
        received.requests += 1;
        received.headers = headers;
        let next = received.script.pop_front();
        next.or(received.then).unwrap_or(Does::Takes)
    };
    if matches!(does, Does::Takes | Does::TakesAndCloses | Does::Keeps(_)) {
        store(&destination, &body);
    }
    match does {
        Does::Takes => StatusCode::NO_CONTENT.into_response(),
        Does::Answers(code) => (StatusCode::from_u16(code).unwrap(), "because").into_response(),
        Does::AnswersRetryAfter(code, after) => {
            (StatusCode::from_u16(code).unwrap(), [("Retry-After", after)]).into_response()
        }
        Does::TakesSome(written) => {
            let header = [("X-Prometheus-Remote-Write-Samples-Written", written)];
            (StatusCode::BAD_REQUEST, header, "some are bad\nindeed").into_response()
        }
        Does::Keeps(exemplars) => {
            let header = [("X-Prometheus-Remote-Write-Exemplars-Written", exemplars)];
            (StatusCode::NO_CONTENT, header).into_response()
        }
        Does::TakesAndCloses => panic!("the connection closes without an answer"),
        Does::Hangs => std::future::pending().await,
    }
}

fn store(destination: &Destination, body: &[u8]) {
    let message = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    let request = v1::WriteRequest::decode(&message[..]).unwrap();
    let mut received = destination.0.lock();
    for series in request.timeseries {
        let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        let labels: Labels = pairs.collect();
        let into = received.samples.entry(labels.to_string()).or_default();
        into.extend(series.samples.iter().map(|sample| (sample.timestamp, sample.value.to_bits())));
        received.histograms.extend(series.histograms);
        received.exemplars.extend(series.exemplars);
    }
    for metadata in request.metadata {
        received.metadata.insert(metadata.metric_family_name, metadata.help);
    }
}

/// A database and its senders, as an edge has them.
struct Edge {
    folder: TempDir,
    registry: Registry,
    db: Arc<Db>,
    senders: Senders,
}

impl Edge {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(folder: TempDir) -> Self {
        let registry = Registry::new();
        let db_metrics = tsdb::Metrics::register(&registry).unwrap();
        let db = Db::open(tsdb::Options::new(folder.path()), db_metrics).unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        let senders = Senders::new(Arc::clone(&db), folder.path(), metrics.send).unwrap();
        Self { folder, registry, db, senders }
    }

    async fn restart(self) -> Self {
        self.senders.shutdown().await;
        drop(self.senders);
        self.db.close().unwrap();
        drop(self.db);
        Self::open(self.folder)
    }

    async fn send_to(&self, address: SocketAddr, more: &str) {
        let config = config(address, more);
        self.senders.apply(&[config], &Labels::empty()).await.unwrap();
    }

    /// Appends one sample at `millis` to each of the series `n{i="0"}`, `n{i="1"}`, …
    fn append(&self, series: usize, millis: i64) {
        let mut batch = self.db.appender();
        for i in 0..series {
            let i = i.to_string();
            let labels: Labels = [("__name__", "n"), ("i", &i)].into_iter().collect();
            let series = batch.series(&labels, None).unwrap();
            let timestamp = Timestamp::from_millis(millis);
            batch.sample(series, Sample { timestamp, value: millis as f64 }).unwrap();
        }
        assert_eq!(batch.commit().unwrap().samples, series as u64);
    }

    /// Appends a number, two histograms and three exemplars.
    fn append_all_kinds(&self) {
        let mut batch = self.db.appender();
        for name in ["numbers", "histograms"] {
            let labels: Labels = [("__name__", name)].into_iter().collect();
            let series = batch.series(&labels, None).unwrap();
            if name == "numbers" {
                let sample = Sample { timestamp: Timestamp::from_millis(5), value: 1.0 };
                batch.sample(series, sample).unwrap();
                continue;
            }
            for millis in [5, 6] {
                let histogram = Histogram::Integer(IntegerHistogram::default());
                let at = Timestamp::from_millis(millis);
                batch.histogram(series, at, Arc::new(histogram)).unwrap();
            }
            for millis in [4, 5, 6] {
                let (labels, timestamp) = (Labels::empty(), Timestamp::from_millis(millis));
                batch.exemplar(series, Exemplar { labels, value: 1.0, timestamp }).unwrap();
            }
        }
        batch.commit().unwrap();
    }

    /// SEND-2: what was read of a kind, delivered, and given up for `reason`.
    fn account(&self, kind: &str, reason: &str) -> [f64; 3] {
        let reason = format!("reason=\"{reason}\"");
        assert_eq!(self.metric(&format!("{kind}_pending"), ""), 0.0);
        [
            self.metric(&format!("{kind}_read_total"), ""),
            self.metric(&format!("{kind}_total"), ""),
            self.metric(&format!("{kind}_dropped_total"), &reason),
        ]
    }

    /// The sum of `watershed_remote_send_{name}`, of the lines that contain `labels`.
    fn metric(&self, name: &str, labels: &str) -> f64 {
        let text =
            prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let name = format!("watershed_remote_send_{name}{{");
        let lines = text.lines().filter(|line| line.starts_with(&name) && line.contains(labels));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

fn config(address: SocketAddr, more: &str) -> RemoteWriteConfig {
    let yaml = format!(
        "url: http://{address}/write
name: parent
remote_timeout: 300ms
metadata_config: {{send: false}}
queue_config:
  {{batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 50ms, max_samples_per_send: 20, max_shards: 4}}
{more}"
    );
    serde_yaml_ng::from_str(&yaml).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_appended_arrives_with_external_labels_and_headers() {
    let (edge, parent) = (Edge::new(), Destination::default());
    edge.append(1, 1); // before there was a destination: SEND-3
    let config = config(
        parent.serve().await,
        "headers: {X-Scope-OrgID: eu}
authorization: {credentials: hush}
write_relabel_configs: [{action: drop, source_labels: [i], regex: '1'}]",
    );
    let external: Labels = [("region", "eu")].into_iter().collect();
    edge.senders.apply(&[config], &external).await.unwrap();
    edge.append(3, 1000);
    until("both series", || parent.count() == 2).await;
    let expect = [r#"n{i="0", region="eu"}"#, r#"n{i="2", region="eu"}"#];
    let expect = expect.map(|series| (series.to_owned(), vec![1000]));
    assert_eq!(parent.samples(), expect.into());
    let headers = parent.0.lock().headers.clone();
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("x-scope-orgid", "eu"),
        ("authorization", "Bearer hush"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(headers["user-agent"].to_str().unwrap().starts_with("Watershed/"));
    until("accounts", || edge.metric("samples_total", "parent") == 2.0).await;
    assert_eq!(edge.metric("samples_read_total", ""), 3.0);
    assert_eq!(edge.metric("samples_dropped_total", r#"reason="relabelled""#), 1.0);
    assert_eq!(edge.metric("highest_timestamp_in_seconds", ""), 1.0);
    assert_eq!(edge.metric("highest_sent_timestamp_seconds", ""), 1.0);
}

#[tokio::test]
async fn staleness_markers_travel() {
    let (edge, parent) = (Edge::new(), Destination::default());
    edge.send_to(parent.serve().await, "").await;
    let mut batch = edge.db.appender();
    let labels: Labels = [("__name__", "up")].into_iter().collect();
    let series = batch.series(&labels, None).unwrap();
    for (millis, value) in [(1, 1.0), (2, STALE_NAN)] {
        let timestamp = Timestamp::from_millis(millis);
        batch.sample(series, Sample { timestamp, value }).unwrap();
    }
    batch.commit().unwrap();
    until("both", || parent.count() == 2).await;
    assert_eq!(parent.0.lock().samples["up"], [(1, 1f64.to_bits()), (2, STALE_NAN.to_bits())]);
}

#[tokio::test]
async fn histograms_and_exemplars_are_sent() {
    let (edge, parent) = (Edge::new(), Destination::doing(&[Does::Answers(503), Does::Keeps("1")]));
    let more = "send_native_histograms: true\nsend_exemplars: true";
    edge.send_to(parent.serve().await, more).await;
    edge.append_all_kinds();
    until("accounts", || edge.metric("samples_total", "") == 1.0).await;
    assert_eq!(edge.account("samples", "rejected"), [1.0, 1.0, 0.0]);
    assert_eq!(edge.account("histograms", "rejected"), [2.0, 2.0, 0.0]);
    assert_eq!(edge.account("exemplars", "rejected"), [3.0, 1.0, 2.0]);
    assert_eq!(edge.metric("histograms_retried_total", ""), 2.0);
    let received = parent.0.lock();
    let times = |times: &mut dyn Iterator<Item = i64>| times.collect::<Vec<_>>();
    assert_eq!(times(&mut received.histograms.iter().map(|h| h.timestamp)), [5, 6]);
    assert_eq!(times(&mut received.exemplars.iter().map(|e| e.timestamp)), [4, 5, 6]);
}

#[tokio::test]
async fn kinds_that_are_not_to_be_sent_are_counted() {
    let (edge, parent) = (Edge::new(), Destination::default());
    edge.send_to(parent.serve().await, "").await;
    edge.append_all_kinds();
    until("accounts", || edge.metric("samples_total", "") == 1.0).await;
    assert_eq!(edge.account("samples", "disabled"), [1.0, 1.0, 0.0]);
    assert_eq!(edge.account("histograms", "disabled"), [2.0, 0.0, 2.0]);
    assert_eq!(edge.account("exemplars", "disabled"), [3.0, 0.0, 3.0]);
    edge.senders.shutdown().await;
    let cursor = edge.folder.path().join("remote/parent.cursor");
    let cursor = std::fs::read_to_string(cursor).unwrap();
    assert_eq!(cursor.trim_end().parse(), Ok(edge.db.log_end()));
}

/// Whatever a destination does for a while, and though the sender starts anew meanwhile, it has every
/// sample in the end, in order.
#[tokio::test]
async fn no_outage_loses_a_sample() {
    for outage in [
        vec![Does::Answers(503); 5],
        vec![Does::Answers(500), Does::TakesAndCloses, Does::Answers(502), Does::TakesAndCloses],
        vec![Does::AnswersRetryAfter(429, "0"), Does::AnswersRetryAfter(503, "1")],
        vec![Does::Hangs, Does::Hangs, Does::TakesAndCloses],
        vec![Does::Answers(408); 3],
    ] {
        let mut edge = Edge::new();
        let parent = Destination::doing(&outage);
        let address = parent.serve().await;
        edge.send_to(address, "").await;
        for round in 0..30 {
            edge.append(7, round * 100);
            if round % 10 == 9 {
                tokio::time::sleep(Duration::from_millis(30)).await;
                edge = edge.restart().await;
                edge.append(1, round * 100 + 50); // while nobody sends
                edge.send_to(address, "").await;
            }
        }
        until(&format!("all after {outage:?}"), || parent.count() == 7 * 30 + 3).await;
        for (series, times) in parent.samples() {
            assert!(times.is_sorted(), "{outage:?}: {series}: {times:?}");
        }
        edge.restart().await;
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_the_rest_goes_on() {
    let (edge, parent) =
        (Edge::new(), Destination::doing(&[Does::Answers(400), Does::Answers(429)]));
    let more = "{batch_send_deadline: 20ms, max_samples_per_send: 10, retry_on_http_429: false}";
    let config = config(parent.serve().await, "");
    let queue: RemoteWriteConfig =
        serde_yaml_ng::from_str(&format!("url: http://x/\nqueue_config: {more}")).unwrap();
    let config = RemoteWriteConfig { queue: queue.queue, ..config };
    edge.senders.apply(&[config], &Labels::empty()).await.unwrap();
    edge.append(40, 1);
    until("the rest", || parent.count() == 20).await;
    until("accounts", || edge.metric("samples_total", "") == 20.0).await;
    assert_eq!(edge.metric("samples_dropped_total", r#"reason="rejected""#), 20.0);
    until("nothing pending", || edge.metric("samples_pending", "") == 0.0).await;
    assert_eq!(edge.metric("samples_read_total", ""), 40.0, "SEND-2");
    assert_eq!(edge.metric("requests_total", r#"outcome="rejected""#), 2.0);
}

#[tokio::test]
async fn what_a_destination_says_it_took_counts_as_delivered() {
    let (edge, parent) = (Edge::new(), Destination::doing(&[Does::TakesSome("15")]));
    edge.send_to(parent.serve().await, "").await;
    edge.append(20, 1);
    until("accounts", || edge.metric("samples_total", "") == 15.0).await;
    assert_eq!(edge.metric("samples_dropped_total", r#"reason="rejected""#), 5.0, "SEND-2");
}

#[tokio::test]
async fn the_cursor_moves_only_with_acknowledgements() {
    let (edge, parent) = (Edge::new(), Destination::default().then(Does::Answers(503)));
    edge.send_to(parent.serve().await, "").await;
    let cursor = edge.folder.path().join("remote/parent.cursor");
    let start = std::fs::read_to_string(&cursor).unwrap();
    edge.append(5, 1);
    until("some tries", || parent.0.lock().requests > 3).await;
    assert_eq!(edge.metric("samples_pending", ""), 5.0);
    assert!(edge.metric("samples_retried_total", "") >= 10.0);
    edge.senders.shutdown().await;
    assert_eq!(std::fs::read_to_string(&cursor).unwrap(), start);

    parent.0.lock().then = None;
    edge.send_to(parent.serve().await, "").await;
    until("all", || parent.count() == 5).await;
    edge.senders.shutdown().await;
    let end = std::fs::read_to_string(&cursor).unwrap();
    assert_eq!(end.trim_end().parse(), Ok(edge.db.log_end()));
}

#[tokio::test]
async fn a_damaged_cursor_sends_again_rather_than_not_at_all() {
    let (edge, parent) = (Edge::new(), Destination::default());
    let address = parent.serve().await;
    edge.append(2, 1);
    std::fs::write(edge.folder.path().join("remote/parent.cursor"), "garbage").unwrap();
    edge.send_to(address, "").await;
    until("what was there before", || parent.count() == 2).await;
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change() {
    let (edge, a, b) = (Edge::new(), Destination::default(), Destination::default());
    let (to_a, to_b) = (config(a.serve().await, ""), config(b.serve().await, ""));
    let to_b = RemoteWriteConfig { name: "b".to_owned(), ..to_b };
    let none = Labels::empty();
    edge.senders.apply(&[to_a.clone(), to_b.clone()], &none).await.unwrap();
    edge.append(1, 1);
    until("both have it", || a.count() == 1 && b.count() == 1).await;

    edge.senders.apply(std::slice::from_ref(&to_b), &none).await.unwrap();
    edge.append(1, 2);
    until("b has more", || b.count() == 2).await;
    assert_eq!(a.count(), 1);

    let external: Labels = [("region", "eu")].into_iter().collect();
    edge.senders.apply(&[to_a.clone(), to_b.clone()], &external).await.unwrap();
    edge.append(1, 3);
    until("a has what it missed", || a.count() == 3).await;
    until("b goes on", || b.count() == 3).await;
    let series = |name: &str| name.to_owned();
    let expect =
        [(series(r#"n{i="0", region="eu"}"#), vec![3]), (series(r#"n{i="0"}"#), vec![1, 2])];
    assert_eq!(b.samples(), expect.into());

    let error = edge.senders.apply(&[to_a.clone(), to_a], &none).await.unwrap_err();
    assert!(error.to_string().contains("two destinations are named \"parent\""), "{error}");
    edge.append(1, 4);
    until("a refused configuration changes nothing", || a.count() == 4 && b.count() == 4).await;
}

#[tokio::test]
async fn destinations_that_cannot_be_opened_leave_those_that_run() {
    let (edge, a, b) = (Edge::new(), Destination::default(), Destination::default());
    let to_a = config(a.serve().await, "");
    let to_b = RemoteWriteConfig { name: "b".to_owned(), ..config(b.serve().await, "") };
    let none = Labels::empty();
    edge.senders.apply(&[to_a.clone(), to_b], &none).await.unwrap();

    std::fs::create_dir(edge.folder.path().join("remote/c.cursor")).unwrap();
    let changed = RemoteWriteConfig { remote_timeout: Duration::from_secs(1), ..to_a.clone() };
    let bad = RemoteWriteConfig { name: "c".to_owned(), ..to_a };
    let error = edge.senders.apply(&[changed, bad], &none).await.unwrap_err();
    assert_eq!(error.to_string(), "cursor of remote write destination \"c\"");
    edge.append(1, 1);
    until("all goes on as before", || a.count() == 1 && b.count() == 1).await;
}

#[tokio::test]
async fn families_are_described_to_those_who_get_them() {
    let (edge, parent) = (Edge::new(), Destination::default());
    let config = config(parent.serve().await, "");
    let every = "url: http://x/\nmetadata_config: {send_interval: 50ms}";
    let described: RemoteWriteConfig = serde_yaml_ng::from_str(every).unwrap();
    let config = RemoteWriteConfig { metadata: described.metadata, ..config };
    edge.senders.apply(&[config], &Labels::empty()).await.unwrap();
    let mut batch = edge.db.appender();
    for family in ["n", "not_forwarded"] {
        let metadata =
            Metadata { metric_type: MetricType::Gauge, help: "Help.".into(), unit: String::new() };
        batch.metadata(family, &metadata).unwrap();
    }
    batch.commit().unwrap();
    edge.append(1, 1);
    until("described", || !parent.0.lock().metadata.is_empty()).await;
    assert_eq!(parent.0.lock().metadata, [("n".to_owned(), "Help.".to_owned())].into());
}
