//! What happens to one series of a stream after another.

use super::super::column::Column;
use super::super::{Evaluation, Point, Series, binary};
use super::Stream;
use crate::annotations::Annotations;
use crate::ast::{Binary, BinaryOp};
use crate::position::Position;

/// What happens to one series after another.
pub(super) enum Stage<'a> {
    /// Of index and value; histograms are dropped.
    Floats(Box<dyn Fn(usize, f64) -> f64 + Send + Sync + 'a>),
    /// Floats are dropped.
    Histograms(fn(&model::FloatHistogram) -> f64),
    Negate,
    Scalar {
        op: BinaryOp,
        scalar: Vec<f64>,
        scalar_is_left: bool,
        returns_bool: bool,
        position: Position,
    },
    /// Nothing is left: the arguments exclude every value.
    Nothing,
}

impl Evaluation<'_> {
    /// `has_labels`: nobody needs to take the name off a series that comes without labels.
    pub(super) fn apply(
        &self,
        stages: &[Stage<'_>],
        series: &mut Series,
        has_labels: bool,
        annotations: &mut Annotations,
    ) {
        for stage in stages {
            let Series { labels, drop_name, column, .. } = series;
            let renames = match stage {
                Stage::Floats(apply) => {
                    column.drop_histograms();
                    column.map_floats(apply);
                    true
                }
                Stage::Histograms(apply) => {
                    column.map_histograms(apply);
                    true
                }
                Stage::Negate => {
                    negate(column);
                    true
                }
                Stage::Nothing => {
                    column.reset(column.len());
                    true
                }
                Stage::Scalar { op, scalar, scalar_is_left, returns_bool, position } => {
                    for (step, scalar) in scalar.iter().enumerate() {
                        let Some(point) = column.get(step) else { continue };
                        let (op, swap) = (*op, *scalar_is_left);
                        let result = binary::with_scalar(op, point, *scalar, swap, *returns_bool);
                        let point = result.unwrap_or_else(|trouble| {
                            trouble.annotate(annotations, op, *position);
                            None
                        });
                        column.set(step, point);
                    }
                    op.changes_metric() || *returns_bool
                }
            };
            if renames && has_labels {
                let (renamed, late) = self.renamed(std::mem::take(labels));
                *labels = renamed;
                *drop_name |= late;
            }
        }
    }
}

pub(super) fn with_scalar<'a>(
    stream: Stream<'a>,
    binary: &Binary,
    scalar: Vec<f64>,
    scalar_is_left: bool,
    position: Position,
) -> Stream<'a> {
    let (op, returns_bool) = (binary.op, binary.returns_bool);
    let stage = Stage::Scalar { op, scalar, scalar_is_left, returns_bool, position };
    stream.then(stage, op.changes_metric() || returns_bool)
}

fn negate(column: &mut Column) {
    column.map_floats(|_, value| -value);
    if column.has_histograms() {
        for step in 0..column.len() {
            if let Some(found) = column.histogram(step) {
                let mut negative = model::FloatHistogram::clone(found);
                negative.scale(-1.0);
                column.set(step, Some(Point::Histogram(negative.into())));
            }
        }
    }
}
