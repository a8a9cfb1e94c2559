//! Aggregations that fold the series of a group into one.
//!
//! - AGGREGATE-1: memory follows groups and times: a series is folded in as it is decoded, and
//!   forgotten. (`quantile` keeps values, `topk` and its like keep series.)
//! - AGGREGATE-2: the groups come in the order of their first series.
//! - Source: Prometheus `promql/engine.go`, `aggregation`.

use model::histogram::IncompatibleSchemas;
use model::{FloatHistogram, Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::column::{Column, Point};
use super::histogram::HistogramSum;
use super::kahan::KahanSum;
use super::memory::{Held, histogram_bytes, labels_bytes};
use super::over_time::Mean;
use super::quantile::quantile;
use super::stream::Stream;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::annotations::Annotations;
use crate::ast::{Aggregate, AggregateOp};
use crate::position::Position;

/// Which labels name a group.
pub(super) struct Grouping<'a> {
    names: &'a [String],
    without: bool,
}

impl<'a> Grouping<'a> {
    pub(super) const fn new(names: &'a [String], without: bool) -> Self {
        Self { names, without }
    }

    fn keeps(&self, name: &str) -> bool {
        let listed = self.names.iter().any(|listed| listed == name);
        if self.without { !listed && name != METRIC_NAME } else { listed }
    }

    pub(super) fn labels(&self, labels: &Labels) -> Labels {
        Labels::from_sorted(labels.iter().filter(|(name, _)| self.keeps(name)))
    }

