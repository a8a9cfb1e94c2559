//! Range functions: a window slides over the samples of a series.
//!
//! - WINDOW-1: a window holds the samples after its start and up to its end; its samples are slices
//!   of the decoded series, which is read once for all windows.
//! - WINDOW-2: staleness markers are not in windows.

mod slide;

use std::sync::Arc;
use std::time::Duration;

use model::{FloatHistogram, Labels, Timestamp};
use storage::{Columns, SamplesNeeded, Selection, SelectionHints, SeriesSet};

use super::column::Point;
use super::counters::Growth;
use super::memory::Held;
use super::selector::{Timing, drop_stale, metric, resolve_reset_hints, selection};
use super::sliding::Sliding;
use super::stream::Scratch;
use super::{Evaluated, Evaluation, Grid, Series, counters, over_time, sliding};
use crate::annotations::Annotations;
use crate::ast::{Call, Expr, Extension, VectorSelector};
use crate::limits::EvalError;
use crate::position::Position;
use slide::find_resets;
pub(super) use slide::starts_anew;

/// A call of a range function.
pub(super) struct Windows<'a> {
    function: &'static Function,
    /// If windows overlap enough.
    sliding: Option<Sliding>,
    growth: Option<Growth>,
    call: &'a Call,
    data: Data,
    timing: Timing,
    range: i64,
    extension: Extension,
    /// The scalar arguments, in order, at every time.
    parameters: Vec<Vec<f64>>,
    resolve_hints: bool,
    pub(super) names_are_equal: bool,
    pub(super) may_collide: bool,
}

enum Data {
    /// With the metric alone, as in [`super::selector::Instants`].
    Stored(Selection, Labels),
    Computed(Vec<Computed>),
}

/// A series of a subquery.
pub(super) struct Computed {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) columns: Columns,
    pub(super) held: Held,
}

impl Windows<'_> {
    /// How many series there are, if they are computed already.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Stored(..) => 0,
            Data::Computed(series) => series.len(),
        }
    }

    pub(super) const fn metric(&self) -> Option<&Labels> {
        match &self.data {
            Data::Stored(_, metric) => Some(metric),
            Data::Computed(_) => None,
        }
    }

    pub(super) const fn selection(&self) -> Option<&Selection> {
        match &self.data {
            Data::Stored(selection, _) => Some(selection),
            Data::Computed(_) => None,
        }
    }

    pub(super) fn keeps_name(&self) -> bool {
        self.function.keeps_name()
    }
}

/// What a range function sees of a series at one time of evaluation.
pub(super) struct Window<'a> {
    pub(super) times: &'a [Timestamp],
    pub(super) values: &'a [f64],
    pub(super) histograms: &'a [(Timestamp, Arc<FloatHistogram>)],
    /// When the counting of samples began, as in [`Columns`].
    pub(super) starts: &'a [Timestamp],
    pub(super) histogram_starts: &'a [Timestamp],
    /// Indexes into `values` of those that came after a reset, if the function counts resets.
    pub(super) resets: &'a [usize],
    /// How many samples of the series come before `values`: `resets` count from there.
    pub(super) skipped: usize,
    pub(super) start: i64,
    pub(super) end: i64,
    /// When the expression is evaluated, whatever the selector's offset.
    pub(super) now: i64,
    pub(super) extension: Extension,
    pub(super) parameters: &'a [f64],
    /// Labels with the name, for annotations.
    pub(super) labels: &'a Labels,
    pub(super) position: Position,
}

impl Window<'_> {
    pub(super) fn metric(&self) -> &str {
        self.labels.metric_name()
    }

    pub(super) fn range_seconds(&self) -> f64 {
        (self.end - self.start) as f64 / 1000.0
    }
}

pub(super) type Apply = fn(&Window<'_>, &mut Annotations) -> Evaluated<Option<Point>>;

pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) apply: Apply,
}

