//! Loops over time: the manager against several targets, with the real clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use discovery::TargetGroup;
use model::{Labels, Timestamp, is_stale};
use prometheus::Registry;
use serde_yaml_ng::Value;

use super::server::{Answer, Server};
use super::store::Store;
use crate::{Defaults, Manager, Metrics, Options, resolve};

const INTERVAL: Duration = Duration::from_millis(200);

fn manager(store: &Store) -> Manager {
    let clock = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_millis(now.as_millis() as i64)
    };
    let options =
        Options { offset_seed: 1, key_seed: 2, external_host: "edge.example".into(), readers: 2 };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Manager::new(Arc::new(store.clone()), Arc::new(clock), options, metrics)
}

fn apply(manager: &Manager, yaml: &str) {
    let yaml = yaml.replace("INTERVAL", "scrape_interval: 200ms, scrape_timeout: 150ms");
    let configs = serde_yaml_ng::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    manager.apply(resolve(configs, &Defaults::default()).unwrap());
}

fn targets(servers: &[&Server]) -> String {
    let targets: Vec<String> =
        servers.iter().map(|server| format!("'{}'", server.address)).collect();
    format!("static_configs: [{{targets: [{}]}}]", targets.join(", "))
}

/// Waits until `done`, for up to ten seconds.
#[track_caller]
fn eventually(done: impl Fn() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        for _ in 0..500 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it did not happen: {place}");
    }
}

fn times(store: &Store, name: &str) -> Vec<i64> {
    store.samples(name).iter().map(|sample| sample.timestamp.as_millis()).collect()
}

#[tokio::test]
async fn targets_are_scraped_regularly_on_their_grid() {
    let (store, server) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let manager = manager(&store);
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {}}}]", targets(&[&server])));
    eventually(|| store.samples("a").len() >= 5).await;
    manager.shutdown().await;
    let times = times(&store, "a");
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= 100, "{times:?}"); // a busy machine may be late, never early
    }
}

#[tokio::test]
async fn a_hanging_target_delays_no_other() {
    let (store, good) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let hanging = Server::start(Answer::silence()).await;
    let manager = manager(&store);
    let slow = "job_name: slow, scrape_interval: 1s, scrape_timeout: 1s";
    let (good, hanging) = (targets(&[&good]), targets(&[&hanging]));
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {good}}}, {{{slow}, {hanging}}}]"));
    let is_down = || store.samples("up").iter().any(|up| up.value == 0.0);
    eventually(is_down).await;
    manager.shutdown().await;
    assert!(store.samples("a").len() >= 3, "{:?}", times(&store, "a"));
}

#[tokio::test]
async fn a_reload_leaves_no_gap_in_targets_that_stay() {
    let (store, stays) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let comes = Server::start(Answer::text("b 1\n")).await;
    let manager = manager(&store);
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {}}}]", targets(&[&stays])));
    eventually(|| store.samples("a").len() >= 2).await;
    let before = store.samples("a").len();
    for limit in 100..140 {
        let targets = targets(&[&stays, &comes]);
        apply(&manager, &format!("[{{job_name: j, sample_limit: {limit}, INTERVAL, {targets}}}]"));
        tokio::time::sleep(INTERVAL / 4).await;
    }
    let after = store.samples("a").len();
    assert!(after >= before + 5, "{before} {after}"); // 10, were the machine not busy
    eventually(|| store.samples("b").len() >= 2).await;
    manager.shutdown().await;
    assert!(store.samples("a").iter().all(|sample| !is_stale(sample.value)));
}

#[tokio::test]
async fn a_reload_that_changes_how_requests_are_sent_holds_for_targets_that_stay() {
    let (store, server) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let manager = manager(&store);
    let targets = targets(&[&server]);
    for token in ["one", "two"] {
        apply(&manager, &format!("[{{job_name: j, bearer_token: {token}, INTERVAL, {targets}}}]"));
        let header = format!("authorization: Bearer {token}\r\n");
        eventually(|| server.requests().last().is_some_and(|head| head.contains(&header))).await;
    }
    manager.shutdown().await;
    assert!(store.samples("a").iter().all(|sample| !is_stale(sample.value)));
}

