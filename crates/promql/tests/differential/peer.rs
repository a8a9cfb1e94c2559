//! A Prometheus process of our own.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::Labels;
use prost::Message;
use serde_json::Value;

use super::data::Samples;
use crate::{Answer, Series};

/// One question of either kind; times in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) query: String,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Of a range query.
    pub(crate) step: Option<i64>,
}

impl Asked {
    pub(crate) fn instant(query: &str, at: i64) -> Self {
        Self { query: query.to_owned(), start: at, end: at, step: None }
    }

    pub(crate) fn range(query: &str, start: i64, end: i64, step: i64) -> Self {
        Self { query: query.to_owned(), start, end, step: Some(step) }
    }
}

/// Killed when dropped.
pub(crate) struct Peer {
    process: Child,
    address: String,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, "").expect("write its configuration");
        let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
        let address = listener.local_addr().expect("it has an address").to_string();
        drop(listener);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start prometheus; to install it: apt-get install prometheus");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("build a runtime");
        let client = reqwest::Client::builder().no_proxy().build().expect("build a client");
        let peer = Self { process, address, runtime, client, _directory: directory };
        peer.await_ready();
        peer
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let url = format!("http://{}/-/ready", self.address);
        while Instant::now() < deadline {
            let answer = self.runtime.block_on(self.client.get(&url).send());
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("prometheus is not ready after 30 s");
    }

    pub(crate) fn write(&self, data: &[(Labels, Samples)]) {
        let series = data.iter().map(|(labels, samples)| TimeSeries {
            labels: labels
                .iter()
                .map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() })
                .collect(),
            samples: samples
                .iter()
                .map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp })
                .collect(),
        });
        let request = WriteRequest { series: series.collect() }.encode_to_vec();
        let body = snap::raw::Encoder::new().compress_vec(&request).expect("compress");
        let url = format!("http://{}/api/v1/write", self.address);
        let post = self.client.post(url).header("content-encoding", "snappy").body(body);
        let answer = self.runtime.block_on(post.send()).expect("remote-write to prometheus");
        let status = answer.status();
        let text = self.runtime.block_on(answer.text()).unwrap_or_default();
        assert!(status.is_success(), "{status}: {text}");
    }

    pub(crate) fn ask(&self, asked: &Asked) -> Answer {
        let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
        let mut form = vec![("query", asked.query.clone())];
        let path = match asked.step {
            None => {
                form.push(("time", seconds(asked.start)));
                "query"
            }
            Some(step) => {
                form.push(("start", seconds(asked.start)));
                form.push(("end", seconds(asked.end)));
                form.push(("step", seconds(step)));
                "query_range"
            }
        };
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
        let post = self
            .client
            .post(format!("http://{}/api/v1/{path}", self.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let text = self
            .runtime
            .block_on(async { post.send().await?.text().await })
            .expect("ask prometheus");
        let answer: Value = serde_json::from_str(&text).expect("an answer in JSON");
        match answer["error"].as_str() {
            Some(error) => Err(without_parameter(error).to_owned()),
            None => Ok(series(&answer["data"], asked)),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The API names the parameter that an error is about; the engine does not know it.
fn without_parameter(error: &str) -> &str {
    error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error)
}

fn series(data: &Value, asked: &Asked) -> Series {
    let mut all = Series::new();
    let result = &data["result"];
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse().ok());
    match data["resultType"].as_str() {
        Some("scalar") => {
            let value = number(result).expect("a scalar is a number");
            all.entry("scalar".into()).or_default().insert(asked.start, value);
        }
        Some("string") => {
            let text = result[1].as_str().expect("a string is one");
            all.entry(format!("string {text}")).or_default().insert(asked.start, 0.0);
        }
        _ => {
            for series in result.as_array().expect("a list of series") {
                let metric = series["metric"].as_object().expect("labels");
                let labels: Labels =
                    metric.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap_or(""))).collect();
                let one = std::slice::from_ref(&series["value"]);
                let pairs = series["values"].as_array().map_or(one, Vec::as_slice);
                let samples: &mut BTreeMap<i64, f64> = all.entry(labels.to_string()).or_default();
                for pair in pairs {
                    let time = pair[0].as_f64().expect("a time") * 1000.0;
                    samples.insert(time.round() as i64, number(pair).expect("a number"));
                }
            }
        }
    }
    all
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
