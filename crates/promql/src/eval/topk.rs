//! Aggregations that keep some of the series of a group: `topk`, `bottomk`, `limitk`, `limit_ratio`.
//!
//! Source: Prometheus `promql/engine.go`, `aggregationK`.

use std::cmp::Ordering;

use model::Labels;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh64::xxh64;

use super::aggregate::Grouping;
use super::column::Column;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::ast::{Aggregate, AggregateOp};
use crate::limits::EvalError;
use crate::number::General;

impl Evaluation<'_> {
    pub(super) fn select_series(
        &self,
        aggregate: &Aggregate,
        vector: Vec<Series>,
        grid: &Grid,
    ) -> Evaluated<Vec<Series>> {
        let parameter = aggregate.parameter.as_ref().expect("type-checked to be there");
        let values = self.scalar(parameter, grid)?;
        let is_ratio = aggregate.op == AggregateOp::LimitRatio;
        let keeps_nothing = match is_ratio {
            true => values.iter().all(|ratio| *ratio == 0.0),
            false => values.iter().all(|k| *k < 1.0),
        };
        if keeps_nothing {
            self.release(&vector);
            return Ok(Vec::new());
        }
        match is_ratio {
            true => self.check_ratios(&values, aggregate)?,
            false => check_counts(&values)?,
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
        let grouping = Grouping::new(&aggregate.grouping, aggregate.without);
        for (index, series) in vector.iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            let place = *places.entry(grouping.labels(&series.labels)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(index);
        }
        let mut kept = Kept { columns: FxHashMap::default(), order: Vec::new(), count: grid.count };
        for (step, value) in values.iter().enumerate() {
            self.limits.check()?;
            for (index, group) in groups.iter().enumerate() {
                self.limits.check_now_and_then(index)?;
                self.select_at(aggregate, step, *value, (&vector, group), &mut kept)?;
            }
        }
        let Kept { mut columns, order, .. } = kept;
        let mut result = Vec::with_capacity(order.len());
        for index in order {
            let column = columns.remove(&index).expect("every index is in the order once");
            let Series { labels, drop_name, .. } = &vector[index];
            let labels = labels.clone();
            let mut series = Series { labels, drop_name: *drop_name, column, ..Series::default() };
            self.keep(&mut series)?;
            result.push(series);
        }
        self.release(&vector);
        Ok(result)
    }

    fn check_ratios(&self, ratios: &[f64], aggregate: &Aggregate) -> Evaluated<()> {
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(EvalError::execution("Ratio value is NaN"));
        }
        let at = aggregate.parameter.as_ref().map_or(aggregate.position, |p| p.position());
        let highest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        self.annotate(|annotations| {
            if highest > 1.0 {
                annotations.invalid_ratio(at, highest, 1.0);
            }
            if lowest < -1.0 {
                annotations.invalid_ratio(at, lowest, -1.0);
            }
        });
        Ok(())
    }

    /// Keeps what the aggregation keeps of one group at one time.
    fn select_at(
        &self,
        aggregate: &Aggregate,
        step: usize,
        parameter: f64,
        (vector, group): (&[Series], &[usize]),
        kept: &mut Kept,
    ) -> Evaluated<()> {
        let present = group.iter().copied().filter(|i| vector[*i].column.is_present(step));
        let limit = if parameter < 1.0 { 0 } else { parameter as usize };
        match aggregate.op {
            AggregateOp::LimitRatio => {
                let ratio = parameter.clamp(-1.0, 1.0);
                for (seen, index) in present.enumerate() {
                    self.limits.check_now_and_then(seen)?;
                    if is_sampled(&vector[index].labels, ratio) {
                        kept.keep(vector, index, step);
                    }
                }
            }
            AggregateOp::LimitK => {
                for index in present.take(limit) {
                    kept.keep(vector, index, step);
                }
            }
            op => {
                let mut floats: Vec<(f64, usize)> = Vec::new();
                for (seen, index) in present.enumerate() {
                    self.limits.check_now_and_then(seen)?;
                    match vector[index].column.float(step) {
                        Some(value) => floats.push((value, index)),
                        None => self.annotate(|annotations| {
                            let at = aggregate.position;
                            annotations.histogram_ignored_in_aggregation(at, op.as_str());
                        }),
                    }
                }
                for (_, index) in extremes(&floats, limit, op == AggregateOp::TopK) {
                    kept.keep(vector, index, step);
                }
            }
        }
        Ok(())
    }
}

