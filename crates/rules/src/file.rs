//! Rule files: reading them, and every reason to refuse one.
//!
//! Unknown keys and wrong types end the reading at the first; what is wrong in meaning is all
//! reported, in order. Source: Prometheus `model/rulefmt/rulefmt.go`, whose words errors have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use model::METRIC_NAME;
use promql::Features;
use serde::{Deserialize, Deserializer};

use crate::expand::Text;
use crate::locate::{Step, locate};
use crate::rule::{AlertingRule, ParsedQuery, RecordingRule, Rule, RuleGroup};

/// One thing that is wrong with a rule file. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFileError {
    pub file: String,
    pub at: Option<(usize, usize)>,
    /// The group's name, the rule's number in it (from 1) and the rule's name.
    pub rule: Option<(String, usize, String)>,
    pub message: String,
}

impl fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some((group, number, name)) = &self.rule {
            write!(f, "group {group:?}, rule {number}, {name:?}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for RuleFileError {}

/// Reads the rule file at `path`; the groups are of file `path`. `features` are those of queries.
pub fn load(path: &Path, features: Features) -> Result<Vec<RuleGroup>, Vec<RuleFileError>> {
    let file = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => parse_with(&file, &text, features),
        Err(error) => {
            Err(vec![RuleFileError { file, at: None, rule: None, message: error.to_string() }])
        }
    }
}

/// Reads the text of the rule file that is called `file`.
pub fn parse(file: &str, text: &str) -> Result<Vec<RuleGroup>, Vec<RuleFileError>> {
    parse_with(file, text, Features::NONE)
}

fn parse_with(
    file: &str,
    text: &str,
    features: Features,
) -> Result<Vec<RuleGroup>, Vec<RuleFileError>> {
    let yaml: FileYaml = match serde_yaml_ng::from_str::<Option<FileYaml>>(text) {
        Ok(yaml) => yaml.unwrap_or_default(),
        Err(error) => {
            let at = error.location().map(|location| (location.line(), location.column()));
            let mut message = error.to_string();
            if let Some((line, column)) = at {
                let place = format!(" at line {line} column {column}"); // it is in front already
                message.truncate(message.strip_suffix(&place).unwrap_or(&message).len());
            }
            return Err(vec![RuleFileError { file: file.to_owned(), at, rule: None, message }]);
        }
    };
    let mut validation = Validation { file, text, features, errors: Vec::new() };
    let groups = validation.groups(yaml.groups);
    if validation.errors.is_empty() { Ok(groups) } else { Err(validation.errors) }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileYaml {
    #[serde(deserialize_with = "null_as_default")]
    groups: Vec<GroupYaml>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GroupYaml {
    name: String,
    #[serde(with = "model::duration::text::optional")]
    interval: Option<Duration>,
    #[serde(with = "model::duration::text::optional")]
    query_offset: Option<Duration>,
    limit: i64,
    #[serde(deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    rules: Vec<RuleYaml>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleYaml {
    record: String,
    alert: String,
    expr: String,
    #[serde(rename = "for", with = "model::duration::text::optional")]
    hold: Option<Duration>,
    #[serde(with = "model::duration::text::optional")]
    keep_firing_for: Option<Duration>,
    #[serde(deserialize_with = "null_as_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    annotations: BTreeMap<String, String>,
}

/// `labels:` with nothing behind it is as good as no `labels`.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

struct Validation<'a> {
    file: &'a str,
    text: &'a str,
    features: Features,
    errors: Vec<RuleFileError>,
}

/// The rule that is looked at: its place in the document and in what errors say.
struct Place<'a> {
    group: (usize, &'a str),
    rule: (usize, &'a str),
}

impl Validation<'_> {
    fn groups(&mut self, groups: Vec<GroupYaml>) -> Vec<RuleGroup> {
        let mut names = BTreeSet::new();
        let mut valid = Vec::with_capacity(groups.len());
        for (index, group) in groups.into_iter().enumerate() {
            let path = [Step::Key("groups"), Step::Index(index)];
            if group.name.is_empty() {
                self.group_error(&path, "Groupname must not be empty".to_owned());
            }
            if !names.insert(group.name.clone()) {
                let name = &group.name;
                self.group_error(
                    &path,
                    format!("groupname: \"{name}\" is repeated in the same file"),
                );
            }
            for name in group.labels.keys().filter(|name| !is_label_name(name)) {
                let path = [&path[..], &[Step::Key("labels"), Step::Key(name)]].concat();
                self.group_error(&path, format!("invalid label name: {name}"));
            }
            valid.push(self.group(index, group));
        }
        valid
    }

    fn group(&mut self, index: usize, yaml: GroupYaml) -> RuleGroup {
        let mut rules = Vec::with_capacity(yaml.rules.len());
        for (number, rule) in yaml.rules.into_iter().enumerate() {
            let name = if rule.alert.is_empty() { &rule.record } else { &rule.alert }.clone();
            let place = Place { group: (index, &yaml.name), rule: (number, &name) };
            rules.extend(self.rule(&place, rule, &yaml.labels));
        }
        RuleGroup {
            file: self.file.to_owned(),
            name: yaml.name,
            interval: yaml.interval.filter(|interval| !interval.is_zero()),
            query_offset: yaml.query_offset,
            limit: usize::try_from(yaml.limit).unwrap_or(0),
            rules,
        }
    }

    fn rule(
        &mut self,
        place: &Place<'_>,
        yaml: RuleYaml,
        group_labels: &BTreeMap<String, String>,
    ) -> Option<Rule> {
        match (yaml.record.is_empty(), yaml.alert.is_empty()) {
            (false, false) => {
                self.error(place, &["record"], "only one of 'record' and 'alert' must be set");
            }
            (true, true) => self.error(place, &[], "one of 'record' or 'alert' must be set"),
            _ => {}
        }
        let query = self.query(place, &yaml.expr);
        if !yaml.record.is_empty() {
            self.check_recording(place, &yaml);
        }
        for name in yaml.labels.keys().filter(|name| !is_label_name(name)) {
            self.error(place, &["labels", name], format!("invalid label name: {name}"));
        }
        for name in yaml.annotations.keys().filter(|name| name.is_empty()) {
            self.error(place, &["annotations", name], format!("invalid annotation name: {name}"));
        }

        let mut labels = group_labels.clone();
        labels.extend(yaml.labels);
        if yaml.alert.is_empty() {
            return Some(Rule::Recording(RecordingRule {
                name: yaml.record,
                query: query?,
                labels,
            }));
        }
        let labels = self.texts(place, "label", &yaml.alert, labels);
        let annotations = self.texts(place, "annotation", &yaml.alert, yaml.annotations);
        Some(Rule::Alerting(AlertingRule {
            name: yaml.alert,
            query: query?,
            hold: yaml.hold.unwrap_or_default(),
            keep_firing_for: yaml.keep_firing_for.unwrap_or_default(),
            labels,
            annotations,
        }))
    }

    fn query(&mut self, place: &Place<'_>, expr: &str) -> Option<ParsedQuery> {
        if expr.is_empty() {
            self.error(place, &["expr"], "field 'expr' must be set in rule");
            return None;
        }
        match promql::parse_with(expr, self.features) {
            Ok(expr) => Some(ParsedQuery::new(expr)),
            Err(error) => {
                self.error(place, &["expr"], format!("could not parse expression: {error}"));
                None
            }
        }
    }

    fn check_recording(&mut self, place: &Place<'_>, yaml: &RuleYaml) {
        let record = &yaml.record;
        if !yaml.annotations.is_empty() {
            self.error(place, &["record"], "invalid field 'annotations' in recording rule");
        }
        if yaml.hold.is_some_and(|hold| !hold.is_zero()) {
            self.error(place, &["record"], "invalid field 'for' in recording rule");
        }
        if yaml.keep_firing_for.is_some_and(|keep| !keep.is_zero()) {
            self.error(place, &["record"], "invalid field 'keep_firing_for' in recording rule");
        }
        if record.contains(['{', '}']) {
            let message = "braces present in the recording rule name; should it be in expr?";
            self.error(place, &["record"], format!("{message}: {record}"));
        }
    }

    /// Label or annotation values with their templates parsed.
    fn texts(
        &mut self,
        place: &Place<'_>,
        kind: &str,
        alert: &str,
        values: BTreeMap<String, String>,
    ) -> BTreeMap<String, Text> {
        let mut texts = BTreeMap::new();
        for (name, value) in values {
            match Text::parse(alert, value) {
                Ok(text) => drop(texts.insert(name, text)),
                Err(error) => {
                    let key = if kind == "label" { "labels" } else { "annotations" };
                    self.error(place, &[key, &name], format!("{kind} {name:?}: {error}"));
                }
            }
        }
        texts
    }

    fn group_error(&mut self, path: &[Step<'_>], message: String) {
        let at = Some(locate(self.text, path));
        self.errors.push(RuleFileError { file: self.file.to_owned(), at, rule: None, message });
    }

    /// `keys` leads from the rule to what is wrong in it.
    fn error(&mut self, place: &Place<'_>, keys: &[&str], message: impl Into<String>) {
        let ((group_index, group), (rule_index, rule)) = (place.group, place.rule);
        let mut path = vec![
            Step::Key("groups"),
            Step::Index(group_index),
            Step::Key("rules"),
            Step::Index(rule_index),
        ];
        path.extend(keys.iter().map(|&key| Step::Key(key)));
        self.errors.push(RuleFileError {
            file: self.file.to_owned(),
            at: Some(locate(self.text, &path)),
            rule: Some((group.to_owned(), rule_index + 1, rule.to_owned())),
            message: message.into(),
        });
    }
}

/// Any text may name a label (UTF-8 names), but the metric name is the rule's to set.
fn is_label_name(name: &str) -> bool {
    !name.is_empty() && name != METRIC_NAME
}

#[cfg(test)]
mod tests;
