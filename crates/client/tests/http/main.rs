//! The client against servers that answer as a test wants it to:
//!
//! ```text
//! HttpClient ──► Server (plain, or TLS with certificates of an Authority of the test's own)
//!     │  ▲ token
//!     │  └────── Server (token endpoint)
//!     └────────► Proxy ──► Server
//! ```

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod authority;
mod oauth2;
mod proxy;
mod redirects;
mod secrets;
mod server;
mod tls;

use std::path::Path;

use client::{HttpClient, HttpClientConfig, HttpClientYaml, Request, Response};
use model::Split;
use serde::Deserialize;

/// The keys of a section that has none of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn config(yaml: &str, directory: &Path) -> HttpClientConfig {
    let split: Split<HttpClientYaml, Nothing> = serde_yaml_ng::from_str(yaml).unwrap();
    let mut config = HttpClientConfig::try_from(split.part).unwrap();
    config.set_directory(directory);
    config
}

/// A client whose configuration names no files.
fn client(yaml: &str) -> HttpClient {
    HttpClient::new(config(yaml, Path::new("/nowhere")))
}

/// The body of the answer to a GET, or the error.
async fn get(client: &HttpClient, url: &str) -> Result<String, String> {
    let response = client.send(Request::get(url.parse().unwrap())).await;
    text(response.map_err(|error| error.to_string())?).await
}

async fn text(mut response: Response) -> Result<String, String> {
    let bytes = response.bytes(1 << 20).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(bytes).unwrap())
}
