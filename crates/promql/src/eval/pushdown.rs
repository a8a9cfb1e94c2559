//! Aggregations that are left to the storage, so that only groups come from where the series are.
//!
//! - PUSHDOWN-1: what a storage is asked for gives the same over all series at once as over parts of
//!   them, put together: within the aggregation nothing looks at more than one series at a time, and
//!   nothing depends on when the query as a whole begins and ends, unless that is what is asked for.
//! - `avg` is asked for as `sum` and `count`.

use std::sync::Arc;
use std::time::Duration;

use model::{FloatHistogram, Labels, METRIC_NAME, Timestamp};
use rustc_hash::FxHashMap;
use storage::{Aggregation, Grouping};

use super::column::{Column, Point};
use super::stream::{Source, Stream};
use super::{Evaluated, Evaluation, Grid, Series};
use crate::ast::{
    Aggregate, AggregateOp, At, Call, DurationExpr, DurationKind, Expr, Modifiers, Span, ValueType,
};

impl Evaluation<'_> {
    /// The result of `aggregate`, if the storage makes its groups.
    pub(super) fn push_down(
        &self,
        aggregate: &Aggregate,
        grid: &Grid,
    ) -> Evaluated<Option<Vec<Series>>> {
        if !self.can_push_down(aggregate, grid) {
            return Ok(None);
        }
        match aggregate.op {
            AggregateOp::Avg => self.push_down_mean(aggregate, grid),
            _ => self.push_down_as_it_is(aggregate, grid),
        }
    }

    fn can_push_down(&self, aggregate: &Aggregate, grid: &Grid) -> bool {
        let puts_together = matches!(
            aggregate.op,
            AggregateOp::Sum
                | AggregateOp::Avg
                | AggregateOp::Count
                | AggregateOp::Min
                | AggregateOp::Max
                | AggregateOp::Group
                | AggregateOp::TopK
                | AggregateOp::BottomK
        );
        let names_matter = self.options.delayed_name_removal
            && !aggregate.without
            && aggregate.grouping.iter().any(|name| name == METRIC_NAME);
        let is_free = |expr: &Expr| *grid == self.query || !depends_on_query(expr);
        puts_together
            && !names_matter
            && is_local(&aggregate.inner)
            && is_free(&aggregate.inner)
            && aggregate.parameter.iter().all(|expr| !has_selector(expr) && is_free(expr))
    }

    fn push_down_as_it_is(
        &self,
        aggregate: &Aggregate,
        grid: &Grid,
    ) -> Evaluated<Option<Vec<Series>>> {
        let Some(groups) = self.ask_for_groups(aggregate, grid)? else { return Ok(None) };
        if matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK) {
            return self.select_series(aggregate, groups, grid).map(Some);
        }
        let op = match aggregate.op {
            AggregateOp::Count => AggregateOp::Sum,
            op => op,
        };
        let stream = Stream::new(Source::Ready(groups), grid);
        self.fold_groups(&Aggregate { op, ..aggregate.clone() }, stream, grid).map(Some)
    }

    fn push_down_mean(&self, aggregate: &Aggregate, grid: &Grid) -> Evaluated<Option<Vec<Series>>> {
        let part = |op| self.push_down_as_it_is(&Aggregate { op, ..aggregate.clone() }, grid);
        let Some(mut sums) = part(AggregateOp::Sum)? else { return Ok(None) };
        let Some(counts) = part(AggregateOp::Count)? else { return Ok(None) };
        let by_labels: FxHashMap<&Labels, &Column> =
            counts.iter().map(|count| (&count.labels, &count.column)).collect();
        for sum in &mut sums {
            self.limits.check()?;
            match by_labels.get(&sum.labels) {
                Some(counts) => divide(&mut sum.column, counts),
                None => sum.column.reset(grid.count),
            }
        }
        self.release(&counts);
        Ok(Some(sums))
    }

    fn ask_for_groups(&self, aggregate: &Aggregate, grid: &Grid) -> Evaluated<Option<Vec<Series>>> {
        let mut selectors = Vec::new();
        aggregate
            .inner
            .for_each_selector(&mut |selector| selectors.push(selector.matchers.clone()));
        let aggregation = Aggregation {
            expression: Expr::Aggregate(Box::new(aggregate.clone())).to_string(),
            grouping: grouping(aggregate),
            selectors,
            start: Timestamp::from_millis(grid.start),
            step: Duration::from_millis(grid.step.unsigned_abs()),
            count: grid.count,
            lookback: self.options.lookback,
        };
        let Some(answer) = self.storage.aggregate(&aggregation)? else { return Ok(None) };
        self.annotate(|all| all.add_foreign(answer.warnings, answer.infos));
        let mut groups = Vec::with_capacity(answer.groups.len());
        for group in answer.groups {
            let column = Column::new(grid.count, group.values, group.histograms);
            let mut series = Series { labels: group.labels, column, ..Series::default() };
            self.keep(&mut series)?;
            groups.push(series);
        }
        Ok(Some(groups))
    }
}

