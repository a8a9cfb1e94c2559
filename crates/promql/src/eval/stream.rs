//! Vectors that come one series at a time.
//!
//! A stream is a source of series and the stages each of them goes through. Whoever pulls it decides
//! what is kept: [`Evaluation::collect`] keeps every series, an aggregation only its groups.
//!
//! - STREAM-1: series are visited in the order of the source, also when several threads share the
//!   work: each has a contiguous part, and their states are handed back in order.

mod stage;

use std::ops::Range;

use model::Labels;
use storage::{Columns, Grouping, QueryError, Selection, SeriesGroups, SeriesSet};

use super::growth::Gathered;
use super::memory::{Held, labels_bytes};
use super::meter::Tally;
use super::selector::{Instants, Yields};
use super::window::Windows;
use super::{Evaluated, Evaluation, Grid, Series, calendar, histogram, labels, math};
use crate::annotations::Annotations;
use crate::ast::{Call, Expr, Unary, ValueType, VectorSelector};
use stage::{Stage, with_scalar};

/// Fewer series than this are not worth a further thread.
const SERIES_PER_THREAD: usize = 512;

pub(super) struct Stream<'a> {
    pub(super) source: Source<'a>,
    stages: Vec<Stage<'a>>,
    grid: Grid,
    /// Series lose their names on the way.
    renames: bool,
    /// A stage takes the names off series that may have differed only by them.
    may_collide: bool,
}

/// A stream whose series have been found.
pub(super) struct Opened<'a> {
    stream: Stream<'a>,
    set: Box<dyn SeriesSet>,
    /// For the groups that the set tells.
    held: Held,
}

impl Opened<'_> {
    /// The labels of the groups that the storage tells series apart by.
    pub(super) fn group_labels(&self) -> Option<Vec<Labels>> {
        self.set.groups().map(|groups| groups.labels.clone())
    }
}

/// What is found for a stream that asks nothing of the storage.
struct NoSeries;

impl SeriesSet for NoSeries {
    fn len(&self) -> usize {
        0
    }

    fn labels(&self, _: usize) -> Labels {
        Labels::empty()
    }

    fn read(&self, _: usize, _: &mut Columns) -> Result<(), QueryError> {
        Ok(())
    }
}

pub(super) enum Source<'a> {
    Instants(Instants),
    Windows(Windows<'a>),
    Ready(Vec<Series>),
}

/// What one thread needs while it works on series.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) columns: Columns,
    pub(super) annotations: Annotations,
    pub(super) resets: Vec<usize>,
    pub(super) gathered: Gathered,
    pub(super) tally: Tally,
    /// Bytes, for the columns.
    pub(super) charged: usize,
    /// The metric that was last looked at for being a counter.
    pub(super) checked_metric: String,
}

impl<'a> Stream<'a> {
    pub(super) fn new(source: Source<'a>, grid: &Grid) -> Self {
        let (may_collide, renames) = match &source {
            Source::Windows(windows) => (windows.may_collide, !windows.keeps_name()),
            Source::Instants(_) | Source::Ready(_) => (false, false),
        };
        Self { source, stages: Vec::new(), grid: *grid, renames, may_collide }
    }

    fn then(mut self, stage: Stage<'a>, renames: bool) -> Self {
        self.renames |= renames;
        self.may_collide |= renames && !self.source.names_are_equal();
        self.stages.push(stage);
        self
    }
}

impl Source<'_> {
    /// What is to be asked of the storage.
    fn selection(&self) -> Option<&Selection> {
        match self {
            Self::Instants(instants) => Some(&instants.selection),
            Self::Windows(windows) => windows.selection(),
            Self::Ready(_) => None,
        }
    }

    /// What the series of a group have in common, of one metric, by which annotations name them.
    fn metric(&self) -> Option<&Labels> {
        match self {
            Self::Instants(instants) => Some(&instants.metric),
            Self::Windows(windows) => windows.metric(),
            Self::Ready(_) => None,
        }
    }

    /// How many series are there already.
    fn computed(&self) -> usize {
        match self {
            Self::Instants(_) => 0,
            Self::Windows(windows) => windows.len(),
            Self::Ready(series) => series.len(),
        }
    }

    /// Whether no two series differ by what [`labels::without_metadata`] takes off.
    fn names_are_equal(&self) -> bool {
        match self {
            Self::Instants(instants) => instants.names_are_equal,
            Self::Windows(windows) => windows.names_are_equal,
            Self::Ready(_) => false,
        }
    }
}

