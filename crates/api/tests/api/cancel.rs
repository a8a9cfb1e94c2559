//! Clients that go away: the one turn that there is must be free for the next soon after, whatever the
//! query was doing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Options;
use futures_util::StreamExt as _;
use reqwest::Response;

use crate::fixture;
use crate::server::{FORM, Server, Setup, encoded};
use crate::store::Store;

const SERIES: usize = 8_000;
/// As long as the one sample of each series counts.
const SECONDS: f64 = 300.0;
/// In a release build a tenth of that is enough; tests are not built so, and run beside others.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Each takes several times as long in this build, most of it in another place.
const QUERIES: &[&str] = &[
    "many * 2",
    "rate(many[5m])",
    "count by (n) (many)",
    "quantile(0.5, many)",
    "topk(7000, many)",
    "count_values(\"value\", many)",
    "many * on (n) many",
    "many and on (n) many",
    "label_replace(many, \"a\", \"$1\", \"n\", \"(.*)\")",
    "histogram_quantile(0.5, label_replace(many, \"le\", \"$1\", \"n\", \"(.*)\"))",
    "max_over_time(many[5m:1s])",
    "sum(quantile_over_time(0.5, vector(1)[10m:1ms]))",
];

async fn ask(server: &Server, query: &str) -> reqwest::Result<Response> {
    let [start, end] = [0.0, SECONDS].map(fixture::at);
    let form = encoded(&[("query", query), ("start", &start), ("end", &end), ("step", "0.15")]);
    let request = reqwest::Client::new().post(format!("{}/api/v1/query_range", server.base));
    request.header("content-type", FORM).body(form).send().await
}

/// Fails where the one turn is not free soon.
async fn next_gets_its_turn(server: &Server, after: &str) {
    let started = Instant::now();
    let next = server.get("/api/v1/query?query=1").await;
    let waited = started.elapsed();
    assert_eq!(next.status, 200, "{after}: {next:?}");
    assert!(waited < ENDS_WITHIN, "{after}: ended {waited:?} after its client had gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_soon_whatever_it_does() {
    let store = Store::of_many("many", SERIES);
    let options = Options { max_concurrency: 1, ..Options::default() };
    let query = Some(store.db.clone() as Arc<dyn storage::Query>);
    let server = Server::start_with(Setup { query, options, ..Setup::default() }).await;
    for query in QUERIES {
        for patience in [50, 400].map(Duration::from_millis) {
            let answer = tokio::time::timeout(patience, ask(&server, query)).await;
            assert!(answer.is_err(), "{query}: answered within {patience:?}, which tests nothing");
            next_gets_its_turn(&server, query).await;
        }
    }
}

/// Rendering is no longer part of a turn; it ends with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_is_given_up() {
    let store = Arc::new(Store::of_many("many", SERIES));
    let query = Some(store.db.clone() as Arc<dyn storage::Query>);
    let server = Server::start_with(Setup { query, ..Setup::default() }).await;
    let mut pieces = ask(&server, "many").await.unwrap().bytes_stream();
    let first = pieces.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"{\"status\":\"success\""));
    drop(pieces);
    next_gets_its_turn(&server, "an answer").await;
}
