//! Our links and the field's programs, each writing to or reading from the other.
//!
//! ```text
//! prometheus ─┐ write                      ┌─► prometheus (receiver)
//! vmagent ────┴──────► Node (receive, log, send, federate) ─┴─► victoria-metrics
//!                        ▲
//! prometheus ────────────┘ scrapes /federate
//! ```

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod node;
mod peers;

use std::time::Duration;

use model::{Metadata, STALE_NAN, is_stale};

use crate::node::{Node, now_millis};
use crate::peers::{Peer, free_port};

/// Asks until `found` gives something; a peer needs a moment for everything.
async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn scrape_itself(port: u16) -> String {
    format!(
        "scrape_configs:
- job_name: itself
  scrape_interval: 200ms
  scrape_timeout: 200ms
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"
    )
}

#[tokio::test]
async fn prometheus_writes_to_us() {
    let node = Node::start(&[]).await;
    let port = free_port();
    let config = format!(
        "global: {{external_labels: {{cluster: c1, region: eu}}}}
{}
remote_write:
- url: {}
  queue_config: {{batch_send_deadline: 100ms}}
  metadata_config: {{send_interval: 200ms}}
",
        scrape_itself(port),
        node.url("/api/v1/write"),
    );
    let _prometheus = Peer::prometheus(port, &config, &[]);
    let series = until("some samples of up", async || {
        let series = node.series(r#"up{job="itself"}"#);
        series.into_iter().next().filter(|(_, samples)| samples.len() > 5)
    });
    let (labels, samples) = series.await;
    let expect =
        format!(r#"up{{cluster="c1", instance="127.0.0.1:{port}", job="itself", region="eu"}}"#);
    assert_eq!(labels.to_string(), expect);
    assert!(samples.iter().all(|sample| sample.value == 1.0));
    assert!(samples.is_sorted_by_key(|sample| sample.timestamp));
    let build = until("metadata", async || node.metadata("prometheus_build_info")).await;
    assert_eq!(build.metric_type, model::MetricType::Gauge);
    assert_eq!(node.metric("watershed_remote_receive_samples_rejected_total"), 0.0);
    let requests = node.metric("watershed_remote_receive_requests_total");
    assert_eq!(node.metric(r#"watershed_remote_receive_requests_total{code="204"}"#), requests);
}

#[tokio::test]
async fn vmagent_writes_to_us() {
    let node = Node::start(&[]).await;
    let port = free_port();
    let _vmagent = Peer::vmagent(port, &scrape_itself(port), &node.url("/api/v1/write"));
    until("samples of up", async || {
        let series = node.series(r#"up{job="itself"}"#);
        series.iter().any(|(_, samples)| samples.len() > 2).then_some(())
    })
    .await;
    // Its queues overtake each other; the window that cascades have takes that in.
    assert_eq!(node.metric("watershed_remote_receive_samples_rejected_total"), 0.0);
}

/// Appends to a node that sends to `url`, and waits until `received` gives the same times and values
/// for the series with the node's external labels.
async fn sends_all(url: &str, received: impl AsyncFn(&str) -> Vec<(i64, f64)>) {
    let node = Node::start(&[("region", "eu")]).await;
    node.send_to(url).await;
    appends_all(&node, received).await;
}

async fn appends_all(node: &Node, received: impl AsyncFn(&str) -> Vec<(i64, f64)>) {
    let start = now_millis() - 60_000;
    let mut expect = Vec::new();
    for i in 0..200 {
        let (at, value) = (start + i * 100, i as f64 * 1.5);
        node.append(
            &[&[("__name__", "sent"), ("i", "a")], &[("__name__", "sent"), ("i", "b")]],
            at,
            value,
        );
        expect.push((at, value));
    }
    for i in ["a", "b"] {
        let selector = format!(r#"sent{{i="{i}",region="eu"}}"#);
        until(&selector, async || (received(&selector).await == expect).then_some(())).await;
    }
    assert_eq!(node.metric("watershed_remote_send_samples_read_total"), 400.0);
    until("accounts", async || {
        (node.metric("watershed_remote_send_samples_total") == 400.0).then_some(())
    })
    .await;
    assert_eq!(node.metric("watershed_remote_send_samples_dropped_total"), 0.0);
}

#[tokio::test]
async fn we_write_to_prometheus() {
    let port = free_port();
    let prometheus = Peer::prometheus(port, "", &["--web.enable-remote-write-receiver"]);
    sends_all(&prometheus.url("/api/v1/write"), async |selector| {
        prometheus.samples(&format!("{selector}[2m]")).await
    })
    .await;
}

/// Debian's Prometheus takes 2.0 messages for empty ones of 1.0, and says that all is well.
#[tokio::test]
async fn a_prometheus_that_does_not_know_2_0_misses_nothing() {
    let port = free_port();
    let prometheus = Peer::prometheus(port, "", &["--web.enable-remote-write-receiver"]);
    let node = Node::start(&[("region", "eu")]).await;
    node.send_2_0_to(&prometheus.url("/api/v1/write")).await;
    appends_all(&node, async |selector| prometheus.samples(&format!("{selector}[2m]")).await).await;
}

#[tokio::test]
async fn our_own_nodes_write_2_0_to_each_other() {
    let top = Node::start(&[]).await;
    let bottom = Node::start(&[("region", "eu")]).await;
    bottom.send_2_0_to(&top.url("/api/v1/write")).await;
    let metadata = Metadata { help: "Help.".into(), ..Metadata::default() };
    bottom.describe("sent", &metadata);
    appends_all(&bottom, async |selector| {
        let series = top.series(selector).into_iter().next().unwrap_or_default();
        series.1.iter().map(|sample| (sample.timestamp.as_millis(), sample.value)).collect()
    })
    .await;
    let described = until("metadata", async || top.metadata("sent")).await;
    assert_eq!(described, metadata);
    let requests =
        |labels: &str| top.metric(&format!("watershed_remote_receive_requests_total{{{labels}"));
    assert_eq!(requests("code=\"204\""), requests(""));
}

#[tokio::test]
async fn we_write_to_victoria_metrics() {
    let victoria = Peer::victoria_metrics();
    sends_all(&victoria.url("/api/v1/write"), async |selector| {
        victoria.get("/internal/force_flush", &[]).await;
        victoria.exported(selector).await
    })
    .await;
}

#[tokio::test]
async fn a_staleness_marker_ends_a_series_at_prometheus() {
    let port = free_port();
    let prometheus = Peer::prometheus(port, "", &["--web.enable-remote-write-receiver"]);
    let node = Node::start(&[]).await;
    node.send_to(&prometheus.url("/api/v1/write")).await;
    let series: &[(&str, &str)] = &[("__name__", "ending")];
    node.append(&[series], now_millis() - 1000, 7.0);
    until("the sample", async || prometheus.value("ending").await.filter(|v| *v == 7.0)).await;
    node.append(&[series], now_millis() - 500, STALE_NAN);
    until("the end", async || prometheus.value("ending").await.is_none().then_some(())).await;
}

#[tokio::test]
async fn prometheus_federates_from_us() {
    let node = Node::start(&[("region", "eu"), ("instance", "of-the-node")]).await;
    let port = free_port();
    let config = format!(
        "scrape_configs:
- job_name: federate
  honor_labels: true
  scrape_interval: 200ms
  scrape_timeout: 200ms
  metrics_path: /federate
  params: {{'match[]': ['{{__name__=~\"cluster:.*\"}}', 'up']}}
  static_configs: [{{targets: ['{}']}}]
",
        node.address(),
    );
    let prometheus = Peer::prometheus(port, &config, &[]);
    let aggregate: &[(&str, &str)] = &[("__name__", "cluster:cpu:sum"), ("cluster", "c1")];
    let up: &[(&str, &str)] = &[("__name__", "up"), ("instance", "i"), ("job", "j")];
    let raw: &[(&str, &str)] = &[("__name__", "raw")];
    let at = now_millis();
    node.append(&[aggregate, up, raw], at, 3.25);
    let labels = r#"{cluster="c1",instance="of-the-node",job="federate",region="eu"}"#;
    let series = format!("cluster:cpu:sum{labels}[1m]");
    until("the aggregate", async || {
        (prometheus.samples(&series).await == [(at, 3.25)]).then_some(())
    })
    .await;
    let kept = prometheus.samples(r#"up{instance="i",job="j",region="eu"}[1m]"#).await;
    assert_eq!(kept, [(at, 3.25)]);
    assert_eq!(prometheus.value("raw").await, None);
    // What ended here is not given any more, and so ends there.
    node.append(&[aggregate, up], now_millis(), STALE_NAN);
    assert!(
        node.series("up")
            .iter()
            .all(|(_, samples)| samples.last().is_some_and(|s| is_stale(s.value)))
    );
    assert_eq!(prometheus.value(r#"up{job="federate"} == 1"#).await, Some(1.0), "no scrape failed");
}

/// One node to another through the real programs' formats, and on from there: nothing is lost when
/// the middle one starts anew.
#[tokio::test]
async fn a_chain_of_nodes_survives_the_loss_of_its_middle() {
    let top = Node::start(&[]).await;
    let mut middle = Node::start(&[("region", "eu")]).await;
    let bottom = Node::start(&[("metacluster", "m1")]).await;
    middle.send_to(&top.url("/api/v1/write")).await;
    bottom.send_to(&middle.url("/api/v1/write")).await;
    let start = now_millis();
    for i in 0..60 {
        if i % 20 == 10 {
            middle = middle.restart().await;
            middle.send_to(&top.url("/api/v1/write")).await;
        }
        bottom.append(&[&[("__name__", "n")]], start + i, i as f64);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let selector = r#"n{metacluster="m1",region="eu"}"#;
    let samples = until("all of it", async || {
        let series = top.series(selector).into_iter().next();
        series.map(|(_, samples)| samples).filter(|samples| samples.len() == 60)
    });
    let values: Vec<f64> = samples.await.iter().map(|sample| sample.value).collect();
    assert_eq!(values, (0..60).map(f64::from).collect::<Vec<_>>());
}
