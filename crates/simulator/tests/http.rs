//! The simulator over HTTP: a client, a loopback socket, and a clock that the test sets.
//!
//! ```text
//! reqwest ──► router(fleet, clock)
//! ```

// Helpers of tests are outside test functions, where clippy allows it.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::Timestamp;
use serde_json::Value;
use simulator::{Clock, Fault, Fleet, Profile, router};

const NOW: i64 = 1_800_000_001_000;

/// A running simulator. Ends with the test's runtime.
struct Simulator {
    base: String,
    now: Arc<AtomicI64>,
    fleet: Arc<Fleet>,
    client: reqwest::Client,
}

impl Simulator {
    async fn start() -> Self {
        let now = Arc::new(AtomicI64::new(NOW));
        let clock: Clock = {
            let now = Arc::clone(&now);
            Arc::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)))
        };
        let fleet = Arc::new(Fleet::new(&Profile::demo(), 7));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = router(Arc::clone(&fleet), clock);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, now, fleet, client: reqwest::Client::new() }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn post(&self, path: &str) -> (u16, String) {
        let answer = self.client.post(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn truth_of(&self, cluster: &str) -> Value {
        let (status, body) = self.get("/truth").await;
        assert_eq!(status, 200);
        let truth: Value = serde_json::from_str(&body).unwrap();
        let clusters = truth["clusters"].as_array().unwrap();
        clusters.iter().find(|found| found["cluster"] == cluster).unwrap().clone()
    }
}

#[tokio::test]
async fn every_listed_target_is_served_where_the_list_says() {
    let simulator = Simulator::start().await;
    let (status, body) = simulator.get("/targets.json").await;
    assert_eq!(status, 200);
    let groups: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(groups.len(), simulator.fleet.targets().len());
    for group in groups {
        let address = group["targets"][0].as_str().unwrap();
        assert_eq!(format!("http://{address}"), simulator.base);
        for label in ["cluster", "scope", "job", "instance"] {
            assert!(group["labels"][label].is_string(), "{label} of {group}");
        }
        let path = group["labels"]["__metrics_path__"].as_str().unwrap();
        let answer =
            simulator.client.get(format!("{}{path}", simulator.base)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    }
}

#[tokio::test]
async fn the_clock_that_is_passed_in_is_the_only_one() {
    let simulator = Simulator::start().await;
    let path = &simulator.fleet.targets()[0].path;
    let first = simulator.get(path).await;
    assert_eq!(simulator.get(path).await, first);
    simulator.now.store(NOW + 10_000, Ordering::Relaxed);
    let later = simulator.get(path).await;
    assert_ne!(later, first);
    simulator.now.store(NOW, Ordering::Relaxed);
    assert_eq!(simulator.get(path).await, first);
}

#[tokio::test]
async fn things_are_broken_and_mended_by_post() {
    let simulator = Simulator::start().await;
    let id = "cn-hangzhou-a";
    let all = simulator.truth_of(id).await["targets"].clone();

    assert_eq!(simulator.post(&format!("/break?cluster={id}&what=silent")).await.0, 200);
    let truth = simulator.truth_of(id).await;
    assert_eq!(truth["faults"], serde_json::json!(["silent"]));
    assert_eq!((truth["targets"].clone(), truth["targets_up"].clone()), (all.clone(), 0.into()));
    let path = simulator.fleet.targets_of(id).next().unwrap().path.clone();
    assert_eq!(simulator.get(&path).await.0, 503);

    assert_eq!(simulator.post(&format!("/break?cluster={id}&what=etcd-no-leader")).await.0, 200);
    assert_eq!(simulator.post(&format!("/mend?cluster={id}&what=silent")).await.0, 200);
    assert_eq!(simulator.truth_of(id).await["faults"], serde_json::json!(["etcd-no-leader"]));
    assert_eq!(simulator.get(&path).await.0, 200);

    assert_eq!(simulator.post("/mend").await.0, 200);
    let truth = simulator.truth_of(id).await;
    assert_eq!(truth["faults"], serde_json::json!([]));
    assert_eq!(truth["targets_up"], all);
}

#[tokio::test]
async fn bad_requests_are_refused_by_status() {
    let simulator = Simulator::start().await;
    let long = "x".repeat(10_000);
    for (path, status) in [
        ("/", 404),
        ("/targets/nowhere/etcd/10.1.0.10:2381/metrics", 404),
        ("/targets/cn-hangzhou-a/etcd/..%2f..%2fetc%2fpasswd/metrics", 404),
        ("/targets/cn-hangzhou-a/etcd/%ff/metrics", 400),
        (&format!("/targets/{long}/{long}/{long}/metrics"), 404),
        ("/break?cluster=cn-hangzhou-a&what=silent", 405),
    ] {
        assert_eq!(simulator.get(path).await.0, status, "GET {path}");
    }
    for (path, status, message) in [
        ("/break", 400, "missing field `cluster`"),
        ("/break?cluster=cn-hangzhou-a", 400, "missing field `what`"),
        ("/break?cluster=cn-hangzhou-a&what=everything", 400, "what: unknown fault; one of etcd-"),
        ("/break?cluster=cn-hangzhou-a&what=silent&for=1h", 400, "unknown field `for`"),
        ("/break?cluster=nowhere&what=silent", 404, "no cluster \"nowhere\" in the fleet"),
        ("/mend?cluster=nowhere", 404, "no cluster \"nowhere\" in the fleet"),
        ("/mend?what=everything", 400, "what: unknown fault; one of etcd-"),
        ("/truth", 405, ""),
    ] {
        let (seen, body) = simulator.post(path).await;
        assert_eq!(seen, status, "POST {path}: {body}");
        assert!(body.contains(message), "POST {path}: {body}");
    }
    for _ in 0..1_000 {
        let (fleet, id) = (&simulator.fleet, "cn-hangzhou-a");
        fleet.start_fault(id, Fault::Silent, Timestamp::EPOCH).unwrap();
        fleet.stop_fault(id, Fault::Silent, Timestamp::EPOCH).unwrap();
    }
    assert_eq!(simulator.post("/break?cluster=cn-hangzhou-a&what=silent").await.0, 429);
}