impl Function {
    fn find(name: &str) -> Option<&'static Self> {
        [counters::FUNCTIONS, over_time::FUNCTIONS].into_iter().flatten().find(|f| f.name == name)
    }

    /// Such functions act like an offset: what they give is still the metric.
    fn keeps_name(&self) -> bool {
        matches!(self.name, "last_over_time" | "first_over_time")
    }

    fn counts_resets(&self) -> bool {
        matches!(self.name, "rate" | "increase")
    }

    fn accepts(&self, extension: Extension) -> Evaluated<()> {
        let (word, accepted): (_, &[&str]) = match extension {
            Extension::None => return Ok(()),
            Extension::Anchored => {
                ("anchored", &["changes", "delta", "increase", "rate", "resets"])
            }
            Extension::Smoothed => ("smoothed", &["delta", "increase", "rate"]),
        };
        if accepted.contains(&self.name) {
            return Ok(());
        }
        let (list, name) = (accepted.join(", "), self.name);
        let message = format!("{word} modifier can only be used with: {list} - not with {name}");
        Err(EvalError::execution(message))
    }
}

impl Evaluation<'_> {
    /// The windows of `call`, if it is a range function.
    pub(super) fn windows<'e>(
        &self,
        call: &'e Call,
        grid: &Grid,
    ) -> Evaluated<Option<Windows<'e>>> {
        let Some(function) = Function::find(call.function.name) else { return Ok(None) };
        let mut parameters = Vec::new();
        let mut ranges = None;
        for arg in &call.args {
            match arg.unwrapped() {
                Expr::Matrix(_) | Expr::Subquery(_) => ranges = Some(arg.unwrapped()),
                scalar => parameters.push(self.scalar(scalar, grid)?),
            }
        }
        let keeps_name = function.keeps_name();
        let overlaps = |range: i64| grid.step > 0 && range / grid.step >= sliding::STEPS_MIN;
        let sliding = |range, extension| {
            let overlaps = extension == Extension::None && overlaps(range);
            Sliding::find(function.name).filter(|_| overlaps)
        };
        let windows = match ranges.expect("type-checked to have a range vector") {
            Expr::Matrix(selector) => {
                let extension = selector.vector.extension;
                function.accepts(extension)?;
                let timing = self.timing(&selector.vector.time)?;
                let range = self.positive_millis(&selector.range)?;
                let selection =
                    self.ranges(&selector.vector, function, grid, &timing, (range, extension));
                let names_are_equal = self.names_are_equal(&selector.vector);
                let data = Data::Stored(selection, metric(&selector.vector));
                let may_collide = !keeps_name && !names_are_equal;
                Windows {
                    function,
                    sliding: sliding(range, extension),
                    growth: Growth::of(function.name).filter(|_| extension == Extension::None),
                    call,
                    data,
                    timing,
                    range,
                    extension,
                    parameters,
                    resolve_hints: self.contexts.of(&selector.vector).only_stats,
                    names_are_equal,
                    may_collide,
                }
            }
            Expr::Subquery(subquery) => {
                let data = Data::Computed(self.meter.apart(|| self.subquery(subquery, grid))?.0);
                let range = self.positive_millis(&subquery.range)?;
                Windows {
                    function,
                    sliding: sliding(range, Extension::None),
                    growth: Growth::of(function.name),
                    call,
                    data,
                    timing: self.timing(&subquery.time)?,
                    range,
                    extension: Extension::None,
                    parameters,
                    resolve_hints: false,
                    names_are_equal: false,
                    may_collide: !keeps_name,
                }
            }
            other => unreachable!("no range vector: {other}"),
        };
        Ok(Some(windows))
    }

    fn ranges(
        &self,
        selector: &VectorSelector,
        function: &'static Function,
        grid: &Grid,
        timing: &Timing,
        (range, extension): (i64, Extension),
    ) -> Selection {
        let after = timing.reference(grid.start).saturating_sub(range);
        let (after, until) = self.extended(extension, after, timing.reference(grid.end()));
        let hints = SelectionHints {
            function: Some(function.name),
            step: grid.step(),
            window: Some(Duration::from_millis(range.unsigned_abs())),
            grouping: self.contexts.of(selector).grouping,
            only_groups: false,
            samples: SamplesNeeded::All,
        };
        selection(selector, after, until, hints)
    }

    /// Fills in the series at `index`.
    pub(super) fn read_windows(
        &self,
        (windows, set): (&Windows<'_>, &dyn SeriesSet),
        grid: &Grid,
        index: usize,
        series: &mut Series,
        scratch: &mut Scratch,
    ) -> Evaluated<()> {
        let Scratch { columns, annotations, resets, gathered, tally, charged, checked_metric } =
            scratch;
        let is_grouped = set.groups().is_some();
        let own_labels;
        let labels = match &windows.data {
            Data::Stored(_, metric) => {
                columns.clear();
                set.read(index, columns)?;
                drop_stale(columns);
                if windows.resolve_hints {
                    resolve_reset_hints(columns);
                }
                series.drop_name = false;
                if is_grouped {
                    metric
                } else {
                    own_labels = set.labels(index);
                    &own_labels
                }
            }
            Data::Computed(computed) => {
                columns.clone_from(&computed[index].columns);
                series.drop_name = computed[index].drop_name;
                &computed[index].labels
            }
        };
        let size = columns.len() + columns.histograms.len();
        self.limits.charge(size)?;
        self.charge_columns(columns, charged)?;
        tally.windows(columns, grid, windows.range, |now| windows.timing.reference(now));
        resets.clear();
        if windows.function.counts_resets() {
            find_resets(columns, resets);
        }
        let quantiles = windows.parameters.first().map(Vec::as_slice);
        let is_plain = columns.histograms.is_empty() && columns.starts.is_empty();
        let sliding = windows.sliding.filter(|sliding| sliding.suits(columns, quantiles));
        match (sliding, windows.growth.filter(|_| is_plain)) {
            (Some(sliding), _) => self.slide_on(sliding, windows, grid, columns, series)?,
            (None, Some(growth)) => {
                self.gather(windows, grid, (columns, resets), gathered)?;
                let column = &mut series.column;
                gathered.finish(growth, windows.range, |step, value| column.set_float(step, value));
            }
            (None, None) => {
                self.slide(windows, grid, (columns, resets, labels), series, annotations)?;
            }
        }
        self.limits.release(size);
        let by_type = self.options.type_and_unit_labels;
        if windows.function.counts_resets() && (by_type || labels.metric_name() != checked_metric) {
            let told = self.warn_of_non_counter(windows, labels, series, annotations);
            if told {
                labels.metric_name().clone_into(checked_metric);
            }
        }
        if is_grouped {
            return Ok(());
        }
        if windows.function.keeps_name() {
            series.labels = labels.clone();
        } else {
            let (renamed, late) = self.renamed(labels.clone());
            series.labels = renamed;
            series.drop_name |= late;
        }
        Ok(())
    }

    /// Tells whoever takes the rate of a gauge. False if that could not be judged.
    fn warn_of_non_counter(
        &self,
        windows: &Windows<'_>,
        labels: &Labels,
        series: &Series,
        annotations: &mut Annotations,
    ) -> bool {
        let metric = labels.metric_name();
        let has_float = (0..series.column.len()).any(|step| series.column.float(step).is_some());
        if metric.is_empty() || !has_float {
            return false;
        }
        let position = windows.call.args[0].position();
        if self.options.type_and_unit_labels {
            let kind = labels.value("__type__");
            if kind != "counter" && kind != "histogram" {
                annotations.possible_non_counter_type(position, metric, kind);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|end| metric.ends_with(end)) {
            annotations.possible_non_counter(position, metric);
        }
        true
    }
}
