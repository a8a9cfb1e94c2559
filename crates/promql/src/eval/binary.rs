//! Operators between two values, and between two vectors whose series find each other by labels.
//!
//! - BINARY-1: a result has, at any time, one value per label set; what would give two is an error.
//! - Source: Prometheus `promql/engine.go` (`VectorBinop`, `VectorAnd` and its like).

use std::sync::Arc;

use model::{FloatHistogram, Labels};
use rustc_hash::FxHashMap;

use super::column::{Column, Point};
use super::labels::InBraces;
use super::matching::{Matched, match_labels};
use super::{Evaluated, Evaluation, Grid, Series, histogram, labels};
use crate::annotations::Annotations;
use crate::ast::{Binary, BinaryOp, Cardinality};
use crate::limits::EvalError;
use crate::position::Position;

/// Two scalars; a comparison gives 0 or 1.
pub(super) fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match floats(op, left, right) {
        Some((value, _)) if !op.is_comparison() => value,
        Some((_, holds)) => f64::from(u8::from(holds)),
        None => f64::NAN,
    }
}

/// The value, and whether a comparison lets it pass. Nothing where floats have no such operator.
fn floats(op: BinaryOp, left: f64, right: f64) -> Option<(f64, bool)> {
    Some(match op {
        BinaryOp::Add => (left + right, true),
        BinaryOp::Sub => (left - right, true),
        BinaryOp::Mul => (left * right, true),
        BinaryOp::Div => (left / right, true),
        BinaryOp::Mod => (left % right, true),
        BinaryOp::Pow => (left.powf(right), true),
        BinaryOp::Atan2 => (left.atan2(right), true),
        BinaryOp::Equal => (left, left == right),
        BinaryOp::NotEqual => (left, left != right),
        BinaryOp::Less => (left, left < right),
        BinaryOp::LessOrEqual => (left, left <= right),
        BinaryOp::Greater => (left, left > right),
        BinaryOp::GreaterOrEqual => (left, left >= right),
        BinaryOp::TrimUpper
        | BinaryOp::TrimLower
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless => return None,
    })
}

/// Why two samples have no result, or one that its reader should know more about.
#[derive(Debug)]
pub(super) enum Trouble {
    /// `float` or `histogram` on either side.
    Types(&'static str, &'static str),
    Buckets,
}

impl Trouble {
    pub(super) fn annotate(self, annotations: &mut Annotations, op: BinaryOp, at: Position) {
        match self {
            Self::Types(left, right) => {
                annotations.incompatible_types(at, left, op.as_str(), right);
            }
            Self::Buckets => annotations.incompatible_buckets_in_binary(at, op.as_str()),
        }
    }
}

/// What came of two samples.
struct Outcome {
    point: Point,
    keep: bool,
    combined: model::histogram::Combined,
}

fn points(op: BinaryOp, left: &Point, right: &Point) -> Result<Outcome, Trouble> {
    let plain = |point, keep| Outcome { point, keep, combined: Default::default() };
    let whole = |histogram: FloatHistogram| Point::Histogram(Arc::new(histogram));
    let scaled = |histogram: &FloatHistogram, apply: fn(&mut FloatHistogram, f64), by: f64| {
        let mut result = histogram.clone();
        apply(&mut result, by);
        result.compact();
        whole(result)
    };
    match (left, right) {
        (Point::Float(left), Point::Float(right)) => match floats(op, *left, *right) {
            Some((value, keep)) => Ok(plain(Point::Float(value), keep)),
            None => Err(Trouble::Types("float", "float")),
        },
        (Point::Float(left), Point::Histogram(right)) => match op {
            BinaryOp::Mul => Ok(plain(scaled(right, FloatHistogram::scale, *left), true)),
            _ => Err(Trouble::Types("float", "histogram")),
        },
        (Point::Histogram(left), Point::Float(right)) => match op {
            BinaryOp::Mul => Ok(plain(scaled(left, FloatHistogram::scale, *right), true)),
            BinaryOp::Div => Ok(plain(scaled(left, FloatHistogram::divide, *right), true)),
            BinaryOp::TrimUpper => Ok(plain(whole(histogram::trim_upper(left, *right)), true)),
            BinaryOp::TrimLower => Ok(plain(whole(histogram::trim_lower(left, *right)), true)),
            _ => Err(Trouble::Types("histogram", "float")),
        },
        (Point::Histogram(left_histogram), Point::Histogram(right)) => match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let mut result = FloatHistogram::clone(left_histogram);
                let combined = match op {
                    BinaryOp::Add => result.add(right),
                    _ => result.subtract(right),
                }
                .map_err(|_| Trouble::Buckets)?;
                if op == BinaryOp::Sub {
                    result.counter_reset = model::histogram::CounterReset::Gauge;
                }
                result.compact();
                Ok(Outcome { point: whole(result), keep: true, combined })
            }
            BinaryOp::Equal => Ok(plain(left.clone(), left_histogram == right)),
            BinaryOp::NotEqual => Ok(plain(left.clone(), left_histogram != right)),
            _ => Err(Trouble::Types("histogram", "histogram")),
        },
    }
}