    /// Writes what tells the group of `labels` from others.
    fn write_key(&self, labels: &Labels, key: &mut Vec<u8>) {
        key.clear();
        for (name, value) in labels.iter().filter(|(name, _)| self.keeps(name)) {
            for text in [name, value] {
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
                key.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// The groups that one thread has seen.
struct Groups {
    places: FxHashMap<Vec<u8>, usize>,
    groups: Vec<Group>,
    key: Vec<u8>,
    annotations: Annotations,
    held: Held,
}

struct Group {
    labels: Labels,
    drop_name: bool,
    cells: Vec<Cell>,
}

/// What has been folded into a group at one time.
#[derive(Debug, Default)]
struct Cell {
    state: State,
    histogram: Option<HistogramCell>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Sum(KahanSum),
    Mean(Mean),
    Count(f64),
    /// Of `min`, `max` or `group`.
    Value(f64),
    Variance {
        count: f64,
        mean: f64,
        squares: f64,
    },
    Values(Vec<f64>),
}

/// The histograms of `sum` and `avg`.
#[derive(Debug)]
enum HistogramCell {
    Sum(Box<HistogramSum>),
    /// Exponential and custom buckets met: there is no result.
    Incompatible,
}

impl Evaluation<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, grid: &Grid) -> Evaluated<Vec<Series>> {
        if let Some(result) = self.push_down(aggregate, grid)? {
            return Ok(result);
        }
        match aggregate.op {
            AggregateOp::TopK
            | AggregateOp::BottomK
            | AggregateOp::LimitK
            | AggregateOp::LimitRatio => {
                let vector = self.vector(&aggregate.inner, grid)?;
                self.select_series(aggregate, vector, grid)
            }
            AggregateOp::CountValues => self.count_values(aggregate, grid),
            _ => self.fold_groups(aggregate, self.stream(&aggregate.inner, grid)?, grid),
        }
    }

    pub(super) fn fold_groups(
        &self,
        aggregate: &Aggregate,
        stream: Stream<'_>,
        grid: &Grid,
    ) -> Evaluated<Vec<Series>> {
        let quantiles = self.quantiles(aggregate, grid)?;
        let grouping = Grouping::new(&aggregate.grouping, aggregate.without);
        let fold = Fold { op: aggregate.op, at: aggregate.inner.position() };
        let new = || Groups {
            places: FxHashMap::default(),
            groups: Vec::new(),
            key: Vec::new(),
            annotations: Annotations::default(),
            held: Held::default(),
        };
        let parts = self.fold(stream, new, |groups, series| {
            self.add_series(&fold, &grouping, groups, series)
        })?;
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_else(new);
        for part in parts {
            self.add_groups(&fold, &mut all, part)?;
        }
        let mut annotations = std::mem::take(&mut all.annotations);
        let mut result = Vec::with_capacity(all.groups.len());
        for (index, group) in all.groups.into_iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            let mut column = Column::absent(grid.count);
            for (step, cell) in group.cells.into_iter().enumerate() {
                if matches!(cell.state, State::Values(_)) {
                    self.limits.check()?; // they are about to be sorted
                }
                let q = quantiles.as_ref().map_or(f64::NAN, |quantiles| quantiles[step]);
                column.set(step, fold.finish(cell, q, &mut annotations));
            }
            if !column.is_empty() {
                let Group { labels, drop_name, .. } = group;
                let mut series = Series { labels, drop_name, column, ..Series::default() };
                self.keep(&mut series)?;
                result.push(series);
            }
        }
        self.release_held(all.held);
        self.annotate(|all| all.merge(annotations));
        Ok(result)
    }

    /// The parameter of `quantile`.
    fn quantiles(&self, aggregate: &Aggregate, grid: &Grid) -> Evaluated<Option<Vec<f64>>> {
        let (AggregateOp::Quantile, Some(parameter)) = (aggregate.op, &aggregate.parameter) else {
            return Ok(None);
        };
        let quantiles = self.scalar(parameter, grid)?;
        let at = parameter.position();
        self.annotate(|annotations| {
            if quantiles.iter().any(|q| q.is_nan()) {
                annotations.invalid_quantile(at, f64::NAN);
            }
            let highest = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if highest > 1.0 {
                annotations.invalid_quantile(at, highest);
            }
            let lowest = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
            if lowest < 0.0 {
                annotations.invalid_quantile(at, lowest);
            }
        });
        Ok(Some(quantiles))
    }

    fn add_series(
        &self,
        fold: &Fold,
        grouping: &Grouping<'_>,
        all: &mut Groups,
        series: &Series,
    ) -> Evaluated<()> {
        let Groups { places, groups, key, annotations, held } = all;
        grouping.write_key(&series.labels, key);
        let place = match places.get(key.as_slice()) {
            Some(place) => *place,
            None => {
                let labels = grouping.labels(&series.labels);
                let own = labels_bytes(&labels) + key.len() + size_of::<Group>();
                let bytes = own + series.column.len() * size_of::<Cell>();
                self.hold(Held { samples: series.column.size(), bytes }, held)?;
                let cells = (0..series.column.len()).map(|_| Cell::default()).collect();
                groups.push(Group { labels, drop_name: false, cells });
                places.insert(key.clone(), groups.len() - 1);
                groups.len() - 1
            }
        };
        let group = &mut groups[place];
        group.drop_name |= series.drop_name;
        self.hold(beside_cells(fold, &group.cells, &series.column), held)?;
        for (step, cell) in group.cells.iter_mut().enumerate() {
            if let Some(value) = series.column.float(step) {
                fold.add_float(&mut cell.state, value);
            } else if let Some(histogram) = series.column.histogram(step) {
                fold.add_histogram(cell, histogram, &series.labels, annotations);
            }
        }
        Ok(())
    }

    /// Folds the groups of a later part of the series into those of the earlier ones.
    fn add_groups(&self, fold: &Fold, all: &mut Groups, part: Groups) -> Evaluated<()> {
        all.held.add(part.held);
        all.annotations.merge(part.annotations);
        let mut keys: Vec<(Vec<u8>, usize)> = part.places.into_iter().collect();
        keys.sort_unstable_by_key(|(_, place)| *place);
        for ((key, place), group) in keys.into_iter().zip(part.groups) {
            self.limits.check_now_and_then(place)?;
            match all.places.get(&key) {
                None => {
                    all.places.insert(key, all.groups.len());
                    all.groups.push(group);
                }
                Some(place) => {
                    let known = &mut all.groups[*place];
                    known.drop_name |= group.drop_name;
                    for (cell, new) in known.cells.iter_mut().zip(group.cells) {
                        fold.add_cell(cell, new, &mut all.annotations);
                    }
                }
            }
        }
        Ok(())
    }

    fn count_values(&self, aggregate: &Aggregate, grid: &Grid) -> Evaluated<Vec<Series>> {
        let parameter = aggregate.parameter.as_ref().expect("type-checked to be there");
        let literal = super::string(parameter);
        if !literal.is_utf8 || literal.value.is_empty() {
            let message = format!("invalid label name {literal}");
            return Err(crate::limits::EvalError::execution(message));
        }
        let mut names = aggregate.grouping.clone();
        if !aggregate.without {
            names.push(literal.value.clone());
        }
        let grouping = Grouping::new(&names, aggregate.without);
        let vector = self.vector(&aggregate.inner, grid)?;
        let mut result: Vec<Series> = Vec::new();
        let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
        for series in &vector {
            for step in 0..grid.count {
                self.limits.check_now_and_then(step)?;
                let value = match series.column.get(step) {
                    None => continue,
                    Some(Point::Float(value)) => crate::number::format_value(value),
                    Some(Point::Histogram(histogram)) => histogram.to_string(),
                };
                let mut labels = series.labels.to_builder();
                labels.set(literal.value.as_str(), value);
                let labels = grouping.labels(&labels.build());
                let place = match places.get(&labels) {
                    Some(place) => *place,
                    None => {
                        places.insert(labels.clone(), result.len());
                        let column = Column::absent(grid.count);
                        let mut new = Series { labels, column, ..Series::default() };
                        self.keep(&mut new)?;
                        result.push(new);
                        result.len() - 1
                    }
                };
                let column = &mut result[place].column;
                column.set_float(step, column.float(step).unwrap_or(0.0) + 1.0);
            }
        }
        self.release(&vector);
        Ok(result)
    }
}

/// What cells keep of a series beside their own size: the values of `quantile`, and sums of histograms.
fn beside_cells(fold: &Fold, cells: &[Cell], column: &Column) -> Held {
    let mut held = Held::default();
    if fold.op == AggregateOp::Quantile {
        held.samples = (0..column.len()).filter(|step| column.float(*step).is_some()).count();
        held.bytes = 2 * held.samples * size_of::<f64>(); // as vectors grow
    }
    if column.has_histograms() {
        let is_first = |(step, cell): (usize, &Cell)| match cell.histogram {
            None => column.histogram(step),
            Some(_) => None,
        };
        let first = cells.iter().enumerate().filter_map(is_first);
        held.bytes += first.map(|histogram| 2 * histogram_bytes(histogram)).sum::<usize>();
    }
    held
}

/// How samples are folded.
struct Fold {
    op: AggregateOp,
    /// Where the aggregated expression stands.
    at: Position,
}

impl Fold {
    fn add_float(&self, state: &mut State, value: f64) {
        *state = match (std::mem::take(state), self.op) {
            (State::Empty, AggregateOp::Sum) => State::Sum(KahanSum::new(value)),
            (State::Empty, AggregateOp::Avg) => State::Mean(Mean::new(value)),
            (State::Empty, AggregateOp::Count) => State::Count(1.0),
            (State::Empty, AggregateOp::Group) => State::Value(1.0),
            (State::Empty, AggregateOp::Min | AggregateOp::Max) => State::Value(value),
            (State::Empty, AggregateOp::Stddev | AggregateOp::Stdvar) => {
                let squares = if value.is_finite() { 0.0 } else { f64::NAN };
                State::Variance { count: 1.0, mean: value, squares }
            }
            (State::Empty, _) => State::Values(vec![value]),
            (State::Sum(sum), _) => State::Sum(sum.plus(value)),
            (State::Mean(mean), _) => State::Mean(mean.plus(value)),
            (State::Count(count), _) => State::Count(count + 1.0),
            (State::Value(best), op) => State::Value(better(op, best, value)),
            (State::Variance { count, mean, squares }, _) => {
                let count = count + 1.0;
                let delta = value - mean;
                let mean = mean + delta / count;
                State::Variance { count, mean, squares: squares + delta * (value - mean) }
            }
            (State::Values(mut values), _) => {
                values.push(value);
                State::Values(values)
            }
        };
    }

