//! Functions of labels, and what keeps label sets unique.

use std::collections::hash_map::Entry;

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp};
use rustc_hash::{FxHashMap, FxHashSet};
use storage::Grouping;

use super::column::Column;
use super::{Evaluated, Evaluation, Grid, Series, string};
use crate::ast::{Call, Expr};
use crate::limits::EvalError;
use crate::printer::Quoted;

/// The labels that say which metric a series is of.
const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

pub(super) fn without_metadata(labels: &Labels) -> Labels {
    labels.without(&METADATA)
}

/// What a storage has to go by so that series fall into the groups of `grouping`, which looks at them
/// after they lost their names; nothing where only that tells.
pub(super) fn before_renaming(grouping: Grouping, renames: bool) -> Option<Grouping> {
    match grouping {
        grouping if !renames => Some(grouping),
        Grouping::By(names) if names.iter().any(|name| METADATA.contains(&name.as_str())) => None,
        Grouping::By(names) => Some(Grouping::By(names)),
        Grouping::Without(mut names) => {
            names.extend(METADATA.map(str::to_owned));
            Some(Grouping::Without(names))
        }
    }
}

/// All labels in braces, the name too: how Prometheus' errors show a series.
pub(super) struct InBraces<'a>(pub(super) &'a Labels);

impl std::fmt::Display for InBraces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{name}={}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

pub(super) fn same_labelset() -> EvalError {
    EvalError::execution("vector cannot contain metrics with the same labelset")
}

impl Evaluation<'_> {
    /// Makes one series of those with the same labels; an error if two have a value at one time.
    pub(super) fn merged(&self, series: Vec<Series>) -> Evaluated<Vec<Series>> {
        if !self.contains_same(&series)? {
            return Ok(series);
        }
        let mut unique: Vec<Series> = Vec::with_capacity(series.len());
        let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
        for (index, series) in series.into_iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            match places.entry(series.labels.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(unique.len());
                    unique.push(series);
                }
                Entry::Occupied(entry) => {
                    if !unique[*entry.get()].column.merge(&series.column) {
                        return Err(same_labelset());
                    }
                    self.release_one(&series);
                }
            }
        }
        Ok(unique)
    }

    pub(super) fn contains_same(&self, series: &[Series]) -> Evaluated<bool> {
        let mut seen = FxHashSet::default();
        for (index, series) in series.iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            if !seen.insert(&series.labels) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One series where the vector has none at all.
    pub(super) fn absent(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        let arg = call.args[0].unwrapped();
        let stream = match self.windows(call, grid)? {
            Some(windows) => {
                super::stream::Stream::new(super::stream::Source::Windows(windows), grid)
            }
            None => self.stream(arg, grid)?,
        };
        let parts = self.fold(
            stream,
            || vec![false; grid.count],
            |present: &mut Vec<bool>, series| {
                for (step, present) in present.iter_mut().enumerate() {
                    *present |= series.column.is_present(step);
                }
                Ok(())
            },
        )?;
        let mut column = Column::absent(grid.count);
        for step in 0..grid.count {
            if !parts.iter().any(|present| present[step]) {
                column.set_float(step, 1.0);
            }
        }
        if column.is_empty() {
            return Ok(Vec::new());
        }
        self.kept(Series { labels: labels_of_absent(arg), column, ..Series::default() })
    }

    pub(super) fn label_replace(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        let [target, replacement, source, pattern] =
            [1, 2, 3, 4].map(|index| string(&call.args[index]));
        let pattern = &pattern.value;
        let regex = regex::Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| {
            let message = "invalid regular expression in label_replace()";
            EvalError::execution(format!("{message}: {pattern}"))
        })?;
        let target = valid_name(target, "invalid destination label name in label_replace()")?;
        let replacement = &replacement.value;
        let mut vector = self.vector(&call.args[0], grid)?;
        let references = replacement.matches('$').count();
        for series in &mut vector {
            self.limits.check()?;
            let value = series.labels.value(&source.value);
            let Some(captures) = regex.captures(value) else { continue };
            // None gives more than the whole value.
            let expanded_max = references.saturating_mul(value.len());
            self.limits.check_room(replacement.len().saturating_add(expanded_max))?;
            let mut new = String::new();
            captures.expand(replacement, &mut new);
            series.labels = with_label(&series.labels, target, new);
            self.keep_anew(series)?;
            if target == METRIC_NAME {
                series.drop_name = false;
            }
        }
        self.merged(vector)
    }

    pub(super) fn label_join(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        let separator = string(&call.args[2]);
        let sources: Vec<&str> = call.args[3..]
            .iter()
            .map(|arg| valid_name(string(arg), "invalid source label name in label_join()"))
            .collect::<Evaluated<_>>()?;
        let target = string(&call.args[1]);
        let target = valid_name(target, "invalid destination label name in label_join()")?;
        let mut vector = self.vector(&call.args[0], grid)?;
        for series in &mut vector {
            self.limits.check()?;
            let values: Vec<&str> =
                sources.iter().map(|source| series.labels.value(source)).collect();
            let bytes = values.iter().map(|value| value.len() + separator.value.len());
            self.limits.check_room(bytes.sum())?;
            let joined = values.join(&separator.value);
            series.labels = with_label(&series.labels, target, joined);
            self.keep_anew(series)?;
            if target == METRIC_NAME {
                series.drop_name = false;
            }
        }
        self.merged(vector)
    }
}

fn with_label(labels: &Labels, name: &str, value: String) -> Labels {
    let mut builder = labels.to_builder();
    builder.set(name, value);
    builder.build()
}

/// A label name is any text that is UTF-8 and not empty.
pub(super) fn valid_name<'a>(
    literal: &'a crate::ast::StringLiteral,
    message: &str,
) -> Evaluated<&'a str> {
    if literal.is_utf8 && !literal.value.is_empty() {
        return Ok(&literal.value);
    }
    Err(EvalError::execution(format!("{message}: {}", literal.value)))
}

/// What the selector says for sure about series that are not there.
fn labels_of_absent(expr: &Expr) -> Labels {
    let matchers = match expr {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(selector) => &selector.vector.matchers,
        _ => return Labels::empty(),
    };
    let mut labels = LabelsBuilder::default();
    let mut named: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME) {
        if matcher.op() == MatchOp::Equal && !named.contains(&matcher.name()) {
            labels.set(matcher.name(), matcher.value());
            named.push(matcher.name());
        } else {
            labels.remove(matcher.name());
        }
    }
    labels.build()
}
