//! `info`: adds the labels of info metrics, such as `target_info`, to the series they describe.
//!
//! Source: Prometheus `promql/info.go`.

use std::collections::BTreeMap;

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use rustc_hash::FxHashMap;

use super::column::Column;
use super::selector::Yields;
use super::{Evaluated, Evaluation, Grid, Series};
use crate::ast::{Call, Expr, Extension, Modifiers, VectorSelector};
use crate::limits::EvalError;
use crate::position::Position;

const TARGET_INFO: &str = "target_info";
/// The labels by which info series and the series they describe find each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What the second argument asks for.
struct Wanted {
    /// Of the names of info metrics.
    names: Vec<Matcher>,
    /// Of the labels to add; without any, all are added.
    labels: Vec<Matcher>,
    /// Whether series that are info series themselves can be told by their name.
    names_are_told: bool,
}

impl Wanted {
    fn new(selector: Option<&VectorSelector>) -> Self {
        let all = selector.map_or(&[][..], |selector| &selector.matchers);
        let (mut names, labels): (Vec<_>, Vec<_>) =
            all.iter().cloned().partition(|matcher| matcher.name() == METRIC_NAME);
        let names_are_told = names.iter().any(|matcher| !matcher.op().is_negative());
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, TARGET_INFO));
        } else if !names_are_told {
            let info = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
            names.push(info.expect("a valid regex"));
        }
        Self { names_are_told: names_are_told || all.is_empty(), names, labels }
    }

    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.metric_name();
        self.names_are_told && self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn adds(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|matcher| matcher.name() == label)
    }

    /// Whether a series without any info may stay as it is.
    fn accepts_none(&self) -> bool {
        self.labels.iter().all(Matcher::matches_empty)
    }
}

/// An info series: which time its newest sample has, by time of evaluation.
struct InfoSeries {
    labels: Labels,
    seconds: Column,
}

/// Info metric by info metric, the series that describe the same thing.
type Sources = BTreeMap<String, FxHashMap<Labels, Vec<InfoSeries>>>;

impl Evaluation<'_> {
    pub(super) fn info(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        let wanted = Wanted::new(match call.args.get(1).map(Expr::unwrapped) {
            Some(Expr::Vector(selector)) => Some(selector),
            _ => None,
        });
        let base = self.vector(&call.args[0], grid)?;
        let time = reference_time(&call.args[0], Modifiers::default()).unwrap_or_default();
        let sources = self.info_series(&wanted, &base, time, grid)?;
        let mut result: Vec<Series> = Vec::new();
        let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
        for series in &base {
            self.limits.check()?;
            for step in 0..grid.count {
                let Some(point) = series.column.get(step) else { continue };
                let Some(labels) = enriched(&wanted, &sources, &series.labels, step)? else {
                    continue;
                };
                let place = match places.get(&labels) {
                    Some(place) => *place,
                    None => {
                        let (drop_name, column) = (series.drop_name, Column::absent(grid.count));
                        places.insert(labels.clone(), result.len());
                        let mut new = Series { labels, drop_name, column, ..Series::default() };
                        self.keep(&mut new)?;
                        result.push(new);
                        result.len() - 1
                    }
                };
                if result[place].column.is_present(step) {
                    return Err(super::labels::same_labelset());
                }
                result[place].column.set(step, Some(point));
            }
        }
        self.release(&base);
        Ok(result)
    }

    fn info_series(
        &self,
        wanted: &Wanted,
        base: &[Series],
        time: Modifiers,
        grid: &Grid,
    ) -> Evaluated<Sources> {
        let mut sources = Sources::new();
        let described: Vec<&Labels> =
            base.iter().map(|series| &series.labels).filter(|l| !wanted.is_info(l)).collect();
        let mut matchers: Vec<Matcher> =
            wanted.names.iter().chain(&wanted.labels).cloned().collect();
        let identified = |l: &&Labels| IDENTIFYING.iter().any(|name| l.get(name).is_some());
        if !described.iter().any(identified) {
            return Ok(sources);
        }
        for name in IDENTIFYING {
            let values = described.iter().map(|labels| regex::escape(labels.value(name)));
            let values: std::collections::BTreeSet<String> = values.collect();
            let pattern = values.into_iter().collect::<Vec<_>>().join("|");
            let matcher = Matcher::new(name, MatchOp::Regex, pattern);
            matchers.push(matcher.map_err(|error| EvalError::execution(error.to_string()))?);
        }
        let (position, extension) = (Position::default(), Extension::None);
        let selector = VectorSelector { name: None, matchers, time, extension, position };
        let values = self.collect(self.instant_stream(&selector, grid, Yields::Value)?)?;
        if let Some(series) = values.iter().find(|series| series.column.has_histograms()) {
            let series = super::labels::InBraces(&series.labels);
            let message = "this should be an info metric, with float samples";
            return Err(EvalError::execution(format!("{message}: {series}")));
        }
        self.release(&values);
        for Series { labels, column, .. } in
            self.collect(self.instant_stream(&selector, grid, Yields::Timestamp)?)?
        {
            let by_identity = sources.entry(labels.metric_name().to_owned()).or_default();
            let series = InfoSeries { seconds: column, labels };
            by_identity.entry(series.labels.keep(&IDENTIFYING)).or_default().push(series);
        }
        Ok(sources)
    }
}