    fn add_histogram(
        &self,
        cell: &mut Cell,
        histogram: &FloatHistogram,
        labels: &Labels,
        annotations: &mut Annotations,
    ) {
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => match &mut cell.histogram {
                None => {
                    let is_mean = self.op == AggregateOp::Avg;
                    let sum = HistogramSum::new(histogram.clone(), is_mean);
                    cell.histogram = Some(HistogramCell::Sum(Box::new(sum)));
                }
                Some(known) => {
                    let metric = labels.metric_name();
                    known.combine(|sum| sum.add(histogram), self.at, metric, annotations);
                }
            },
            AggregateOp::Count | AggregateOp::Group => self.add_float(&mut cell.state, 1.0),
            op => annotations.histogram_ignored_in_aggregation(self.at, op.as_str()),
        }
    }

    fn add_cell(&self, cell: &mut Cell, new: Cell, annotations: &mut Annotations) {
        if let Some(new) = new.histogram {
            match &mut cell.histogram {
                None => cell.histogram = Some(new),
                Some(known) => match new {
                    HistogramCell::Sum(new) => {
                        known.combine(|sum| sum.merge(*new), self.at, "", annotations);
                    }
                    HistogramCell::Incompatible => *known = HistogramCell::Incompatible,
                },
            }
        }
        cell.state = match (std::mem::take(&mut cell.state), new.state) {
            (State::Empty, state) | (state, State::Empty) => state,
            (State::Sum(a), State::Sum(b)) => State::Sum(a.plus(b.sum).plus(b.compensation)),
            (State::Mean(a), State::Mean(b)) => State::Mean(a.and(b)),
            (State::Count(a), State::Count(b)) => State::Count(a + b),
            (State::Value(a), State::Value(b)) => State::Value(better(self.op, a, b)),
            (
                State::Variance { count, mean, squares },
                State::Variance { count: more, mean: other, squares: others },
            ) => {
                let (total, delta) = (count + more, other - mean);
                State::Variance {
                    count: total,
                    mean: mean + delta * more / total,
                    squares: squares + others + delta * delta * count * more / total,
                }
            }
            (State::Values(mut a), State::Values(b)) => {
                a.extend(b);
                State::Values(a)
            }
            (known, _) => unreachable!("states of one aggregation are of one kind: {known:?}"),
        };
    }

