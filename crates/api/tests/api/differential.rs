//! The same requests to us and to Debian's Prometheus (2.42), with the same series: the same answers
//! to the byte, or a difference that is meant and written down here.
//!
//! What is not compared: the order of an instant vector's samples (neither promises one), and that
//! Go escapes `<`, `>` and `&` in JSON.

use serde_json::Value;

use crate::fixture;
use crate::peer::Prometheus;
use crate::server::{Pages, Response, Server, Setup, encoded};

type Parameters = &'static [(&'static str, &'static str)];

/// Each too long for a line.
const LONG_QUERIES: [&str; 4] = [
    "histogram_quantile(0.99, sum without (instance, pod) (rate(apiserver_request_duration_seconds_\
     bucket{job=\"apiserver\",verb!=\"WATCH\"}[5m] offset 1h)))",
    "sum by (cluster) (rate(errors_total{job=\"a\"}[5m])) / on (cluster) group_left (region, \
     continent) (sum by (cluster) (rate(requests_total{job=\"a\"}[5m])) > bool 0.5)",
    "-topk(5, max_over_time((label_replace(node_filesystem_avail_bytes{mountpoint=\"/\"}, \
     \"a\", \"$1\", \"b\", \"(.*)\") or node_filesystem_size_bytes)[1d:5m] @ 1000))",
    "a_metric_with_a_very_long_name_that_does_not_fit{and=\"one\",long=\"label\",after=\"the\",\
     other=\"so\",that=\"it\",is=\"long\"}",
];

/// A value such as `@60.5` stands for that many seconds after the fixture's start.
const SAME: &[(&str, Parameters)] = &[
    // Instant queries: every kind of value, number and time.
    ("query", &[("query", "1"), ("time", "4")]),
    ("query", &[("query", "1+1"), ("time", "4")]),
    ("query", &[("query", "1e21"), ("time", "4.5")]),
    ("query", &[("query", "1e-7"), ("time", "-1.25")]),
    ("query", &[("query", "-Inf"), ("time", "2015-07-01T20:10:51.781Z")]),
    ("query", &[("query", "\"a\\\"<é>\\n\""), ("time", "4.007")]),
    ("query", &[("query", "vector(0.5)"), ("time", "1.001")]),
    ("query", &[("query", "up"), ("time", "@60.5")]),
    ("query", &[("query", "up"), ("time", "@10000")]),
    ("query", &[("query", "odd_value"), ("time", "@60.5")]),
    ("query", &[("query", "odd_label"), ("time", "@60.5")]),
    ("query", &[("query", "odd_time[10m]"), ("time", "@400.5")]),
    ("query", &[("query", "{__name__=~\"odd_.*\"}[1m]"), ("time", "@100.5")]),
    ("query", &[("query", "sum by (job) (rate(requests_total[2m]))"), ("time", "@300.5")]),
    ("query", &[("query", "up{instance=~\"a.*\"} == 1"), ("time", "@60.5"), ("timeout", "5s")]),
    ("query", &[("query", "count(odd_value) by (none)"), ("time", "@60.5"), ("dedup", "true")]),
    // Range queries.
    ("query_range", &[("query", "up"), ("start", "@0.5"), ("end", "@100.5"), ("step", "15")]),
    ("query_range", &[("query", "odd_value"), ("start", "@0"), ("end", "@45"), ("step", "15s")]),
    ("query_range", &[("query", "odd_label"), ("start", "@1"), ("end", "@2.5"), ("step", "0.25")]),
    ("query_range", &[("query", "time()"), ("start", "0.1"), ("end", "1"), ("step", "0.3")]),
    ("query_range", &[("query", "1"), ("start", "0"), ("end", "11000"), ("step", "1")]),
    ("query_range", &[("query", "none"), ("start", "0"), ("end", "0"), ("step", "1m")]),
    (
        "query_range",
        &[
            ("query", "rate(requests_total[1m])"),
            ("start", "@60.5"),
            ("end", "@200.5"),
            ("step", "10"),
        ],
    ),
    // Labels and series.
    ("labels", &[]),
    ("labels", &[("match[]", "up"), ("match[]", "odd_label{which=\"html\"}")]),
    ("labels", &[("start", "@100000")]),
    ("label/__name__/values", &[]),
    ("label/instance/values", &[("start", "@0"), ("end", "@60")]),
    ("label/which/values", &[("match[]", "{__name__=~\"odd.*\",which=~\"t.*|h.*\"}")]),
    ("label/none/values", &[]),
    ("series", &[("match[]", "up"), ("match[]", "{instance=\"a:9100\"}")]),
    ("series", &[("match[]", "{__name__!=\"\"}"), ("start", "@0"), ("end", "@60")]),
    ("series", &[("match[]", "none")]),
    ("series", &[("match[]", "up"), ("start", "@100000")]),
    (
        "series",
        &[
            ("match[]", "up"),
            ("start", "-292273086-05-16T16:47:06Z"),
            ("end", "292277025-08-18T07:12:54.999999999Z"),
        ],
    ),
    // About the process.
    ("targets", &[]),
    ("targets", &[("state", "dropped")]),
    ("rules", &[]),
    ("alerts", &[]),
    ("scrape_pools", &[]),
    ("alertmanagers", &[]),
    // Exemplars.
    ("query_exemplars", &[("query", "test"), ("start", "1724414400000"), ("end", "1724414401000")]),
    ("query_exemplars", &[("query", "requests_total")]),
    ("query_exemplars", &[("query", "{__name__!=\"\"}")]),
    ("query_exemplars", &[("query", "odd_value"), ("start", "@100"), ("end", "@299.993")]),
    (
        "query_exemplars",
        &[("query", "rate(requests_total{instance=~\"b.*\"}[1m]) + on () odd_label{text=\"é世\"}")],
    ),
    ("query_exemplars", &[("query", "up or none")]),
    ("format_query", &[("query", "sum(up)by(job)")]),
    ("format_query", &[("query", LONG_QUERIES[0])]),
    ("format_query", &[("query", LONG_QUERIES[1])]),
    ("format_query", &[("query", LONG_QUERIES[2])]),
    ("format_query", &[("query", LONG_QUERIES[3])]),
    // Bad requests.
    ("query", &[]),
    ("query", &[("query", "up{")]),
    ("query", &[("query", "up"), ("time", "x")]),
    ("query", &[("query", "up"), ("timeout", "x")]),
    ("query", &[("query", "up"), ("timeout", "1e30")]),
    ("query", &[("query", "rate(up)")]),
    ("query", &[("query", "foo{a=~\"b\"} + on(")]),
    ("query_range", &[("query", "up")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "x"), ("step", "1")]),
    ("query_range", &[("query", "up"), ("start", "2"), ("end", "1"), ("step", "1")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "1")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "0")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "-5")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "1"), ("step", "1y1y")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "11001"), ("step", "1")]),
    ("query_range", &[("query", "up"), ("start", "0"), ("end", "9e9"), ("step", "0.5")]),
    ("labels", &[("start", "x")]),
    ("labels", &[("match[]", "up{")]),
    ("labels", &[("match[]", "{}")]),
    ("label/job/values", &[("end", "x")]),
    ("series", &[]),
    ("series", &[("match[]", "{}")]),
    ("series", &[("match[]", "{a=~\".*\"}")]),
    ("series", &[("match[]", "up{")]),
    ("series", &[("match[]", "up"), ("end", "tomorrow")]),
    ("metadata", &[("limit", "x")]),
    ("rules", &[("type", "x")]),
    ("query_exemplars", &[("query", "up{")]),
    ("query_exemplars", &[("query", "up"), ("start", "2"), ("end", "1")]),
    ("format_query", &[("query", "up{")]),
    ("nope", &[]),
];

