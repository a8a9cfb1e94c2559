//! A `remote_write` entry of the configuration, with Prometheus' keys and defaults.
//!
//! Two things differ from Prometheus. A destination's cursor is kept under its name, so the name
//! does not change with every other key: it is the given one, or a hash of the URL. And
//! `retry_on_http_429` is on unless it is switched off: what a destination asks to have later is late,
//! not lost.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use client::{HttpClientConfig, HttpClientYaml, ServerUrl};
use model::{Split, duration, null_as_default};
use relabel::RelabelStep;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

/// One destination.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Split<HttpClientYaml, RemoteWriteYaml>")]
pub struct RemoteWriteConfig {
    pub url: ServerUrl,
    /// Names the destination in metrics and its cursor on disk; unique among destinations.
    pub name: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub http: HttpClientConfig,
    pub remote_timeout: Duration,
    pub write_relabel_configs: Vec<RelabelStep>,
    pub queue: QueueConfig,
    pub metadata: Option<MetadataConfig>,
    pub send_exemplars: bool,
    pub send_native_histograms: bool,
    /// What is tried first.
    pub protocol: Protocol,
}

/// The versions of remote write, by the names of their messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
}

impl RemoteWriteConfig {
    /// Makes relative file names start at `directory`, the configuration file's.
    pub fn set_directory(&mut self, directory: &Path) {
        self.http.set_directory(directory);
    }
}

/// The first name that two destinations share, which would share a cursor too.
pub fn shared_name(configs: &[RemoteWriteConfig]) -> Option<&str> {
    let names = configs.iter().map(|config| config.name.as_str());
    names.enumerate().find_map(|(index, name)| {
        configs[..index].iter().any(|earlier| earlier.name == name).then_some(name)
    })
}

#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// Samples held in memory for each request that may be under way.
    pub capacity: NonZeroUsize,
    /// How many requests may be under way at once: at most, and at least however badly it goes.
    pub max_shards: NonZeroUsize,
    pub min_shards: NonZeroUsize,
    pub max_samples_per_send: NonZeroUsize,
    /// A sample waits no longer than this for its request to fill.
    pub batch_send_deadline: Duration,
    pub min_backoff: Duration,
    pub max_backoff: Duration,
    pub retry_on_http_429: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MetadataConfig {
    pub send_interval: Duration,
    /// Families in one request.
    pub max_samples_per_send: NonZeroUsize,
}

/// Why an entry is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("remote_write.url: {0}")]
    Url(client::ConfigError),
    #[error("remote_write.{0}: must be at least 1")]
    Zero(&'static str),
    #[error("remote_write.queue_config.{0}: must not be above {1}")]
    Reversed(&'static str, &'static str),
    #[error("remote_write.headers: {name:?} is a reserved header")]
    ReservedHeader { name: String },
    #[error("remote_write.headers: {0:?} is not a valid header")]
    Header(String),
    #[error(
        "remote_write.round_robin_dns: true is not supported; each new connection asks DNS, and takes \
         the first address that answers"
    )]
    RoundRobin,
    #[error(
        "remote_write.queue_config.sample_age_limit: not supported; samples wait in the log, whatever \
         their age, until they are sent"
    )]
    AgeLimit,
    #[error("remote_write.{0}")]
    Http(#[from] client::ConfigError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoteWriteYaml {
    url: String,
    name: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    headers: BTreeMap<String, String>,
    #[serde(default, with = "duration::text::optional")]
    remote_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "null_as_default")]
    write_relabel_configs: Vec<RelabelStep>,
    #[serde(default, deserialize_with = "null_as_default")]
    queue_config: QueueYaml,
    #[serde(default, deserialize_with = "null_as_default")]
    metadata_config: MetadataYaml,
    #[serde(default)]
    send_exemplars: bool,
    #[serde(default)]
    send_native_histograms: bool,
    #[serde(default)]
    protobuf_message: Protocol,
    // Prometheus can do this too; a file that asks for it must not seem to work.
    round_robin_dns: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct QueueYaml {
    capacity: usize,
    max_shards: usize,
    min_shards: usize,
    max_samples_per_send: usize,
    #[serde(with = "duration::text")]
    batch_send_deadline: Duration,
    #[serde(with = "duration::text")]
    min_backoff: Duration,
    #[serde(with = "duration::text")]
    max_backoff: Duration,
    retry_on_http_429: bool,
    #[serde(with = "duration::text::optional")]
    sample_age_limit: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MetadataYaml {
    send: bool,
    #[serde(with = "duration::text")]
    send_interval: Duration,
    max_samples_per_send: usize,
}

impl Default for QueueYaml {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: true,
            sample_age_limit: None,
        }
    }
}

