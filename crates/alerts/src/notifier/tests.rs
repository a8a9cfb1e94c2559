use std::net::SocketAddr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use model::Timestamp;
use prometheus::Registry;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// An Alertmanager's API that hands every request to the test, and answers `status`.
struct Receiver {
    address: SocketAddr,
    requests: mpsc::Receiver<(HeaderMap, Value)>,
}

impl Receiver {
    async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, requests) = mpsc::channel(1000);
        let post =
            async move |State(to): State<mpsc::Sender<_>>, headers: HeaderMap, body: String| {
                to.send((headers, serde_json::from_str(&body).unwrap())).await.unwrap();
                status
            };
        let router =
            axum::Router::new().route("/api/v2/alerts", axum::routing::post(post)).with_state(to);
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, requests }
    }

    async fn next(&mut self) -> (HeaderMap, Value) {
        let next = tokio::time::timeout(Duration::from_secs(10), self.requests.recv()).await;
        next.expect("a request within 10 s").expect("the server runs")
    }
}

fn notifier() -> (Notifier, Metrics) {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    (Notifier::new(10_000, metrics.clone()), metrics)
}

fn config(yaml: &str) -> AlertingConfig {
    serde_yaml_ng::from_str(yaml).unwrap()
}

fn to(addresses: &[SocketAddr]) -> AlertingConfig {
    config(&format!(
        "alertmanagers: [{{timeout: 1s, static_configs: [{{targets: {addresses:?}}}]}}]"
    ))
}

fn alert(labels: &[(&str, &str)]) -> Alert {
    Alert {
        labels: labels.iter().copied().collect(),
        annotations: Labels::empty(),
        starts_at: Timestamp::from_millis(1000),
        ends_at: Timestamp::from_millis(2000),
        generator_url: "http://central/graph".to_owned(),
    }
}

fn labels_of(body: &Value) -> Vec<String> {
    body.as_array().unwrap().iter().map(|alert| alert["labels"].to_string()).collect()
}

