//! Debian's programs as child processes, ended when the test ends.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Peer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    pub(crate) fn prometheus(port: u16, config: &str, flags: &[&str]) -> Self {
        Self::start("prometheus", "prometheus", port, |folder| {
            let file = folder.join("prometheus.yml");
            std::fs::write(&file, config).unwrap();
            let mut arguments = vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ];
            arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
            arguments
        })
    }

    pub(crate) fn victoria_metrics() -> Self {
        let port = free_port();
        Self::start("victoria-metrics", "victoria-metrics", port, |folder| {
            vec![
                format!("-httpListenAddr=127.0.0.1:{port}"),
                format!("-storageDataPath={}", folder.join("data").display()),
            ]
        })
    }

    pub(crate) fn vmagent(port: u16, scrape: &str, write_to: &str) -> Self {
        Self::start("vmagent", "vmagent", port, |folder| {
            let file = folder.join("scrape.yml");
            std::fs::write(&file, scrape).unwrap();
            vec![
                format!("-promscrape.config={}", file.display()),
                format!("-remoteWrite.url={write_to}"),
                format!("-remoteWrite.tmpDataPath={}", folder.join("data").display()),
                "-remoteWrite.flushInterval=200ms".to_owned(),
                format!("-httpListenAddr=127.0.0.1:{port}"),
            ]
        })
    }

    fn start(
        program: &str,
        package: &str,
        port: u16,
        arguments: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments(folder.path()))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("start {program}: {error}; to have it: apt-get install {package}")
        });
        Self { child, port, _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it answers; empty while it does not answer yet.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = url::Url::parse(&self.url(path)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        match reqwest::get(url).await {
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The result of an instant query to Prometheus; `Null` while there is none.
    async fn query(&self, query: &str) -> Value {
        let text = self.get("/api/v1/query", &[("query", query)]).await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        answer.pointer("/data/result/0").cloned().unwrap_or_default()
    }

    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        self.query(query).await["value"][1].as_str()?.parse().ok()
    }

    /// The samples of the one series that a range selector selects.
    pub(crate) async fn samples(&self, query: &str) -> Vec<(i64, f64)> {
        let result = self.query(query).await;
        let samples = result["values"].as_array().cloned().unwrap_or_default();
        let sample = |pair: &Value| {
            let seconds = pair[0].as_f64().unwrap();
            ((seconds * 1000.0).round() as i64, pair[1].as_str().unwrap().parse().unwrap())
        };
        samples.iter().map(sample).collect()
    }

    /// The samples of one series that VictoriaMetrics exports.
    pub(crate) async fn exported(&self, selector: &str) -> Vec<(i64, f64)> {
        let text = self.get("/api/v1/export", &[("match[]", selector)]).await;
        let line = text.lines().next().unwrap_or_default();
        let series: Value = serde_json::from_str(line).unwrap_or_default();
        let column = |name: &str| series[name].as_array().cloned().unwrap_or_default();
        let pairs = column("timestamps").into_iter().zip(column("values"));
        pairs.map(|(at, value)| (at.as_i64().unwrap(), value.as_f64().unwrap())).collect()
    }
}
