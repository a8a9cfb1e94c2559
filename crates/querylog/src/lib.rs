//! What is written down of queries, whoever asks them: which are running, which were slow, and, where
//! the configuration names a file, every one.
//!
//! [`QueryLog::run`] goes around each evaluation. The running ones stand in a file that survives a
//! crash ([`active`]); what a query came to is a line of `query_log_file` ([`file`]) and, if it took
//! long, of the process' own log.
//!
//! - QUERYLOG-1: no query waits for its log, or fails with it: what cannot be written is left out, and
//!   said so once.

mod active;
mod file;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use parking_lot::RwLock;
use promql::{EvalError, Measured, Statistics};
use serde::Serialize;

pub use active::ActiveQueries;
pub use file::LogFile;
pub use stats::{Samples, Stats};

/// Shared by everyone who asks.
pub struct QueryLog {
    active: Option<ActiveQueries>,
    file: RwLock<Option<Arc<LogFile>>>,
    slow: Option<Duration>,
    now: fn() -> Timestamp,
}

/// What is known of a query before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub text: &'a str,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Zero in an instant query.
    pub step: Duration,
    pub origin: Origin<'a>,
    /// How long it waited for its turn.
    pub queued: Duration,
    /// Whether the samples it looks at are to be counted, for other readers than the log.
    pub counts_samples: bool,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Origin<'a> {
    #[serde(rename = "httpRequest")]
    Http {
        #[serde(rename = "clientIP")]
        client: &'a str,
        method: &'a str,
        path: &'a str,
    },
    #[serde(rename = "ruleGroup")]
    Rule { file: &'a str, name: &'a str },
}

impl QueryLog {
    /// Without a file; queries that take at least `slow` are told to the process' own log.
    pub fn new(
        active: Option<ActiveQueries>,
        slow: Option<Duration>,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { active, file: RwLock::default(), slow, now }
    }

    /// For whoever needs no log.
    pub fn disabled() -> Arc<Self> {
        Arc::new(Self::new(None, None, || Timestamp::EPOCH))
    }

    /// From now on, every query is a line of `file`.
    pub fn set_file(&self, file: Option<LogFile>) {
        *self.file.write() = file.map(Arc::new);
    }

    /// Runs `evaluate`, which is to give the statistics to its engine, and writes down what is to be.
    pub fn run<T>(
        &self,
        query: &Query<'_>,
        evaluate: impl FnOnce(Arc<Statistics>) -> Result<T, EvalError>,
    ) -> (Result<T, EvalError>, Measured) {
        let file = self.file.read().clone();
        let counts_samples = query.counts_samples || file.is_some();
        let statistics = match counts_samples {
            true => Arc::new(Statistics::counted()),
            false => Arc::new(Statistics::timed()),
        };
        let active = self.active.as_ref().map(|active| active.enter(query.text, (self.now)()));
        let result = evaluate(Arc::clone(&statistics));
        drop(active);
        let measured = statistics.measured();
        let error = result.as_ref().err();
        if let Some(file) = file {
            file.write(query, &measured, error, (self.now)());
        }
        if self.slow.is_some_and(|slow| query.queued + measured.total >= slow) {
            warn_of_slow(query, &measured, error);
        }
        (result, measured)
    }
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLog").field("slow", &self.slow).finish_non_exhaustive()
    }
}

fn warn_of_slow(query: &Query<'_>, measured: &Measured, error: Option<&EvalError>) {
    let (origin, place) = match query.origin {
        Origin::Http { client, path, .. } => (client, path),
        Origin::Rule { file, name } => (file, name),
    };
    tracing::warn!(
        query = query.text,
        seconds = measured.total.as_secs_f64(),
        queued_seconds = query.queued.as_secs_f64(),
        peak_samples = measured.peak,
        start = %time_text(query.start),
        end = %time_text(query.end),
        step_seconds = query.step.as_secs_f64(),
        origin,
        place,
        error = error.map(tracing::field::display),
        "slow query"
    );
}

/// RFC 3339 with milliseconds; what lies beyond the calendar is its first or last moment.
fn time_text(time: Timestamp) -> String {
    let millis = time.as_millis();
    let clamped = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(clamped);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