    fn finish(&self, cell: Cell, q: f64, annotations: &mut Annotations) -> Option<Point> {
        if let Some(histogram) = cell.histogram {
            if !matches!(cell.state, State::Empty) {
                annotations.mixed_floats_histograms_aggregation(self.at);
                return None;
            }
            return match histogram {
                HistogramCell::Incompatible => None,
                HistogramCell::Sum(sum) => {
                    let total = sum.finish(self.at, annotations)?;
                    Some(Point::Histogram(std::sync::Arc::new(total)))
                }
            };
        }
        Some(Point::Float(match cell.state {
            State::Empty => return None,
            State::Sum(sum) => sum.total(),
            State::Mean(mean) => mean.value(),
            State::Count(value) | State::Value(value) => value,
            State::Variance { count, squares, .. } => match self.op {
                AggregateOp::Stddev => (squares / count).sqrt(),
                _ => squares / count,
            },
            State::Values(mut values) => quantile(q, &mut values),
        }))
    }
}

/// Which of two values `min` or `max` keeps: any number rather than NaN.
fn better(op: AggregateOp, best: f64, value: f64) -> f64 {
    let wins = match op {
        AggregateOp::Min => best > value,
        AggregateOp::Max => best < value,
        _ => return best,
    };
    if wins || best.is_nan() { value } else { best }
}

impl HistogramCell {
    fn combine(
        &mut self,
        combine: impl FnOnce(&mut HistogramSum) -> Result<(), IncompatibleSchemas>,
        at: Position,
        metric: &str,
        annotations: &mut Annotations,
    ) {
        if let Self::Sum(sum) = self
            && combine(sum).is_err()
        {
            annotations.mixed_exponential_custom(at, metric);
            *self = Self::Incompatible;
        }
    }
}
