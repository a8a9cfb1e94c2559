//! Rules and groups of them, as a file gives them: valid, parsed, without state.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use promql::Expr;

use crate::expand::Text;

/// Rules that are evaluated together, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroup {
    /// As the configuration names it.
    pub file: String,
    /// Unique in its file.
    pub name: String,
    /// `None`: the global evaluation interval.
    pub interval: Option<Duration>,
    /// `None`: the global query offset.
    pub query_offset: Option<Duration>,
    /// No rule may yield more series or alerts; 0 means that any number is right.
    pub limit: usize,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    Recording(RecordingRule),
    Alerting(AlertingRule),
}

/// Writes the result of a query as series of a new name.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingRule {
    pub name: String,
    pub query: ParsedQuery,
    /// The group's labels included. An empty value removes the label.
    pub labels: BTreeMap<String, String>,
}

/// Raises an alert for each series of its query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingRule {
    pub name: String,
    pub query: ParsedQuery,
    /// `for`: how long a series must be there before its alert fires.
    pub hold: Duration,
    /// How long an alert fires on after its series is gone.
    pub keep_firing_for: Duration,
    /// The group's labels included.
    pub labels: BTreeMap<String, Text>,
    pub annotations: BTreeMap<String, Text>,
}

/// An expression and its text in PromQL's canonical form.
#[derive(Clone)]
pub struct ParsedQuery {
    pub expr: Expr,
    pub text: String,
}

impl Rule {
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.name,
            Self::Alerting(rule) => &rule.name,
        }
    }

    pub fn query(&self) -> &ParsedQuery {
        match self {
            Self::Recording(rule) => &rule.query,
            Self::Alerting(rule) => &rule.query,
        }
    }

    /// The labels as the file has them, templates not expanded.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        match self {
            Self::Recording(rule) => {
                rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
            }
            Self::Alerting(rule) => {
                rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
            }
        }
    }

    /// By what Prometheus tells rules apart, within a group and over a reload.
    pub(crate) fn identity(&self) -> (bool, &str, BTreeMap<&str, &str>) {
        (matches!(self, Self::Alerting(_)), self.name(), self.labels())
    }
}

impl ParsedQuery {
    pub fn new(expr: Expr) -> Self {
        let text = expr.to_string();
        Self { expr, text }
    }
}

impl PartialEq for ParsedQuery {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for ParsedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
