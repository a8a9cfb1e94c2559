//! Many, slow and large requests.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::Options;
use futures_util::StreamExt as _;
use model::{Labels, METRIC_NAME, Metadata};
use serde_json::json;
use storage::{Columns, LabelQuery, Query, QueryError, Selection, SeriesSet};

use crate::server::{Response, Server, Setup};
use crate::store::Store;

const SERIES: usize = 1_000;

/// A store that takes its time: each series takes 5 ms to read. Questions about labels fail.
#[derive(Clone, Default)]
struct Slow {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Queries that are reading now, and the most that ever were.
    reading: AtomicUsize,
    reading_max: AtomicUsize,
    series_read: AtomicUsize,
}

impl Query for Slow {
    fn select(&self, _: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        let reading = self.counts.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.reading_max.fetch_max(reading, Ordering::SeqCst);
        Ok(Box::new(self.clone()))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        Err(QueryError::Corrupt { place: "block 7".to_owned(), reason: "bad crc".to_owned() })
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        panic!("a bug")
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        Ok(Vec::new())
    }
}

impl SeriesSet for Slow {
    fn len(&self) -> usize {
        SERIES
    }

    fn labels(&self, index: usize) -> Labels {
        [(METRIC_NAME, "slow"), ("n", &format!("{index:06}"))].into_iter().collect()
    }

    fn read(&self, index: usize, _: &mut Columns) -> Result<(), QueryError> {
        std::thread::sleep(Duration::from_millis(5));
        self.counts.series_read.fetch_add(1, Ordering::SeqCst);
        if index + 1 == SERIES {
            self.counts.reading.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

async fn slow_server(max_concurrency: usize, timeout: Duration) -> (Server, Arc<Counts>) {
    let slow = Slow::default();
    let options = Options { max_concurrency, timeout, ..Options::default() };
    let setup = Setup { query: Some(Arc::new(slow.clone())), options, ..Setup::default() };
    (Server::start_with(setup).await, slow.counts)
}

/// ENDPOINT-1.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_queries_run_at_once_than_allowed_and_waiting_is_part_of_their_time() {
    let (server, counts) = slow_server(2, Duration::from_secs(60)).await;
    let running = futures_util::future::join_all(
        (0..2).map(|_| server.get("/api/v1/query?query=slow&timeout=2s")),
    );
    let waiting = futures_util::future::join_all(
        (0..4).map(|_| server.get("/api/v1/query?query=slow&timeout=500ms")),
    );
    let waiting = async {
        while counts.reading_max.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What the process says of itself needs no turn.
        assert_eq!(server.get("/api/v1/rules").await.status, 200);
        waiting.await
    };
    let (ran, waited) = tokio::join!(running, waiting);
    let errors = |answers: &[Response]| {
        let errors = answers.iter().map(|answer| answer.json()["error"].take());
        errors.collect::<Vec<_>>()
    };
    assert_eq!(errors(&ran), ["query timed out in expression evaluation"; 2]);
    assert_eq!(errors(&waited), ["query timed out in query queue"; 4]);
    assert_eq!(counts.reading_max.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_ask_for_less_time() {
    let (server, _) = slow_server(1, Duration::from_secs(60)).await;
    let response = server.get("/api/v1/query?query=slow&timeout=50ms").await;
    assert_eq!(response.status, 503);
    let error = "query timed out in expression evaluation";
    let expect = json!({"status": "error", "errorType": "timeout", "error": error});
    assert_eq!(response.json(), expect);
}

/// ENDPOINT-2.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_client_goes_away() {
    let (server, counts) = slow_server(1, Duration::from_secs(60)).await;
    let asked = server.get("/api/v1/query?query=slow");
    assert!(tokio::time::timeout(Duration::from_millis(200), asked).await.is_err());
    // The next one gets its turn long before the first could have finished.
    let started = std::time::Instant::now();
    server.get("/api/v1/query?query=slow&timeout=2s").await;
    let read = counts.series_read.load(Ordering::SeqCst);
    assert!(read > 0, "the first query never ran");
    let others_read = |within: Duration| within.as_millis() as usize / 5 * 4 + SERIES / 2;
    assert!(read < others_read(started.elapsed()), "{read} series were read");
    let inside = counts.reading_max.load(Ordering::SeqCst);
    assert_eq!(inside, 2, "the second query never ran");
    let metrics = server.get("/metrics").await.body;
    let gone = r#"watershed_http_requests_total{code="499",handler="/api/v1/query"} 1"#;
    assert!(metrics.lines().any(|line| line == gone), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_is_an_internal_error() {
    let (server, _) = slow_server(1, Duration::from_secs(60)).await;
    for (path, error) in [
        ("/api/v1/labels", "corrupt data in block 7: bad crc"),
        ("/api/v1/label/a/values", "internal error"),
        ("/api/v1/labels", "corrupt data in block 7: bad crc"), // and the server lives on
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status, 500, "{path}");
        let expect = json!({"status": "error", "errorType": "internal", "error": error});
        assert_eq!(response.json(), expect, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_streamed_plain_and_compressed() {
    const COUNT: usize = 50_000;
    let store = Store::of_many("many", COUNT);
    let query = Some(store.db.clone() as Arc<dyn Query>);
    let server = Server::start_with(Setup { query, ..Setup::default() }).await;
    for path in ["series?match[]=many", "query?query=many&time=1700000000"] {
        let url = format!("{}/api/v1/{path}", server.base);
        let get = async |encoding: &str| {
            let request = reqwest::Client::new().get(&url).header("accept-encoding", encoding);
            let response = request.send().await.unwrap();
            assert_eq!(response.content_length(), None, "{path}");
            let encoded = response.headers().contains_key("content-encoding");
            assert_eq!(encoded, encoding == "gzip");
            let chunks: Vec<_> = response.bytes_stream().map(Result::unwrap).collect().await;
            chunks.concat()
        };
        let plain = get("identity").await;
        let answer: serde_json::Value = serde_json::from_slice(&plain).unwrap();
        let list = answer["data"].as_array().or(answer["data"]["result"].as_array());
        assert_eq!(list.unwrap().len(), COUNT, "{path}");
        let compressed = get("gzip").await;
        assert!(compressed.len() < plain.len() / 3, "{path}: {}", compressed.len());
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut text).unwrap();
        let answer_of_compressed: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(answer == answer_of_compressed, "{path}");
    }
}
