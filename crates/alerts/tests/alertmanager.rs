//! Against Debian's real Alertmanager: what we send shows in its API as we mean it.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alerts::{AlertingConfig, Metrics, Notifier};
use model::{Alert, Labels, Timestamp};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running `prometheus-alertmanager`; killed when dropped.
struct Alertmanager {
    process: Child,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Alertmanager {
    async fn start(directory: &Path) -> Self {
        let config = directory.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
        let address = free_address();
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("needs Alertmanager: apt-get install prometheus-alertmanager");
        let alertmanager = Self { process, address, client: reqwest::Client::new() };
        alertmanager.eventually("is ready", |alerts| alerts.is_empty()).await;
        alertmanager
    }

    /// Waits until what `/api/v2/alerts` lists, resolved alerts left out, meets `condition`.
    async fn eventually(&self, what: &str, condition: impl Fn(&[Value]) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut last = "no answer".to_owned();
        while tokio::time::Instant::now() < deadline {
            let url = format!("http://{}/api/v2/alerts", self.address);
            if let Ok(response) = self.client.get(url).send().await {
                last = response.text().await.unwrap();
                if condition(&serde_json::from_str::<Vec<Value>>(&last).unwrap()) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("alertmanager: {what}: not within {PATIENCE:?}; last: {last}");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::EPOCH.plus(since_epoch)
}

#[tokio::test]
async fn an_alert_fires_and_resolves_in_a_real_alertmanager() {
    let directory = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(directory.path()).await;
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let notifier = Notifier::new(10_000, metrics);
    let config: AlertingConfig = serde_yaml_ng::from_str(&format!(
        "alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]",
        alertmanager.address
    ))
    .unwrap();
    notifier.apply(config, [("region", "eu")].into_iter().collect());

    let starts_at = now().minus(Duration::from_secs(60));
    let firing = Alert {
        labels: [("alertname", "EtcdDown"), ("severity", "page")].into_iter().collect::<Labels>(),
        annotations: [("summary", "a \"quoted\" summary — ü")].into_iter().collect(),
        starts_at,
        ends_at: now().plus(Duration::from_secs(240)),
        generator_url: "http://central/graph?g0.expr=up+%3D%3D+0&g0.tab=1".to_owned(),
    };
    notifier.send(vec![firing.clone()]);
    let fires = |alerts: &[Value]| {
        let [alert] = alerts else { return false };
        assert_eq!(
            alert["labels"],
            serde_json::json!({"alertname": "EtcdDown", "region": "eu", "severity": "page"})
        );
        assert_eq!(alert["annotations"]["summary"], "a \"quoted\" summary — ü");
        assert_eq!(alert["generatorURL"], firing.generator_url);
        let started: jiff::Timestamp = alert["startsAt"].as_str().unwrap().parse().unwrap();
        assert_eq!(started.as_millisecond(), starts_at.as_millis());
        alert["status"]["state"] == "active"
    };
    alertmanager.eventually("the alert fires", fires).await;

    notifier.send(vec![Alert { ends_at: now(), ..firing.clone() }]);
    alertmanager.eventually("the alert resolves", <[Value]>::is_empty).await;
    notifier.shutdown().await;
}
