use std::io::Read as _;
use std::net::SocketAddr;

use model::{MatchOp, Metadata, MetricType, STALE_NAN};
use prometheus::Registry;
use storage::Append as _;
use tempfile::TempDir;
use tokio::time::timeout;
use tsdb::Db;

use super::*;
use crate::metrics::Metrics;
use crate::testing::serve;

const NOW: i64 = 1_000_000;

struct Server {
    _folder: TempDir,
    db: Arc<Db>,
    address: SocketAddr,
    external_labels: watch::Sender<Labels>,
}

impl Server {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let metrics = tsdb::Metrics::register(&registry).unwrap();
        let db = Db::open(tsdb::Options::new(folder.path()), metrics).unwrap();
        let (external_labels, receiver) = watch::channel(Labels::empty());
        let options = Options { clock: || Timestamp::from_millis(NOW), ..options };
        let metrics = Metrics::register(&registry).unwrap().federate;
        let query: Arc<dyn Query> = Arc::<Db>::clone(&db);
        let address = serve(router(query, receiver, options, metrics)).await;
        Self { _folder: folder, db, address, external_labels }
    }

    fn append(&self, pairs: &[(&str, &str)], millis: i64, value: f64) {
        let mut batch = self.db.appender();
        let labels: Labels = pairs.iter().copied().collect();
        let series = batch.series(&labels, None).unwrap();
        batch.sample(series, Sample { timestamp: Timestamp::from_millis(millis), value }).unwrap();
        assert_eq!(batch.commit().unwrap().samples, 1);
    }

    /// `n{i="…00"}`, `n{i="…01"}`, …, each of more than 200 bytes.
    fn append_many(&self, series: usize) {
        let mut batch = self.db.appender();
        for i in 0..series {
            let i = format!("{i:0>200}");
            let labels: Labels = [("__name__", "n"), ("i", &i)].into_iter().collect();
            let series = batch.series(&labels, None).unwrap();
            let timestamp = Timestamp::from_millis(NOW);
            batch.sample(series, Sample { timestamp, value: 1.0 }).unwrap();
        }
        batch.commit().unwrap();
    }

    fn describe(&self, family: &str, metric_type: MetricType, help: &str) {
        let metadata = Metadata { metric_type, help: help.into(), unit: String::new() };
        let mut batch = self.db.appender();
        batch.metadata(family, &metadata).unwrap();
        batch.commit().unwrap();
    }

    async fn get(&self, matchers: &[&str], headers: &[(&str, &str)]) -> reqwest::Response {
        let mut url = url::Url::parse(&format!("http://{}/federate", self.address)).unwrap();
        url.query_pairs_mut().extend_pairs(matchers.iter().map(|matcher| ("match[]", matcher)));
        let mut request = reqwest::Client::new().get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    #[track_caller]
    fn check(&self, matchers: &[&str], expect: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let response = self.get(matchers, &[]).await;
            assert_eq!(response.status(), 200, "{caller}");
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            assert_eq!(response.headers()["content-type"], kind, "{caller}");
            assert_eq!(response.text().await.unwrap(), expect, "{caller}");
        }
    }
}

#[tokio::test]
async fn the_newest_sample_of_each_series_is_given_once_and_sorted() {
    let server = Server::new().await;
    server.append(&[("__name__", "b"), ("job", "x")], NOW - 2, 1.0);
    server.append(&[("__name__", "b"), ("job", "x")], NOW - 1, 2.5);
    server.append(&[("__name__", "b"), ("A", "first"), ("instance", "i")], NOW, f64::INFINITY);
    server.append(&[("__name__", "a")], NOW - 300_000, 3.0);
    server.append(&[("__name__", "too_old")], NOW - 300_001, 3.0);
    server.append(&[("__name__", "ended")], NOW - 2, 3.0);
    server.append(&[("__name__", "ended")], NOW - 1, STALE_NAN);
    server.append(&[("job", "nameless")], NOW, 1.0);
    let all = "# TYPE a untyped\n\
        a{instance=\"\"} 3 700000\n\
        # TYPE b untyped\n\
        b{A=\"first\",instance=\"i\"} +Inf 1000000\n\
        b{job=\"x\",instance=\"\"} 2.5 999999\n";
    server.check(&["{__name__=~\".+\"}"], all).await;
    server.check(&["a", "b", "{job=\"x\"}", "b{job=\"x\"}"], all).await;
    server.check(&["ended"], "").await;
    server.check(&[], "").await;
}

#[tokio::test]
async fn external_labels_are_added_where_a_series_does_not_have_them() {
    let server = Server::new().await;
    server.append(&[("__name__", "up"), ("region", "own"), ("zone", "z")], NOW, 1.0);
    server.append(&[("__name__", "up"), ("instance", "i")], NOW, 1.0);
    let external = |pairs: &[(&str, &str)]| {
        server.external_labels.send(pairs.iter().copied().collect()).unwrap();
    };
    external(&[("region", "eu"), ("replica", "0")]);
    let expect = "# TYPE up untyped\n\
        up{instance=\"i\",region=\"eu\",replica=\"0\"} 1 1000000\n\
        up{region=\"own\",zone=\"z\",instance=\"\",replica=\"0\"} 1 1000000\n";
    server.check(&["up"], expect).await;
    external(&[("instance", "me")]);
    let expect = "# TYPE up untyped\n\
        up{instance=\"i\"} 1 1000000\n\
        up{region=\"own\",zone=\"z\",instance=\"me\"} 1 1000000\n";
    server.check(&["up"], expect).await;
}