#[tokio::test]
async fn every_alertmanager_gets_every_alert() {
    let (mut a, mut b) =
        (Receiver::start(StatusCode::OK).await, Receiver::start(StatusCode::OK).await);
    let (notifier, metrics) = notifier();
    notifier.apply(to(&[a.address, b.address]), Labels::empty());
    notifier.send(vec![alert(&[("alertname", "Down")])]);
    for receiver in [&mut a, &mut b] {
        let (headers, body) = receiver.next().await;
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(labels_of(&body), [r#"{"alertname":"Down"}"#]);
    }
    notifier.shutdown().await;
    for receiver in [a, b] {
        let url = format!("http://{}/api/v2/alerts", receiver.address);
        assert_eq!(metrics.sent.with_label_values(&[&url]).get(), 1);
        assert_eq!(metrics.dropped.with_label_values(&[&url]).get(), 0);
    }
}

#[tokio::test]
async fn external_labels_are_added_then_alerts_are_relabelled() {
    let mut receiver = Receiver::start(StatusCode::OK).await;
    let (notifier, _) = notifier();
    let yaml = format!(
        "alert_relabel_configs: [
           {{action: labeldrop, regex: replica}},
           {{action: drop, source_labels: [alertname], regex: Noise}}]\n\
         alertmanagers: [{{
           static_configs: [{{targets: ['{}']}}],
           alert_relabel_configs: [{{target_label: via, replacement: one}}]}}]",
        receiver.address
    );
    let external: Labels = [("region", "eu"), ("replica", "a")].into_iter().collect();
    notifier.apply(config(&yaml), external);
    notifier.send(vec![
        alert(&[("alertname", "Noise")]),
        alert(&[("alertname", "Down"), ("region", "us")]),
        alert(&[("alertname", "Slow")]),
    ]);
    let (_, body) = receiver.next().await;
    assert_eq!(
        labels_of(&body),
        [
            r#"{"alertname":"Down","region":"us","via":"one"}"#,
            r#"{"alertname":"Slow","region":"eu","via":"one"}"#
        ]
    );
    notifier.shutdown().await;
}

#[tokio::test]
async fn alerts_leave_in_batches_of_256_in_order_and_shutdown_drains_them() {
    let mut receiver = Receiver::start(StatusCode::OK).await;
    let (notifier, metrics) = notifier();
    notifier.apply(to(&[receiver.address]), Labels::empty());
    let number = |number: usize| alert(&[("number", &number.to_string())]);
    notifier.send((0..600).map(number).collect());
    notifier.shutdown().await;
    let mut received = Vec::new();
    for expect in [256, 256, 88] {
        let (_, body) = receiver.next().await;
        assert_eq!(body.as_array().unwrap().len(), expect);
        received.extend(labels_of(&body));
    }
    let expect: Vec<_> = (0..600).map(|number| format!(r#"{{"number":"{number}"}}"#)).collect();
    assert_eq!(received, expect);

    notifier.send(vec![number(600)]);
    assert!(receiver.requests.try_recv().is_err(), "nothing is sent after a shutdown");
    let url = format!("http://{}/api/v2/alerts", receiver.address);
    assert_eq!(metrics.sent.with_label_values(&[&url]).get(), 600);
}

/// ALERTS-1 and ALERTS-2, with one Alertmanager that refuses, one that is gone and one that is well.
#[tokio::test]
async fn failures_are_counted_and_delay_nobody_else() {
    let mut refuses = Receiver::start(StatusCode::BAD_REQUEST).await;
    let mut well = Receiver::start(StatusCode::OK).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (notifier, metrics) = notifier();
    notifier.apply(to(&[refuses.address, gone, well.address]), Labels::empty());
    notifier.send(vec![alert(&[("n", "1")]), alert(&[("n", "2")])]);
    refuses.next().await;
    well.next().await;
    notifier.shutdown().await;
    for (address, sent, dropped, errors) in
        [(refuses.address, 0, 2, 1), (gone, 0, 2, 1), (well.address, 2, 0, 0)]
    {
        let url = format!("http://{address}/api/v2/alerts");
        let counted = [&metrics.sent, &metrics.dropped, &metrics.errors]
            .map(|counter| counter.with_label_values(&[&url]).get());
        assert_eq!(counted, [sent, dropped, errors], "{address}");
    }
}

/// ALERTS-3: while an Alertmanager hangs, its queue holds the newest alerts, and the rest is counted.
#[tokio::test]
async fn a_hanging_alertmanager_costs_the_oldest_alerts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap(); // accepts, answers nothing
    let address = listener.local_addr().unwrap();
    let (notifier, metrics) = notifier();
    notifier.apply(to(&[address]), Labels::empty());
    let batch = |from: usize, to: usize| {
        (from..to).map(|n| alert(&[("n", &n.to_string())])).collect::<Vec<_>>()
    };
    notifier.send(batch(0, 1));
    let (_connection, _) = listener.accept().await.unwrap(); // the first alert is on its way
    notifier.send(batch(1, 10_001));
    let url = format!("http://{address}/api/v2/alerts");
    assert_eq!(metrics.queued.with_label_values(&[&url]).get(), 10_000);
    assert_eq!(metrics.dropped.with_label_values(&[&url]).get(), 0);
    notifier.send(batch(10_001, 10_006));
    assert_eq!(metrics.queued.with_label_values(&[&url]).get(), 10_000);
    assert_eq!(metrics.dropped.with_label_values(&[&url]).get(), 5);

    notifier.apply(AlertingConfig::default(), Labels::empty());
    notifier.shutdown().await;
    assert_eq!(
        metrics.dropped.with_label_values(&[&url]).get(),
        10_006,
        "what was given up counts"
    );
}

#[tokio::test]
async fn credentials_go_with_each_request() {
    let mut receiver = Receiver::start(StatusCode::OK).await;
    let (notifier, _) = notifier();
    for (credentials, expect) in [
        ("basic_auth: {username: u, password: p}", "Basic dTpw"),
        ("authorization: {credentials: token}", "Bearer token"),
        ("authorization: {type: Key, credentials: token}", "Key token"),
    ] {
        let yaml = format!(
            "alertmanagers: [{{{credentials}, static_configs: [{{targets: ['{}']}}]}}]",
            receiver.address
        );
        notifier.apply(config(&yaml), Labels::empty());
        notifier.send(vec![alert(&[("alertname", "Down")])]);
        let (headers, _) = receiver.next().await;
        assert_eq!(headers["authorization"], expect);
    }
    notifier.shutdown().await;
}

#[tokio::test]
async fn the_status_lists_alertmanagers_in_the_api_shape() {
    let (notifier, _) = notifier();
    let yaml = "alertmanagers: [{static_configs: [{targets: ['b:1', 'a:1', 'c:1']}],
        relabel_configs: [{source_labels: [__address__], regex: 'c:1', action: drop}]}]";
    notifier.apply(config(yaml), Labels::empty());
    assert_eq!(
        serde_json::to_string(&notifier.status()).unwrap(),
        r#"{"activeAlertmanagers":[{"url":"http://a:1/api/v2/alerts"},{"url":"http://b:1/api/v2/alerts"}],"#
            .to_owned()
            + r#""droppedAlertmanagers":[{"url":"http://c:1/api/v2/alerts"}]}"#
    );
    notifier.shutdown().await;
}