/// The `limit` largest or smallest values, best first; NaN is worse than any number.
///
/// Of equal values those are kept that Prometheus' binary heap keeps.
fn extremes(values: &[(f64, usize)], limit: usize, largest: bool) -> Vec<(f64, usize)> {
    let is_worse = |a: f64, b: f64| a.is_nan() || if largest { a < b } else { a > b };
    let mut heap: Vec<(f64, usize)> = Vec::new(); // the worst is first
    for &(value, index) in values {
        if heap.len() < limit {
            heap.push((value, index));
            let mut child = heap.len() - 1;
            while child > 0 && is_worse(heap[child].0, heap[(child - 1) / 2].0) {
                heap.swap(child, (child - 1) / 2);
                child = (child - 1) / 2;
            }
        } else if limit > 0 {
            let worst = heap[0].0;
            let beats = if largest { worst < value } else { worst > value };
            if beats || (worst.is_nan() && !value.is_nan()) {
                heap[0] = (value, index);
                sink_first(&mut heap, is_worse);
            }
        }
    }
    heap.sort_by(|(a, _), (b, _)| {
        let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
        a.is_nan().cmp(&b.is_nan()).then(if largest { order.reverse() } else { order })
    });
    heap
}

fn sink_first(heap: &mut [(f64, usize)], is_worse: impl Fn(f64, f64) -> bool) {
    let mut parent = 0;
    loop {
        let left = 2 * parent + 1;
        if left >= heap.len() {
            return;
        }
        let right = left + 1;
        let takes_right = right < heap.len() && is_worse(heap[right].0, heap[left].0);
        let child = if takes_right { right } else { left };
        if !is_worse(heap[child].0, heap[parent].0) {
            return;
        }
        heap.swap(parent, child);
        parent = child;
    }
}

/// The cells that are kept, by series, and the series in the order in which they first were.
struct Kept {
    columns: FxHashMap<usize, Column>,
    order: Vec<usize>,
    count: usize,
}

impl Kept {
    fn keep(&mut self, vector: &[Series], index: usize, step: usize) {
        let column = self.columns.entry(index).or_insert_with(|| {
            self.order.push(index);
            Column::absent(self.count)
        });
        column.set(step, vector[index].column.get(step));
    }
}

fn check_counts(counts: &[f64]) -> Evaluated<()> {
    // Floats that an i64 does not hold.
    const BEYOND: f64 = 9_223_372_036_854_775_807.0;
    if counts.iter().any(|count| count.is_nan()) {
        return Err(EvalError::execution("Parameter value is NaN"));
    }
    for count in counts {
        let wrong = match *count {
            count if count <= -BEYOND => "underflows",
            count if count >= BEYOND => "overflows",
            _ => continue,
        };
        let count = General(*count);
        return Err(EvalError::execution(format!("Scalar value {count} {wrong} int64")));
    }
    Ok(())
}

/// Whether a series is among the `ratio` of all that a hash of its labels picks; a negative ratio
/// picks the others.
fn is_sampled(labels: &Labels, ratio: f64) -> bool {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in labels {
        for text in [name, value] {
            // Prometheus' label encoding: one byte of length, or 255 and three.
            match u8::try_from(text.len()) {
                Ok(length) if length < 255 => bytes.push(length),
                _ => {
                    bytes.push(255);
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    let offset = xxh64(&bytes, 0) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}