impl Default for MetadataYaml {
    fn default() -> Self {
        Self { send: true, send_interval: Duration::from_secs(60), max_samples_per_send: 2000 }
    }
}

impl TryFrom<Split<HttpClientYaml, RemoteWriteYaml>> for RemoteWriteConfig {
    type Error = ConfigError;

    fn try_from(yaml: Split<HttpClientYaml, RemoteWriteYaml>) -> Result<Self, ConfigError> {
        let Split { part: http, rest: yaml } = yaml;
        if yaml.round_robin_dns == Some(true) {
            return Err(ConfigError::RoundRobin);
        }
        let url = ServerUrl::parse(&yaml.url).map_err(ConfigError::Url)?;
        let name = match yaml.name {
            Some(name) if !name.is_empty() => name,
            _ => format!("{:08x}", xxh3_64(url.url().as_str().as_bytes()) as u32),
        };
        Ok(Self {
            url,
            name,
            headers: headers(yaml.headers)?,
            http: HttpClientConfig::try_from(http)?,
            remote_timeout: yaml.remote_timeout.unwrap_or(Duration::from_secs(30)),
            write_relabel_configs: yaml.write_relabel_configs,
            queue: yaml.queue_config.try_into()?,
            metadata: yaml.metadata_config.resolve()?,
            send_exemplars: yaml.send_exemplars,
            send_native_histograms: yaml.send_native_histograms,
            protocol: yaml.protobuf_message,
        })
    }
}

impl TryFrom<QueueYaml> for QueueConfig {
    type Error = ConfigError;

    fn try_from(yaml: QueueYaml) -> Result<Self, ConfigError> {
        if yaml.sample_age_limit.is_some_and(|limit| !limit.is_zero()) {
            return Err(ConfigError::AgeLimit);
        }
        if yaml.min_shards > yaml.max_shards {
            return Err(ConfigError::Reversed("min_shards", "max_shards"));
        }
        if yaml.min_backoff > yaml.max_backoff {
            return Err(ConfigError::Reversed("min_backoff", "max_backoff"));
        }
        Ok(Self {
            capacity: at_least_1("queue_config.capacity", yaml.capacity)?,
            max_shards: at_least_1("queue_config.max_shards", yaml.max_shards)?,
            min_shards: at_least_1("queue_config.min_shards", yaml.min_shards)?,
            max_samples_per_send: at_least_1(
                "queue_config.max_samples_per_send",
                yaml.max_samples_per_send,
            )?,
            batch_send_deadline: yaml.batch_send_deadline,
            min_backoff: yaml.min_backoff,
            max_backoff: yaml.max_backoff,
            retry_on_http_429: yaml.retry_on_http_429,
        })
    }
}

impl MetadataYaml {
    fn resolve(self) -> Result<Option<MetadataConfig>, ConfigError> {
        if !self.send {
            return Ok(None);
        }
        if self.send_interval.is_zero() {
            return Err(ConfigError::Zero("metadata_config.send_interval"));
        }
        let families = self.max_samples_per_send;
        Ok(Some(MetadataConfig {
            send_interval: self.send_interval,
            max_samples_per_send: at_least_1("metadata_config.max_samples_per_send", families)?,
        }))
    }
}

fn at_least_1(key: &'static str, value: usize) -> Result<NonZeroUsize, ConfigError> {
    NonZeroUsize::new(value).ok_or(ConfigError::Zero(key))
}

/// Headers that this program or the connection sets.
const RESERVED_HEADERS: [&str; 13] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
];

fn headers(yaml: BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
    let mut headers = Vec::with_capacity(yaml.len());
    for (name, value) in yaml {
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(ConfigError::ReservedHeader { name });
        }
        let parsed = (HeaderName::try_from(&name), HeaderValue::try_from(value));
        let (Ok(header), Ok(value)) = parsed else { return Err(ConfigError::Header(name)) };
        headers.push((header, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
