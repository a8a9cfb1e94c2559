//! A `scrape_configs` entry.
//!
//! What an entry leaves to the `global` section is `None` here; [`crate::resolve`] fills it in.

mod yaml;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::HttpClientConfig;
use discovery::StaticConfig;
use exposition::Format;
use relabel::RelabelStep;
use serde::Deserialize;

use yaml::ScrapeConfigYaml;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "ScrapeConfigYaml")]
pub struct ScrapeConfig {
    pub job_name: String,
    pub scrape_interval: Option<Duration>,
    pub scrape_timeout: Option<Duration>,
    pub scrape_protocols: Option<Vec<Protocol>>,
    /// What a body without a usable content type is in.
    pub fallback_scrape_protocol: Option<Protocol>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    pub params: BTreeMap<String, Vec<String>>,
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    pub enable_compression: bool,
    pub http: HttpClientConfig,
    pub limits: Limits,
    pub static_configs: Vec<StaticConfig>,
    /// Where else targets are found.
    pub discoveries: Vec<discovery::Config>,
    pub relabel_configs: Vec<RelabelStep>,
    pub metric_relabel_configs: Vec<RelabelStep>,
}

impl ScrapeConfig {
    /// Makes relative file names start at `directory`, the configuration file's.
    pub fn set_directory(&mut self, directory: &Path) {
        self.http.set_directory(directory);
        for discovery in &mut self.discoveries {
            discovery.set_directory(directory);
        }
    }
}

/// `None` means no limit of its own; see [`Limits::or`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub body_bytes: Option<u64>,
    pub samples: Option<u64>,
    pub labels: Option<u64>,
    pub label_name_length: Option<u64>,
    pub label_value_length: Option<u64>,
    pub targets: Option<u64>,
    pub kept_dropped_targets: Option<u64>,
}

impl Limits {
    /// These limits, and `others` where these have none.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            body_bytes: self.body_bytes.or(others.body_bytes),
            samples: self.samples.or(others.samples),
            labels: self.labels.or(others.labels),
            label_name_length: self.label_name_length.or(others.label_name_length),
            label_value_length: self.label_value_length.or(others.label_value_length),
            targets: self.targets.or(others.targets),
            kept_dropped_targets: self.kept_dropped_targets.or(others.kept_dropped_targets),
        }
    }
}

/// A format to ask a target for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Protocol {
    #[serde(rename = "PrometheusText0.0.4")]
    Text004,
    #[serde(rename = "PrometheusText1.0.0")]
    Text100,
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics001,
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics100,
}

impl Protocol {
    /// What Prometheus asks for unless told otherwise, best first.
    pub const DEFAULT: [Self; 4] =
        [Self::OpenMetrics100, Self::OpenMetrics001, Self::Text100, Self::Text004];

    pub const fn format(self) -> Format {
        match self {
            Self::Text004 | Self::Text100 => Format::Text,
            Self::OpenMetrics001 | Self::OpenMetrics100 => Format::OpenMetrics,
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain;version=0.0.4",
            Self::Text100 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Self::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetrics100 => {
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
            }
        }
    }
}

#[cfg(test)]
mod tests;