fn divide(sums: &mut Column, counts: &Column) {
    for step in 0..sums.len() {
        let mean = match (sums.get(step), counts.float(step)) {
            (Some(Point::Float(sum)), Some(count)) => Some(Point::Float(sum / count)),
            (Some(Point::Histogram(sum)), Some(count)) => {
                let mut mean = FloatHistogram::clone(&sum);
                mean.scale(1.0 / count);
                Some(Point::Histogram(Arc::new(mean)))
            }
            _ => None,
        };
        sums.set(step, mean);
    }
}

pub(super) fn grouping(aggregate: &Aggregate) -> Grouping {
    let names = aggregate.grouping.clone();
    if aggregate.without { Grouping::Without(names) } else { Grouping::By(names) }
}

/// Whether `call` makes each series that it gives of one that it takes.
pub(super) fn is_of_one_series(call: &Call) -> bool {
    !matches!(
        call.function.name,
        "absent"
            | "absent_over_time"
            | "histogram_fraction"
            | "histogram_quantile"
            | "histogram_quantiles"
            | "info"
            | "label_join"
            | "label_replace"
            | "scalar"
            | "sort"
            | "sort_by_label"
            | "sort_by_label_desc"
            | "sort_desc"
            | "vector"
    )
}

/// Whether each series of `expr` comes of one stored series and of nothing else.
fn is_local(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(_) | Expr::Matrix(_) => true,
        Expr::Paren(paren) => is_local(&paren.inner),
        Expr::Unary(unary) => is_local(&unary.inner),
        // Without a step of its own it has the evaluation interval of whoever evaluates it.
        Expr::Subquery(subquery) => subquery.step.is_some() && is_local(&subquery.inner),
        Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (ValueType::Vector, ValueType::Scalar) => {
                is_local(&binary.lhs) && !has_selector(&binary.rhs)
            }
            (ValueType::Scalar, ValueType::Vector) => {
                is_local(&binary.rhs) && !has_selector(&binary.lhs)
            }
            _ => false,
        },
        Expr::Call(call) => {
            let takes_series =
                |arg: &&Expr| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix);
            let (series, others): (Vec<_>, Vec<_>) = call.args.iter().partition(takes_series);
            is_of_one_series(call)
                && matches!(series[..], [series] if is_local(series))
                && !others.into_iter().any(has_selector)
        }
        Expr::Aggregate(_) | Expr::Number(_) | Expr::String(_) => false,
    }
}

fn has_selector(expr: &Expr) -> bool {
    let mut found = false;
    expr.for_each_selector(&mut |_| found = true);
    found
}

/// Whether `expr` means something else as part of a query over other times.
fn depends_on_query(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(selector) => time_depends(&selector.time),
        Expr::Matrix(selector) => {
            time_depends(&selector.vector.time) || span_depends(&selector.range)
        }
        Expr::Subquery(subquery) => {
            time_depends(&subquery.time)
                || span_depends(&subquery.range)
                || subquery.step.as_ref().is_some_and(span_depends)
                || depends_on_query(&subquery.inner)
        }
        Expr::Call(call) if matches!(call.function.name, "start" | "end" | "step" | "range") => {
            true
        }
        other => other.children().into_iter().any(depends_on_query),
    }
}

fn time_depends(time: &Modifiers) -> bool {
    matches!(time.at, Some(At::Start | At::End)) || time.offset.as_ref().is_some_and(span_depends)
}

fn span_depends(span: &Span) -> bool {
    match span {
        Span::Millis(_) => false,
        Span::Expr(expr) => duration_depends(expr),
    }
}

fn duration_depends(expr: &DurationExpr) -> bool {
    match &expr.kind {
        DurationKind::Literal(_) => false,
        DurationKind::Step | DurationKind::Range => true,
        DurationKind::Paren(inner)
        | DurationKind::Negative(inner)
        | DurationKind::Positive(inner) => duration_depends(inner),
        DurationKind::Min(a, b) | DurationKind::Max(a, b) | DurationKind::Binary(_, a, b) => {
            duration_depends(a) || duration_depends(b)
        }
    }
}
