//! A `scrape_configs` entry as it is written, and its validation.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{HttpClientConfig, HttpClientYaml};
use discovery::StaticConfig;
use model::size::SizeError;
use model::{Split, Unsupported, duration, size};
use relabel::RelabelStep;
use serde::Deserialize;

use super::{Limits, Protocol, ScrapeConfig};

#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("job_name is empty")]
    NoJobName,
    #[error("scrape_protocols cannot be empty")]
    NoProtocols,
    #[error("duplicated protocol in scrape_protocols")]
    DuplicateProtocol,
    #[error("scheme: {0:?} is neither \"http\" nor \"https\"")]
    Scheme(String),
    #[error("{0}: true is not supported yet")]
    True(&'static str),
    #[error("metric_name_validation_scheme: {0:?} is not supported, only \"utf8\" is")]
    ValidationScheme(String),
    #[error(transparent)]
    Http(#[from] client::ConfigError),
    #[error("body_size_limit: {0}")]
    Size(#[from] SizeError),
}

pub(super) type ScrapeConfigYaml = Split<HttpClientYaml, Split<discovery::Configs, ScrapeYaml>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScrapeYaml {
    #[serde(default)]
    job_name: String,
    #[serde(default, with = "duration::text::optional")]
    scrape_interval: Option<Duration>,
    #[serde(default, with = "duration::text::optional")]
    scrape_timeout: Option<Duration>,
    scrape_protocols: Option<Vec<Protocol>>,
    fallback_scrape_protocol: Option<Protocol>,
    honor_labels: Option<bool>,
    honor_timestamps: Option<bool>,
    track_timestamps_staleness: Option<bool>,
    params: Option<BTreeMap<String, Vec<String>>>,
    metrics_path: Option<String>,
    scheme: Option<String>,
    enable_compression: Option<bool>,
    body_size_limit: Option<String>,
    sample_limit: Option<u64>,
    label_limit: Option<u64>,
    label_name_length_limit: Option<u64>,
    label_value_length_limit: Option<u64>,
    target_limit: Option<u64>,
    keep_dropped_targets: Option<u64>,
    static_configs: Option<Vec<StaticConfig>>,
    relabel_configs: Option<Vec<RelabelStep>>,
    metric_relabel_configs: Option<Vec<RelabelStep>>,

    // Text formats have classic histograms only, so that these change nothing while they are false.
    scrape_native_histograms: Option<bool>,
    convert_classic_histograms_to_nhcb: Option<bool>,
    #[serde(rename = "always_scrape_classic_histograms")]
    _always_scrape_classic_histograms: Option<bool>,
    #[serde(rename = "scrape_classic_histograms")]
    _scrape_classic_histograms: Option<bool>,
    metric_name_validation_scheme: Option<String>,

    // What Prometheus has and we have not.
    #[serde(default, rename = "extra_scrape_metrics")]
    _extra_scrape_metrics: Unsupported,
    #[serde(default, rename = "scrape_failure_log_file")]
    _scrape_failure_log_file: Unsupported,
    #[serde(default, rename = "metric_name_escaping_scheme")]
    _metric_name_escaping_scheme: Unsupported,
    #[serde(default, rename = "native_histogram_bucket_limit")]
    _native_histogram_bucket_limit: Unsupported,
    #[serde(default, rename = "native_histogram_min_bucket_factor")]
    _native_histogram_min_bucket_factor: Unsupported,
    #[serde(default, rename = "dns_sd_configs")]
    _dns_sd_configs: Unsupported,
}

impl TryFrom<ScrapeConfigYaml> for ScrapeConfig {
    type Error = ConfigError;

    fn try_from(yaml: ScrapeConfigYaml) -> Result<Self, ConfigError> {
        let Split { part: http, rest: Split { part: discoveries, rest: yaml } } = yaml;
        yaml.check()?;
        Ok(Self {
            limits: yaml.limits()?,
            http: HttpClientConfig::try_from(http)?,
            job_name: yaml.job_name,
            scrape_interval: yaml.scrape_interval,
            scrape_timeout: yaml.scrape_timeout,
            scrape_protocols: yaml.scrape_protocols,
            fallback_scrape_protocol: yaml.fallback_scrape_protocol,
            honor_labels: yaml.honor_labels.unwrap_or(false),
            honor_timestamps: yaml.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: yaml.track_timestamps_staleness.unwrap_or(false),
            params: yaml.params.unwrap_or_default(),
            metrics_path: yaml.metrics_path.unwrap_or_else(|| "/metrics".to_owned()),
            scheme: yaml.scheme.unwrap_or_else(|| "http".to_owned()),
            enable_compression: yaml.enable_compression.unwrap_or(true),
            static_configs: yaml.static_configs.unwrap_or_default(),
            discoveries: discoveries.0,
            relabel_configs: yaml.relabel_configs.unwrap_or_default(),
            metric_relabel_configs: yaml.metric_relabel_configs.unwrap_or_default(),
        })
    }
}

impl ScrapeYaml {
    fn check(&self) -> Result<(), ConfigError> {
        if self.job_name.is_empty() {
            return Err(ConfigError::NoJobName);
        }
        if let Some(protocols) = &self.scrape_protocols {
            if protocols.is_empty() {
                return Err(ConfigError::NoProtocols);
            }
            if (1..protocols.len()).any(|i| protocols[..i].contains(&protocols[i])) {
                return Err(ConfigError::DuplicateProtocol);
            }
        }
        match self.scheme.as_deref() {
            None | Some("http" | "https") => {}
            Some(other) => return Err(ConfigError::Scheme(other.to_owned())),
        }
        match self.metric_name_validation_scheme.as_deref() {
            None | Some("utf8") => {}
            Some(other) => return Err(ConfigError::ValidationScheme(other.to_owned())),
        }
        if self.scrape_native_histograms == Some(true) {
            return Err(ConfigError::True("scrape_native_histograms"));
        }
        if self.convert_classic_histograms_to_nhcb == Some(true) {
            return Err(ConfigError::True("convert_classic_histograms_to_nhcb"));
        }
        Ok(())
    }

    /// As in Prometheus, 0 is as if it had not been written.
    fn limits(&self) -> Result<Limits, ConfigError> {
        let positive = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
        let body_bytes = self.body_size_limit.as_deref().map(size::parse).transpose()?;
        Ok(Limits {
            body_bytes: positive(body_bytes),
            samples: positive(self.sample_limit),
            labels: positive(self.label_limit),
            label_name_length: positive(self.label_name_length_limit),
            label_value_length: positive(self.label_value_length_limit),
            targets: positive(self.target_limit),
            kept_dropped_targets: positive(self.keep_dropped_targets),
        })
    }
}
