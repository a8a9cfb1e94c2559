//! Selectors: which series and samples an expression is about.
//!
//! An instant selector takes, at each time, a series' newest sample that is not older than the
//! lookback; a staleness marker ends it at once. Ranges are open at their start.

use std::sync::Arc;

use model::histogram::CounterReset;
use model::{Labels, METRIC_NAME, MatchOp, Matcher, Sample, TimeRange, Timestamp, is_stale};
use storage::{Columns, SamplesNeeded, Selection, SelectionHints, SeriesSet};

use super::column::Point;
use super::context::Context;
use super::stream::Scratch;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::annotations::Annotations;
use crate::ast::{
    At, BinaryOp, DurationExpr, DurationKind, Extension, MatrixSelector, Modifiers, NumberLiteral,
    Span, VectorSelector,
};
use crate::limits::EvalError;
use crate::position::Position;
use crate::value::MatrixSeries;

/// Which time a selector looks at when its expression is evaluated at another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    at: Option<i64>,
    offset: i64,
}

impl Timing {
    pub(super) const fn reference(&self, time: i64) -> i64 {
        let time = match self.at {
            Some(at) => at,
            None => time,
        };
        time.saturating_sub(self.offset)
    }
}

/// What is taken of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yields {
    Value,
    /// When it was taken, in seconds.
    Timestamp,
    /// When its counting began, in seconds; 0 if that is not known.
    StartTimestamp,
}

/// An instant selector.
pub(super) struct Instants {
    pub(super) selection: Selection,
    /// The metric alone, if all series are of one: what annotations say of series without labels.
    pub(super) metric: Labels,
    timing: Timing,
    yields: Yields,
    smoothed: bool,
    position: Position,
    resolve_hints: bool,
    pub(super) names_are_equal: bool,
}

