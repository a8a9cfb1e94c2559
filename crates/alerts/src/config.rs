//! The `alerting` section of a configuration file, as Prometheus has it.
//!
//! Where Alertmanagers are found is said as for the targets of a scrape job.

use std::path::Path;
use std::time::Duration;

use client::{HttpClientConfig, HttpClientYaml};
use discovery::StaticConfig;
use model::{Split, Unsupported, null_as_default};
use relabel::RelabelStep;
use serde::Deserialize;

use crate::places::{PlaceError, Places};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const API_PATH: &str = "/api/v2/alerts";

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
#[serde(try_from = "EntryYaml")]
pub struct AlertmanagerConfig {
    pub timeout: Duration,
    pub http: HttpClientConfig,
    /// Applied after the alerting section's own, for these Alertmanagers only.
    pub alert_relabel: Vec<RelabelStep>,
    /// Where they are, other than in the section itself.
    pub discoveries: Vec<discovery::Config>,
    pub(crate) places: Places,
}

impl AlertingConfig {
    /// Makes relative file names start at `directory`, where the configuration lies.
    pub fn set_directory(&mut self, directory: &Path) {
        for alertmanager in &mut self.alertmanagers {
            alertmanager.http.set_directory(directory);
            for discovery in &mut alertmanager.discoveries {
                discovery.set_directory(directory);
            }
        }
    }

    /// What discovery is to look for; [`crate::Notifier::find`] is told what it finds, by these names.
    pub fn discoveries(&self) -> Vec<(String, Vec<discovery::Config>)> {
        let entries = self.alertmanagers.iter().enumerate();
        entries.map(|(position, entry)| (set_name(position), entry.discoveries.clone())).collect()
    }
}

/// How discovery calls the entry that stands at `position` in its list.
pub(crate) fn set_name(position: usize) -> String {
    format!("alertmanagers/{position}")
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("api_version: expected Alertmanager api version to be one of [v2] but got {0}")]
    ApiVersion(String),
    #[error("timeout: must be more than 0")]
    Timeout,
    #[error("static_configs: {0}")]
    Place(#[from] PlaceError),
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
    static_configs: Vec<StaticConfig>,
    #[serde(deserialize_with = "null_as_default")]
    relabel_configs: Vec<RelabelStep>,
    #[serde(deserialize_with = "null_as_default")]
    alert_relabel_configs: Vec<RelabelStep>,

    dns_sd_configs: Unsupported,
}

type EntryYaml = Split<HttpClientYaml, Split<discovery::Configs, AlertmanagerYaml>>;

impl TryFrom<EntryYaml> for AlertmanagerConfig {
    type Error = ConfigError;

    fn try_from(yaml: EntryYaml) -> Result<Self, ConfigError> {
        let Split { part: http, rest: Split { part: discoveries, rest: yaml } } = yaml;
        if let Some(version) = yaml.api_version.as_ref().filter(|version| *version != "v2") {
            return Err(ConfigError::ApiVersion(version.clone()));
        }
        let timeout = yaml.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let http = HttpClientConfig::try_from(http)?;

        let listed = yaml.static_configs.iter().enumerate();
        let places = Places {
            scheme: yaml.scheme.unwrap_or_else(|| "http".to_owned()),
            path: api_path(&yaml.path_prefix),
            relabel: yaml.relabel_configs,
            listed: listed.map(|(position, listed)| listed.group(position)).collect(),
        };
        if let Some(error) = places.endpoints(&[]).errors.pop() {
            return Err(error.into());
        }
        let (alert_relabel, discoveries) = (yaml.alert_relabel_configs, discoveries.0);
        Ok(Self { timeout, http, alert_relabel, discoveries, places })
    }
}

/// `prefix` in front of the API's path, with one slash at each border.
fn api_path(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "" => API_PATH.to_owned(),
        prefix => format!("/{prefix}{API_PATH}"),
    }
}

#[cfg(test)]
mod tests;