#[tokio::test]
async fn families_stand_together_under_their_type_and_help() {
    let server = Server::new().await;
    server.describe("h", MetricType::Histogram, "A \\ and\na line.");
    server.describe("c_total", MetricType::Counter, "");
    for name in ["h_bucket", "h_bucket_size", "h_count", "h_sum", "c_total"] {
        server.append(&[("__name__", name), ("instance", "i")], NOW, 1.0);
    }
    let expect = "# TYPE c_total counter\n\
        c_total{instance=\"i\"} 1 1000000\n\
        # HELP h A \\\\ and\\na line.\n\
        # TYPE h histogram\n\
        h_bucket{instance=\"i\"} 1 1000000\n\
        h_count{instance=\"i\"} 1 1000000\n\
        h_sum{instance=\"i\"} 1 1000000\n\
        # TYPE h_bucket_size untyped\n\
        h_bucket_size{instance=\"i\"} 1 1000000\n";
    server.check(&["{__name__!=\"\"}"], expect).await;
}

#[tokio::test]
async fn names_are_written_as_the_client_understands_them() {
    let server = Server::new().await;
    server.append(&[("__name__", "my.metric"), ("a.b", "c"), ("instance", "i")], NOW, 1.0);
    let plain = "# TYPE my_metric untyped\nmy_metric{a_b=\"c\",instance=\"i\"} 1 1000000\n";
    server.check(&["{\"my.metric\"}"], plain).await;
    let accept = ("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8");
    let response = server.get(&["{\"my.metric\"}"], &[accept]).await;
    let kind = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(response.headers()["content-type"], kind);
    let quoted =
        "# TYPE \"my.metric\" untyped\n{\"my.metric\",\"a.b\"=\"c\",instance=\"i\"} 1 1000000\n";
    assert_eq!(response.text().await.unwrap(), quoted);
}

#[tokio::test]
async fn a_selector_that_does_not_parse_is_named() {
    let server = Server::new().await;
    let response = server.get(&["up", "up{job=}"], &[]).await;
    assert_eq!(response.status(), 400);
    let text = response.text().await.unwrap();
    assert!(text.starts_with("match[]=up{job=}: 1:8: parse error: "), "{text}");
}

#[tokio::test]
async fn a_large_answer_is_the_same_with_and_without_gzip() {
    let server = Server::new().await;
    server.append_many(5000);
    let plain = server.get(&["n"], &[]).await.bytes().await.unwrap();
    assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 5001);
    let response = server.get(&["n"], &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let packed = response.bytes().await.unwrap();
    assert!(packed.len() * 4 < plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain);
}

#[test]
fn writing_stops_when_nobody_takes_it() {
    let many = (0..20_000).map(|i| {
        let i = i.to_string();
        let labels: Labels = [("__name__", "n"), ("i", &i)].into_iter().collect();
        (labels, Sample { timestamp: Timestamp::EPOCH, value: 1.0 })
    });
    let page = Page::new(many.collect(), &[], &Labels::empty(), false);
    for gzip in [false, true] {
        let mut pieces = 0;
        let all = page.write(gzip, |piece| {
            pieces += 1;
            assert!(piece.len() < 80 << 10, "FEDERATE-3");
            pieces < 3
        });
        assert_eq!((all, pieces), (false, 3));
        assert!(page.write(gzip, |_| true));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_does_not_look_whole() {
    let (pieces, receiver) = mpsc::channel(2);
    let text = Bytes::from_static(b"up 1\n");
    pieces.send(Piece::Text(text.clone())).await.unwrap();
    drop(pieces);
    assert!(axum::body::to_bytes(body(receiver), 100).await.is_err(), "FEDERATE-4");

    let (pieces, receiver) = mpsc::channel(2);
    pieces.send(Piece::Text(text.clone())).await.unwrap();
    pieces.send(Piece::End).await.unwrap();
    assert_eq!(axum::body::to_bytes(body(receiver), 100).await.unwrap(), text);
}

/// Only a client with a place for itself can block; it loses it when it takes too long.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let options =
        Options { concurrency: 1, write_timeout: Duration::from_millis(50), ..Options::default() };
    let server = Server::with(options).await;
    server.append_many(40_000); // more than the sockets hold
    let mut stuck = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = "GET /federate?match[]=n HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stuck, request.as_bytes()).await.unwrap();
    tokio::io::AsyncReadExt::read_u8(&mut stuck).await.unwrap(); // it has the place
    let next = timeout(Duration::from_secs(10), server.get(&["none"], &[])).await;
    assert_eq!(next.expect("the place is free in time").status(), 200);
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stuck, &mut rest).await;
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "FEDERATE-4");
}

#[test]
fn selectors_are_all_of_the_match_parameters() {
    let found = selectors("match%5B%5D=up&x=1&match[]=%7Bjob%3D~%22a.*%22%7D").unwrap();
    let found: Vec<_> = found.iter().flatten().map(|m| (m.name(), m.op(), m.value())).collect();
    let expect = [("__name__", MatchOp::Equal, "up"), ("job", MatchOp::Regex, "a.*")];
    assert_eq!(found, expect);
}
