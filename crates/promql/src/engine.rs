//! Answers queries: the entry to evaluation, and its bounds.
//!
//! - ENGINE-1: a query ends soon after it is cancelled or its time is over: both are looked at
//!   before every series.
//! - ENGINE-2: a query that hits a bound fails alone, with an [`EvalError`].

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Timestamp;
use storage::Query;

use crate::ast::{Expr, ValueType};
use crate::eval::{Evaluation, Grid};
use crate::limits::{Cancel, EvalError, Limits};
use crate::parser::{Features, parse_with};
use crate::position::ParseError;
use crate::stack::with_deep_stack;
use crate::statistics::Statistics;
use crate::value::Answer;

/// A range query may have this many points per series.
pub const POINTS_MAX: i64 = 11_000;

/// Deeper expressions are evaluated on a stack of their own.
const SHALLOW: usize = 40;

#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How old a sample may be to still stand for its series.
    pub lookback: Duration,
    pub timeout: Duration,
    /// Samples in memory at one time, of one query.
    pub max_samples: usize,
    /// Bytes that one query may take. See `eval::memory` for what counts.
    pub max_memory: usize,
    /// How many threads may work on one query.
    pub threads: NonZeroUsize,
    /// The step of subqueries that name none.
    pub subquery_step: Duration,
    /// `promql-delayed-name-removal`: metric names go at the very end.
    pub delayed_name_removal: bool,
    /// `type-and-unit-labels`: tell counters by `__type__`.
    pub type_and_unit_labels: bool,
    /// What [`Engine::parse`] takes.
    pub features: Features,
}

impl EngineOptions {
    /// Switches on what `--enable-feature` calls `name`; false if queries have no such feature.
    pub fn enable(&mut self, name: &str) -> bool {
        match name {
            "promql-delayed-name-removal" => self.delayed_name_removal = true,
            "type-and-unit-labels" => self.type_and_unit_labels = true,
            other => return self.features.enable(other),
        }
        true
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(120),
            max_samples: 50_000_000,
            max_memory: 2 << 30,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            subquery_step: Duration::from_secs(60),
            delayed_name_removal: false,
            type_and_unit_labels: false,
            features: Features::NONE,
        }
    }
}

/// Evaluates expressions. Shared by everyone who asks.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
    statistics: Option<Arc<Statistics>>,
}

impl Engine {
    pub fn new(options: EngineOptions) -> Self {
        Self { options, statistics: None }
    }

    /// An engine like this one that tells `statistics` what its next query costs.
    pub fn measured_by(&self, statistics: Arc<Statistics>) -> Self {
        Self { options: self.options.clone(), statistics: Some(statistics) }
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Reads and type-checks a query, with those parts of the language that are switched on.
    pub fn parse(&self, query: &str) -> Result<Expr, ParseError> {
        parse_with(query, self.options.features)
    }

    /// The value of `expr` at one time.
    pub fn instant(
        &self,
        storage: &dyn Query,
        expr: &Expr,
        at: Timestamp,
        cancel: &Cancel,
    ) -> Result<Answer, EvalError> {
        let grid = Grid::instant(at.as_millis());
        self.run(storage, expr, grid, cancel, |evaluation| evaluation.instant(expr))
    }

    /// The values of `expr` at `start`, `start + step`, … up to `end`.
    pub fn range(
        &self,
        storage: &dyn Query,
        expr: &Expr,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
        cancel: &Cancel,
    ) -> Result<Answer, EvalError> {
        if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
            let got = expr.value_type().documented();
            let message = "invalid expression type";
            let message =
                format!("{message} \"{got}\" for range query, must be Scalar or instant Vector");
            return Err(EvalError::BadData(message));
        }
        if step.as_millis() == 0 {
            let message = "zero or negative query resolution step widths are not accepted. Try a \
                           positive integer";
            return Err(EvalError::BadData(message.into()));
        }
        let step = model::time::millis(step);
        let grid = Grid::range(start.as_millis(), end.as_millis(), step);
        self.run(storage, expr, grid, cancel, |evaluation| evaluation.range(expr))
    }

    fn run(
        &self,
        storage: &dyn Query,
        expr: &Expr,
        grid: Grid,
        cancel: &Cancel,
        evaluate: impl FnOnce(&Evaluation<'_>) -> Result<Answer, EvalError> + Send,
    ) -> Result<Answer, EvalError> {
        let start = Instant::now();
        let EngineOptions { timeout, max_samples, max_memory, .. } = self.options;
        let limits = Limits::new(cancel.clone(), timeout, max_samples, max_memory);
        let counts_samples = self.statistics.as_ref().is_some_and(|s| s.counts_samples());
        let evaluation =
            Evaluation::new(storage, &self.options, limits, grid, expr, counts_samples);
        let answer = if depth(expr) <= SHALLOW {
            evaluate(&evaluation)
        } else {
            with_deep_stack(|| evaluate(&evaluation))
                .map_err(|error| EvalError::execution(format!("start thread: {error}")))
                .flatten()
        };
        if let Some(statistics) = &self.statistics {
            statistics.set(evaluation.measured(start.elapsed()));
        }
        answer
    }
}

/// Refuses range queries of more than [`POINTS_MAX`] points per series, in Prometheus' words.
pub fn check_resolution(start: Timestamp, end: Timestamp, step: Duration) -> Result<(), EvalError> {
    let step = model::time::millis(step).max(1);
    if end.millis_since(start) / step > POINTS_MAX {
        let message = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing \
                       the query resolution (?step=XX)";
        return Err(EvalError::BadData(message.into()));
    }
    Ok(())
}

/// How many nodes lie on the longest way down.
fn depth(expr: &Expr) -> usize {
    1 + expr.children().into_iter().map(depth).max().unwrap_or(0)
}
