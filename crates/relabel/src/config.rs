//! A `relabel_configs` entry as it is written, and its validation.

use std::num::NonZeroU64;

use serde::Deserialize;

use crate::{Anchored, RelabelStep, Source, Template};

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// Why an entry is refused, in Prometheus' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    #[error("unknown relabel action {0:?}")]
    UnknownAction(String),
    #[error("error parsing regexp {text:?}: {reason}")]
    Regex { text: String, reason: String },
    #[error("{0:?} is not a valid label name")]
    SourceLabel(String),
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    ZeroModulus,
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    NoTarget(&'static str),
    #[error("'replacement' can not be set for {0} action")]
    ReplacementSet(&'static str),
    #[error("\"\" is invalid 'replacement' for labelmap action")]
    EmptyReplacement,
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlySourceAndTarget(&'static str),
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(&'static str),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelabelYaml {
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    action: Option<String>,
}

impl TryFrom<RelabelYaml> for RelabelStep {
    type Error = RelabelError;

    fn try_from(yaml: RelabelYaml) -> Result<Self, RelabelError> {
        let action = yaml.action.as_deref().unwrap_or("replace");
        match action.to_ascii_lowercase().as_str() {
            "replace" => yaml.replace(),
            "keep" => Ok(Self::Keep { source: yaml.source()?, regex: yaml.regex()? }),
            "drop" => Ok(Self::Drop { source: yaml.source()?, regex: yaml.regex()? }),
            "keepequal" => {
                let (source, target) = yaml.only_source_and_target("keepequal")?;
                Ok(Self::KeepEqual { source, target })
            }
            "dropequal" => {
                let (source, target) = yaml.only_source_and_target("dropequal")?;
                Ok(Self::DropEqual { source, target })
            }
            "hashmod" => {
                let modulus = yaml.modulus.and_then(NonZeroU64::new);
                let modulus = modulus.ok_or(RelabelError::ZeroModulus)?;
                let target = yaml.target("hashmod")?;
                Ok(Self::HashMod { source: yaml.source()?, modulus, target })
            }
            "labelmap" => yaml.label_map(),
            "labeldrop" => Ok(Self::LabelDrop { regex: yaml.only_regex("labeldrop")? }),
            "labelkeep" => Ok(Self::LabelKeep { regex: yaml.only_regex("labelkeep")? }),
            "lowercase" => {
                let target = yaml.target_without_replacement("lowercase")?;
                Ok(Self::Lowercase { source: yaml.source()?, target })
            }
            "uppercase" => {
                let target = yaml.target_without_replacement("uppercase")?;
                Ok(Self::Uppercase { source: yaml.source()?, target })
            }
            _ => Err(RelabelError::UnknownAction(action.to_owned())),
        }
    }
}

impl RelabelYaml {
    fn replace(self) -> Result<RelabelStep, RelabelError> {
        let target = self.target("replace")?;
        let regex = self.regex()?;
        Ok(RelabelStep::Replace {
            source: self.source()?,
            target: Template::new(&target, &regex),
            replacement: Template::new(self.replacement(), &regex),
            regex,
        })
    }

    fn label_map(self) -> Result<RelabelStep, RelabelError> {
        if self.replacement().is_empty() {
            return Err(RelabelError::EmptyReplacement);
        }
        let regex = self.regex()?;
        let replacement = Template::new(self.replacement(), &regex);
        Ok(RelabelStep::LabelMap { regex, replacement })
    }

    fn source(&self) -> Result<Source, RelabelError> {
        let labels = self.source_labels.clone().unwrap_or_default();
        if let Some(bad) = labels.iter().find(|name| name.is_empty()) {
            return Err(RelabelError::SourceLabel(bad.clone()));
        }
        Ok(Source { labels, separator: self.separator().to_owned() })
    }

    fn separator(&self) -> &str {
        self.separator.as_deref().unwrap_or(DEFAULT_SEPARATOR)
    }

    fn regex(&self) -> Result<Anchored, RelabelError> {
        Anchored::new(self.regex.as_deref().unwrap_or(DEFAULT_REGEX))
    }

    fn replacement(&self) -> &str {
        self.replacement.as_deref().unwrap_or(DEFAULT_REPLACEMENT)
    }

    fn target(&self, action: &'static str) -> Result<String, RelabelError> {
        let target = self.target_label.clone().unwrap_or_default();
        if target.is_empty() { Err(RelabelError::NoTarget(action)) } else { Ok(target) }
    }

    fn target_without_replacement(&self, action: &'static str) -> Result<String, RelabelError> {
        let target = self.target(action)?;
        if self.replacement() != DEFAULT_REPLACEMENT {
            return Err(RelabelError::ReplacementSet(action));
        }
        Ok(target)
    }

    fn only_source_and_target(
        &self,
        action: &'static str,
    ) -> Result<(Source, String), RelabelError> {
        let target = self.target_without_replacement(action)?;
        let regex_set = self.regex.as_ref().is_some_and(|regex| regex != DEFAULT_REGEX);
        if regex_set || self.modulus.unwrap_or(0) != 0 || self.separator() != DEFAULT_SEPARATOR {
            return Err(RelabelError::OnlySourceAndTarget(action));
        }
        Ok((self.source()?, target))
    }

    fn only_regex(&self, action: &'static str) -> Result<Anchored, RelabelError> {
        let others_set = self.source_labels.is_some()
            || self.target_label.as_ref().is_some_and(|target| !target.is_empty())
            || self.modulus.unwrap_or(0) != 0
            || self.separator() != DEFAULT_SEPARATOR
            || self.replacement() != DEFAULT_REPLACEMENT;
        if others_set {
            return Err(RelabelError::OnlyRegex(action));
        }
        self.regex()
    }
}