impl Evaluation<'_> {
    /// The stream of any vector expression; what cannot be streamed is evaluated first.
    pub(super) fn stream<'e>(&self, expr: &'e Expr, grid: &Grid) -> Evaluated<Stream<'e>> {
        if self.evaluates_once(expr, grid) {
            return Ok(Stream::new(Source::Ready(self.vector(expr, grid)?), grid));
        }
        match expr {
            Expr::Paren(paren) => self.stream(&paren.inner, grid),
            Expr::Vector(selector) => self.instant_stream(selector, grid, Yields::Value),
            Expr::Unary(Unary { negative: false, inner, .. }) => self.stream(inner, grid),
            Expr::Unary(unary) => Ok(self.stream(&unary.inner, grid)?.then(Stage::Negate, true)),
            Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Vector, ValueType::Vector) => self.ready(expr, grid),
                (ValueType::Vector, _) => {
                    let scalar = self.scalar(&binary.rhs, grid)?;
                    let stream = self.stream(&binary.lhs, grid)?;
                    Ok(with_scalar(stream, binary, scalar, false, expr.position()))
                }
                _ => {
                    let scalar = self.scalar(&binary.lhs, grid)?;
                    let stream = self.stream(&binary.rhs, grid)?;
                    Ok(with_scalar(stream, binary, scalar, true, expr.position()))
                }
            },
            // It is a range function that says something of series that are not there.
            Expr::Call(call) if call.function.name == "absent_over_time" => self.ready(expr, grid),
            Expr::Call(call) => match self.windows(call, grid)? {
                Some(windows) => Ok(Stream::new(Source::Windows(windows), grid)),
                None => self.stream_call(expr, call, grid),
            },
            _ => self.ready(expr, grid),
        }
    }

    pub(super) fn instant_stream(
        &self,
        selector: &VectorSelector,
        grid: &Grid,
        yields: Yields,
    ) -> Evaluated<Stream<'static>> {
        let instants = self.instants(selector, grid, yields)?;
        Ok(Stream::new(Source::Instants(instants), grid))
    }

    fn ready<'e>(&self, expr: &'e Expr, grid: &Grid) -> Evaluated<Stream<'e>> {
        Ok(Stream::new(Source::Ready(self.vector(expr, grid)?), grid))
    }

    /// Functions of one sample each.
    fn stream_call<'e>(
        &self,
        expr: &'e Expr,
        call: &'e Call,
        grid: &Grid,
    ) -> Evaluated<Stream<'e>> {
        let name = call.function.name;
        let stage = if let Some(apply) = math::function(name) {
            Stage::Floats(Box::new(move |_, value| apply(value)))
        } else if let Some(part) = calendar::part(name) {
            if call.args.is_empty() {
                return self.ready(expr, grid);
            }
            Stage::Floats(Box::new(move |_, value| part(value)))
        } else if let Some(apply) = histogram::function(name) {
            Stage::Histograms(apply)
        } else {
            match name {
                "clamp" => {
                    let lower = self.scalar(&call.args[1], grid)?;
                    let upper = self.scalar(&call.args[2], grid)?;
                    return self.clamp(&call.args[0], grid, lower, upper);
                }
                "clamp_min" => {
                    let lower = self.scalar(&call.args[1], grid)?;
                    return self.clamp(&call.args[0], grid, lower, vec![f64::INFINITY; grid.count]);
                }
                "clamp_max" => {
                    let upper = self.scalar(&call.args[1], grid)?;
                    let lower = vec![f64::NEG_INFINITY; grid.count];
                    return self.clamp(&call.args[0], grid, lower, upper);
                }
                "round" => {
                    let nearest = match call.args.get(1) {
                        Some(nearest) => self.scalar(nearest, grid)?,
                        None => vec![1.0; grid.count],
                    };
                    Stage::Floats(Box::new(move |step, value| math::round(value, nearest[step])))
                }
                "timestamp" => return self.timestamps(&call.args[0], grid),
                "start_timestamp" => return self.start_timestamps(&call.args[0], grid),
                _ => return self.ready(expr, grid),
            }
        };
        Ok(self.stream(&call.args[0], grid)?.then(stage, true))
    }

    fn clamp<'e>(
        &self,
        expr: &'e Expr,
        grid: &Grid,
        lower: Vec<f64>,
        upper: Vec<f64>,
    ) -> Evaluated<Stream<'e>> {
        let stream = self.stream(expr, grid)?;
        if lower.iter().zip(&upper).all(|(lower, upper)| upper < lower) {
            return Ok(stream.then(Stage::Nothing, true));
        }
        let apply = move |step: usize, value| match upper[step] < lower[step] {
            true => model::STALE_NAN, // no result at this time
            false => math::max(lower[step], math::min(upper[step], value)),
        };
        Ok(stream.then(Stage::Floats(Box::new(apply)), true))
    }

    /// When the counting of samples began; known of selected samples only.
    fn start_timestamps<'e>(&self, expr: &'e Expr, grid: &Grid) -> Evaluated<Stream<'e>> {
        let Expr::Vector(selector) = expr.unwrapped() else {
            return Ok(self.stream(expr, grid)?.then(Stage::Nothing, true));
        };
        let stage = Stage::Floats(Box::new(|_, value| value));
        Ok(self.instant_stream(selector, grid, Yields::StartTimestamp)?.then(stage, true))
    }

    /// When samples were taken; of anything but a selector, the time of evaluation.
    fn timestamps<'e>(&self, expr: &'e Expr, grid: &Grid) -> Evaluated<Stream<'e>> {
        if let Expr::Vector(selector) = expr.unwrapped() {
            let stage = Stage::Floats(Box::new(|_, value| value));
            return Ok(self.instant_stream(selector, grid, Yields::Timestamp)?.then(stage, true));
        }
        let times: Vec<f64> = grid.times().map(|time| time as f64 / 1000.0).collect();
        let mut vector = self.vector(expr, grid)?;
        for series in &mut vector {
            self.limits.check()?;
            for (step, time) in times.iter().enumerate() {
                if series.column.is_present(step) {
                    series.column.set_float(step, *time);
                }
            }
        }
        let stage = Stage::Floats(Box::new(|_, value| value));
        Ok(Stream::new(Source::Ready(vector), grid).then(stage, true))
    }

    /// Every series that has a sample, in order.
    pub(super) fn collect(&self, stream: Stream<'_>) -> Evaluated<Vec<Series>> {
        let (may_collide, strict) =
            (stream.may_collide, matches!(&stream.source, Source::Windows(_)));
        let parts = self.fold(stream, Vec::new, |kept: &mut Vec<Series>, series| {
            self.keep(series)?;
            kept.push(std::mem::take(series));
            Ok(())
        })?;
        let series: Vec<Series> = parts.into_iter().flatten().collect();
        if !may_collide || self.options.delayed_name_removal {
            return Ok(series);
        }
        if strict && self.contains_same(&series)? {
            return Err(labels::same_labelset());
        }
        self.merged(series)
    }

    /// Shows every series that has a sample to `visit`, together with the state of the thread that
    /// computed it. Returns the states in order; there is at least one.
    pub(super) fn fold<S: Send>(
        &self,
        stream: Stream<'_>,
        new: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, &mut Series) -> Evaluated<()> + Sync,
    ) -> Evaluated<Vec<S>> {
        let opened = self.opened(stream, None)?;
        self.fold_opened(opened, new, |state, series, _| visit(state, series))
    }

    /// Asks the storage for the series of `stream`; where it can, by the groups of `grouping`.
    pub(super) fn opened<'e>(
        &self,
        stream: Stream<'e>,
        grouping: Option<Grouping>,
    ) -> Evaluated<Opened<'e>> {
        let stream = self.without_collisions(stream)?;
        let Some(selection) = stream.source.selection() else {
            let held = Held::default();
            return Ok(Opened { stream, set: Box::new(NoSeries), held });
        };
        let tells = stream.source.names_are_equal() && !self.options.delayed_name_removal;
        let grouping = grouping.filter(|_| tells);
        let grouping =
            grouping.and_then(|grouping| labels::before_renaming(grouping, stream.renames));
        let set = match grouping {
            None => self.select(selection)?,
            Some(grouping) => {
                let mut selection = selection.clone();
                selection.hints.grouping = Some(grouping);
                selection.hints.only_groups = true;
                self.select(&selection)?
            }
        };
        let mut held = Held::default();
        if let Some(SeriesGroups { labels, of }) = set.groups() {
            let labels = labels.iter().map(|labels| labels_bytes(labels) + size_of::<Labels>());
            let bytes = labels.sum::<usize>() + size_of_val(&**of);
            self.hold(Held { samples: 0, bytes }, &mut held)?;
        }
        Ok(Opened { stream, set, held })
    }

    /// As [`Evaluation::fold`]; `visit` is told the group of each series, where the storage told it.
    pub(super) fn fold_opened<S: Send>(
        &self,
        Opened { stream, set, held }: Opened<'_>,
        new: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, &mut Series, Option<u32>) -> Evaluated<()> + Sync,
    ) -> Evaluated<Vec<S>> {
        let (stages, grid) = (&stream.stages, &stream.grid);
        let count = set.len().max(stream.source.computed());
        if let Source::Ready(ready) = stream.source {
            let (mut state, mut annotations) = (new(), Annotations::default());
            for mut series in ready {
                self.limits.check()?;
                self.release_one(&series);
                self.apply(stages, &mut series, true, &mut annotations);
                if !series.column.is_empty() {
                    visit(&mut state, &mut series, None)?;
                }
            }
            self.annotate(|all| all.merge(annotations));
            return Ok(vec![state]);
        }
        let (source, set) = (&stream.source, &*set);
        let groups = set.groups();
        let work = |part: Range<usize>| -> Evaluated<S> {
            let tally = self.meter.tally();
            let (mut state, mut scratch) = (new(), Scratch { tally, ..Scratch::default() });
            self.limits.charge_bytes(grid.count * size_of::<f64>())?;
            let mut series = Series::default();
            if let (Some(metric), Some(_), false) = (source.metric(), groups, stream.renames) {
                series.labels = metric.clone();
            }
            for index in part {
                self.limits.check()?;
                series.column.reset(grid.count);
                match source {
                    Source::Instants(instants) => {
                        let source = (instants, set);
                        self.read_instants(source, grid, index, &mut series, &mut scratch)?;
                        scratch.tally.instants(&series.column);
                    }
                    Source::Windows(windows) => {
                        let source = (windows, set);
                        self.read_windows(source, grid, index, &mut series, &mut scratch)?;
                    }
                    Source::Ready(_) => unreachable!("handled above"),
                }
                self.apply(stages, &mut series, groups.is_none(), &mut scratch.annotations);
                if !series.column.is_empty() {
                    visit(&mut state, &mut series, groups.map(|groups| groups.of[index]))?;
                }
            }
            self.annotate(|all| all.merge(scratch.annotations));
            self.meter.add(&scratch.tally.into_counts());
            self.limits.release_bytes(grid.count * size_of::<f64>() + scratch.charged);
            Ok(state)
        };
        let threads = (count / SERIES_PER_THREAD).clamp(1, self.options.threads.get());
        let states = in_parallel(count, threads, work)?;
        self.release_held(held);
        Ok(states)
    }

    /// Where stages make series equal, they must be merged before anyone else sees them.
    fn without_collisions<'e>(&self, stream: Stream<'e>) -> Evaluated<Stream<'e>> {
        let windows_alone =
            matches!(&stream.source, Source::Windows(_)) && stream.stages.is_empty();
        if !stream.may_collide || self.options.delayed_name_removal || windows_alone {
            return Ok(stream);
        }
        let grid = stream.grid;
        let (source, stages) = (stream.source, stream.stages);
        let bare = Stream::new(source, &grid);
        let mut series = self.collect_parts(bare)?;
        let mut annotations = Annotations::default();
        for series in &mut series {
            self.limits.check()?;
            self.apply(&stages, series, true, &mut annotations);
        }
        self.annotate(|all| all.merge(annotations));
        Ok(Stream::new(Source::Ready(self.merged(series)?), &grid))
    }

    /// As [`Evaluation::collect`] for a stream without stages.
    fn collect_parts(&self, bare: Stream<'_>) -> Evaluated<Vec<Series>> {
        match bare.source {
            Source::Ready(series) => Ok(series),
            source => self.collect(Stream { source, ..bare }),
        }
    }
}

/// Splits `0..count` among `threads` and returns what each made of its part, in order.
fn in_parallel<S: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> Evaluated<S> + Sync,
) -> Evaluated<Vec<S>> {
    if threads <= 1 {
        return Ok(vec![work(0..count)?]);
    }
    let part = count.div_ceil(threads);
    let parts: Vec<Range<usize>> = (0..threads)
        .map(|thread| (thread * part).min(count)..((thread + 1) * part).min(count))
        .collect();
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> =
            parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let results: Vec<Evaluated<S>> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        results.into_iter().collect()
    })
}