impl Evaluation<'_> {
    pub(super) fn instants(
        &self,
        selector: &VectorSelector,
        grid: &Grid,
        yields: Yields,
    ) -> Evaluated<Instants> {
        let timing = self.timing(&selector.time)?;
        let smoothed = selector.extension == Extension::Smoothed;
        let (first, last) = (timing.reference(grid.start), timing.reference(grid.end()));
        let last = if smoothed { last.saturating_add(self.lookback()) } else { last };
        let after = first.saturating_sub(self.lookback());
        let Context { function, grouping, only_stats } = self.contexts.of(selector);
        let hints = SelectionHints {
            function,
            step: grid.step(),
            window: None,
            grouping,
            only_groups: false,
            samples: match grid.count == 1 && !smoothed && !only_stats {
                true => SamplesNeeded::Newest,
                false => SamplesNeeded::All,
            },
        };
        let selection = selection(selector, after, last, hints);
        let metric = metric(selector);
        let names_are_equal = self.names_are_equal(selector);
        let position = selector.position;
        let resolve_hints = only_stats;
        Ok(Instants {
            selection,
            metric,
            timing,
            yields,
            smoothed,
            position,
            resolve_hints,
            names_are_equal,
        })
    }

    pub(super) fn select(&self, selection: &Selection) -> Evaluated<Box<dyn SeriesSet>> {
        Ok(self.meter.preparing(|| self.storage.select(selection))?)
    }

    /// Whether all series of `selector` have one metric name.
    pub(super) fn names_are_equal(&self, selector: &VectorSelector) -> bool {
        let by_name =
            selector.matchers.iter().any(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        by_name && !self.options.type_and_unit_labels
    }

    /// Fills in the series at `index`.
    pub(super) fn read_instants(
        &self,
        (instants, set): (&Instants, &dyn SeriesSet),
        grid: &Grid,
        index: usize,
        series: &mut Series,
        scratch: &mut Scratch,
    ) -> Evaluated<()> {
        let Scratch { columns, annotations, charged, .. } = scratch;
        columns.clear();
        set.read(index, columns)?;
        if instants.resolve_hints {
            resolve_reset_hints(columns);
        }
        let size = columns.len() + columns.histograms.len();
        self.limits.charge(size)?;
        self.charge_columns(columns, charged)?;
        if set.groups().is_none() {
            series.labels = set.labels(index);
        }
        series.drop_name = false;
        if instants.smoothed {
            let named = if set.groups().is_some() { &instants.metric } else { &series.labels };
            let named = named.clone();
            self.smoothed_values(instants, (grid, &named), columns, series, annotations);
        } else {
            self.newest_values(instants, grid, columns, series);
        }
        self.limits.release(size);
        Ok(())
    }

    fn newest_values(
        &self,
        instants: &Instants,
        grid: &Grid,
        columns: &Columns,
        series: &mut Series,
    ) {
        let (mut floats, mut histograms) = (0, 0);
        for (step, time) in grid.times().enumerate() {
            let reference = instants.timing.reference(time);
            let oldest = reference.saturating_sub(self.lookback());
            while columns.timestamps.get(floats).is_some_and(|t| t.as_millis() <= reference) {
                floats += 1;
            }
            while columns.histograms.get(histograms).is_some_and(|h| h.0.as_millis() <= reference) {
                histograms += 1;
            }
            let float = floats.checked_sub(1).map(|at| columns.timestamps[at]);
            let histogram = histograms.checked_sub(1).map(|at| columns.histograms[at].0);
            let Some(newest) = float.max(histogram).filter(|t| t.as_millis() > oldest) else {
                continue;
            };
            let (point, start) = if float == Some(newest) {
                let at = floats - 1;
                (Point::Float(columns.values[at]), columns.starts.get(at))
            } else {
                let at = histograms - 1;
                let histogram = Arc::clone(&columns.histograms[at].1);
                (Point::Histogram(histogram), columns.histogram_starts.get(at))
            };
            let is_stale = match &point {
                Point::Float(value) => is_stale(*value),
                Point::Histogram(histogram) => is_stale(histogram.sum),
            };
            if !is_stale {
                let point = match instants.yields {
                    Yields::Value => point,
                    Yields::Timestamp => Point::Float(newest.as_seconds()),
                    Yields::StartTimestamp => {
                        Point::Float(start.copied().unwrap_or_default().as_seconds())
                    }
                };
                series.column.set(step, Some(point));
            }
        }
    }

    /// Values interpolated between the samples around each time.
    fn smoothed_values(
        &self,
        instants: &Instants,
        (grid, labels): (&Grid, &Labels),
        columns: &mut Columns,
        series: &mut Series,
        annotations: &mut Annotations,
    ) {
        drop_stale(columns);
        let (metric, at) = (labels.metric_name(), instants.position);
        let lookback = self.lookback();
        let histogram_times: Vec<Timestamp> =
            columns.histograms.iter().map(|(time, _)| *time).collect();
        for (step, time) in grid.times().enumerate() {
            let time = instants.timing.reference(time);
            let floats = Around::find(&columns.timestamps, time, lookback);
            let histograms = Around::find(&histogram_times, time, lookback);
            let point = match (floats, histograms) {
                (None, None) => continue,
                (Some(_), Some(_)) => {
                    annotations.mixed_floats_histograms(at, metric);
                    continue;
                }
                (Some(around), None) => {
                    let value = |index: usize| columns.values[index];
                    match around {
                        Around::Only(index) => Point::Float(value(index)),
                        Around::Later => continue,
                        Around::Between(left, part) => {
                            let (left, right) = (value(left), value(left + 1));
                            Point::Float(left + (right - left) * part)
                        }
                    }
                }
                (None, Some(around)) => {
                    let histogram = |index: usize| &columns.histograms[index].1;
                    match around {
                        Around::Only(index) => Point::Histogram(Arc::clone(histogram(index))),
                        Around::Later => continue,
                        Around::Between(left, part) => {
                            let (left, right) = (histogram(left), histogram(left + 1));
                            let is_counter = right.counter_reset != CounterReset::Gauge;
                            let Ok(between) =
                                super::histogram::interpolated(left, right, part, is_counter)
                            else {
                                annotations.mixed_exponential_custom(at, metric);
                                continue;
                            };
                            Point::Histogram(Arc::new(between))
                        }
                    }
                }
            };
            series.column.set(step, Some(point));
        }
    }

    /// The samples of a range selector that is itself the query.
    pub(super) fn raw_samples(&self, selector: &MatrixSelector) -> Evaluated<Vec<MatrixSeries>> {
        let timing = self.timing(&selector.vector.time)?;
        let range = self.positive_millis(&selector.range)?;
        let until = timing.reference(self.query.start);
        let after = until.saturating_sub(range);
        let (from, to) = self.extended(selector.vector.extension, after, until);
        let selection = selection(&selector.vector, from, to, SelectionHints::default());
        let set = self.select(&selection)?;
        let mut matrix = Vec::new();
        let (mut columns, mut tally) = (Columns::default(), self.meter.tally());
        for index in 0..set.len() {
            self.limits.check()?;
            columns.clear();
            set.read(index, &mut columns)?;
            drop_stale(&mut columns);
            tally.windows(&columns, &self.query, range, |now| timing.reference(now));
            self.limits.charge(columns.len() + columns.histograms.len())?;
            if selector.vector.extension != Extension::None {
                super::counters::extend(&mut columns, selector.vector.extension, after, until)?;
            }
            if !columns.is_empty() || !columns.histograms.is_empty() {
                let samples: Vec<Sample> = columns.iter().collect();
                let histograms = columns.histograms.clone();
                let series = MatrixSeries { labels: set.labels(index), samples, histograms };
                self.charge_result(&series)?;
                matrix.push(series);
            }
        }
        self.meter.add(&tally.into_counts());
        Ok(matrix)
    }

    /// How far an extended range selector looks beyond its range.
    pub(super) fn extended(&self, extension: Extension, after: i64, until: i64) -> (i64, i64) {
        let lookback = self.lookback();
        match extension {
            Extension::None => (after, until),
            Extension::Anchored => (after.saturating_sub(lookback), until),
            Extension::Smoothed => (after.saturating_sub(lookback), until.saturating_add(lookback)),
        }
    }

    pub(super) fn timing(&self, time: &Modifiers) -> Evaluated<Timing> {
        let at = time.at.map(|at| match at {
            At::Millis(millis) => millis,
            At::Start => self.query.start,
            At::End => self.query.end(),
        });
        let offset = match &time.offset {
            Some(offset) => self.millis(offset)?,
            None => 0,
        };
        Ok(Timing { at, offset })
    }

    pub(super) fn positive_millis(&self, span: &Span) -> Evaluated<i64> {
        match (self.millis(span)?, span) {
            (millis, Span::Expr(expr)) if millis <= 0 => {
                Err(duration_error(expr, "duration must be greater than 0"))
            }
            (millis, _) => Ok(millis),
        }
    }

    fn millis(&self, span: &Span) -> Evaluated<i64> {
        match span {
            Span::Millis(millis) => Ok(*millis),
            Span::Expr(expr) => {
                let seconds = self.seconds(expr)?;
                if !seconds.is_finite() || seconds.abs() > i64::MAX as f64 / 1e9 {
                    return Err(duration_error(expr, "duration is out of range"));
                }
                Ok((seconds * 1000.0).round() as i64)
            }
        }
    }

    fn seconds(&self, expr: &DurationExpr) -> Evaluated<f64> {
        Ok(match &expr.kind {
            DurationKind::Literal(number) => number.value,
            DurationKind::Step => self.query.step as f64 / 1000.0,
            DurationKind::Range => (self.query.end() - self.query.start) as f64 / 1000.0,
            DurationKind::Paren(inner) | DurationKind::Positive(inner) => self.seconds(inner)?,
            DurationKind::Negative(inner) => -self.seconds(inner)?,
            DurationKind::Min(a, b) => super::math::min(self.seconds(a)?, self.seconds(b)?),
            DurationKind::Max(a, b) => super::math::max(self.seconds(a)?, self.seconds(b)?),
            DurationKind::Binary(op, left, right) => {
                let (left, right) = (self.seconds(left)?, self.seconds(right)?);
                match op {
                    BinaryOp::Div if right == 0.0 => {
                        return Err(duration_error(expr, "division by zero"));
                    }
                    BinaryOp::Mod if right == 0.0 => {
                        return Err(duration_error(expr, "modulo by zero"));
                    }
                    op => super::binary::scalars(*op, left, right),
                }
            }
        })
    }
}

