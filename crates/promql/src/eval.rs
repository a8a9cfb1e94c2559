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
mod histogram;
mod info;
mod invariant;
mod kahan;
mod labels;
mod math;
mod meter;
mod over_time;
mod pushdown;
mod quantile;
mod selector;
mod shared;
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
use crate::value::{Answer, MatrixSeries, SampleValue, StringValue, Value, VectorSample};
use column::{Column, Point};
use context::Contexts;
pub(crate) use grid::Grid;
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
                Value::Vector(
                    series.into_iter().filter_map(|s| vector_sample(s, timestamp)).collect(),
                )
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
        let mut matrix: Vec<MatrixSeries> =
            series.into_iter().map(|series| matrix_series(series, &self.query)).collect();
        matrix.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        self.meter.sorting(|| matrix.sort_by(|a, b| a.labels.cmp(&b.labels)));
        Ok(self.answer(Value::Matrix(matrix)))
    }

    fn answer(&self, value: Value) -> Answer {
        Answer { value, annotations: std::mem::take(&mut *self.annotations.lock()) }
    }

    fn annotate(&self, add: impl FnOnce(&mut Annotations)) {
        add(&mut self.annotations.lock());
    }

    /// The values of a scalar expression, one per time.
    fn scalar(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<f64>> {
        if self.evaluates_once(expr, grid) {
            let once = self.meter.repeated(grid.count, || self.scalar(expr, &grid.first()))?;
            return Ok(vec![once[0]; grid.count]);
        }
        Ok(match expr {
            Expr::Number(number) => vec![number.value; grid.count],
            Expr::Paren(paren) => self.scalar(&paren.inner, grid)?,
            Expr::Unary(unary) => {
                let mut values = self.scalar(&unary.inner, grid)?;
                if unary.negative {
                    values.iter_mut().for_each(|value| *value = -*value);
                }
                values
            }
            Expr::Binary(binary) => {
                let mut left = self.scalar(&binary.lhs, grid)?;
                let right = self.scalar(&binary.rhs, grid)?;
                for (left, right) in left.iter_mut().zip(right) {
                    *left = binary::scalars(binary.op, *left, right);
                }
                left
            }
            Expr::Call(call) => self.scalar_call(call, grid)?,
            other => unreachable!("type-checked to be a scalar: {other}"),
        })
    }

    fn scalar_call(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<f64>> {
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let constant = |value: f64| Ok(vec![value; grid.count]);
        match call.function.name {
            "pi" => constant(std::f64::consts::PI),
            "time" => Ok(grid.times().map(seconds).collect()),
            "start" => constant(seconds(self.query.start)),
            "end" => constant(seconds(self.query.end())),
            "step" => constant(seconds(self.query.step)),
            "range" => constant(seconds(self.query.end() - self.query.start)),
            "min_of" | "max_of" => {
                let mut left = self.scalar(&call.args[0], grid)?;
                let right = self.scalar(&call.args[1], grid)?;
                let pick = if call.function.name == "min_of" { math::min } else { math::max };
                for (left, right) in left.iter_mut().zip(right) {
                    *left = pick(*left, right);
                }
                Ok(left)
            }
            "scalar" => self.scalar_of_vector(&call.args[0], grid),
            name => unreachable!("no such function gives a scalar: {name}"),
        }
    }

    /// The one float of the vector, where there is just one; otherwise NaN.
    fn scalar_of_vector(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<f64>> {
        let vector = self.vector(expr, grid)?;
        let values = (0..grid.count).map(|step| {
            let mut floats = vector.iter().filter_map(|series| series.column.float(step));
            match (floats.next(), floats.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        });
        let values = values.collect();
        self.release(&vector);
        Ok(values)
    }

    /// The series of an instant vector expression. Those without a single sample may be missing.
    fn vector(&self, expr: &Expr, grid: &Grid) -> Evaluated<Vec<Series>> {
        self.limits.check()?;
        if self.evaluates_once(expr, grid) {
            let once = || self.vector(expr, &grid.first());
            let mut series = self.meter.repeated(grid.count, once)?;
            for series in &mut series {
                self.limits.charge(grid.count - 1)?;
                series.column = series.column.repeated(grid.count);
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
        self.limits.charge(grid.count)?;
        Ok(vec![Series { column, ..Series::default() }])
    }

    fn evaluates_once(&self, expr: &Expr, grid: &Grid) -> bool {
        self.has_at && grid.count > 1 && invariant::is_invariant(expr)
    }

    /// Gives back what [`Limits::charge`] was told of `series`.
    fn release(&self, series: &[Series]) {
        self.limits.release(series.iter().map(|series| series.column.size()).sum());
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
        labels::merged(series)
    }
}

/// The literal that a string argument is.
fn string(expr: &Expr) -> &StringLiteral {
    match expr.unwrapped() {
        Expr::String(literal) => literal,
        other => unreachable!("type-checked to be a string: {other}"),
    }
}

fn vector_sample(series: Series, timestamp: Timestamp) -> Option<VectorSample> {
    let value = match series.column.get(0)? {
        Point::Float(value) => SampleValue::Float(value),
        Point::Histogram(histogram) => SampleValue::Histogram(histogram),
    };
    Some(VectorSample { labels: series.labels, timestamp, value })
}

fn matrix_series(series: Series, grid: &Grid) -> MatrixSeries {
    let mut matrix =
        MatrixSeries { labels: series.labels, samples: Vec::new(), histograms: Vec::new() };
    for (step, time) in grid.times().enumerate() {
        let timestamp = Timestamp::from_millis(time);
        match series.column.get(step) {
            None => {}
            Some(Point::Float(value)) => matrix.samples.push(Sample { timestamp, value }),
            Some(Point::Histogram(histogram)) => matrix.histograms.push((timestamp, histogram)),
        }
    }
    matrix
}
