//! The `alerting` section of a configuration file, as Prometheus has it.
//!
//! Alertmanagers are listed in `static_configs`; what else Prometheus can say of them is refused by
//! name ([`Unsupported`]), so that nothing that was asked for is silently left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{HttpClientConfig, HttpClientYaml};
use model::{Labels, LabelsBuilder, Split, Unsupported, null_as_default};
use relabel::{RelabelStep, Verdict, relabel};
use serde::Deserialize;
use url::Url;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const API_PATH: &str = "/api/v2/alerts";

const ADDRESS_LABEL: &str = "__address__";
const SCHEME_LABEL: &str = "__scheme__";
const PATH_LABEL: &str = "__alerts_path__";

/// Which alerts go where.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "AlertingYaml")]
pub struct AlertingConfig {
    /// Applied to every alert, after the external labels were added.
    pub alert_relabel: Vec<RelabelStep>,
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// Alertmanagers that are spoken to in the same way.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Split<HttpClientYaml, AlertmanagerYaml>")]
pub struct AlertmanagerConfig {
    pub timeout: Duration,
    pub http: HttpClientConfig,
    /// Applied after the alerting section's own, for these Alertmanagers only.
    pub alert_relabel: Vec<RelabelStep>,
    /// Where to post: every target that relabelling kept.
    pub endpoints: Vec<Url>,
    /// The targets that relabelling dropped.
    pub dropped: Vec<Url>,
}

impl AlertingConfig {
    /// Makes relative file names start at `directory`, where the configuration lies.
    pub fn set_directory(&mut self, directory: &Path) {
        for alertmanager in &mut self.alertmanagers {
            alertmanager.http.set_directory(directory);
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("scheme: {0:?} is neither \"http\" nor \"https\"")]
    Scheme(String),
    #[error("api_version: expected Alertmanager api version to be one of [v2] but got {0}")]
    ApiVersion(String),
    #[error("timeout: must be more than 0")]
    Timeout,
    #[error("static_configs: {0:?} is not a valid hostname")]
    Target(String),
    #[error("static_configs: {url:?} is no URL: {reason}")]
    Url { url: String, reason: url::ParseError },
    #[error(transparent)]
    Http(#[from] client::ConfigError),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AlertingYaml {
    #[serde(deserialize_with = "null_as_default")]
    alert_relabel_configs: Vec<RelabelStep>,
    #[serde(deserialize_with = "null_as_default")]
    alertmanagers: Vec<AlertmanagerConfig>,
}

impl From<AlertingYaml> for AlertingConfig {
    fn from(yaml: AlertingYaml) -> Self {
        Self { alert_relabel: yaml.alert_relabel_configs, alertmanagers: yaml.alertmanagers }
    }
}

/// One entry of `alertmanagers`: what we do, then what Prometheus does besides.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AlertmanagerYaml {
    scheme: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    path_prefix: String,
    #[serde(with = "model::duration::text::optional")]
    timeout: Option<Duration>,
    api_version: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    static_configs: Vec<StaticYaml>,
    #[serde(deserialize_with = "null_as_default")]
    relabel_configs: Vec<RelabelStep>,
    #[serde(deserialize_with = "null_as_default")]
    alert_relabel_configs: Vec<RelabelStep>,

    dns_sd_configs: Unsupported,
    file_sd_configs: Unsupported,
    http_sd_configs: Unsupported,
    kubernetes_sd_configs: Unsupported,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticYaml {
    #[serde(default, deserialize_with = "null_as_default")]
    targets: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
}

impl TryFrom<Split<HttpClientYaml, AlertmanagerYaml>> for AlertmanagerConfig {
    type Error = ConfigError;

    fn try_from(yaml: Split<HttpClientYaml, AlertmanagerYaml>) -> Result<Self, ConfigError> {
        let Split { part: http, rest: yaml } = yaml;
        if let Some(version) = yaml.api_version.as_ref().filter(|version| *version != "v2") {
            return Err(ConfigError::ApiVersion(version.clone()));
        }
        let timeout = yaml.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let http = HttpClientConfig::try_from(http)?;

        let scheme = yaml.scheme.as_deref().unwrap_or("http");
        let path = api_path(&yaml.path_prefix);
        let (mut endpoints, mut dropped) = (Vec::new(), Vec::new());
        for group in yaml.static_configs {
            for target in &group.targets {
                let mut labels: LabelsBuilder =
                    group.labels.iter().collect::<Labels>().to_builder();
                labels.set(ADDRESS_LABEL, target).set(SCHEME_LABEL, scheme).set(PATH_LABEL, &path);
                let url = endpoint(&labels)?;
                match relabel(&yaml.relabel_configs, &mut labels) {
                    Verdict::Keep => endpoints.push(endpoint(&labels)?),
                    Verdict::Drop => dropped.push(url),
                }
            }
        }
        let alert_relabel = yaml.alert_relabel_configs;
        Ok(Self { timeout, http, alert_relabel, endpoints, dropped })
    }
}

/// `prefix` in front of the API's path, with one slash at each border.
fn api_path(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => API_PATH.to_owned(),
        prefix => format!("/{prefix}{API_PATH}"),
    }
}

fn endpoint(labels: &LabelsBuilder) -> Result<Url, ConfigError> {
    let (scheme, address) = (labels.value(SCHEME_LABEL), labels.value(ADDRESS_LABEL));
    if !matches!(scheme, "http" | "https") {
        return Err(ConfigError::Scheme(scheme.to_owned()));
    }
    if address.is_empty() || address.contains('/') {
        return Err(ConfigError::Target(address.to_owned()));
    }
    let url = format!("{scheme}://{address}{}", labels.value(PATH_LABEL));
    Url::parse(&url).map_err(|reason| ConfigError::Url { url, reason })
}

#[cfg(test)]
mod tests;