/// The series of `selector`, after one time and until another.
pub(super) fn selection(
    selector: &VectorSelector,
    after: i64,
    until: i64,
    hints: SelectionHints,
) -> Selection {
    let start = Timestamp::from_millis(after.saturating_add(1));
    let range = TimeRange::new(start, Timestamp::from_millis(until));
    Selection { range, matchers: selector.matchers.clone(), hints }
}

/// The name that `selector` asks for outright.
pub(super) fn metric(selector: &VectorSelector) -> Labels {
    let named = |m: &&Matcher| m.name() == METRIC_NAME && m.op() == MatchOp::Equal;
    let name = selector.matchers.iter().find(named).filter(|name| !name.value().is_empty());
    Labels::from_sorted(name.map(|name| (METRIC_NAME, name.value())))
}

/// Which samples tell the value at a time, none of them further away than the lookback.
enum Around {
    /// This one, exactly then or before it with none after.
    Only(usize),
    /// This one and the next, the time being at this part of the way.
    Between(usize, f64),
    /// There are only later samples.
    Later,
}

impl Around {
    fn find(times: &[Timestamp], time: i64, lookback: i64) -> Option<Self> {
        let millis = |index: usize| times[index].as_millis();
        let next = times.partition_point(|t| t.as_millis() < time);
        let is_near = |index: &usize| millis(*index) <= time.saturating_add(lookback);
        let after = (next < times.len()).then_some(next).filter(is_near);
        let is_recent = |index: &usize| millis(*index) > time.saturating_sub(lookback);
        let before = next.checked_sub(1).filter(is_recent);
        Some(match (before, after) {
            (None, None) => return None,
            (_, Some(after)) if millis(after) == time => Self::Only(after),
            (Some(before), None) => Self::Only(before),
            (None, Some(_)) => Self::Later,
            (Some(before), Some(after)) => {
                let length = millis(after) - millis(before);
                Self::Between(before, (time - millis(before)) as f64 / length as f64)
            }
        })
    }
}

