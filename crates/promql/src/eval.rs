//! Evaluates a tree over a grid of times.
//!
//! A vector is a list of series, each a column with one cell per time of the grid. Where an
//! expression works on one series at a time (selectors, range functions, arithmetic with scalars),
//! it becomes a [`stream::Stream`]: series are decoded one by one, by several threads, and what
//! stands above folds them as they come, so that memory follows the groups of an aggregation and not
//! its series.
//!
//! - EVAL-1: a part of the tree that is the same at all times (because of `@`) is evaluated once.
//! - EVAL-2: every series in memory is accounted for in [`Limits`].
//! - Source: Prometheus `promql/engine.go`.

mod aggregate;
mod binary;
pub(crate) mod calendar;
mod classic;
mod column;
mod context;
mod counters;
mod grid;
mod growth;
mod histogram;
mod info;
mod invariant;
mod kahan;
mod labels;
mod matching;
mod math;
mod memory;
mod meter;
mod ordered;
mod over_time;
mod pushdown;
mod quantile;
mod result;
mod scalar;
mod selector;
mod shared;
mod sliding;
mod sort;
mod stream;
mod subquery;
mod topk;
mod window;

use std::time::Duration;

use model::{Labels, Sample, Timestamp};
use parking_lot::Mutex;
use storage::Query;

use crate::annotations::Annotations;
use crate::ast::{Call, Expr, StringLiteral, ValueType};
use crate::engine::EngineOptions;
use crate::limits::{EvalError, Limits};
use crate::statistics::Measured;
use crate::value::{Answer, StringValue, Value};
use column::{Column, Point};
use context::Contexts;
pub(crate) use grid::Grid;
use memory::Held;
use meter::Meter;
use shared::Shared;

pub(crate) type Evaluated<T> = Result<T, EvalError>;

/// One series of a vector over the times of a grid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// With delayed name removal: the name goes at the end of the evaluation.
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
    held: Held,
}