#[tokio::test]
async fn alertmanagers_come_and_go_as_discovery_finds_them() {
    let (mut a, mut b) =
        (Receiver::start(StatusCode::OK).await, Receiver::start(StatusCode::OK).await);
    let (notifier, _) = notifier();
    let yaml = "alertmanagers: [
        {static_configs: [{targets: []}]},
        {file_sd_configs: [{files: [x.json]}],
         relabel_configs: [{source_labels: [zone], regex: far, action: drop}]}]";
    let config = config(yaml);
    let sets = config.discoveries();
    assert_eq!((sets[0].1.len(), sets[1].1.len()), (0, 1));
    let set = sets[1].0.clone();
    let group = |addresses: &[&SocketAddr], zone: &str| {
        let target = |address: &&SocketAddr| {
            Labels::from_iter([("__address__", address.to_string().as_str())])
        };
        Arc::new(TargetGroup {
            source: Arc::from(zone),
            targets: addresses.iter().map(target).collect(),
            labels: Labels::from_iter([("zone", zone)]),
        })
    };
    let active = |notifier: &Notifier| notifier.status().active_alertmanagers.len();

    notifier.apply(config.clone(), Labels::empty());
    notifier.find("alertmanagers/7", vec![group(&[&a.address], "near")]);
    assert_eq!(active(&notifier), 0);
    // One that is found twice is one, and one that is none is left out.
    let far = group(&[&b.address], "far");
    let near = group(&[&a.address, &a.address], "near");
    notifier.find(&set, vec![near, far]);
    assert_eq!((active(&notifier), notifier.status().dropped_alertmanagers.len()), (1, 1));
    notifier.send(vec![alert(&[("alertname", "Down")])]);
    assert_eq!(labels_of(&a.next().await.1), [r#"{"alertname":"Down"}"#]);

    // A reload that looks for the same knows what was found.
    notifier.apply(config, Labels::empty());
    assert_eq!(active(&notifier), 1);
    notifier.find(&set, vec![group(&[&b.address], "near")]);
    notifier.send(vec![alert(&[("alertname", "Slow")])]);
    assert_eq!(labels_of(&b.next().await.1), [r#"{"alertname":"Slow"}"#]);
    notifier.apply(
        self::config("alertmanagers: [{}, {file_sd_configs: [{files: [y.json]}]}]"),
        Labels::empty(),
    );
    assert_eq!(active(&notifier), 0);
    notifier.shutdown().await;
    assert!(a.requests.try_recv().is_err(), "it was gone");
}