/// Tells resets that a database leaves open, so that functions that only need counts and sums can
/// do without comparing buckets.
///
/// Source: Prometheus `promql/histogram_stats_iterator.go`.
pub(super) fn resolve_reset_hints(columns: &mut Columns) {
    for index in 1..columns.histograms.len() {
        let (earlier, later) = columns.histograms.split_at_mut(index);
        let (previous, current) = (&earlier[index - 1].1, &mut later[0].1);
        if current.counter_reset == CounterReset::Unknown && !is_stale(previous.sum) {
            let is_reset = current.is_reset_since(previous);
            Arc::make_mut(current).counter_reset =
                if is_reset { CounterReset::Reset } else { CounterReset::NotReset };
        }
    }
}

/// Both lengths of time together.
pub(super) fn sum(a: &Option<Span>, b: &Option<Span>) -> Option<Span> {
    match (a, b) {
        (None, other) | (other, None) => other.clone(),
        (Some(Span::Millis(a)), Some(Span::Millis(b))) => Some(Span::Millis(a.saturating_add(*b))),
        (Some(a), Some(b)) => {
            let [a, b] = [a, b].map(|span| Box::new(as_expr(span)));
            let kind = DurationKind::Binary(BinaryOp::Add, a, b);
            Some(Span::Expr(Box::new(DurationExpr { kind, position: Position::default() })))
        }
    }
}

fn as_expr(span: &Span) -> DurationExpr {
    match span {
        Span::Expr(expr) => DurationExpr::clone(expr),
        Span::Millis(millis) => {
            let (value, position) = (*millis as f64 / 1000.0, Position::default());
            let literal = NumberLiteral { value, is_duration: true, position };
            DurationExpr { kind: DurationKind::Literal(literal), position }
        }
    }
}

fn duration_error(expr: &DurationExpr, message: &str) -> EvalError {
    let (start, end) = (expr.position.start, expr.position.end);
    EvalError::execution(format!("{start}:{end}: {message}"))
}

/// Range selectors do not see staleness markers.
pub(super) fn drop_stale(columns: &mut Columns) {
    let Columns { timestamps, values, histograms, starts, histogram_starts, spare: _ } = columns;
    if values.iter().any(|value| is_stale(*value)) {
        let fresh: Vec<bool> = values.iter().map(|value| !is_stale(*value)).collect();
        retain(timestamps, &fresh);
        retain(values, &fresh);
        retain(starts, &fresh);
    }
    if histograms.iter().any(|(_, histogram)| is_stale(histogram.sum)) {
        let fresh: Vec<bool> = histograms.iter().map(|(_, h)| !is_stale(h.sum)).collect();
        retain(histograms, &fresh);
        retain(histogram_starts, &fresh);
    }
}

/// Keeps the items at the places that are `true`; a list without items stays as it is.
fn retain<T>(items: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    items.retain(|_| *kept.next().unwrap_or(&true));
}
