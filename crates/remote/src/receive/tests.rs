use std::net::SocketAddr;

use prometheus::Registry;
use prost::Message as _;
use proto::{v1 as p1, v2 as p2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::Metrics;
use crate::testing::{Memory, serve};

struct Server {
    memory: Memory,
    registry: Registry,
    address: SocketAddr,
}

async fn server(options: Options) -> Server {
    let (memory, registry) = (Memory::default(), Registry::new());
    let metrics = Metrics::register(&registry).unwrap();
    let append = Arc::new(memory.clone());
    let address = serve(router(append, options, metrics.receive)).await;
    Server { memory, registry, address }
}

impl Server {
    async fn post(&self, headers: &[(&str, &str)], body: Vec<u8>) -> reqwest::Response {
        let url = format!("http://{}/api/v1/write", self.address);
        let mut request = reqwest::Client::new().post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// The sum of a metric's values, those with all of `labels` in their text.
    fn metric(&self, name: &str, labels: &str) -> f64 {
        let text =
            prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

fn message(names: &[&str]) -> Vec<u8> {
    let label = |name: &str, value: &str| p1::Label { name: name.into(), value: value.into() };
    let series = |name: &&str| p1::TimeSeries {
        labels: vec![label("__name__", name), label("job", "x")],
        samples: vec![p1::Sample { value: 1.0, timestamp: 1000 }],
        ..p1::TimeSeries::default()
    };
    let timeseries = names.iter().map(series).collect();
    p1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

const V1: [(&str, &str); 2] =
    [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];

#[tokio::test]
async fn what_is_stored_is_acknowledged_and_counted() {
    let server = server(Options::default()).await;
    let response = server.post(&V1, snappy(&message(&["a", "b"]))).await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()[SAMPLES_WRITTEN], "2");
    assert_eq!(response.headers()[HISTOGRAMS_WRITTEN], "0");
    assert_eq!(response.headers()[EXEMPLARS_WRITTEN], "0");
    assert_eq!(server.memory.text(), [r#"a{job="x"} 1@1000"#, r#"b{job="x"} 1@1000"#]);

    let response = server.post(&V1, snappy(&message(&["a", "", ""]))).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[SAMPLES_WRITTEN], "1");
    assert_eq!(
        response.text().await.unwrap(),
        "2 of 3 samples refused (2 invalid_labels); the rest is stored\n\
         metric name is missing: {__name__=\"\", job=\"x\"}\n\
         metric name is missing: {__name__=\"\", job=\"x\"}\n"
    );
    let name = |suffix| format!("watershed_remote_receive_samples{suffix}_total");
    let (all, appended) = (server.metric(&name(""), ""), server.metric(&name("_appended"), ""));
    let rejected = server.metric(&name("_rejected"), "");
    assert_eq!((all, appended, rejected), (5.0, 3.0, 2.0), "RECEIVE-1");
    assert_eq!(server.metric("watershed_remote_receive_requests_total", "204"), 1.0);
    assert_eq!(server.metric("watershed_remote_receive_requests_total", "400"), 1.0);
}

#[tokio::test]
async fn histograms_and_exemplars_are_acknowledged_and_counted() {
    let server = server(Options::default()).await;
    let label = |name: &str, value: &str| p1::Label { name: name.into(), value: value.into() };
    let histogram = |schema| p1::Histogram { schema, timestamp: 1000, ..p1::Histogram::default() };
    let series = p1::TimeSeries {
        labels: vec![label("__name__", "h")],
        samples: vec![p1::Sample { value: 1.0, timestamp: 1000 }],
        histograms: [0, 1, 2, 53].map(histogram).to_vec(),
        exemplars: vec![
            p1::Exemplar { labels: vec![label("trace_id", "x")], value: 1.0, timestamp: 999 },
            p1::Exemplar { labels: vec![label("", "x")], value: 1.0, timestamp: 999 },
            p1::Exemplar::default(),
        ],
    };
    let message = p1::WriteRequest { timeseries: vec![series], metadata: Vec::new() };
    let response = server.post(&V1, snappy(&message.encode_to_vec())).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()[SAMPLES_WRITTEN], "1");
    assert_eq!(response.headers()[HISTOGRAMS_WRITTEN], "3");
    assert_eq!(response.headers()[EXEMPLARS_WRITTEN], "2");
    assert_eq!(
        response.text().await.unwrap(),
        "1 of 5 samples refused (1 invalid_histogram); the rest is stored\n\
         histogram has an invalid schema: 53: h\n"
    );
    for (kind, expect) in [("histograms", (4.0, 3.0, 1.0)), ("exemplars", (3.0, 2.0, 1.0))] {
        let count =
            |suffix| server.metric(&format!("watershed_remote_receive_{kind}{suffix}_total"), "");
        assert_eq!(
            (count(""), count("_appended"), count("_rejected")),
            expect,
            "RECEIVE-1: {kind}"
        );
    }
}

#[tokio::test]
async fn version_2_is_told_by_its_content_type() {
    let server = server(Options::default()).await;
    let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
    let series = p2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![p2::Sample { value: 1.0, timestamp: 1000, start_timestamp: 0 }],
        ..p2::TimeSeries::default()
    };
    let body = snappy(&p2::Request { symbols, timeseries: vec![series] }.encode_to_vec());
    let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let headers = [("Content-Type", kind), ("Content-Encoding", "snappy")];
    let response = server.post(&headers, body.clone()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[SAMPLES_WRITTEN]),
        (204, &"1".parse().unwrap())
    );
    assert_eq!(server.memory.text(), ["up 1@1000"]);
    // Read as version 1 it is empty: nothing is stored, and the sender can see that.
    let response = server.post(&V1, body).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[SAMPLES_WRITTEN]),
        (204, &"0".parse().unwrap())
    );
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_reason_and_store_nothing() {
    let server = server(Options { decoded_bytes_max: 10_000, ..Options::default() }).await;
    let check = async |headers: &[(&str, &str)], body: Vec<u8>, status: u16, expect: &str| {
        let response = server.post(headers, body).await;
        assert_eq!(response.status(), status, "{headers:?}");
        let text = response.text().await.unwrap();
        assert!(text.contains(expect), "{headers:?}: {text}");
        assert!(server.memory.text().is_empty());
    };
    let good = snappy(&message(&["a"]));
    let kind = |kind| [("Content-Type", kind), ("Content-Encoding", "snappy")];
    let encoding =
        |coding| [("Content-Type", "application/x-protobuf"), ("Content-Encoding", coding)];
    check(&kind("application/json"), good.clone(), 415, "content type \"application/json\"").await;
    check(&kind("application/x-protobuf;proto=x"), good.clone(), 415, "proto=x").await;
    check(&encoding("identity"), message(&["a"]), 415, "content encoding \"identity\"").await;
    check(&encoding("gzip"), good.clone(), 415, "want snappy").await;
    check(&V1, b"no snappy".to_vec(), 400, "snappy: ").await;
    check(&V1, Vec::new(), 400, "snappy: ").await;
    check(&V1, good[..good.len() - 3].to_vec(), 400, "snappy: ").await;
    check(&V1, snappy(b"\x0a\x7f"), 400, "malformed protobuf at byte 2: truncated").await;
    check(&V1, snappy(&[0; 10_001]), 413, "more than 10000 bytes").await;
    check(&V1, vec![1; 10_001], 413, "more than 10000 bytes").await;
    // A few bytes that claim to be 4 GiB; RECEIVE-5.
    check(&V1, b"\xff\xff\xff\xff\x0f\x00".to_vec(), 413, "more than 10000 bytes").await;
    let url = format!("http://{}/api/v1/write", server.address);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 405);
}

