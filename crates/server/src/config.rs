//! The configuration file: Prometheus' sections, each of them owned by the crate that it configures.
//!
//! Source: Prometheus `config/config.go`.

mod environment;
mod files;
mod fingerprint;
mod redact;
mod scrape_files;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alerts::AlertingConfig;
use anyhow::Context as _;
use model::{Labels, Split, Unsupported, null_as_default};
use promql::Features;
use remote::RemoteWriteConfig;
use rules::RuleGroup;
use scrape::ScrapeConfig;
use serde::Deserialize;

use crate::config::files::Files;

pub use crate::config::files::MissingFile;
pub(crate) use crate::config::fingerprint::fingerprint;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// A valid configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub global: Global,
    pub scrape_jobs: Vec<scrape::Job>,
    /// Of all rule files that there were when the configuration was read.
    pub rule_groups: Vec<RuleGroup>,
    /// What `rule_files` and `scrape_config_files` name that there is not.
    pub missing_files: Vec<MissingFile>,
    /// Variables without a value that external labels name.
    pub unset_variables: Vec<String>,
    pub alerting: AlertingConfig,
    pub remote_write: Vec<RemoteWriteConfig>,
    /// `storage.tsdb.out_of_order_time_window`, where it is set.
    pub out_of_order_window: Option<Duration>,
    /// `storage.exemplars.max_exemplars`, where it is set.
    pub exemplars_max: Option<usize>,
    /// The file's content without its secrets, for `/api/v1/status/config`.
    pub shown: String,
}

/// What holds for every section that does not say otherwise.
#[derive(Clone, Debug)]
pub struct Global {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub evaluation_interval: Duration,
    pub external_labels: Labels,
    /// Where every query is a line of.
    pub query_log_file: Option<PathBuf>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: DEFAULT_INTERVAL,
            scrape_timeout: DEFAULT_SCRAPE_TIMEOUT,
            evaluation_interval: DEFAULT_INTERVAL,
            external_labels: Labels::empty(),
            query_log_file: None,
        }
    }
}

impl Config {
    /// Reads `path`. An error names the file, and the line and key in it. `features` are those of rules'
    /// queries.
    pub fn load(path: &Path, features: Features) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let directory = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, directory, features).with_context(|| path.display().to_string())
    }

    /// `directory` is where relative names of rule files start.
    fn parse(text: &str, directory: &Path, features: Features) -> anyhow::Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let yaml: Split<(), ConfigYaml> = serde_yaml_ng::from_str(text).map_err(located)?;
        let Split { rest: yaml, .. } = yaml;
        let rule_files = Files::find("rule_files", &yaml.rule_files, directory)?;
        let scrape_files =
            Files::find("scrape_config_files", &yaml.scrape_config_files, directory)?;
        let mut global: Global = yaml.global.unwrap_or_default().rest.try_into()?;
        global.query_log_file = global.query_log_file.map(|file| directory.join(file));
        let unset_variables = expand_variables(&mut global.external_labels);
        let mut scrape_configs = yaml.scrape_configs;
        for config in &mut scrape_configs {
            config.set_directory(directory);
        }
        scrape_files::add_to(&mut scrape_configs, &scrape_files.found)?;
        let mut config = Self {
            scrape_jobs: resolve_jobs(scrape_configs, &global)?,
            global,
            rule_groups: load_rules(&rule_files.found, features)?,
            missing_files: [rule_files.missing, scrape_files.missing].concat(),
            unset_variables,
            alerting: yaml.alerting,
            remote_write: yaml.remote_write,
            exemplars_max: yaml.storage.as_ref().and_then(StorageYaml::exemplars_max),
            out_of_order_window: yaml.storage.and_then(|s| s.tsdb?.out_of_order_time_window),
            shown: redact::without_secrets(text)?,
        };
        for destination in &mut config.remote_write {
            destination.set_directory(directory);
        }
        config.alerting.set_directory(directory);
        if let Some(name) = remote::send::shared_name(&config.remote_write) {
            return Err(remote::send::SendError::SharedName(name.to_owned()).into());
        }
        Ok(config)
    }

    /// Reads the files that requests need, and says what is wrong with each: a server starts without
    /// them, for they may be there when they are needed.
    pub fn check_files(&self) -> CheckedFiles {
        let mut checked = CheckedFiles::default();
        for job in &self.scrape_jobs {
            checked.add(&format!("job {:?}", job.name()), job.check_files());
        }
        let remote = self.remote_write.iter().map(|config| ("remote_write", &config.http));
        let alertmanagers = &self.alerting.alertmanagers;
        let alerting = alertmanagers.iter().map(|config| ("alertmanagers", &config.http));
        for (place, http) in remote.chain(alerting) {
            if let Err(error) = http.check_files() {
                checked.errors.push(format!("{place}: {error}"));
            }
        }
        for discovery in alertmanagers.iter().flat_map(|config| &config.discoveries) {
            checked.add("alertmanagers", discovery.check_files());
        }
        checked
    }
}

/// What [`Config::check_files`] found.
#[derive(Debug, Default)]
pub struct CheckedFiles {
    pub errors: Vec<String>,
    /// Files with targets, which others may still write.
    pub missing: Vec<String>,
}

