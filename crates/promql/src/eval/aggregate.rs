//! Aggregations that fold the series of a group into one.
//!
//! - AGGREGATE-1: memory follows groups and times: a series is folded in as it is decoded, and
//!   forgotten. (`quantile` keeps values, `topk` and its like keep series.)
//! - AGGREGATE-2: the groups come in the order of their first series.
//! - Source: Prometheus `promql/engine.go`, `aggregation`.

mod cells;

use model::{Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::column::{Column, Point};
use super::memory::{Held, labels_bytes};
use super::stream::Stream;
use super::{Evaluated, Evaluation, Grid, Series, pushdown};
use crate::annotations::Annotations;
use crate::ast::{Aggregate, AggregateOp};
use cells::{Cells, Fold};

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
#[derive(Default)]
struct Groups {
    groups: Vec<Group>,
    /// By labels.
    places: FxHashMap<Vec<u8>, usize>,
    /// By the storage's numbers, where it tells groups: counted from 1.
    numbered: Vec<u32>,
    key: Vec<u8>,
    annotations: Annotations,
    held: Held,
}

struct Group {
    labels: Labels,
    number: Option<u32>,
    drop_name: bool,
    cells: Cells,
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
        let opened = self.opened(stream, Some(pushdown::grouping(aggregate)))?;
        let labels = opened.group_labels().unwrap_or_default();
        let visit = |groups: &mut Groups, series: &mut Series, number: Option<u32>| {
            let place = match number {
                Some(number) => groups.numbered(number, labels.len()),
                None => groups.labelled(&grouping, &series.labels),
            };
            let place = match place {
                Some(place) => place,
                None => {
                    let labels = match number {
                        Some(number) => labels[number as usize].clone(),
                        None => grouping.labels(&series.labels),
                    };
                    let own = labels_bytes(&labels) + groups.key.len() + size_of::<Group>();
                    let bytes = own + fold.bytes(series.column.len());
                    let more = Held { samples: series.column.size(), bytes };
                    self.hold(more, &mut groups.held)?;
                    let cells = fold.cells(series.column.len());
                    groups.add(Group { labels, number, drop_name: false, cells })
                }
            };
            let Groups { groups, annotations, held, .. } = groups;
            self.hold(groups[place].cells.beside(&series.column), held)?;
            groups[place].drop_name |= series.drop_name;
            fold.add_series(&mut groups[place].cells, &series.column, &series.labels, annotations);
            Ok(())
        };
        let mut parts = self.fold_opened(opened, Groups::default, visit)?.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            self.add_groups(&fold, &mut all, part)?;
        }
        let mut annotations = std::mem::take(&mut all.annotations);
        let mut result = Vec::with_capacity(all.groups.len());
        for (index, Group { labels, drop_name, cells, .. }) in all.groups.into_iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            let check = || self.limits.check();
            let column = fold.finish(cells, quantiles.as_deref(), check, &mut annotations)?;
            if !column.is_empty() {
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

    /// Folds the groups of a later part of the series into those of the earlier ones.
    fn add_groups(&self, fold: &Fold, all: &mut Groups, mut part: Groups) -> Evaluated<()> {
        all.held.add(part.held);
        all.annotations.merge(std::mem::take(&mut part.annotations));
        let mut keys: Vec<(Vec<u8>, usize)> = part.places.into_iter().collect();
        keys.sort_unstable_by_key(|(_, place)| *place);
        let mut keys = keys.into_iter().map(|(key, _)| key);
        for (index, group) in part.groups.into_iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            let known = match group.number {
                Some(number) => all.numbered(number, part.numbered.len()),
                None => {
                    all.key = keys.next().expect("a group without a number has a key");
                    all.places.get(&all.key).copied()
                }
            };
            match known {
                None => drop(all.add(group)),
                Some(place) => {
                    let known = &mut all.groups[place];
                    known.drop_name |= group.drop_name;
                    fold.add_cells(&mut known.cells, group.cells, &mut all.annotations);
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

impl Groups {
    /// Where the storage's group `number`, one of `count`, is.
    fn numbered(&mut self, number: u32, count: usize) -> Option<usize> {
        if self.numbered.is_empty() {
            self.numbered.resize(count, 0);
        }
        (self.numbered[number as usize] as usize).checked_sub(1)
    }

    /// Where the group of `labels` is; notes its key.
    fn labelled(&mut self, grouping: &Grouping<'_>, labels: &Labels) -> Option<usize> {
        grouping.write_key(labels, &mut self.key);
        self.places.get(&self.key).copied()
    }

    /// Adds the group that was just not found.
    fn add(&mut self, group: Group) -> usize {
        let place = self.groups.len();
        match group.number {
            Some(number) => self.numbered[number as usize] = place as u32 + 1,
            None => drop(self.places.insert(self.key.clone(), place)),
        }
        self.groups.push(group);
        place
    }
}