/// A sample of a vector and a scalar. A comparison always gives the sample, whichever side it is on.
pub(super) fn with_scalar(
    op: BinaryOp,
    point: Point,
    scalar: f64,
    scalar_is_left: bool,
    returns_bool: bool,
) -> Result<Option<Point>, Trouble> {
    let scalar = Point::Float(scalar);
    let outcome = match scalar_is_left {
        true => points(op, &scalar, &point)?,
        false => points(op, &point, &scalar)?,
    };
    if returns_bool {
        return Ok(Some(Point::Float(f64::from(u8::from(outcome.keep)))));
    }
    let result = if op.is_comparison() { point } else { outcome.point };
    Ok(outcome.keep.then_some(result))
}

/// What [`Join`] has for every group and time.
const CELL_BYTES: usize = size_of::<u32>() + size_of::<bool>();

impl Evaluation<'_> {
    /// `and`, `or`, `unless`
    pub(super) fn set_operation(&self, binary: &Binary, grid: &Grid) -> Evaluated<Vec<Series>> {
        let mut left = self.vector(&binary.lhs, grid)?;
        let mut right = self.vector(&binary.rhs, grid)?;
        let matched = self.matched(&binary.matching, &left, &right)?;
        self.limits.charge_bytes(matched.groups * grid.count)?;
        // The side whose presence decides, group by group.
        let (deciding, groups) = match binary.op {
            BinaryOp::Or => (&left, &matched.left),
            _ => (&right, &matched.right),
        };
        let mut present = vec![false; matched.groups * grid.count];
        for (series, group) in deciding.iter().zip(groups) {
            self.limits.check()?;
            for step in 0..grid.count {
                present[group * grid.count + step] |= series.column.is_present(step);
            }
        }
        let (filtered, groups) = match binary.op {
            BinaryOp::Or => (&mut right, &matched.right),
            _ => (&mut left, &matched.left),
        };
        let keeps_present = binary.op == BinaryOp::And;
        for (series, group) in filtered.iter_mut().zip(groups) {
            self.limits.check()?;
            for step in 0..grid.count {
                if present[group * grid.count + step] != keeps_present {
                    series.column.clear(step);
                }
            }
        }
        self.limits.release_bytes(present.len());
        if binary.op != BinaryOp::Or {
            self.release(&right);
            let (kept, empty): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|series| !series.column.is_empty());
            self.release(&empty);
            return Ok(kept);
        }
        left.extend(right.into_iter().filter(|series| !series.column.is_empty()));
        self.merged(left)
    }

    /// Arithmetic and comparison between vectors.
    pub(super) fn vectors(&self, binary: &Binary, grid: &Grid) -> Evaluated<Vec<Series>> {
        let left = self.vector(&binary.lhs, grid)?;
        let right = self.vector(&binary.rhs, grid)?;
        let swapped = binary.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (&right, &left) } else { (&left, &right) };
        let mut join = Join::new(self, binary, grid, many, one, swapped)?;
        for index in 0..many.len() {
            self.limits.check()?;
            join.many_series(index)?;
        }
        join.fill_many()?;
        let results = join.finish()?;
        self.release(&left);
        self.release(&right);
        Ok(results)
    }
}

