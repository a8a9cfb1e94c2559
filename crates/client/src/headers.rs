//! `http_headers`: headers that a configuration adds to each request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::Error;
use crate::config::ConfigError;
use crate::credentials::sensitive;
use crate::secret::{Mapping, Secret, Secrets, Source};

/// Headers that change the connection, or that another key or this program sets.
const RESERVED: [&str; 18] = [
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
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Names with their values, in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Mapping<HeaderYaml>>")]
pub(crate) struct Headers(Vec<(HeaderName, Source)>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HeaderYaml {
    values: Vec<String>,
    secrets: Secrets,
    files: Vec<PathBuf>,
}

impl TryFrom<BTreeMap<String, Mapping<HeaderYaml>>> for Headers {
    type Error = ConfigError;

    fn try_from(yaml: BTreeMap<String, Mapping<HeaderYaml>>) -> Result<Self, ConfigError> {
        let mut headers = Vec::new();
        for (name, Mapping(header)) in yaml {
            let header = header.unwrap_or_default();
            let parsed = HeaderName::try_from(&name)
                .map_err(|_| ConfigError::new(format!("{name:?} is not a valid header name")))?;
            if RESERVED.contains(&parsed.as_str()) {
                return Err(ConfigError::new(format!("setting header {name:?} is not allowed")));
            }
            let values = header.values.into_iter().map(Secret::from).chain(header.secrets.0);
            for value in values {
                if HeaderValue::from_str(value.expose()).is_err() {
                    return Err(ConfigError::new(format!("a value of {name:?} fits no header")));
                }
                headers.push((parsed.clone(), Source::Inline(value)));
            }
            headers.extend(header.files.into_iter().map(|f| (parsed.clone(), Source::File(f))));
        }
        Ok(Self(headers))
    }
}

impl Headers {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        for (_, source) in &mut self.0 {
            source.set_directory(directory);
        }
    }

    pub(crate) fn check_files(&self) -> Result<(), ConfigError> {
        for (name, source) in &self.0 {
            source
                .read()
                .map_err(|error| ConfigError::new(format!("http_headers: {name}: {error}")))?;
        }
        Ok(())
    }

    /// Puts the headers in place of those of the same names.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        for (name, _) in &self.0 {
            headers.remove(name);
        }
        for (name, source) in &self.0 {
            let value = source.read().map_err(Error::Secret)?;
            headers.append(name, sensitive(value.expose())?);
        }
        Ok(())
    }
}