#[tokio::test]
async fn storage_that_fails_asks_for_a_retry() {
    let server = server(Options::default()).await;
    server.memory.state().fail_commits = true;
    let response = server.post(&V1, snappy(&message(&["a"]))).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.text().await.unwrap(), "store: write log segment 3: disk full\n");
}

/// Sends a request's head that promises a body, and no body.
async fn start_slow_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn status_line(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let mut bytes = [0; 512];
    while !text.contains("\r\n") {
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    text.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let body_timeout = Duration::from_millis(50);
    let server = server(Options { body_timeout, ..Options::default() }).await;
    let slow = start_slow_request(server.address).await;
    assert_eq!(status_line(slow).await, "HTTP/1.1 408 Request Timeout");
    assert_eq!(server.post(&V1, snappy(&message(&["a"]))).await.status(), 204);
}

#[tokio::test]
async fn who_finds_no_place_is_told_to_come_back() {
    let admission_timeout = Duration::from_millis(20);
    let options = Options { concurrency: 1, admission_timeout, ..Options::default() };
    let server = server(options).await;
    let slow = start_slow_request(server.address).await;
    while server.post(&V1, snappy(&message(&["a"]))).await.status() != 429 {
        tokio::task::yield_now().await; // until the slow one has the place
    }
    let response = server.post(&V1, snappy(&message(&["a"]))).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()),
        (429, "1")
    );
    drop(slow); // its place is free again once the server notices
    while server.post(&V1, snappy(&message(&["a"]))).await.status() != 204 {}
}
