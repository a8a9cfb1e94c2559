//! OAuth 2.0 client credentials: a token is asked for, kept until it expires, and sent.
//!
//! - OAUTH-1: one token is asked for at a time, however many requests wait for it.
//! - OAUTH-2: what the token endpoint says in an error is shown only where it is one of the standard's
//!   own words: it might repeat the secret.
//! - Sources: RFC 6749 sections 2.3.1, 4.4, 5; Go's `golang.org/x/oauth2`.

mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::config::ConfigError;
use crate::proxy::{Proxy, ProxyYaml};
use crate::secret::{Mapping, Secret, Secrets, Source};
use crate::tls::{Tls, TlsYaml};
use crate::{HttpClientConfig, ServerUrl};

pub use crate::oauth2::token::TokenError;
pub(crate) use crate::oauth2::token::TokenSource;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OAuth2 {
    client_id: String,
    client_secret: Option<Source>,
    scopes: Vec<String>,
    token_url: ServerUrl,
    endpoint_params: BTreeMap<String, String>,
    /// How the token endpoint is asked.
    http: HttpClientConfig,
}

impl OAuth2 {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        if let Some(secret) = &mut self.client_secret {
            secret.set_directory(directory);
        }
        self.http.set_directory(directory);
    }

    pub(crate) fn check_files(&self) -> Result<(), ConfigError> {
        crate::credentials::read(&self.client_secret).map_err(ConfigError::new)?;
        self.http.check_files().map_err(|error| error.within("oauth2"))
    }
}

/// `oauth2:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2Yaml {
    #[serde(default)]
    client_id: String,
    client_secret: Option<Secret>,
    client_secret_file: Option<PathBuf>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    token_url: String,
    #[serde(default)]
    endpoint_params: BTreeMap<String, String>,
    #[serde(default)]
    tls_config: Mapping<TlsYaml>,
    proxy_url: Option<Secret>,
    no_proxy: Option<String>,
    proxy_from_environment: Option<bool>,
    #[serde(default)]
    proxy_connect_header: Mapping<BTreeMap<String, Secrets>>,
}

impl TryFrom<OAuth2Yaml> for OAuth2 {
    type Error = ConfigError;

    fn try_from(yaml: OAuth2Yaml) -> Result<Self, ConfigError> {
        for (key, value) in [("client_id", &yaml.client_id), ("token_url", &yaml.token_url)] {
            if value.is_empty() {
                return Err(ConfigError::new(format!("{key} must be configured")));
            }
        }
        let token_url = ServerUrl::parse(&yaml.token_url);
        let token_url = token_url.map_err(|error| error.within("token_url"))?;
        let secret = yaml.client_secret;
        let http = HttpClientConfig {
            tls: Tls::try_from(yaml.tls_config.0.unwrap_or_default())
                .map_err(|error| error.within("tls_config"))?,
            proxy: Proxy::try_new(ProxyYaml {
                proxy_url: yaml.proxy_url,
                no_proxy: yaml.no_proxy,
                proxy_from_environment: yaml.proxy_from_environment,
                proxy_connect_header: yaml.proxy_connect_header.0.unwrap_or_default(),
            })?
            .map(Arc::new),
            follow_redirects: false, // the request holds the secret
            ..HttpClientConfig::default()
        };
        Ok(Self {
            client_id: yaml.client_id,
            client_secret: Source::one_of("client_secret", secret, yaml.client_secret_file)?,
            scopes: yaml.scopes,
            token_url,
            endpoint_params: yaml.endpoint_params,
            http,
        })
    }
}