/// The work of [`Evaluation::vectors`]: `one` is the side on which a group has one series at a time.
struct Join<'a> {
    evaluation: &'a Evaluation<'a>,
    binary: &'a Binary,
    grid: &'a Grid,
    many: &'a [Series],
    one: &'a [Series],
    /// `one` is the left operand.
    swapped: bool,
    matched: Matched,
    /// For every group and time, the series of `one` that is there, counted from 1.
    one_at: Vec<u32>,
    /// For every group and time, whether a series of `many` has met it.
    met: Vec<bool>,
    results: Vec<Series>,
    places: FxHashMap<Labels, usize>,
    annotations: Annotations,
}

impl<'a> Join<'a> {
    fn new(
        evaluation: &'a Evaluation<'a>,
        binary: &'a Binary,
        grid: &'a Grid,
        many: &'a [Series],
        one: &'a [Series],
        swapped: bool,
    ) -> Evaluated<Self> {
        let matching = &binary.matching;
        let matched = evaluation.matched(matching, many, one)?;
        let cells = matched.groups * grid.count;
        evaluation.limits.charge_bytes(cells * CELL_BYTES)?;
        let mut join = Self {
            evaluation,
            binary,
            grid,
            many,
            one,
            swapped,
            matched,
            one_at: vec![0; cells],
            met: vec![false; cells],
            results: Vec::new(),
            places: FxHashMap::default(),
            annotations: Annotations::default(),
        };
        join.place_one_side()?;
        Ok(join)
    }

    fn cell(&self, group: usize, step: usize) -> usize {
        group * self.grid.count + step
    }

    /// Values for missing samples of the "many" and of the "one" side. With `group_right` the sides
    /// are swapped, and, as in Prometheus, `fill_left` still is for the "many" side.
    fn fills(&self) -> (Option<f64>, Option<f64>) {
        (self.binary.matching.fill_left, self.binary.matching.fill_right)
    }

    fn place_one_side(&mut self) -> Evaluated<()> {
        let may_be_unmatched = self.fills() != (None, None);
        for (index, series) in self.one.iter().enumerate() {
            self.evaluation.limits.check()?;
            for step in 0..self.grid.count {
                if !series.column.is_present(step) {
                    continue;
                }
                let cell = self.cell(self.matched.right[index], step);
                let before = self.one_at[cell];
                self.one_at[cell] = index as u32 + 1;
                // Where the other operand has nothing at all, nothing is asked of this one.
                let matters = || self.many.iter().any(|series| series.column.is_present(step));
                if before != 0 && (may_be_unmatched || matters()) {
                    return Err(self.duplicate(series, &self.one[before as usize - 1]));
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, series: &Series, other: &Series) -> EvalError {
        let group = match_labels(&self.binary.matching, &series.labels);
        let side = if self.swapped { "left" } else { "right" };
        EvalError::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the \
             operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique \
             on one side",
            InBraces(&group),
            InBraces(&series.labels),
            InBraces(&other.labels)
        ))
    }

    /// Joins one series of the "many" side with whatever it meets.
    fn many_series(&mut self, index: usize) -> Evaluated<()> {
        let many = self.many;
        let (series, group) = (&many[index], self.matched.left[index]);
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        let (_, fill) = self.fills();
        let mut target: Option<(u32, usize)> = None;
        for step in 0..self.grid.count {
            let Some(point) = series.column.get(step) else { continue };
            let cell = self.cell(group, step);
            let met = self.one_at[cell];
            let other = match (met, fill) {
                (0, None) => continue,
                (0, Some(fill)) => Point::Float(fill),
                (met, _) => {
                    let other = &self.one[met as usize - 1].column;
                    other.get(step).expect("a series was only placed where it is present")
                }
            };
            let Some((point, keep)) = self.pair(point, other) else { continue };
            if one_to_one && self.met[cell] {
                return Err(EvalError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit \
                     (group_left/group_right)",
                ));
            }
            self.met[cell] = true;
            let place = match target {
                Some((same, place)) if same == met => place,
                _ => {
                    let one = self.one;
                    let labels = match met {
                        0 => match_labels(&self.binary.matching, &series.labels),
                        met => one[met as usize - 1].labels.clone(),
                    };
                    let place = self.place(&series.labels, &labels)?;
                    target = Some((met, place));
                    place
                }
            };
            self.put(place, step, point, keep)?;
        }
        Ok(())
    }

