//! One API server, and how to talk to it.

use std::time::Duration;

use client::{HttpClient, HttpClientConfig, HttpClientYaml, Request, Response};
use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use model::Split;
use serde::Deserialize;
use serde_yaml_ng::Mapping;
use url::Url;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// More than a page takes on a server that is busy; less than anybody wants to wait.
const GET_TIMEOUT: Duration = Duration::from_secs(60);
/// Of what a server says of an error.
const ERROR_BYTES_MAX: usize = 64 << 10;
const ERROR_CHARS_SHOWN: usize = 300;

/// Equal ones are one server, as one user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiServerConfig {
    pub(crate) url: Url,
    pub(crate) http: HttpClientConfig,
}

/// The URL of an API server, or why that is none.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(format!("{text:?}: scheme must be 'http' or 'https'")),
    }
}

/// Why settings that others wrote down cannot be ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error(transparent)]
    Yaml(#[from] serde_yaml_ng::Error),
    #[error(transparent)]
    Config(#[from] client::ConfigError),
}

/// The settings of requests, from the keys that a configuration has for them.
pub(super) fn http_client(keys: Mapping) -> Result<HttpClientConfig, KeysError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoOthers {}
    let keys: Split<HttpClientYaml, NoOthers> = serde_yaml_ng::from_value(keys.into())?;
    Ok(keys.part.try_into()?)
}

#[derive(Debug)]
pub(crate) struct ApiServer {
    config: ApiServerConfig,
    client: HttpClient,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("no answer within {}", model::duration::format(*.0))]
    Timeout(Duration),
    #[error("nothing was heard for {}", model::duration::format(*.0))]
    Silent(Duration),
    #[error("server returned HTTP status {status}: {message}")]
    Status { status: StatusCode, message: String },
    #[error("the watch ended with error {code}: {message}")]
    Event { code: u16, message: String },
    #[error("a line of more than {0} bytes")]
    Line(usize),
    #[error("read the answer: {0}")]
    Json(#[from] serde_json::Error),
}

impl ApiError {
    /// The version that was asked for is no longer known; a new list is needed.
    pub(super) fn is_expired(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::GONE, .. })
    }
}

impl ApiServer {
    pub(super) fn new(config: ApiServerConfig) -> Self {
        let client = HttpClient::new(config.http.clone());
        Self { config, client }
    }

    pub(super) fn config(&self) -> &ApiServerConfig {
        &self.config
    }

    /// For logs.
    pub(super) fn name(&self) -> &str {
        self.config.url.host_str().unwrap_or("")
    }

    /// The body of an answer that is whole.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bytes_max: usize,
    ) -> Result<Vec<u8>, ApiError> {
        let answer = async {
            let mut response = self.open(path, query).await?;
            Ok(response.bytes(bytes_max).await?)
        };
        let timeout = |_| ApiError::Timeout(GET_TIMEOUT);
        tokio::time::timeout(GET_TIMEOUT, answer).await.map_err(timeout)?
    }

    /// An answer whose body is still to come.
    pub(super) async fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response, ApiError> {
        let mut url = self.config.url.clone();
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}{path}"));
        url.query_pairs_mut().extend_pairs(query);
        let mut response = self.client.send(Request::get(url).header(ACCEPT, JSON)).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = response.bytes(ERROR_BYTES_MAX).await.unwrap_or_default();
        Err(ApiError::Status { status, message: message(&body) })
    }
}

/// What the server says went wrong: the message of a `Status`, or the beginning of whatever it is.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice::<Status>(body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.trim().chars().take(ERROR_CHARS_SHOWN).collect()
}
