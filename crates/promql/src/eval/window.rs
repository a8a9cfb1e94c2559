//! Range functions: a window slides over the samples of a series.
//!
//! - WINDOW-1: a window holds the samples after its start and up to its end; its samples are slices
//!   of the decoded series, which is read once for all windows.
//! - WINDOW-2: staleness markers are not in windows.

use std::sync::Arc;
use std::time::Duration;

use model::{FloatHistogram, Labels, Timestamp};
use storage::{Columns, SamplesNeeded, Selection, SelectionHints, SeriesSet};

use super::column::Point;
use super::counters::Growth;
use super::growth::Gathered;
use super::memory::Held;
use super::selector::{Timing, drop_stale, metric, resolve_reset_hints, selection};
use super::sliding::Sliding;
use super::stream::Scratch;
use super::{Evaluated, Evaluation, Grid, Series, counters, over_time, sliding};
use crate::annotations::Annotations;
use crate::ast::{Call, Expr, Extension, VectorSelector};
use crate::limits::EvalError;
use crate::position::Position;

/// Bounds are looked at before every series, this often within one, and at every window of more samples
/// than this.
const STEPS_BETWEEN_CHECKS: usize = 64;
const LONG_WINDOW: usize = 4096;

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

    /// As [`Evaluation::slide`] where that need not look at whole windows.
    fn slide_on(
        &self,
        sliding: Sliding,
        windows: &Windows<'_>,
        grid: &Grid,
        columns: &Columns,
        series: &mut Series,
    ) -> Evaluated<()> {
        let (mut floats, mut outcome) = (0..0, Ok(()));
        let ranges = grid.times().enumerate().map_while(|(step, now)| {
            outcome = self.check_between_windows(step, floats.len());
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            advance(&mut floats, columns.len(), start, end, |at| columns.timestamps[at]);
            outcome.is_ok().then(|| floats.clone())
        });
        let quantiles = windows.parameters.first().map(Vec::as_slice);
        sliding.run(columns, quantiles, ranges, |step, value| series.column.set_float(step, value));
        outcome
    }

    /// For what needs of each window no more than its ends.
    fn gather(
        &self,
        windows: &Windows<'_>,
        grid: &Grid,
        (columns, resets): (&Columns, &[usize]),
        gathered: &mut Gathered,
    ) -> Evaluated<()> {
        gathered.clear();
        let (mut floats, mut falls) = (0..0, 0..0);
        for (step, now) in grid.times().enumerate() {
            self.check_between_windows(step, 0)?;
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            advance(&mut floats, columns.len(), start, end, |at| columns.timestamps[at]);
            advance_resets(&mut falls, resets, &floats);
            gathered.add(step, (start, end), columns, floats.clone(), &resets[falls.clone()]);
        }
        Ok(())
    }

    fn slide(
        &self,
        windows: &Windows<'_>,
        grid: &Grid,
        (columns, resets, labels): (&Columns, &[usize], &Labels),
        series: &mut Series,
        annotations: &mut Annotations,
    ) -> Evaluated<()> {
        let position = windows.call.args[0].position();
        let mut parameters = vec![0.0; windows.parameters.len()];
        let (mut floats, mut histograms, mut falls) = (0..0, 0..0, 0..0);
        for (step, now) in grid.times().enumerate() {
            self.check_between_windows(step, floats.len() + histograms.len())?;
            let end = windows.timing.reference(now);
            let start = end.saturating_sub(windows.range);
            let (after, until) = self.extended(windows.extension, start, end);
            advance(&mut floats, columns.len(), after, until, |at| columns.timestamps[at]);
            let count = columns.histograms.len();
            advance(&mut histograms, count, after, until, |at| columns.histograms[at].0);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            advance_resets(&mut falls, resets, &floats);
            for (parameter, values) in parameters.iter_mut().zip(&windows.parameters) {
                *parameter = values[step];
            }
            let window = Window {
                times: &columns.timestamps[floats.clone()],
                values: &columns.values[floats.clone()],
                histograms: &columns.histograms[histograms.clone()],
                starts: part(&columns.starts, &floats),
                histogram_starts: part(&columns.histogram_starts, &histograms),
                resets: &resets[falls.clone()],
                skipped: floats.start,
                start,
                end,
                now,
                extension: windows.extension,
                parameters: &parameters,
                labels,
                position,
            };
            series.column.set(step, (windows.function.apply)(&window, annotations)?);
        }
        Ok(())
    }

    /// `length`: of the window that was dealt with last.
    fn check_between_windows(&self, step: usize, length: usize) -> Evaluated<()> {
        let is_due = step % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1;
        if is_due || length > LONG_WINDOW { self.limits.check() } else { Ok(()) }
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

/// The part of a column that may be missing.
fn part<'a, T>(items: &'a [T], range: &std::ops::Range<usize>) -> &'a [T] {
    items.get(range.clone()).unwrap_or_default()
}

/// Whether the start of a sample says that its counter was reset after the sample before.
///
/// A start at the very time of that sample says so of samples that each count anew, but not where
/// the first start of a counter is just not known: then that sample has none. A start that is not
/// before its own sample says nothing.
#[inline]
pub(super) fn starts_anew(
    starts: &[Timestamp],
    index: usize,
    time: impl Fn(usize) -> Timestamp,
) -> bool {
    if starts.is_empty() {
        return false;
    }
    let Some(before) = index.checked_sub(1) else { return false };
    let known = |index: usize| {
        let start = starts.get(index).copied();
        start.filter(|start| *start != Timestamp::EPOCH && *start < time(index))
    };
    let (Some(start), previous) = (known(index), time(before)) else { return false };
    start > previous || (start == previous && known(before).is_some())
}

/// The samples before which a counter was reset.
fn find_resets(columns: &Columns, resets: &mut Vec<usize>) {
    let Columns { timestamps, values, starts, .. } = columns;
    for (index, pair) in (1..).zip(values.windows(2)) {
        if pair[1] < pair[0] || starts_anew(starts, index, |at| timestamps[at]) {
            resets.push(index);
        }
    }
}

/// Moves `falls` on to the resets between two samples of `window`.
fn advance_resets(
    falls: &mut std::ops::Range<usize>,
    resets: &[usize],
    window: &std::ops::Range<usize>,
) {
    while falls.start < resets.len() && resets[falls.start] <= window.start {
        falls.start += 1;
    }
    falls.end = falls.end.max(falls.start);
    while falls.end < resets.len() && resets[falls.end] < window.end {
        falls.end += 1;
    }
}

/// Moves `range` on to the samples after `after` and up to `until`.
fn advance(
    range: &mut std::ops::Range<usize>,
    count: usize,
    after: i64,
    until: i64,
    time: impl Fn(usize) -> Timestamp,
) {
    while range.end < count && time(range.end).as_millis() <= until {
        range.end += 1;
    }
    while range.start < range.end && time(range.start).as_millis() <= after {
        range.start += 1;
    }
}