    /// Joins what is left of the "one" side with the value that stands in for missing samples.
    fn fill_many(&mut self) -> Evaluated<()> {
        let (Some(fill), _) = self.fills() else { return Ok(()) };
        let one = self.one;
        for (index, series) in one.iter().enumerate() {
            self.evaluation.limits.check()?;
            let group = self.matched.right[index];
            let mut place = None;
            for step in 0..self.grid.count {
                let cell = self.cell(group, step);
                if self.met[cell] || self.one_at[cell] != index as u32 + 1 {
                    continue;
                }
                let Some(other) = series.column.get(step) else { continue };
                let Some((point, keep)) = self.pair(Point::Float(fill), other) else { continue };
                if place.is_none() {
                    let labels = match_labels(&self.binary.matching, &series.labels);
                    place = Some(self.place(&labels, &series.labels)?);
                }
                if let Some(place) = place {
                    self.put(place, step, point, keep)?;
                }
            }
        }
        Ok(())
    }

    /// The value of a pair, and whether it is in the result.
    fn pair(&mut self, many: Point, one: Point) -> Option<(Point, bool)> {
        let (op, at) = (self.binary.op, self.position());
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let outcome = match points(op, &left, &right) {
            Ok(outcome) => outcome,
            Err(trouble) => {
                trouble.annotate(&mut self.annotations, op, at);
                return None;
            }
        };
        let operation = if op == BinaryOp::Sub { "subtraction" } else { "addition" };
        if outcome.combined.counter_reset_collision {
            self.annotations.counter_reset_collision(at, operation);
        }
        if outcome.combined.bounds_reconciled {
            self.annotations.custom_buckets_reconciled(at, operation);
        }
        if self.binary.returns_bool {
            return Some((Point::Float(f64::from(u8::from(outcome.keep))), true));
        }
        Some((outcome.point, outcome.keep))
    }

    fn position(&self) -> Position {
        self.binary.lhs.position().to(self.binary.rhs.position())
    }

    /// Where the result of two series goes.
    fn place(&mut self, many: &Labels, one: &Labels) -> Evaluated<usize> {
        let labels = self.result_labels(many, one);
        if let Some(place) = self.places.get(&labels) {
            return Ok(*place);
        }
        let column = Column::absent(self.grid.count);
        let mut series = Series { labels: labels.clone(), column, ..Series::default() };
        self.evaluation.keep(&mut series)?;
        self.results.push(series);
        self.places.insert(labels, self.results.len() - 1);
        Ok(self.results.len() - 1)
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let Binary { op, returns_bool, matching, .. } = self.binary;
        let late = self.evaluation.options.delayed_name_removal;
        let drops_name = op.changes_metric() || (*returns_bool && !late);
        let mut labels = if drops_name { labels::without_metadata(many) } else { many.clone() };
        if matching.cardinality == Cardinality::OneToOne {
            labels = match matching.on {
                true => labels.keep(&matching.labels),
                false => labels.without(&matching.labels),
            };
        }
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.to_builder();
        for name in &matching.include {
            builder.set(name.as_str(), one.value(name));
        }
        builder.build()
    }

    fn put(&mut self, place: usize, step: usize, point: Point, keep: bool) -> Evaluated<()> {
        let column = &mut self.results[place].column;
        if column.is_present(step) {
            return Err(match self.binary.matching.cardinality {
                Cardinality::OneToOne => labels::same_labelset(),
                _ => EvalError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ),
            });
        }
        if keep {
            column.set(step, Some(point));
        }
        Ok(())
    }

    fn finish(mut self) -> Evaluated<Vec<Series>> {
        let annotations = std::mem::take(&mut self.annotations);
        self.evaluation.annotate(|all| all.merge(annotations));
        self.evaluation.limits.release_bytes(self.met.len() * CELL_BYTES);
        let mut results = Vec::with_capacity(self.results.len());
        for (index, mut series) in self.results.into_iter().enumerate() {
            self.evaluation.limits.check_now_and_then(index)?;
            if series.column.is_empty() {
                self.evaluation.release_one(&series);
                continue;
            }
            if series.column.has_histograms() {
                self.evaluation.keep_anew(&mut series)?;
            }
            series.drop_name = self.binary.returns_bool;
            results.push(series);
        }
        Ok(results)
    }
}
