//! What rules are evaluated with.

use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels, Timestamp};
use parking_lot::RwLock;
use promql::{Cancel, Engine, EvalError, Expr, SampleValue, Value};
use querylog::{Origin, QueryLog};
use storage::{Append, Query};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{Metrics, RuleGroup};

/// Takes the alerts that are due. It must not block.
pub trait Notify: Send + Sync {
    fn notify(&self, alerts: Vec<Alert>);
}

/// What the configuration says of all rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Of groups that name none.
    pub evaluation_interval: Duration,
    /// How far back queries look, of groups that do not say: for data that comes late.
    pub query_offset: Duration,
    /// For templates only: who sends and who receives adds them elsewhere.
    pub external_labels: Labels,
    /// Where users reach us; links begin with it.
    pub external_url: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            evaluation_interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
            external_url: String::new(),
        }
    }
}

/// Without a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExternalUrl(String);

impl ExternalUrl {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.trim_end_matches('/').to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL's path: what stands in front of our own paths.
    pub(crate) fn path_prefix(&self) -> &str {
        let host = self.0.find("://").map_or(0, |scheme| scheme + 3);
        self.0[host..].find('/').map_or("", |path| &self.0[host + path..])
    }
}

/// Shared by all groups of a manager.
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) query: Arc<dyn Query>,
    pub(crate) query_log: Arc<QueryLog>,
    pub(crate) append: Arc<dyn Append>,
    pub(crate) notify: Arc<dyn Notify>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) resend_delay: Duration,
    pub(crate) outage_tolerance: Duration,
    pub(crate) grace_period: Duration,
    /// How many groups may evaluate at one time.
    pub(crate) slots: Semaphore,
    /// Ends running queries on shutdown.
    pub(crate) cancel: Cancel,
    /// Ends all tasks on shutdown.
    pub(crate) exit: CancellationToken,
    pub(crate) settings: RwLock<Arc<Settings>>,
}

/// One series of a result.
pub(crate) struct Element {
    pub(crate) labels: Labels,
    pub(crate) value: SampleValue,
}

impl Context {
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    /// The vector that `expr`, which reads `text`, yields at `at` for a rule of `group`.
    pub(crate) fn rule_vector(
        &self,
        group: &RuleGroup,
        (expr, text): (&Expr, &str),
        at: Timestamp,
    ) -> Result<Vec<Element>, EvalError> {
        let query = querylog::Query {
            text,
            start: at,
            end: at,
            step: Duration::ZERO,
            origin: Origin::Rule { file: &group.file, name: &group.name },
            queued: Duration::ZERO,
            counts_samples: false,
        };
        let evaluate = |statistics| self.vector(&self.engine.measured_by(statistics), expr, at);
        self.query_log.run(&query, evaluate).0
    }

    /// The vector that `expr` yields at `at`; a scalar is a vector of one series without labels.
    pub(crate) fn vector(
        &self,
        engine: &Engine,
        expr: &Expr,
        at: Timestamp,
    ) -> Result<Vec<Element>, EvalError> {
        let answer = engine.instant(&*self.query, expr, at, &self.cancel)?;
        match answer.value {
            Value::Vector(vector) => Ok(vector
                .into_iter()
                .map(|sample| Element { labels: sample.labels, value: sample.value })
                .collect()),
            Value::Scalar(sample) => Ok(vec![Element {
                labels: Labels::empty(),
                value: SampleValue::Float(sample.value),
            }]),
            Value::String(_) | Value::Matrix(_) => {
                Err(EvalError::Execution("rule result is not a vector or scalar".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_prefix_is_the_external_urls_path() {
        #[track_caller]
        fn check(url: &str, expect: &str, prefix: &str) {
            let url = ExternalUrl::new(url);
            assert_eq!((url.as_str(), url.path_prefix()), (expect, prefix));
        }
        check(
            "http://testhost:9090/path/prefix/",
            "http://testhost:9090/path/prefix",
            "/path/prefix",
        );
        check("http://testhost:9090/", "http://testhost:9090", "");
        check("", "", "");
    }
}