#[tokio::test]
async fn a_reload_that_relabels_ends_the_series_under_their_old_labels() {
    let (store, server) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let manager = manager(&store);
    let targets = targets(&[&server]);
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {targets}}}]"));
    eventually(|| !store.samples("a").is_empty()).await;
    let rename = "metric_relabel_configs: [{target_label: __name__, replacement: b}]";
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {rename}, {targets}}}]"));
    eventually(|| store.samples("b").len() >= 2).await;
    manager.shutdown().await;
    let ends = |name: &str| store.samples(name).iter().filter(|s| is_stale(s.value)).count();
    assert_eq!((ends("a"), ends("b"), ends("up")), (1, 0, 0));
    assert!(is_stale(store.samples("a").last().unwrap().value));
}

#[tokio::test]
async fn a_target_that_goes_is_marked_and_one_that_comes_back_is_not() {
    let (store, goes) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let returns = Server::start(Answer::text("b 1\n")).await;
    let manager = manager(&store);
    let both = format!("[{{job_name: j, INTERVAL, {}}}]", targets(&[&goes, &returns]));
    apply(&manager, &both);
    eventually(|| !store.samples("a").is_empty() && !store.samples("b").is_empty()).await;
    apply(&manager, "[]");
    assert!(manager.status().active_targets.is_empty());
    let returned = format!("[{{job_name: j, INTERVAL, {}}}]", targets(&[&returns]));
    apply(&manager, &returned);
    let ended = |name: &str| store.samples(name).iter().filter(|s| is_stale(s.value)).count();
    eventually(|| ended("a") == 1 && ended("up") == 1).await;
    let count = store.samples("b").len();
    eventually(|| store.samples("b").len() > count).await;
    assert_eq!(ended("b"), 0);
    // and once it was marked, it starts anew
    apply(&manager, &both);
    eventually(|| store.samples("a").last().is_some_and(|sample| !is_stale(sample.value))).await;
    manager.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_is_quick_and_marks_nothing() {
    let (store, server) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let hanging = Server::start(Answer::silence()).await;
    let manager = manager(&store);
    let slow = format!("{{job_name: slow, scrape_interval: 50s, {}}}", targets(&[&hanging]));
    apply(&manager, &format!("[{{job_name: j, INTERVAL, {}}}, {slow}]", targets(&[&server])));
    eventually(|| !store.samples("a").is_empty()).await;
    let begun = std::time::Instant::now();
    manager.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(store.samples("a").iter().all(|sample| !is_stale(sample.value)));
    let count = store.samples("a").len();
    tokio::time::sleep(2 * INTERVAL).await;
    assert_eq!(store.samples("a").len(), count);
}

#[tokio::test]
async fn too_many_targets_all_fail_until_they_are_fewer() {
    let (store, server) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let other = Server::start(Answer::text("b 1\n")).await;
    let manager = manager(&store);
    let targets = targets(&[&server, &other]);
    apply(&manager, &format!("[{{job_name: j, target_limit: 1, INTERVAL, {targets}}}]"));
    eventually(|| store.samples("up").len() >= 2).await;
    assert!(store.samples("a").is_empty() && server.requests().is_empty());
    let expect = "target_limit exceeded (number of targets: 2, limit: 1)";
    assert!(manager.status().active_targets.iter().any(|target| target.last_error == expect));
    apply(&manager, &format!("[{{job_name: j, target_limit: 2, INTERVAL, {targets}}}]"));
    eventually(|| !store.samples("a").is_empty()).await;
    manager.shutdown().await;
}

#[tokio::test]
async fn discovered_targets_come_and_go_without_a_reload() {
    let (store, stays) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let goes = Server::start(Answer::text("b 1\n")).await;
    let manager = manager(&store);
    let found = |server: &Server| {
        let target = Labels::from_iter([("__address__", server.address.to_string())]);
        let source = server.address.to_string().into();
        Arc::new(TargetGroup { source, targets: vec![target], labels: Labels::empty() })
    };
    apply(&manager, "[{job_name: j, INTERVAL}]");
    let (stays, goes) = (found(&stays), found(&goes));
    manager.find("j", vec![Arc::clone(&stays), goes]);
    eventually(|| !store.samples("a").is_empty() && !store.samples("b").is_empty()).await;
    manager.find("j", vec![Arc::clone(&stays)]);
    let ended = |name: &str| store.samples(name).iter().filter(|s| is_stale(s.value)).count();
    eventually(|| ended("b") == 1).await;
    assert_eq!((ended("a"), manager.status().active_targets.len()), (0, 1));

    apply(&manager, "[{job_name: j, INTERVAL, sample_limit: 9}]");
    assert_eq!(manager.status().active_targets.len(), 1, "a reload keeps what was found");
    apply(&manager, "[]");
    manager.find("j", vec![stays]);
    assert!(
        manager.status().active_targets.is_empty(),
        "the job is gone, whatever is found for it"
    );
    manager.shutdown().await;
}

/// The keys and their order are those of Prometheus' answer.
#[tokio::test]
async fn the_status_has_prometheus_shape() {
    let (store, up) = (Store::default(), Server::start(Answer::text("a 1\n")).await);
    let manager = manager(&store);
    let config = format!(
        "[{{job_name: j, INTERVAL, {}, relabel_configs: [{{action: drop, source_labels: [x], \
         regex: drop}}]}}, {{job_name: d, keep_dropped_targets: 1, relabel_configs: [{{action: \
         drop}}], static_configs: [{{targets: ['x:1', 'x:2']}}]}}]",
        targets(&[&up])
    );
    apply(&manager, &config);
    let before = serde_yaml_ng::to_value(manager.status()).unwrap();
    assert_eq!(before["activeTargets"][0]["health"], "unknown");
    assert_eq!(before["activeTargets"][0]["lastScrape"], "0001-01-01T00:00:00Z");

    eventually(|| !store.samples("a").is_empty()).await;
    up.answer(Answer::text("a\n"));
    let is_down = || {
        let status = manager.status();
        status.active_targets[0].health == crate::Health::Down
    };
    eventually(is_down).await;
    let status = serde_yaml_ng::to_value(manager.status()).unwrap();
    manager.shutdown().await;

    let keys = |value: &Value| -> Vec<String> {
        value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&status), ["activeTargets", "droppedTargets", "droppedTargetCounts"]);
    let target = &status["activeTargets"][0];
    assert_eq!(
        keys(target),
        [
            "discoveredLabels",
            "labels",
            "scrapePool",
            "scrapeUrl",
            "globalUrl",
            "lastError",
            "lastScrape",
            "lastScrapeDuration",
            "health",
            "scrapeInterval",
            "scrapeTimeout",
        ]
    );
    let address = up.address.to_string();
    assert_eq!(target["discoveredLabels"]["__address__"], address.as_str());
    assert_eq!(keys(&target["labels"]), ["instance", "job"]);
    assert_eq!(target["scrapePool"], "j");
    assert_eq!(target["scrapeUrl"], format!("http://{address}/metrics").as_str());
    let global = format!("http://edge.example:{}/metrics", up.address.port());
    assert_eq!(target["globalUrl"], global.as_str());
    assert_eq!(target["lastError"], "line 1: expected a value, got the end of the line");
    let scraped: jiff::Timestamp = target["lastScrape"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(scraped).as_secs() < 60);
    assert!(target["lastScrapeDuration"].as_f64().unwrap() > 0.0);
    assert_eq!((&target["health"], &target["scrapeInterval"]), (&"down".into(), &"200ms".into()));
    assert_eq!(target["scrapeTimeout"], "150ms");
    let dropped = &status["droppedTargets"];
    assert_eq!(dropped.as_sequence().unwrap().len(), 1);
    assert_eq!(keys(&dropped[0]), ["discoveredLabels", "scrapePool"]);
    assert_eq!(dropped[0]["discoveredLabels"]["__address__"], "x:1");
    assert_eq!(status["droppedTargetCounts"]["d"], 2);
    assert_eq!(status["droppedTargetCounts"]["j"], 0);
}
