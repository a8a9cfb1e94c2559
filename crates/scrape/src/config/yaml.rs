//! A `scrape_configs` entry as it is written, and its validation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use client::{AuthorizationYaml, BasicAuthYaml, Credentials};
use discovery::{FileConfig, HttpConfig, StaticConfig};
use model::size::SizeError;
use model::{Unsupported, duration, size};
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
    #[error("scheme: {0:?} is not supported yet, only \"http\" is")]
    Scheme(String),
    #[error("{0}: true is not supported yet")]
    True(&'static str),
    #[error("metric_name_validation_scheme: {0:?} is not supported, only \"utf8\" is")]
    ValidationScheme(String),
    #[error("{0}")]
    Credentials(String),
    #[error(
        "at most one of basic_auth, authorization, bearer_token & bearer_token_file must be configured"
    )]
    TwoCredentials,
    #[error("body_size_limit: {0}")]
    Size(#[from] SizeError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScrapeConfigYaml {
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
    follow_redirects: Option<bool>,
    /// Plain HTTP has one version here, whatever this says.
    #[serde(rename = "enable_http2")]
    _enable_http2: Option<bool>,
    basic_auth: Option<BasicAuthYaml>,
    authorization: Option<AuthorizationYaml>,
    bearer_token: Option<String>,
    bearer_token_file: Option<PathBuf>,
    body_size_limit: Option<String>,
    sample_limit: Option<u64>,
    label_limit: Option<u64>,
    label_name_length_limit: Option<u64>,
    label_value_length_limit: Option<u64>,
    target_limit: Option<u64>,
    keep_dropped_targets: Option<u64>,
    static_configs: Option<Vec<StaticConfig>>,
    file_sd_configs: Option<Vec<FileConfig>>,
    http_sd_configs: Option<Vec<HttpConfig>>,
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
    #[serde(default, rename = "tls_config")]
    _tls_config: Unsupported,
    #[serde(default, rename = "oauth2")]
    _oauth2: Unsupported,
    #[serde(default, rename = "proxy_url")]
    _proxy_url: Unsupported,
    #[serde(default, rename = "no_proxy")]
    _no_proxy: Unsupported,
    #[serde(default, rename = "proxy_from_environment")]
    _proxy_from_environment: Unsupported,
    #[serde(default, rename = "proxy_connect_header")]
    _proxy_connect_header: Unsupported,
    #[serde(default, rename = "http_headers")]
    _http_headers: Unsupported,
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
    #[serde(default, rename = "azure_sd_configs")]
    _azure_sd_configs: Unsupported,
    #[serde(default, rename = "consul_sd_configs")]
    _consul_sd_configs: Unsupported,
    #[serde(default, rename = "digitalocean_sd_configs")]
    _digitalocean_sd_configs: Unsupported,
    #[serde(default, rename = "dns_sd_configs")]
    _dns_sd_configs: Unsupported,
    #[serde(default, rename = "docker_sd_configs")]
    _docker_sd_configs: Unsupported,
    #[serde(default, rename = "dockerswarm_sd_configs")]
    _dockerswarm_sd_configs: Unsupported,
    #[serde(default, rename = "ec2_sd_configs")]
    _ec2_sd_configs: Unsupported,
    #[serde(default, rename = "eureka_sd_configs")]
    _eureka_sd_configs: Unsupported,
    #[serde(default, rename = "gce_sd_configs")]
    _gce_sd_configs: Unsupported,
    #[serde(default, rename = "hetzner_sd_configs")]
    _hetzner_sd_configs: Unsupported,
    #[serde(default, rename = "ionos_sd_configs")]
    _ionos_sd_configs: Unsupported,
    #[serde(default, rename = "kubernetes_sd_configs")]
    _kubernetes_sd_configs: Unsupported,
    #[serde(default, rename = "kuma_sd_configs")]
    _kuma_sd_configs: Unsupported,
    #[serde(default, rename = "lightsail_sd_configs")]
    _lightsail_sd_configs: Unsupported,
    #[serde(default, rename = "linode_sd_configs")]
    _linode_sd_configs: Unsupported,
    #[serde(default, rename = "marathon_sd_configs")]
    _marathon_sd_configs: Unsupported,
    #[serde(default, rename = "nerve_sd_configs")]
    _nerve_sd_configs: Unsupported,
    #[serde(default, rename = "nomad_sd_configs")]
    _nomad_sd_configs: Unsupported,
    #[serde(default, rename = "openstack_sd_configs")]
    _openstack_sd_configs: Unsupported,
    #[serde(default, rename = "ovhcloud_sd_configs")]
    _ovhcloud_sd_configs: Unsupported,
    #[serde(default, rename = "puppetdb_sd_configs")]
    _puppetdb_sd_configs: Unsupported,
    #[serde(default, rename = "scaleway_sd_configs")]
    _scaleway_sd_configs: Unsupported,
    #[serde(default, rename = "serverset_sd_configs")]
    _serverset_sd_configs: Unsupported,
    #[serde(default, rename = "stackit_sd_configs")]
    _stackit_sd_configs: Unsupported,
    #[serde(default, rename = "triton_sd_configs")]
    _triton_sd_configs: Unsupported,
    #[serde(default, rename = "uyuni_sd_configs")]
    _uyuni_sd_configs: Unsupported,
    #[serde(default, rename = "vultr_sd_configs")]
    _vultr_sd_configs: Unsupported,
}

impl TryFrom<ScrapeConfigYaml> for ScrapeConfig {
    type Error = ConfigError;

    fn try_from(yaml: ScrapeConfigYaml) -> Result<Self, ConfigError> {
        yaml.check()?;
        let limits = yaml.limits()?;
        let file = yaml.file_sd_configs.into_iter().flatten().map(discovery::Config::File);
        let http = yaml.http_sd_configs.into_iter().flatten().map(discovery::Config::Http);
        Ok(Self {
            limits,
            credentials: credentials(
                yaml.basic_auth,
                yaml.authorization,
                yaml.bearer_token,
                yaml.bearer_token_file,
            )?,
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
            follow_redirects: yaml.follow_redirects.unwrap_or(true),
            static_configs: yaml.static_configs.unwrap_or_default(),
            discoveries: file.chain(http).collect(),
            relabel_configs: yaml.relabel_configs.unwrap_or_default(),
            metric_relabel_configs: yaml.metric_relabel_configs.unwrap_or_default(),
        })
    }
}

impl ScrapeConfigYaml {
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
            None | Some("http") => {}
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

fn credentials(
    basic_auth: Option<BasicAuthYaml>,
    authorization: Option<AuthorizationYaml>,
    bearer_token: Option<String>,
    bearer_token_file: Option<PathBuf>,
) -> Result<Option<Credentials>, ConfigError> {
    let bearer = Credentials::bearer(bearer_token, bearer_token_file);
    let bearer = bearer.map_err(ConfigError::Credentials)?;
    let other = Credentials::from_yaml(basic_auth, authorization);
    match (other.map_err(ConfigError::Credentials)?, bearer) {
        (Some(_), Some(_)) => Err(ConfigError::TwoCredentials),
        (other, bearer) => Ok(other.or(bearer)),
    }
}
