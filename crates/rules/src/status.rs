//! What `/api/v1/rules` and `/api/v1/alerts` answer, in Prometheus' JSON.

use std::collections::BTreeMap;

use jiff::Timestamp as Instant;
use model::{Labels, Timestamp};
use serde::{Serialize, Serializer};

use crate::alerting::{ActiveAlert, AlertState};
use crate::group::{Group, Health, Progress, RuleState};
use crate::rule::{AlertingRule, Rule};

/// When nothing has happened yet: Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RulesStatus {
    pub groups: Vec<GroupStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertsStatus {
    pub alerts: Vec<AlertStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    pub name: String,
    pub file: String,
    pub rules: Vec<RuleStatus>,
    #[serde(serialize_with = "go_float")]
    pub interval: f64,
    pub limit: usize,
    #[serde(serialize_with = "go_float")]
    pub evaluation_time: f64,
    pub last_evaluation: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RuleStatus {
    Alerting(AlertingRuleStatus),
    Recording(RecordingRuleStatus),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingRuleStatus {
    pub state: AlertState,
    pub name: String,
    pub query: String,
    #[serde(serialize_with = "go_float")]
    pub duration: f64,
    #[serde(serialize_with = "go_float")]
    pub keep_firing_for: f64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub alerts: Vec<AlertStatus>,
    #[serde(flatten)]
    pub evaluation: EvaluationStatus,
    pub r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingRuleStatus {
    pub name: String,
    pub query: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(flatten)]
    pub evaluation: EvaluationStatus,
    pub r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationStatus {
    pub health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(serialize_with = "go_float")]
    pub evaluation_time: f64,
    pub last_evaluation: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub state: AlertState,
    pub active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// As Go writes a float with an exponent: `1e+00`.
    pub value: String,
}

impl GroupStatus {
    pub(crate) fn of(group: &Group) -> Self {
        let Progress { at, took } = group.progress();
        Self {
            name: group.config.name.clone(),
            file: group.config.file.clone(),
            rules: group.rules().map(|(rule, state)| rule_status(rule, state)).collect(),
            interval: group.interval.as_secs_f64(),
            limit: group.config.limit,
            evaluation_time: took.as_secs_f64(),
            last_evaluation: at.map_or(NEVER.to_owned(), rfc3339),
        }
    }
}

fn rule_status(rule: &Rule, state: RuleState) -> RuleStatus {
    let labels = rule.labels().into_iter();
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (name, query) = (rule.name().to_owned(), rule.query().text.clone());
    match rule {
        Rule::Recording(_) => RuleStatus::Recording(RecordingRuleStatus {
            name,
            query,
            labels,
            evaluation: evaluation_status(&state),
            r#type: "recording",
        }),
        Rule::Alerting(AlertingRule { hold, keep_firing_for, annotations, .. }) => {
            let text = |(name, text): (&String, &crate::expand::Text)| {
                (name.clone(), text.as_str().to_owned())
            };
            RuleStatus::Alerting(AlertingRuleStatus {
                state: state.alerts.state(),
                name,
                query,
                duration: hold.as_secs_f64(),
                keep_firing_for: keep_firing_for.as_secs_f64(),
                labels,
                annotations: annotations.iter().map(text).collect(),
                alerts: alert_statuses(&state).collect(),
                evaluation: evaluation_status(&state),
                r#type: "alerting",
            })
        }
    }
}

fn evaluation_status(state: &RuleState) -> EvaluationStatus {
    let (health, last_error) = match &state.health {
        Health::Unknown => ("unknown", None),
        Health::Good => ("ok", None),
        Health::Bad(reason) => ("err", Some(reason.clone())),
    };
    EvaluationStatus {
        health,
        last_error,
        evaluation_time: state.evaluated.took.as_secs_f64(),
        last_evaluation: state.evaluated.at.map_or(NEVER.to_owned(), rfc3339),
    }
}

/// The rule's pending and firing alerts.
pub(crate) fn alert_statuses(state: &RuleState) -> impl Iterator<Item = AlertStatus> {
    let active = state.alerts.iter().filter(|(_, alert)| alert.state != AlertState::Inactive);
    active.map(|(labels, alert): (&Labels, &ActiveAlert)| AlertStatus {
        labels: pairs(labels),
        annotations: pairs(&alert.annotations),
        state: alert.state,
        active_at: rfc3339(alert.active_at),
        keep_firing_since: alert.keep_firing_since.map(rfc3339),
        value: template::float(alert.value, 'e', None),
    })
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn rfc3339(time: Timestamp) -> String {
    let instant = Instant::from_millisecond(time.as_millis());
    let bound = if time < Timestamp::EPOCH { Instant::MIN } else { Instant::MAX };
    instant.unwrap_or(bound).to_string()
}

/// Whole numbers without a point, as Go's JSON has them.
fn go_float<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    match *value as i64 {
        whole if whole as f64 == *value => to.serialize_i64(whole),
        _ => to.serialize_f64(*value),
    }
}