/// A status, and text in the body.
type Part = (u16, &'static str);

/// What 2.42 and we answer otherwise, and why: first its answer, then ours.
const DIFFERENT: &[(&str, Parameters, Part, Part)] = &[
    // Prometheus 3 names the parameter here too.
    (
        "query_range",
        &[("query", "up{"), ("start", "0"), ("end", "1"), ("step", "1")],
        (400, "\"error\":\"1:4: parse error: "),
        (400, "\"error\":\"invalid parameter \\\"query\\\": 1:4: parse error: "),
    ),
    (
        "query_range",
        &[("query", "up[5m]"), ("start", "0"), ("end", "1"), ("step", "1")],
        (400, "\"error\":\"invalid expression type"),
        (400, "\"error\":\"invalid parameter \\\"query\\\": invalid expression type"),
    ),
    // Parameters that came with Prometheus 3.
    (
        "query",
        &[("query", "up"), ("time", "@60.5"), ("limit", "1")],
        (200, "b:9100"),
        (200, "\"warnings\":[\"results truncated due to limit\"]"),
    ),
    (
        "query",
        &[("query", "up"), ("lookback_delta", "x")],
        (200, "success"),
        (400, "error parsing lookback delta duration: cannot parse \\\"x\\\" to a valid duration"),
    ),
    (
        "label/which/values",
        &[("limit", "2")],
        (200, "\"zero\"]"),
        (200, "[\"html\",\"huge\"],\"warnings\":[\"results truncated due to limit\"]"),
    ),
    ("series", &[("match[]", "up"), ("limit", "-1")], (200, "success"), (400, "non-negative")),
    // Label names may be any UTF-8 in Prometheus 3.
    ("label/a.b/values", &[], (400, "invalid label name"), (200, "\"data\":[]")),
    // Groups without a rule that is asked for are left out in Prometheus 3.
    ("rules", &[("type", "record")], (200, "\"name\":\"second\""), (200, "job:up:sum")),
    // A query without selectors has no exemplars; an empty list says so better than no content.
    ("query_exemplars", &[("query", "1")], (204, ""), (200, "\"data\":[]")),
    // 2.42 computes with whatever a float gives.
    (
        "query",
        &[("query", "1"), ("time", "NaN")],
        (200, "-9223372036.854"),
        (400, "cannot parse \\\"NaN\\\" to a valid timestamp"),
    ),
    (
        "query_range",
        &[("query", "1"), ("start", "0"), ("end", "1"), ("step", "0.0001")],
        (422, "integer divide by zero"),
        (400, "zero or negative query resolution step"),
    ),
    // It ends at another stage.
    (
        "query",
        &[("query", "up"), ("timeout", "0")],
        (503, "\"errorType\":\"timeout\",\"error\":\"query timed out in query "),
        (503, "\"errorType\":\"timeout\",\"error\":\"query timed out in expression evaluation\""),
    ),
    // Go's regex engine and Rust's word their errors differently.
    (
        "series",
        &[("match[]", "{a=~\"(\"}")],
        (400, "1:2: parse error: error parsing regexp: missing closing )"),
        (400, "1:2: parse error: error parsing regexp \\\"(\\\": unclosed group"),
    ),
    // The program's own name and version.
    ("status/buildinfo", &[], (200, "\"version\":\"2.42.0"), (200, "\"version\":\"0.1.0\"")),
];

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_a_real_prometheus() {
    let peer = Prometheus::start().await;
    peer.write(&fixture::series()).await;
    let status = Pages {
        rules: peer.get("/api/v1/rules").await.data(),
        targets: peer.get("/api/v1/targets").await.data(),
    };
    let ours = Server::start_with(Setup { status, ..Setup::default() }).await;
    let mut wrong = Vec::new();
    for (endpoint, parameters) in SAME {
        let path = path(endpoint, parameters);
        let theirs = comparable(peer.get(&path).await);
        let got = comparable(ours.get(&path).await);
        if theirs != got {
            wrong.push(format!(
                "{endpoint} {parameters:?}\n  theirs: {theirs:?}\n  ours:   {got:?}"
            ));
        }
    }
    for (endpoint, parameters, theirs, expect) in DIFFERENT {
        let path = path(endpoint, parameters);
        for (name, response, (status, part)) in
            [("theirs", peer.get(&path).await, theirs), ("ours", ours.get(&path).await, expect)]
        {
            if response.status != *status || !response.body.contains(part) {
                wrong.push(format!("{endpoint} {parameters:?}\n  {name}: {response:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn path(endpoint: &str, parameters: &[(&str, &str)]) -> String {
    let parameters: Vec<(&str, String)> = parameters
        .iter()
        .map(|(name, value)| match value.strip_prefix('@') {
            Some(seconds) => (*name, fixture::at(seconds.parse().unwrap())),
            None => (*name, (*value).to_owned()),
        })
        .collect();
    let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
    format!("/api/v1/{endpoint}?{}", encoded(&parameters))
}

fn comparable(mut response: Response) -> Response {
    for (escaped, plain) in [("\\u003c", "<"), ("\\u003e", ">"), ("\\u0026", "&")] {
        response.body = response.body.replace(escaped, plain);
    }
    let vector = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[";
    if let Some(rest) = response.body.strip_prefix(vector) {
        let mut samples: Vec<_> =
            rest.split("{\"metric\":").map(|s| s.trim_end_matches([',', ']', '}'])).collect();
        samples.sort_unstable();
        response.body = samples.join("\n");
    }
    response
}

/// How the differential test compares must not hide a difference.
#[test]
fn comparable_answers_differ_where_it_matters() {
    let answer = |body: &str| Response {
        status: 200,
        content_type: String::new(),
        body: format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{body}]}}}}"
        ),
    };
    let (a, b) =
        ("{\"metric\":{\"a\":\"<\"},\"value\":[1.5,\"1\"]}", "{\"metric\":{},\"value\":[1,\"2\"]}");
    let both = comparable(answer(&format!("{a},{b}")));
    assert_eq!(both, comparable(answer(&format!("{b},{a}"))));
    assert_ne!(both, comparable(answer(a)));
    assert_ne!(both, comparable(answer(&format!("{},{b}", a.replace("1.5", "1.500")))));
    assert!(serde_json::from_str::<Value>(&answer(a).body).is_ok());
}
