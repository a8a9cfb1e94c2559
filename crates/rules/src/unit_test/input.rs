//! A test file as it is written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use model::Labels;
use promql::Features;
use promql::SampleValue;
use promql::notation::{Value, parse_line, parse_values};
use serde::Deserialize;

use crate::file::load;
use crate::rule::RuleGroup;
use crate::unit_test::compare::{ExpectedAlert, ExpectedSample};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileYaml {
    #[serde(default)]
    rule_files: Vec<String>,
    #[serde(default, with = "model::duration::text::optional")]
    evaluation_interval: Option<Duration>,
    #[serde(default)]
    group_eval_order: Vec<String>,
    #[serde(default)]
    pub(super) fuzzy_compare: bool,
    #[serde(default)]
    pub(super) tests: Vec<TestYaml>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestYaml {
    pub(super) name: Option<String>,
    #[serde(default, with = "model::duration::text::optional")]
    pub(super) interval: Option<Duration>,
    #[serde(default)]
    pub(super) input_series: Vec<SeriesYaml>,
    #[serde(default)]
    pub(super) alert_rule_test: Vec<AlertTestYaml>,
    #[serde(default)]
    pub(super) promql_expr_test: Vec<ExprTestYaml>,
    #[serde(default)]
    pub(super) external_labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) external_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesYaml {
    pub(super) series: String,
    pub(super) values: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertTestYaml {
    #[serde(default, with = "model::duration::text")]
    pub(super) eval_time: Duration,
    pub(super) alertname: String,
    pub(super) exp_alerts: Option<Vec<AlertYaml>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertYaml {
    exp_labels: Option<BTreeMap<String, String>>,
    exp_annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExprTestYaml {
    pub(super) expr: String,
    #[serde(default, with = "model::duration::text")]
    pub(super) eval_time: Duration,
    pub(super) exp_samples: Option<Vec<SampleYaml>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleYaml {
    #[serde(default)]
    labels: String,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    histogram: String,
}

impl FileYaml {
    pub(super) fn evaluation_interval(&self) -> Duration {
        self.evaluation_interval.filter(|step| !step.is_zero()).unwrap_or(DEFAULT_INTERVAL)
    }

    /// The groups of all rule files: those that `group_eval_order` leaves out first, then in its
    /// order. Paths and patterns start at `directory`.
    pub(super) fn groups(
        &self,
        directory: &Path,
        features: Features,
    ) -> Result<Vec<RuleGroup>, Vec<String>> {
        let (mut groups, mut errors) = (Vec::new(), Vec::new());
        for pattern in &self.rule_files {
            let full = directory.join(pattern).to_string_lossy().into_owned();
            let paths = glob::glob(&full).map_err(|error| vec![format!("{pattern}: {error}")])?;
            let paths: Vec<_> = paths.filter_map(Result::ok).collect();
            if paths.is_empty() {
                errors.push(format!("rule_files: no file matches {pattern}"));
            }
            for path in paths {
                match load(&path, features) {
                    Ok(read) => groups.extend(read),
                    Err(found) => errors.extend(found.iter().map(ToString::to_string)),
                }
            }
        }
        for (index, name) in self.group_eval_order.iter().enumerate() {
            if self.group_eval_order[..index].contains(name) {
                errors.push(format!("group name repeated in evaluation order: {name}"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        groups
            .sort_by_key(|group| self.group_eval_order.iter().position(|name| *name == group.name));
        Ok(groups)
    }
}

impl TestYaml {
    /// The last time that anything is asked about.
    pub(super) fn last_time(&self) -> Duration {
        let alerts = self.alert_rule_test.iter().map(|test| test.eval_time);
        let exprs = self.promql_expr_test.iter().map(|test| test.eval_time);
        alerts.chain(exprs).max().unwrap_or_default()
    }
}

impl AlertYaml {
    /// Files leave `alertname` out of the labels.
    pub(super) fn expected(&self, alertname: &str) -> ExpectedAlert {
        let mut labels: Labels = self.exp_labels.iter().flatten().collect();
        labels = labels.to_builder().set("alertname", alertname).build();
        ExpectedAlert { labels, annotations: self.exp_annotations.iter().flatten().collect() }
    }
}

impl SampleYaml {
    pub(super) fn expected(&self) -> Result<ExpectedSample, String> {
        let labels = parse_line(&self.labels)
            .map_err(|reason| format!("labels {:?}: {reason}", self.labels))?
            .labels;
        if self.histogram.is_empty() {
            return Ok(ExpectedSample { labels, value: SampleValue::Float(self.value) });
        }
        match &parse_values(&self.histogram)?[..] {
            [Value::Histogram(histogram)] => {
                let value = SampleValue::Histogram(histogram.clone().into());
                Ok(ExpectedSample { labels, value })
            }
            _ => Err(format!("histogram {:?}: expected one histogram", self.histogram)),
        }
    }
}