/// `labels` with those of the info series at one time; nothing if the series is to be dropped.
fn enriched(
    wanted: &Wanted,
    sources: &Sources,
    labels: &Labels,
    step: usize,
) -> Evaluated<Option<Labels>> {
    if wanted.is_info(labels) {
        return Ok(Some(labels.clone()));
    }
    let identity = labels.keep(&IDENTIFYING);
    let mut added = LabelsBuilder::default();
    let mut found = false;
    for by_identity in sources.values() {
        let candidates = by_identity.get(&identity).map_or(&[][..], Vec::as_slice);
        let Some(info) = newest(candidates, step)? else { continue };
        found = true;
        for (name, value) in &info.labels {
            if name == METRIC_NAME || !wanted.adds(name) {
                continue;
            }
            if added.get(name).is_some_and(|other| other != value) {
                return Err(EvalError::execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    if !found && !wanted.accepts_none() {
        return Ok(None);
    }
    let mut builder = labels.to_builder();
    for (name, value) in added.iter() {
        builder.set(name, value);
    }
    Ok(Some(builder.build()))
}

/// Of several info series, that with the newest sample.
fn newest(candidates: &[InfoSeries], step: usize) -> Evaluated<Option<&InfoSeries>> {
    let mut best: Option<(&InfoSeries, f64)> = None;
    for series in candidates {
        let Some(seconds) = series.seconds.float(step) else { continue };
        match best {
            Some((_, known)) if known > seconds => {}
            Some((other, known)) if known == seconds => {
                let show = |series: &InfoSeries| {
                    let millis = (seconds * 1000.0).round();
                    format!("{} @ {millis}", super::labels::InBraces(&series.labels))
                };
                let (existing, new) = (show(other), show(series));
                let message = "found duplicate series for info metric";
                return Err(EvalError::execution(format!(
                    "{message}: existing {existing}, new {new}"
                )));
            }
            _ => best = Some((series, seconds)),
        }
    }
    Ok(best.map(|(series, _)| series))
}

/// The time at which the first selector of `expr` looks at its series: that is when info counts.
fn reference_time(expr: &Expr, outer: Modifiers) -> Option<Modifiers> {
    let within = |time: &Modifiers| match time.at {
        Some(_) => time.clone(),
        None => {
            Modifiers { at: outer.at, offset: super::selector::sum(&outer.offset, &time.offset) }
        }
    };
    match expr {
        Expr::Vector(selector) => Some(within(&selector.time)),
        Expr::Matrix(selector) => Some(within(&selector.vector.time)),
        Expr::Subquery(subquery) => reference_time(&subquery.inner, within(&subquery.time)),
        other => {
            let mut children = other.children().into_iter();
            children.find_map(|child| reference_time(child, outer.clone()))
        }
    }
}
