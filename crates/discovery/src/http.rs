//! `http_sd_configs`: groups that a web server gives.
//!
//! - HTTP-1: an answer is taken whole or not at all, and is bounded before it is kept.
//! - Source: Prometheus `discovery/http/http.go`, `docs/http_sd.md`.

use std::path::Path;
use std::time::Duration;

use client::{HttpClient, HttpClientConfig, HttpClientYaml, Request, ServerUrl};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::Split;
use serde::Deserialize;
use url::Url;

use crate::TargetGroup;
use crate::feed::Feed;
use crate::group_list::GroupList;
use crate::metrics::Metrics;
use crate::refresh::{self, Ask};

const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const BODY_BYTES_MAX: usize = 64 << 20;
const INTERVAL_HEADER: HeaderName =
    HeaderName::from_static("x-prometheus-refresh-interval-seconds");
const ORIGIN: &str = "__meta_url";

/// An entry of `http_sd_configs`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Split<HttpClientYaml, HttpConfigYaml>")]
pub struct HttpConfig {
    url: ServerUrl,
    refresh_interval: Duration,
    http: HttpClientConfig,
}

#[derive(Debug, thiserror::Error)]
enum HttpConfigError {
    #[error("URL is missing")]
    NoUrl,
    #[error("url: {0}")]
    Url(client::ConfigError),
    #[error("refresh_interval: must be more than 0")]
    ZeroInterval,
    #[error(transparent)]
    Http(#[from] client::ConfigError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpConfigYaml {
    #[serde(default)]
    url: String,
    #[serde(default, with = "model::duration::text::optional")]
    refresh_interval: Option<Duration>,
}

impl TryFrom<Split<HttpClientYaml, HttpConfigYaml>> for HttpConfig {
    type Error = HttpConfigError;

    fn try_from(yaml: Split<HttpClientYaml, HttpConfigYaml>) -> Result<Self, HttpConfigError> {
        let Split { part: http, rest: yaml } = yaml;
        if yaml.url.is_empty() {
            return Err(HttpConfigError::NoUrl);
        }
        let url = ServerUrl::parse(&yaml.url).map_err(HttpConfigError::Url)?;
        let refresh_interval = yaml.refresh_interval.unwrap_or(DEFAULT_REFRESH_INTERVAL);
        if refresh_interval.is_zero() {
            return Err(HttpConfigError::ZeroInterval);
        }
        Ok(Self { url, refresh_interval, http: HttpClientConfig::try_from(http)? })
    }
}

impl HttpConfig {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        self.http.set_directory(directory);
    }

    pub(crate) fn check_files(&self) -> Result<(), String> {
        self.http.check_files().map_err(|error| format!("http_sd_configs: {error}"))
    }
}

pub(crate) async fn run(config: HttpConfig, feed: Feed, metrics: Metrics) {
    let (interval, client) = (config.refresh_interval, HttpClient::new(config.http.clone()));
    refresh::run("http", Server { config, client }, interval, feed, metrics).await;
}

struct Server {
    config: HttpConfig,
    client: HttpClient,
}

#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("{url}: {reason}")]
    Client { url: Url, reason: client::Error },
    #[error("{url}: no answer within {}", model::duration::format(*.limit))]
    Timeout { url: Url, limit: Duration },
    #[error("{url}: server returned HTTP status {status}")]
    Status { url: Url, status: StatusCode },
    #[error("{url}: unsupported content type {content_type:?}")]
    ContentType { url: Url, content_type: String },
    #[error("{url}: {reason}")]
    Json { url: Url, reason: serde_json::Error },
}

impl Ask for Server {
    type Error = HttpError;

    /// Gives up when it would be time to ask again.
    async fn ask(&mut self) -> Result<Vec<TargetGroup>, HttpError> {
        let limit = self.config.refresh_interval;
        match tokio::time::timeout(limit, self.get()).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Timeout { url: self.config.url.shown(), limit }),
        }
    }
}

impl Server {
    async fn get(&self) -> Result<Vec<TargetGroup>, HttpError> {
        let url = || self.config.url.shown();
        let failed = |reason| HttpError::Client { url: url(), reason };
        let interval = self.config.refresh_interval.as_secs_f64().to_string();
        let interval = HeaderValue::try_from(interval).expect("digits fit a header");
        let request = Request::get(self.config.url.url().clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(INTERVAL_HEADER, interval);
        let mut response = self.client.send(request).await.map_err(failed)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(HttpError::Status { url: url(), status });
        }
        check_content_type(response.headers())
            .map_err(|content_type| HttpError::ContentType { url: url(), content_type })?;
        let body = response.bytes(BODY_BYTES_MAX).await.map_err(failed)?;
        let list: GroupList = serde_json::from_slice(&body)
            .map_err(|reason| HttpError::Json { url: url(), reason })?;
        Ok(list.into_groups(self.config.url.shown().as_str(), ORIGIN))
    }
}

/// JSON, in UTF-8 if anything is said of that.
fn check_content_type(headers: &HeaderMap) -> Result<(), String> {
    let text = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let text = String::from_utf8_lossy(text);
    let squeezed = text.trim().to_ascii_lowercase().replace(' ', "");
    match squeezed.as_str() {
        "application/json" | "application/json;charset=utf-8" => Ok(()),
        _ => Err(text.into_owned()),
    }
}

#[cfg(test)]
mod tests;
