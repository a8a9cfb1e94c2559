//! What a query's author should know about an answer: warnings and infos, in Prometheus' words.
//!
//! Source: Prometheus `util/annotations/annotations.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::number::{General, Significant};
use crate::position::Position;

/// No more texts of either kind are shown for one query.
const SHOWN_MAX: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Info,
}

/// The annotations of one query, each once.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    notes: BTreeMap<(Severity, Position, String), Option<Monotonicity>>,
    /// What parts of the storage said, shown as it is.
    foreign: BTreeSet<(Severity, String)>,
}

/// What was done to buckets whose counts fell; accumulates over the samples of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) samples: usize,
    pub(crate) bucket_min: f64,
    pub(crate) bucket_max: f64,
    pub(crate) difference_max: f64,
}

impl Annotations {
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.foreign.is_empty()
    }

    pub fn len(&self) -> usize {
        self.notes.len() + self.foreign.len()
    }

    /// How many name a position in the query.
    pub(crate) fn placed(&self) -> usize {
        self.notes.len()
    }

    /// The warnings about `query`, ready to show; at most ten and a line that counts the rest.
    pub fn warnings(&self, query: &str) -> Vec<String> {
        self.texts(Severity::Warning, query, "warning")
    }

    /// The infos about `query`, likewise.
    pub fn infos(&self, query: &str) -> Vec<String> {
        self.texts(Severity::Info, query, "info")
    }

    fn texts(&self, severity: Severity, query: &str, name: &str) -> Vec<String> {
        let all = self.notes.iter().filter(|((found, _, _), _)| *found == severity);
        let mut texts: Vec<String> = all
            .map(|((_, position, message), monotonicity)| {
                let (line, column) = position.line_and_column(query);
                let details = monotonicity.map(|m| m.to_string()).unwrap_or_default();
                format!("PromQL {name}: {message}{details} ({line}:{column})")
            })
            .collect();
        let foreign = self.foreign.iter().filter(|(found, _)| *found == severity);
        texts.extend(foreign.map(|(_, message)| message.clone()));
        let omitted = texts.len().saturating_sub(SHOWN_MAX);
        if omitted > 0 {
            texts.truncate(SHOWN_MAX);
            texts.push(format!("{omitted} more {name} annotations omitted"));
        }
        texts
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for ((severity, position, message), monotonicity) in other.notes {
            self.add(severity, position, message, monotonicity);
        }
        self.foreign.extend(other.foreign);
    }

    pub(crate) fn add_foreign(&mut self, warnings: Vec<String>, infos: Vec<String>) {
        self.foreign.extend(warnings.into_iter().map(|text| (Severity::Warning, text)));
        self.foreign.extend(infos.into_iter().map(|text| (Severity::Info, text)));
    }

    fn add(
        &mut self,
        severity: Severity,
        position: Position,
        message: String,
        monotonicity: Option<Monotonicity>,
    ) {
        let known = self.notes.entry((severity, position, message)).or_insert(None);
        *known = match (*known, monotonicity) {
            (Some(known), Some(new)) => Some(known.and(new)),
            (known, new) => known.or(new),
        };
    }

    fn warn(&mut self, position: Position, message: String) {
        self.add(Severity::Warning, position, message, None);
    }

    fn info(&mut self, position: Position, message: String) {
        self.add(Severity::Info, position, message, None);
    }

    pub(crate) fn invalid_quantile(&mut self, at: Position, quantile: f64) {
        let got = General(quantile);
        self.warn(at, format!("quantile value should be between 0 and 1, got {got}"));
    }

    pub(crate) fn invalid_ratio(&mut self, at: Position, ratio: f64, capped: f64) {
        let (got, capped) = (General(ratio), General(capped));
        let message = "ratio value should be between -1 and 1";
        self.warn(at, format!("{message}, got {got}, capping to {capped}"));
    }

    pub(crate) fn sort_in_range_query(&mut self, at: Position) {
        let message = "sort is ineffective for range queries since results are always ordered by";
        self.warn(at, format!("{message} labels"));
    }

    pub(crate) fn bad_bucket_label(&mut self, at: Position, metric: &str, le: &str) {
        let message = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
        self.warn(at, named(message, metric));
    }

    pub(crate) fn mixed_floats_histograms(&mut self, at: Position, metric: &str) {
        let message = "encountered a mix of histograms and floats for metric name";
        self.warn(at, format!("{message} {metric:?}"));
    }

    pub(crate) fn mixed_floats_histograms_aggregation(&mut self, at: Position) {
        self.warn(at, "encountered a mix of histograms and floats for aggregation".into());
    }

    pub(crate) fn mixed_classic_native(&mut self, at: Position, metric: &str) {
        let message = "vector contains a mix of classic and native histograms";
        self.warn(at, named(message.into(), metric));
    }

    pub(crate) fn histogram_not_counter(&mut self, at: Position, metric: &str) {
        let message = "this native histogram metric is not a counter";
        self.warn(at, format!("{message}: {metric:?}"));
    }

    pub(crate) fn histogram_not_gauge(&mut self, at: Position, metric: &str) {
        let message = "this native histogram metric is not a gauge";
        self.warn(at, format!("{message}: {metric:?}"));
    }

    pub(crate) fn mixed_exponential_custom(&mut self, at: Position, metric: &str) {
        let message = "vector contains a mix of histograms with exponential and custom buckets \
                       schemas for metric name";
        self.warn(at, format!("{message} {metric:?}"));
    }

    pub(crate) fn incompatible_buckets_in_binary(&mut self, at: Position, op: &str) {
        let message = "incompatible bucket layout encountered for binary operator";
        self.warn(at, format!("{message} {op}"));
    }

    /// `operation` is `addition`, `subtraction` or `aggregation`.
    pub(crate) fn counter_reset_collision(&mut self, at: Position, operation: &str) {
        self.warn(at, format!("conflicting counter resets during histogram {operation}"));
    }

    pub(crate) fn overlapping_start_time(&mut self, at: Position, metric: &str) {
        let message = "sample has start time that overlaps with previous sample timestamp";
        self.warn(at, format!("{message} for metric {metric:?}"));
    }

    pub(crate) fn possible_non_counter(&mut self, at: Position, metric: &str) {
        let message = "metric might not be a counter, name does not end in \
                       _total/_sum/_count/_bucket";
        self.info(at, format!("{message}: {metric:?}"));
    }

    pub(crate) fn possible_non_counter_type(&mut self, at: Position, metric: &str, kind: &str) {
        let message = "metric might not be a counter, __type__ label is not set to \"counter\" or \
                       \"histogram\"";
        self.info(at, format!("{message}, got {kind:?}: {metric:?}"));
    }

    pub(crate) fn forced_monotonicity(&mut self, at: Position, metric: &str, done: Monotonicity) {
        let page = "https://prometheus.io/docs/prometheus/latest/querying/functions";
        let message = "input to histogram_quantile needed to be fixed for monotonicity";
        let message = named(format!("{message} (see {page}/#histogram_quantile)"), metric);
        self.add(Severity::Info, at, message, Some(done));
    }

    /// Types are `float` or `histogram`.
    pub(crate) fn incompatible_types(&mut self, at: Position, left: &str, op: &str, right: &str) {
        let message = "incompatible sample types encountered for binary operator";
        self.info(at, format!("{message} {op:?}: {left} {op} {right}"));
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, at: Position, op: &str) {
        self.info(at, format!("ignored histogram in {op} aggregation"));
    }

    pub(crate) fn histogram_ignored_in_range(&mut self, at: Position, metric: &str) {
        let message = "ignored histograms in a range containing both floats and histograms for \
                       metric name";
        self.info(at, format!("{message} {metric:?}"));
    }

    /// `operation` is `addition`, `subtraction` or `aggregation`.
    pub(crate) fn custom_buckets_reconciled(&mut self, at: Position, operation: &str) {
        self.info(at, format!("mismatched custom buckets were reconciled during {operation}"));
    }

    pub(crate) fn quantile_nan_result(&mut self, at: Position, metric: &str) {
        let message = "input to histogram_quantile has NaN observations, result is NaN";
        self.info(at, named(message.into(), metric));
    }

    pub(crate) fn quantile_nan_skew(&mut self, at: Position, metric: &str) {
        let message = "input to histogram_quantile has NaN observations, result is skewed higher";
        self.info(at, named(message.into(), metric));
    }

    pub(crate) fn fraction_nans(&mut self, at: Position, metric: &str) {
        let message = "input to histogram_fraction has NaN observations, which are excluded from \
                       all fractions";
        self.info(at, named(message.into(), metric));
    }
}

fn named(message: String, metric: &str) -> String {
    if metric.is_empty() { message } else { format!("{message} for metric name {metric:?}") }
}

impl Monotonicity {
    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            samples: self.samples + other.samples,
            bucket_min: self.bucket_min.min(other.bucket_min),
            bucket_max: self.bucket_max.max(other.bucket_max),
            difference_max: self.difference_max.max(other.difference_max),
        }
    }
}

impl fmt::Display for Monotonicity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            General(self.bucket_min),
            General(self.bucket_max),
            Significant(self.difference_max, 2),
            self.samples,
            rfc3339(self.first),
            rfc3339(self.last),
        )
    }
}

/// Seconds resolution, UTC.
fn rfc3339(millis: i64) -> String {
    let date = crate::eval::calendar::Date::from_unix_seconds(millis.div_euclid(1000));
    let (hour, minute, second) = (date.hour, date.minute, date.second);
    let (year, month, day) = (date.year, date.month, date.day);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
