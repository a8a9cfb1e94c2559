//! `static_configs`: targets that the configuration itself lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use serde::Deserialize;

use crate::TargetGroup;
use crate::group::ADDRESS;

/// Targets and the labels that they share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StaticConfigYaml")]
pub struct StaticConfig {
    /// `host:port`
    pub targets: Vec<String>,
    pub labels: Labels,
}

#[derive(Debug, thiserror::Error)]
enum StaticConfigError {
    #[error("labels: a label name is empty")]
    LabelName,
    #[error("targets: {0:?} is not a valid hostname")]
    Address(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticConfigYaml {
    targets: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl TryFrom<StaticConfigYaml> for StaticConfig {
    type Error = StaticConfigError;

    fn try_from(yaml: StaticConfigYaml) -> Result<Self, StaticConfigError> {
        let targets = yaml.targets.unwrap_or_default();
        // Prometheus refuses no more than a slash: most likely a URL is there instead of an address.
        if let Some(bad) = targets.iter().find(|target| target.contains('/')) {
            return Err(StaticConfigError::Address(bad.clone()));
        }
        let labels = yaml.labels.unwrap_or_default();
        if labels.contains_key("") {
            return Err(StaticConfigError::LabelName);
        }
        Ok(Self { targets, labels: labels.into_iter().collect() })
    }
}

impl StaticConfig {
    /// The group of the entry that stands at `position` in its list.
    pub fn group(&self, position: usize) -> Arc<TargetGroup> {
        let target = |address: &String| Labels::from_iter([(ADDRESS, address)]);
        Arc::new(TargetGroup {
            source: Arc::from(format!("static/{position}")),
            targets: self.targets.iter().map(target).collect(),
            labels: self.labels.clone(),
        })
    }
}
