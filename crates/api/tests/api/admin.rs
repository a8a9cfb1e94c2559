//! The admin API: the same requests, in the same order, to us and to Debian's Prometheus (2.42).

use serde_json::Value;

use crate::fixture;
use crate::peer::Prometheus;
use crate::server::{FORM, Response, Server, Setup, encoded, send};

const DELETE: &str = "delete_series";
const CLEAN: &str = "clean_tombstones";
const SNAPSHOT: &str = "snapshot";

type Parameters = &'static [(&'static str, &'static str)];

/// A value such as `@60.5` stands for that many seconds after the fixture's start.
const SAME: &[(&str, &str, Parameters)] = &[
    ("POST", DELETE, &[]),
    ("POST", DELETE, &[("match[]", "up{")]),
    ("POST", DELETE, &[("match[]", "up"), ("start", "x")]),
    ("POST", DELETE, &[("match[]", "up"), ("end", "tomorrow")]),
    ("POST", DELETE, &[("match[]", "up{"), ("start", "x"), ("end", "x")]),
    ("POST", DELETE, &[("start", "x")]),
    ("POST", DELETE, &[("match[]", "nobody")]),
    ("POST", DELETE, &[("match[]", "up{instance=\"a:9100\"}"), ("end", "@60")]),
    ("PUT", DELETE, &[("match[]", "odd_label"), ("match[]", "odd_time"), ("start", "@50")]),
    ("POST", DELETE, &[("match[]", "requests_total"), ("start", "@70"), ("end", "@60")]),
    ("POST", DELETE, &[("match[]", "odd_value{which=~\"t.*\"}")]),
    ("POST", SNAPSHOT, &[("skip_head", "x")]),
    ("POST", SNAPSHOT, &[("skip_head", "yes\"")]),
    ("POST", CLEAN, &[]),
    ("PUT", CLEAN, &[("anything", "else")]),
    ("GET", DELETE, &[("match[]", "up")]),
    ("GET", CLEAN, &[]),
    ("DELETE", SNAPSHOT, &[]),
    ("POST", "nope", &[]),
    // Of every series, and of none.
    ("POST", DELETE, &[("match[]", "{__name__=~\".*\"}"), ("start", "@500")]),
    ("PUT", DELETE, &[("match[]", "{}"), ("end", "@45")]),
    ("PUT", DELETE, &[("match[]", "{a=~\".*\"}"), ("end", "@45")]),
];

async fn ask(base: &str, method: &str, action: &str, parameters: &[(&str, &str)]) -> Response {
    let parameters: Vec<(&str, String)> = parameters
        .iter()
        .map(|(name, value)| match value.strip_prefix('@') {
            Some(seconds) => (*name, fixture::at(seconds.parse().unwrap())),
            None => (*name, (*value).to_owned()),
        })
        .collect();
    let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let url = format!("{base}/api/v1/admin/tsdb/{action}");
    let request = reqwest::Client::new().request(method.parse().unwrap(), url);
    send(request.header("content-type", FORM).body(encoded(&parameters))).await
}

/// Every sample that is left.
async fn left(base: &str) -> Value {
    let query = [("query", "{__name__=~\".+\"}[1h]"), ("time", &fixture::at(3000.0))];
    let url = format!("{base}/api/v1/query?{}", encoded(&query));
    send(reqwest::Client::new().get(url)).await.data()["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_answered_as_by_prometheus() {
    let peer = Prometheus::start().await;
    peer.write(&fixture::series()).await;
    let ours = Server::start().await;
    for (method, action, parameters) in SAME {
        let theirs = ask(&peer.base, method, action, parameters).await;
        let got = ask(&ours.base, method, action, parameters).await;
        assert_eq!(got, theirs, "{method} {action} {parameters:?}");
        assert_eq!(left(&ours.base).await, left(&peer.base).await, "{action} {parameters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_enabled_is_refused_as_by_prometheus() {
    let peer = Prometheus::start_with(&[]).await;
    let ours = Server::start_with(Setup { admin: false, ..Setup::default() }).await;
    for action in [DELETE, CLEAN, SNAPSHOT] {
        for parameters in [&[][..], &[("match[]", "up")], &[("skip_head", "x")]] {
            let theirs = ask(&peer.base, "POST", action, parameters).await;
            assert_eq!(theirs.json()["error"], "admin APIs disabled");
            assert_eq!(ask(&ours.base, "POST", action, parameters).await, theirs, "{action}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_named_as_by_prometheus() {
    let peer = Prometheus::start().await;
    peer.write(&fixture::series()).await;
    let ours = Server::start().await;
    for parameters in [&[][..], &[("skip_head", "true")], &[("skip_head", "0")]] {
        let theirs = ask(&peer.base, "POST", SNAPSHOT, parameters).await;
        let got = ask(&ours.base, "POST", SNAPSHOT, parameters).await;
        let name = |response: &Response| response.data()["name"].as_str().unwrap().to_owned();
        let form = |response: &Response| {
            name(response).replace(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase(), "0")
        };
        assert_eq!(form(&got), form(&theirs));
        assert_eq!(got.body.replace(&name(&got), ""), theirs.body.replace(&name(&theirs), ""));
        let snapshot = ours.data().join("snapshots").join(name(&got));
        let has_head = parameters != [("skip_head", "true")];
        assert_eq!(std::fs::read_dir(snapshot).unwrap().count(), usize::from(has_head));
    }
}
