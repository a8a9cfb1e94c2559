//! What queries are said to have cost: the same samples as a real Prometheus counts, and times that fit
//! together.

use std::sync::Arc;

use model::Timestamp;
use querylog::{LogFile, QueryLog};
use serde_json::{Value, json};

use crate::fixture;
use crate::peer::Prometheus;
use crate::server::{Server, Setup, encoded};

/// Asked at times at which no sample is exactly as old as a range: such a one is in a window of 2.42 only.
const QUERIES: &[&str] = &[
    "1",
    "up",
    "none",
    "up offset 1m",
    "up @ 1700000100",
    "sum(up @ 1700000100) + up",
    "-up",
    "up * 2",
    "up / requests_total",
    "up or requests_total",
    "sum(up)",
    "sum(up) / (sum(up) + 1)",
    "topk(1, requests_total)",
    "count_values(\"v\", up)",
    "quantile(0.5, odd_value)",
    "rate(requests_total[1m])",
    "sum by (job) (rate(requests_total[2m]))",
    "increase(requests_total[1m] offset 30s)",
    "max_over_time(up[1m] @ 1700000100)",
    "odd_time",
    "sum_over_time(odd_time[2m])",
    "absent(none)",
    "absent_over_time(up[1m])",
    "scalar(sum(up)) + up",
    "timestamp(up)",
    "label_replace(up, \"a\", \"$1\", \"job\", \"(.*)\")",
    "sort(up)",
    "max_over_time(sum(up)[1m:7s])",
    "max_over_time(rate(requests_total[1m])[2m:11s])",
    "histogram_quantile(0.9, up)",
];

const INSTANT_QUERIES: &[&str] = &["up[1m]", "odd_time[2m]", "sum(up)[1m:7s]", "\"text\""];

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_counted_as_prometheus_counts_them() {
    let peer = Prometheus::start_with(&["--enable-feature=promql-per-step-stats"]).await;
    peer.write(&fixture::series()).await;
    let ours = Server::start().await;
    let mut wrong = Vec::new();
    let [at, start, end] = [303.25, 63.25, 303.25].map(fixture::at);
    let instant = QUERIES
        .iter()
        .chain(INSTANT_QUERIES)
        .map(|query| ("query", vec![("query", *query), ("time", at.as_str())]));
    let range = QUERIES.iter().map(|query| {
        let times = [("start", start.as_str()), ("end", end.as_str()), ("step", "20")];
        ("query_range", [&[("query", *query)], &times[..]].concat())
    });
    for (endpoint, parameters) in instant.chain(range) {
        for stats in ["all", "true"] {
            let parameters = encoded(&[&parameters[..], &[("stats", stats)]].concat());
            let path = format!("/api/v1/{endpoint}?{parameters}");
            let counted = |data: Value| {
                let samples = &data["stats"]["samples"];
                let of_step = &samples["totalQueryableSamplesPerStep"];
                assert_eq!(of_step.is_array(), stats == "all", "{path}: {data}");
                (samples["totalQueryableSamples"].clone(), of_step.clone())
            };
            let theirs = counted(peer.get(&path).await.data());
            let got = counted(ours.get(&path).await.data());
            if theirs != got {
                wrong.push(format!("{path}\n  theirs: {theirs:?}\n  ours:   {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_told_to_whoever_asks() {
    let server = Server::start().await;
    let data = server.get("/api/v1/query?query=sum(up)").await.data();
    assert_eq!(data.get("stats"), None);
    let stats = server.get("/api/v1/query?query=sum(up)&stats=1").await.data()["stats"].take();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stats), ["timings", "samples"]);
    assert_eq!(names(&stats["samples"]), ["totalQueryableSamples", "peakSamples"]);
    let timings = [
        "evalTotalTime",
        "resultSortTime",
        "queryPreparationTime",
        "innerEvalTime",
        "execQueueTime",
        "execTotalTime",
    ];
    assert_eq!(names(&stats["timings"]), timings);
    let [total, sorting, preparation, inner, queued, all] =
        timings.map(|name| stats["timings"][name].as_f64().unwrap());
    assert!(preparation > 0.0 && inner > 0.0, "{stats}");
    assert!((total - sorting - preparation - inner).abs() < 1e-6, "{stats}");
    assert!((all - total - queued).abs() < 1e-6, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_logged_with_their_client() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("query.log");
    let now = || Timestamp::from_millis(1_700_000_000_000);
    let query_log = Arc::new(QueryLog::new(None, None, now));
    query_log.set_file(Some(LogFile::open(&path).unwrap()));
    let server = Server::start_with(Setup { query_log, ..Setup::default() }).await;
    server.get("/api/v1/query?query=up&time=60").await;
    server.post("/api/v1/query_range", "query=topk(NaN,up)&start=0&end=10&step=5").await;
    server.get("/api/v1/query?query=up{").await; // is no query
    server.get("/api/v1/labels").await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let client =
        |method: &str, path: &str| json!({"clientIP": "127.0.0.1", "method": method, "path": path});
    assert_eq!(lines[0]["httpRequest"], client("GET", "/api/v1/query"));
    assert_eq!(lines[0]["params"]["start"], lines[0]["params"]["end"]);
    assert_eq!((&lines[0]["params"]["step"], lines[0].get("error")), (&json!(0), None));
    assert_eq!(lines[1]["httpRequest"], client("POST", "/api/v1/query_range"));
    assert_eq!(lines[1]["error"], "Parameter value is NaN");
}