/// One query being evaluated.
pub(crate) struct Evaluation<'a> {
    storage: &'a dyn Query,
    options: &'a EngineOptions,
    limits: Limits,
    annotations: Mutex<Annotations>,
    /// The times that the query asks for; subqueries have grids of their own.
    query: Grid,
    /// Whether any selector has an `@`: without one, nothing but literals is the same at all times.
    has_at: bool,
    contexts: Contexts,
    shared: Shared,
    meter: Meter,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(
        storage: &'a dyn Query,
        options: &'a EngineOptions,
        limits: Limits,
        query: Grid,
        expr: &Expr,
        counts_samples: bool,
    ) -> Self {
        let (annotations, has_at) = (Mutex::default(), invariant::has_at(expr));
        let (contexts, shared) = (Contexts::new(expr), Shared::new(expr));
        let meter = Meter::new(counts_samples, &query);
        Self { storage, options, limits, annotations, query, has_at, contexts, shared, meter }
    }

    /// What the evaluation cost, which took `total`.
    pub(crate) fn measured(&self, total: Duration) -> Measured {
        let (preparation, sorting) = self.meter.times();
        let samples = match self.meter.counts() {
            None => Vec::new(),
            Some(mut counts) => {
                counts.resize(self.query.count, 0);
                let times = self.query.times().map(Timestamp::from_millis);
                times.zip(counts).collect()
            }
        };
        Measured {
            total,
            preparation,
            evaluation: total.saturating_sub(preparation + sorting),
            sorting,
            samples,
            peak: self.limits.samples_peak(),
        }
    }

    pub(crate) fn instant(&self, expr: &Expr) -> Evaluated<Answer> {
        let timestamp = Timestamp::from_millis(self.query.start);
        let value = match (expr.value_type(), expr.unwrapped()) {
            (ValueType::Scalar, expr) => {
                Value::Scalar(Sample { timestamp, value: self.scalar(expr, &self.query)?[0] })
            }
            (ValueType::String, expr) => {
                Value::String(StringValue { timestamp, value: string(expr).value.clone() })
            }
            (ValueType::Vector, expr) => {
                let series = self.without_late_names(self.vector(expr, &self.query)?)?;
                Value::Vector(self.vector_result(series)?)
            }
            (ValueType::Matrix, Expr::Matrix(selector)) => {
                Value::Matrix(self.raw_samples(selector)?)
            }
            (ValueType::Matrix, Expr::Subquery(subquery)) => {
                Value::Matrix(self.subquery_samples(subquery)?)
            }
            (ValueType::Matrix, other) => unreachable!("no range vector: {other}"),
        };
        Ok(self.answer(value))
    }

    pub(crate) fn range(&self, expr: &Expr) -> Evaluated<Answer> {
        if self.query.count == 0 {
            return Ok(self.answer(Value::Matrix(Vec::new())));
        }
        let series = match expr.value_type() {
            ValueType::Scalar => {
                let column = Column::of_floats(self.scalar(expr, &self.query)?);
                vec![Series { column, ..Series::default() }]
            }
            _ => self.without_late_names(self.vector(expr, &self.query)?)?,
        };
        Ok(self.answer(Value::Matrix(self.matrix_result(series)?)))
    }

    fn answer(&self, value: Value) -> Answer {
        Answer { value, annotations: std::mem::take(&mut *self.annotations.lock()) }
    }

    fn annotate(&self, add: impl FnOnce(&mut Annotations)) {
        add(&mut self.annotations.lock());
    }

    /// The series of an instant vector expression. Those without a single sample may be missing.
    fn vector(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<Series>> {
        self.limits.check()?;
        if self.evaluates_once(expr, grid) {
            let once = || self.vector(expr, &grid.first());
            let mut series = self.meter.repeated(grid.count, once)?;
            for series in &mut series {
                self.check_room(grid.count)?;
                series.column = series.column.repeated(grid.count);
                self.keep_anew(series)?;
            }
            return Ok(series);
        }
        match expr {
            Expr::Paren(paren) => self.vector(&paren.inner, grid),
            Expr::Aggregate(aggregate) => self.aggregate_once(expr, aggregate, grid),
            Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Vector, ValueType::Vector) if binary.op.is_set() => {
                    self.set_operation(binary, grid)
                }
                (ValueType::Vector, ValueType::Vector) => self.vectors(binary, grid),
                _ => self.collect(self.stream(expr, grid)?),
            },
            Expr::Call(call) => match self.whole_vector_call(call, grid) {
                Some(vector) => vector,
                None => self.collect(self.stream(expr, grid)?),
            },
            _ => self.collect(self.stream(expr, grid)?),
        }
    }

    /// Functions that need to see more than one series at a time.
    fn whole_vector_call(&self, call: &Call, grid: &Grid) -> Option<Evaluated<Vec<Series>>> {
        Some(match call.function.name {
            "absent" | "absent_over_time" => self.absent(call, grid),
            "vector" => self.vector_of_scalar(&call.args[0], grid),
            "label_replace" => self.label_replace(call, grid),
            "label_join" => self.label_join(call, grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, grid),
            "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => {
                self.bucket_function(call, grid)
            }
            "info" => self.info(call, grid),
            name if call.args.is_empty() && calendar::part(name).is_some() => {
                self.date_of_now(name, grid)
            }
            _ => return None,
        })
    }

    fn vector_of_scalar(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<Series>> {
        let column = Column::of_floats(self.scalar(expr, grid)?);
        self.kept(Series { column, ..Series::default() })
    }

    fn evaluates_once(&self, expr: &Expr, grid: &Grid) -> bool {
        self.has_at && grid.count > 1 && invariant::is_invariant(expr)
    }

    fn lookback(&self) -> i64 {
        model::time::millis(self.options.lookback)
    }

    fn subquery_step(&self) -> Duration {
        self.options.subquery_step
    }

    /// Labels of what is no longer the metric that it was computed from: now or later without name.
    fn renamed(&self, labels: Labels) -> (Labels, bool) {
        match self.options.delayed_name_removal {
            true => (labels, true),
            false => (labels::without_metadata(&labels), false),
        }
    }

    /// Takes off the names that were left on until now.
    fn without_late_names(&self, mut series: Vec<Series>) -> Evaluated<Vec<Series>> {
        if !self.options.delayed_name_removal {
            return Ok(series);
        }
        for series in series.iter_mut().filter(|series| series.drop_name) {
            series.labels = labels::without_metadata(&series.labels);
        }
        self.merged(series)
    }
}

/// The literal that a string argument is.
fn string(expr: &Expr) -> &StringLiteral {
    match expr.unwrapped() {
        Expr::String(literal) => literal,
        other => unreachable!("type-checked to be a string: {other}"),
    }
}
