//! The keys with which a section says how its requests are sent.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Part;
use serde::de::MapAccess;

use crate::credentials::{AuthorizationYaml, BasicAuthYaml, Credentials};
use crate::headers::Headers;
use crate::oauth2::OAuth2Yaml;
use crate::proxy::{Proxy, ProxyYaml};
use crate::secret::{Mapping, Secret};
use crate::tls::{Tls, TlsYaml};

/// How requests are sent. Equal configurations make clients that behave alike.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClientConfig {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: Tls,
    pub(crate) proxy: Option<Arc<Proxy>>,
    pub(crate) headers: Headers,
    pub(crate) follow_redirects: bool,
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            credentials: None,
            tls: Tls::default(),
            proxy: None,
            headers: Headers::default(),
            follow_redirects: true,
        }
    }
}

impl HttpClientConfig {
    /// Makes relative file names start at `directory`, the configuration file's.
    pub fn set_directory(&mut self, directory: &Path) {
        if let Some(credentials) = &mut self.credentials {
            credentials.set_directory(directory);
        }
        self.tls.set_directory(directory);
        self.headers.set_directory(directory);
    }

    /// Whether all files that are named can be used. Only a check asks: a file that is not there yet
    /// when the process starts may be there when it is needed.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        if let Some(credentials) = &self.credentials {
            credentials.check_files()?;
        }
        self.tls.check_files()?;
        self.headers.check_files()
    }
}

/// Why a configuration cannot be used; never holds a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    pub(crate) fn within(self, key: &str) -> Self {
        Self(format!("{key}: {}", self.0))
    }
}

/// The keys as they are written. A section reads `model::Split<HttpClientYaml, _>` and makes an
/// [`HttpClientConfig`] of this part.
#[derive(Debug, Default)]
pub struct HttpClientYaml {
    basic_auth: Option<BasicAuthYaml>,
    authorization: Option<AuthorizationYaml>,
    oauth2: Option<OAuth2Yaml>,
    bearer_token: Option<Secret>,
    bearer_token_file: Option<PathBuf>,
    tls_config: Option<TlsYaml>,
    proxy: ProxyYaml,
    http_headers: Headers,
    follow_redirects: Option<bool>,
}

impl Part for HttpClientYaml {
    const KEYS: &'static [&'static str] = &[
        "basic_auth",
        "authorization",
        "oauth2",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "http_headers",
        "follow_redirects",
        "enable_http2",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<(), A::Error> {
        match key {
            "basic_auth" => self.basic_auth = from.next_value::<Mapping<_>>()?.0,
            "authorization" => self.authorization = from.next_value::<Mapping<_>>()?.0,
            "oauth2" => self.oauth2 = from.next_value::<Mapping<_>>()?.0,
            "bearer_token" => self.bearer_token = from.next_value()?,
            "bearer_token_file" => self.bearer_token_file = from.next_value()?,
            "tls_config" => self.tls_config = from.next_value::<Mapping<_>>()?.0,
            "proxy_url" => self.proxy.proxy_url = from.next_value()?,
            "no_proxy" => self.proxy.no_proxy = from.next_value()?,
            "proxy_from_environment" => self.proxy.proxy_from_environment = from.next_value()?,
            "proxy_connect_header" => {
                let headers = from.next_value::<Mapping<_>>()?.0;
                self.proxy.proxy_connect_header = headers.unwrap_or_default();
            }
            "http_headers" => {
                self.http_headers = from.next_value::<Mapping<_>>()?.0.unwrap_or_default();
            }
            "follow_redirects" => self.follow_redirects = from.next_value()?,
            // Either is HTTP/1.1 here, which every server that Prometheus can scrape speaks.
            "enable_http2" => drop(from.next_value::<Option<bool>>()?),
            other => unreachable!("{other} is not among the keys"),
        }
        Ok(())
    }
}

impl TryFrom<HttpClientYaml> for HttpClientConfig {
    type Error = ConfigError;

    fn try_from(yaml: HttpClientYaml) -> Result<Self, ConfigError> {
        let bearer = Credentials::bearer(yaml.bearer_token, yaml.bearer_token_file)?;
        let basic = yaml.basic_auth.map(Credentials::try_from).transpose()?;
        let authorization = yaml.authorization.map(Credentials::try_from).transpose()?;
        let oauth2 = yaml.oauth2.map(Credentials::try_from).transpose()?;
        let mut configured = [bearer, basic, authorization, oauth2].into_iter().flatten();
        let credentials = configured.next();
        if configured.next().is_some() {
            return Err(ConfigError::new(
                "at most one of basic_auth, authorization, oauth2, bearer_token & \
                 bearer_token_file must be configured",
            ));
        }
        Ok(Self {
            credentials,
            tls: Tls::try_from(yaml.tls_config.unwrap_or_default())
                .map_err(|error| error.within("tls_config"))?,
            proxy: Proxy::try_new(yaml.proxy)?.map(Arc::new),
            headers: yaml.http_headers,
            follow_redirects: yaml.follow_redirects.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests;
