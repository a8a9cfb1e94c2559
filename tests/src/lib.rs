//! What the system tests share: a laboratory that starts real processes on free ports, and the
//! client's side of remote write.

pub mod authority;
pub mod chain;
pub mod page;
pub mod small_disk;

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use cli::client::Client;
use cli::ports;
use cli::process::{Process, Program};
use cli::programs::{self, Binaries, Directory, Peers, Tier};
use cli::ready;
use model::{Labels, Sample, Timestamp};
use prost::Message;
use proto::v1;
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Enough for a debug build on a machine that compiles something else.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// A directory for the files of one test, and what is needed to start programs in it.
#[derive(Debug)]
pub struct Lab {
    directory: Directory,
    binaries: Binaries,
    peers: Peers,
    /// Removed at the end of the test.
    _files: TempDir,
}

/// A running process with the Prometheus HTTP API on `port`.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub port: u16,
    config: PathBuf,
}

impl Lab {
    pub fn new() -> anyhow::Result<Self> {
        let files = TempDir::new()?;
        let directory = Directory::new(files.path())?;
        fs::create_dir_all(files.path().join("config"))?;
        let binaries = Binaries::beside_this_program()?;
        Ok(Self { directory, binaries, peers: Peers::find()?, _files: files })
    }

    /// The path of one of our binaries.
    pub fn binary(&self, program: &str) -> PathBuf {
        self.binaries.path(program)
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Starts a tier with the configuration given, and waits until it is ready.
    pub async fn tier(&self, tier: Tier, name: &str, config: &str) -> anyhow::Result<Server> {
        let port = ports::free()?;
        self.start(programs::tier(tier, name, port, &self.binaries, &self.directory), port, config)
            .await
    }

    /// Starts a tier with flags of its own, too.
    pub async fn tier_with(
        &self,
        tier: Tier,
        name: &str,
        config: &str,
        flags: &[&str],
    ) -> anyhow::Result<Server> {
        let port = ports::free()?;
        let mut program = programs::tier(tier, name, port, &self.binaries, &self.directory);
        program.arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self.start(program, port, config).await
    }

    /// Starts a real Prometheus with the configuration given, and waits until it is ready. It takes
    /// samples of all kinds.
    pub async fn prometheus(&self, name: &str, config: &str) -> anyhow::Result<Server> {
        let port = ports::free()?;
        let mut program = programs::prometheus(name, port, &self.peers, &self.directory);
        program.arguments.extend([
            "--enable-feature=native-histograms,exemplar-storage".to_owned(),
            "--web.enable-remote-write-receiver".to_owned(),
        ]);
        self.start(program, port, config).await
    }

    async fn start(&self, program: Program, port: u16, config: &str) -> anyhow::Result<Server> {
        let file = self.directory.config(&program.name);
        fs::write(&file, config).with_context(|| file.display().to_string())?;
        let mut process = program.start()?;
        ready::wait(&mut process, READY_TIMEOUT).await?;
        Ok(Server::new(process, port, file))
    }
}

impl Server {
    pub fn new(process: Process, port: u16, config: PathBuf) -> Self {
        Self { process, port, config }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url(""))
    }

    /// The value of the one series that `query` gives now; nothing if there is none.
    pub async fn value(&self, query: &str) -> anyhow::Result<Option<f64>> {
        let vector = self.client()?.vector(query).await?;
        anyhow::ensure!(vector.len() <= 1, "{query}: more than one series: {vector:?}");
        Ok(vector.first().map(|(_, sample)| sample.value))
    }

    /// Replaces the configuration, and leaves it to the server to notice.
    pub fn write_config(&self, config: &str) -> anyhow::Result<()> {
        fs::write(&self.config, config).with_context(|| self.config.display().to_string())
    }

    /// Replaces the configuration and asks for a reload: the answer's status and text.
    pub async fn reload(&self, config: &str) -> anyhow::Result<(StatusCode, String)> {
        self.write_config(config)?;
        let answer = reqwest::Client::new().post(self.url("/-/reload")).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Kill −9, start again, and wait until it is ready.
    pub async fn crash_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.restart()?;
        ready::wait(&mut self.process, READY_TIMEOUT).await
    }
}

/// Sends samples by remote write 1.0. `Err` where no answer arrived.
pub async fn remote_write(
    url: &str,
    series: &[(Labels, Vec<Sample>)],
) -> anyhow::Result<StatusCode> {
    let body = compress(&write_request(series).encode_to_vec())?;
    Ok(post_write(url, body).await?.0)
}

/// Posts `body` as a remote write 1.0 request: the answer's status and text.
pub async fn post_write(url: &str, body: Vec<u8>) -> anyhow::Result<(StatusCode, String)> {
    let request = reqwest::Client::new()
        .post(url)
        .timeout(Duration::from_secs(10))
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .body(body);
    let answer = request.send().await?;
    Ok((answer.status(), answer.text().await?))
}

pub fn compress(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    snap::raw::Encoder::new().compress_vec(bytes).context("compress")
}

fn write_request(series: &[(Labels, Vec<Sample>)]) -> v1::WriteRequest {
    let timeseries = series.iter().map(|(labels, samples)| v1::TimeSeries {
        labels: labels
            .iter()
            .map(|(name, value)| v1::Label { name: name.to_owned(), value: value.to_owned() })
            .collect(),
        samples: samples
            .iter()
            .map(|sample| v1::Sample {
                value: sample.value,
                timestamp: sample.timestamp.as_millis(),
            })
            .collect(),
        ..v1::TimeSeries::default()
    });
    v1::WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() }
}

pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    Timestamp::EPOCH.plus(since_epoch)
}

/// Asks again until the answer is `Ok`; after `timeout` the last error is the test's.
pub async fn eventually<T, F: Future<Output = anyhow::Result<T>>>(
    timeout: Duration,
    mut attempt: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("not so after {timeout:?}")));
            }
            Err(_) => sleep(POLL).await,
        }
    }
}
