//! A real Prometheus with the same series.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::Labels;
use prost::Message as _;
use proto::v1::{Exemplar, Label, Sample, TimeSeries, WriteRequest};

use crate::server::{Response, send};
use crate::store::Series;

const RULES: &str = r#"
groups:
  - name: first
    rules:
      - {record: "job:up:sum", expr: "sum by (job) (up)"}
      - {alert: Down, expr: "up == 0", labels: {severity: page}}
  - name: second
    rules:
      - {alert: Other, expr: "vector(1)"}
"#;

/// Ends with the value.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) base: String,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--web.enable-admin-api"]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let rules = file("rules.yml", RULES);
        let config = format!("global: {{evaluation_interval: 1d}}\nrule_files: [{rules}]\n");
        let config = file("prometheus.yml", &config);
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={config}"))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--enable-feature=exemplar-storage"])
            .arg("--log.level=error")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("needs Prometheus: apt-get install --no-install-recommends prometheus");
        let peer = Self { child, base: format!("http://{address}"), _directory: directory };
        peer.until_ready().await;
        peer
    }

    async fn until_ready(&self) {
        for _ in 0..600 {
            let answer = reqwest::get(format!("{}/-/ready", self.base)).await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("prometheus is not ready after 30 s");
    }

    pub(crate) async fn write(&self, series: &[Series]) {
        let timeseries = series.iter().map(|Series { labels, samples, exemplars }| TimeSeries {
            labels: wire_labels(labels),
            samples: samples
                .iter()
                .map(|s| Sample { value: s.value, timestamp: s.timestamp.as_millis() })
                .collect(),
            exemplars: exemplars
                .iter()
                .map(|one| Exemplar {
                    labels: wire_labels(&one.labels),
                    value: one.value,
                    timestamp: one.timestamp.as_millis(),
                })
                .collect(),
            ..TimeSeries::default()
        });
        let request = WriteRequest { timeseries: timeseries.collect(), ..WriteRequest::default() };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
        let written = reqwest::Client::new()
            .post(format!("{}/api/v1/write", self.base))
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(body);
        let response = send(written).await;
        assert_eq!(response.status, 204, "{response:?}");
    }

    pub(crate) async fn get(&self, path_and_query: &str) -> Response {
        send(reqwest::Client::new().get(format!("{}{path_and_query}", self.base))).await
    }
}

fn wire_labels(labels: &Labels) -> Vec<Label> {
    let label = |(name, value): (&str, &str)| Label { name: name.into(), value: value.into() };
    labels.iter().map(label).collect()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
