//! A real Prometheus on a data directory, killed when dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use model::Labels;
use prost::Message;
use proto::v1::WriteRequest;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::histograms::FEATURES;
use super::{Contents, INSTALL, at};

pub(super) struct Prometheus {
    child: Child,
    port: u16,
    _config: TempDir,
}

impl Prometheus {
    /// Scrapes itself.
    pub(super) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(super) fn start_with(data: &Path, flags: &[&str]) -> Self {
        let scrape = |port| {
            format!(
                "scrape_configs: [{{job_name: self, scrape_interval: 100ms, scrape_timeout: 100ms, \
                 static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]"
            )
        };
        Self::spawn(data, scrape, flags)
    }

    /// Holds what it is sent and nothing else.
    pub(super) fn receiver(data: &Path) -> Self {
        Self::spawn(data, |_| String::new(), &[FEATURES, "--web.enable-remote-write-receiver"])
    }

    /// Holds what is there, and is told what to do with it.
    pub(super) fn with_admin_api(data: &Path) -> Self {
        Self::spawn(data, |_| String::new(), &["--web.enable-admin-api"])
    }

    fn spawn(data: &Path, config: impl Fn(u16) -> String, flags: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config_dir = tempfile::tempdir().unwrap();
        let config_file = config_dir.path().join("prometheus.yml");
        fs::write(&config_file, config(port)).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.use-lockfile") // Debian's default is none
            .args(flags)
            .stderr(Stdio::null())
            .spawn()
            .expect(INSTALL);
        let server = Self { child, port, _config: config_dir };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.get("/-/ready").is_some_and(|answer| answer.contains("Ready")) {
            assert!(Instant::now() < deadline, "prometheus does not become ready");
            thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The body of the answer.
    pub(super) fn get(&self, path: &str) -> Option<String> {
        let answer = self.ask(&format!("GET {path} HTTP/1.0\r\n\r\n"), &[])?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// The body of the answer, which must be a success.
    pub(super) fn post(&self, path: &str) -> String {
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
        let answer = self.ask(&head, &[]).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 OK") || head.contains(" 204 No Content"), "{answer}");
        body.to_owned()
    }

    fn ask(&self, head: &str, body: &[u8]) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Sends samples by remote write.
    pub(super) fn write(&self, request: &WriteRequest) {
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap();
        let head = format!(
            "POST /api/v1/write HTTP/1.0\r\nContent-Length: {}\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n",
            body.len()
        );
        let answer = self.ask(&head, &body).unwrap();
        assert!(answer.contains(" 204 No Content\r\n"), "{answer}");
    }

    /// The samples of the day before `end`.
    pub(super) fn samples(&self, selector: &str, end_millis: i64) -> Contents {
        let time = format!("{}.{:03}", end_millis / 1000, end_millis % 1000);
        let path = format!("/api/v1/query?query={selector}%5B1d%5D&time={time}");
        let answer: serde_json::Value = serde_json::from_str(&self.get(&path).unwrap()).unwrap();
        let series = answer["data"]["result"].as_array().expect("a matrix").iter();
        series
            .map(|series| {
                let pairs = series["metric"].as_object().unwrap().iter();
                let labels: Labels =
                    pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
                let sample = |pair: &serde_json::Value| {
                    let millis = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
                    at(millis, pair[1].as_str().unwrap().parse().unwrap())
                };
                (labels, series["values"].as_array().unwrap().iter().map(sample).collect())
            })
            .collect()
    }

    /// Lets it write out what it has.
    pub(super) fn stop(mut self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
