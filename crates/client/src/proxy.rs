//! Which proxy a request goes through, if any.
//!
//! Sources: Go's `golang.org/x/net/http/httpproxy`, Prometheus `common/config/http_config.go`.

mod no_proxy;

use std::collections::BTreeMap;
use std::fmt;

use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use url::Url;

use crate::config::ConfigError;
use crate::credentials::{basic, sensitive};
use crate::proxy::no_proxy::NoProxy;
use crate::secret::{Secret, Secrets};

/// Whom to ask for plain and for encrypted connections, and whom not to ask about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proxy {
    http: Option<Server>,
    https: Option<Server>,
    no_proxy: NoProxy,
    /// Sent when a tunnel is asked for.
    connect_headers: HeaderMap,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Server {
    pub(crate) uri: Uri,
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// The keys of a section.
#[derive(Debug, Default)]
pub(crate) struct ProxyYaml {
    pub(crate) proxy_url: Option<Secret>,
    pub(crate) no_proxy: Option<String>,
    pub(crate) proxy_from_environment: Option<bool>,
    pub(crate) proxy_connect_header: BTreeMap<String, Secrets>,
}

impl Proxy {
    /// `None` if no proxy is configured.
    pub(crate) fn try_new(yaml: ProxyYaml) -> Result<Option<Self>, ConfigError> {
        let url = yaml.proxy_url.filter(|url| !url.expose().is_empty());
        let no_proxy = yaml.no_proxy.filter(|list| !list.is_empty());
        let from_environment = yaml.proxy_from_environment == Some(true);
        let connect_headers = connect_headers(yaml.proxy_connect_header)
            .map_err(|error| error.within("proxy_connect_header"))?;
        let refuse = |reason: &str| Err(ConfigError::new(reason));
        match (url, from_environment) {
            (Some(_), true) => {
                refuse("if proxy_from_environment is configured, proxy_url must not be configured")
            }
            (None, true) if no_proxy.is_some() => {
                refuse("if proxy_from_environment is configured, no_proxy must not be configured")
            }
            (None, true) => {
                let mut proxy = Self::from_environment(|name| std::env::var(name).ok())?;
                proxy.connect_headers = connect_headers;
                Ok(Some(proxy))
            }
            (Some(url), false) => {
                let server =
                    Server::try_new(url.expose()).map_err(|error| error.within("proxy_url"))?;
                let no_proxy = match no_proxy {
                    Some(list) => NoProxy::parse(&list),
                    None => NoProxy::nothing(),
                };
                let (http, https) = (Some(server.clone()), Some(server));
                Ok(Some(Self { http, https, no_proxy, connect_headers }))
            }
            (None, false) if no_proxy.is_some() => {
                refuse("if no_proxy is configured, proxy_url must also be configured")
            }
            (None, false) if !connect_headers.is_empty() => refuse(
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must \
                 also be configured",
            ),
            (None, false) => Ok(None),
        }
    }

    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let either = |upper: &str| {
            let value = variable(upper).filter(|value| !value.is_empty());
            value.or_else(|| variable(&upper.to_lowercase()).filter(|value| !value.is_empty()))
        };
        let server = |name: &str| {
            let server = either(name).map(|url| Server::try_new(&url)).transpose();
            server.map_err(|error| error.within(name))
        };
        Ok(Self {
            http: server("HTTP_PROXY")?,
            https: server("HTTPS_PROXY")?,
            no_proxy: NoProxy::parse(&either("NO_PROXY").unwrap_or_default()),
            connect_headers: HeaderMap::new(),
        })
    }

    /// The proxy for a request to `uri`; `None` if it goes there directly.
    pub(crate) fn of(&self, uri: &Uri) -> Option<&Server> {
        let is_encrypted = uri.scheme_str() == Some("https");
        let server = if is_encrypted { &self.https } else { &self.http };
        let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        server.as_ref().filter(|_| !self.no_proxy.contains(uri.host().unwrap_or_default(), port))
    }

    /// What to say when asking `server` for a tunnel.
    pub(crate) fn headers_for(&self, server: &Server) -> HeaderMap {
        let mut headers = self.connect_headers.clone();
        if let Some(authorization) = &server.authorization {
            headers.entry(PROXY_AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        headers
    }
}

impl Server {
    /// Go takes `host:port` for a URL, too. The error does not show the URL, which may hold a password.
    fn try_new(text: &str) -> Result<Self, ConfigError> {
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&full).map_err(ConfigError::new)?;
        if url.scheme() != "http" {
            return Err(ConfigError::new(format!(
                "{:?} is not supported, only \"http\" is",
                url.scheme()
            )));
        }
        let authorization = take_user(&mut url)?;
        let uri = Uri::try_from(url.as_str()).map_err(ConfigError::new)?;
        Ok(Self { uri, authorization })
    }
}

/// Takes name and password out of `url`, and makes a header of them.
fn take_user(url: &mut Url) -> Result<Option<HeaderValue>, ConfigError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let header = crate::message::url_user(url).map(|(user, password)| basic(&user, &password));
    url.set_username("").and(url.set_password(None)).expect("what has a user has a host");
    header.transpose().map_err(ConfigError::new)
}

fn connect_headers(yaml: BTreeMap<String, Secrets>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, values) in yaml {
        let parsed = HeaderName::try_from(&name)
            .map_err(|_| ConfigError::new(format!("{name:?} is not a valid header name")))?;
        for value in values.0 {
            let value = sensitive(value.expose()).map_err(ConfigError::new)?;
            headers.append(parsed.clone(), value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
