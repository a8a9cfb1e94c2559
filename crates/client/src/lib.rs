//! HTTP as a client: one way to send requests for every section of the configuration that has any
//! (scraping, discovery, remote write, alerting), with the keys that Prometheus has for it.
//!
//! ```text
//! section: model::Split<HttpClientYaml, own keys> ─► HttpClientConfig ─► HttpClient ─send─► Response
//! ```
//! - SECRET-1: secrets leave in requests, and are never shown.
//! - TLS-1: files of certificates, keys and secrets are read again when they change.
//! - OAUTH-1, -2: one token is asked for at a time; an endpoint's error does not repeat the secret.
//! - REDIRECT-1: credentials go to the server that was asked, and to no other.
//! - HTTP/1.1 is spoken, over TLS 1.2 or 1.3.
//! - Source: Prometheus `common/config/{http_config,headers}.go`.

mod config;
mod connect;
mod credentials;
mod error;
mod headers;
mod http_client;
mod message;
mod oauth2;
mod proxy;
mod redirect;
mod secret;
mod server_url;
mod tls;

pub use config::{ConfigError, HttpClientConfig, HttpClientYaml};
pub use error::Error;
pub use http_client::HttpClient;
pub use message::{Request, Response};
pub use oauth2::TokenError;
pub use secret::Secret;
pub use server_url::ServerUrl;
pub use tls::TlsError;