impl CheckedFiles {
    fn add(&mut self, place: &str, checked: Result<Vec<PathBuf>, String>) {
        match checked {
            Ok(missing) => self.missing.extend(
                missing.iter().map(|path| format!("{place}: {} does not exist", path.display())),
            ),
            Err(error) => self.errors.push(format!("{place}: {error}")),
        }
    }
}

/// Gives the names of the variables that have no value.
fn expand_variables(labels: &mut Labels) -> Vec<String> {
    let mut unset = Vec::new();
    let expanded = labels.iter().map(|(name, value)| {
        let value = environment::expand(value, |variable| {
            let value = std::env::var(variable).unwrap_or_default();
            if value.is_empty() {
                unset.push(variable.to_owned());
            }
            value
        });
        (name.to_owned(), value)
    });
    *labels = expanded.collect();
    unset
}

/// `serde_yaml_ng` does not print the place when it is the very first character of the file.
fn located(error: serde_yaml_ng::Error) -> anyhow::Error {
    let is_first = error.location().is_some_and(|at| (at.line(), at.column()) == (1, 1));
    if is_first { anyhow::anyhow!("{error} at line 1 column 1") } else { error.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigYaml {
    global: Option<Split<(), GlobalYaml>>,
    #[serde(default, deserialize_with = "null_as_default")]
    scrape_configs: Vec<ScrapeConfig>,
    #[serde(default, deserialize_with = "null_as_default")]
    scrape_config_files: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    rule_files: Vec<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    alerting: AlertingConfig,
    #[serde(default, deserialize_with = "null_as_default")]
    remote_write: Vec<RemoteWriteConfig>,
    storage: Option<StorageYaml>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GlobalYaml {
    #[serde(default, with = "model::duration::text::optional")]
    scrape_interval: Option<Duration>,
    #[serde(default, with = "model::duration::text::optional")]
    scrape_timeout: Option<Duration>,
    #[serde(default, with = "model::duration::text::optional")]
    evaluation_interval: Option<Duration>,
    #[serde(default)]
    external_labels: std::collections::BTreeMap<String, String>,
    query_log_file: Option<PathBuf>,
    #[serde(default, rename = "rule_query_offset")]
    _rule_query_offset: Unsupported,
    #[serde(default, rename = "scrape_protocols")]
    _scrape_protocols: Unsupported,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StorageYaml {
    tsdb: Option<TsdbYaml>,
    exemplars: Option<ExemplarsYaml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExemplarsYaml {
    /// Below 0 is 0, as in Prometheus.
    max_exemplars: Option<i64>,
}

impl StorageYaml {
    fn exemplars_max(&self) -> Option<usize> {
        let max = self.exemplars.as_ref()?.max_exemplars?;
        Some(usize::try_from(max).unwrap_or(0))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TsdbYaml {
    #[serde(default, with = "model::duration::text::optional")]
    out_of_order_time_window: Option<Duration>,
}

impl TryFrom<GlobalYaml> for Global {
    type Error = anyhow::Error;

    fn try_from(yaml: GlobalYaml) -> anyhow::Result<Self> {
        let scrape_interval = yaml.scrape_interval.unwrap_or(DEFAULT_INTERVAL);
        let scrape_timeout =
            yaml.scrape_timeout.unwrap_or(DEFAULT_SCRAPE_TIMEOUT.min(scrape_interval));
        let evaluation_interval = yaml.evaluation_interval.unwrap_or(DEFAULT_INTERVAL);
        anyhow::ensure!(!scrape_interval.is_zero(), "global.scrape_interval: must not be zero");
        anyhow::ensure!(
            !evaluation_interval.is_zero(),
            "global.evaluation_interval: must not be zero"
        );
        anyhow::ensure!(
            scrape_timeout <= scrape_interval,
            "global.scrape_timeout: greater than the scrape interval"
        );
        let external_labels = yaml.external_labels.into_iter().collect();
        let query_log_file = yaml.query_log_file.filter(|file| !file.as_os_str().is_empty());
        Ok(Self {
            scrape_interval,
            scrape_timeout,
            evaluation_interval,
            external_labels,
            query_log_file,
        })
    }
}

fn resolve_jobs(configs: Vec<ScrapeConfig>, global: &Global) -> anyhow::Result<Vec<scrape::Job>> {
    let defaults = scrape::Defaults {
        scrape_interval: global.scrape_interval,
        scrape_timeout: global.scrape_timeout,
        ..scrape::Defaults::default()
    };
    Ok(scrape::resolve(configs, &defaults)?)
}

/// All errors of all files, or none.
fn load_rules(files: &[PathBuf], features: Features) -> anyhow::Result<Vec<RuleGroup>> {
    let (mut groups, mut errors) = (Vec::new(), Vec::new());
    for file in files {
        match rules::load(file, features) {
            Ok(read) => groups.extend(read),
            Err(found) => errors.extend(found.iter().map(ToString::to_string)),
        }
    }
    anyhow::ensure!(errors.is_empty(), "{}", errors.join("\n"));
    Ok(groups)
}

#[cfg(test)]
mod tests;
