//! Writes the Prometheus text format: 0.0.4, and 1.0.0 where a name needs quotes.
//!
//! Everything is appended to a `String` that the caller owns, so that an endless answer can be
//! written piece by piece in constant memory.

use std::fmt::Write as _;

use model::labels::{is_legacy_label_name, is_legacy_metric_name};
use model::{Labels, METRIC_NAME, MetricType, Timestamp};

use crate::GoFloat;

/// Appends a family's `# HELP` line.
pub fn help(out: &mut String, family: &str, help: &str) {
    out.push_str("# HELP ");
    metric_name(out, family);
    out.push(' ');
    escape(out, help, false);
    out.push('\n');
}

/// Appends a family's `# TYPE` line, in the five words that format 0.0.4 has.
pub fn metric_type(out: &mut String, family: &str, metric_type: MetricType) {
    out.push_str("# TYPE ");
    metric_name(out, family);
    out.push(' ');
    out.push_str(match metric_type {
        MetricType::Counter => "counter",
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
        MetricType::Histogram | MetricType::GaugeHistogram => "histogram",
        MetricType::Summary => "summary",
        MetricType::Unknown => "untyped",
    });
    out.push('\n');
}

/// Appends one sample's line.
pub fn sample(out: &mut String, labels: &Labels, value: f64, timestamp: Option<Timestamp>) {
    sample_with(out, labels, [], value, timestamp);
}

/// As [`sample`], with further labels after the series' own, whose names those must not have. Their
/// values may be empty: federation says `instance=""` so that the scraper does not put in its own.
pub fn sample_with<'a>(
    out: &mut String,
    labels: &'a Labels,
    further: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: f64,
    timestamp: Option<Timestamp>,
) {
    series(out, labels, further);
    out.push(' ');
    put(out, GoFloat(value));
    if let Some(timestamp) = timestamp {
        out.push(' ');
        put(out, timestamp.as_millis());
    }
    out.push('\n');
}

fn series<'a>(
    out: &mut String,
    labels: &'a Labels,
    further: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let name = labels.metric_name();
    let mut separator = '{';
    if is_legacy_metric_name(name) {
        out.push_str(name);
    } else {
        out.push(separator);
        quote(out, name);
        separator = ',';
    }
    let own = labels.iter().filter(|(label, _)| *label != METRIC_NAME);
    for (label, value) in own.chain(further) {
        out.push(separator);
        separator = ',';
        if is_legacy_label_name(label) {
            out.push_str(label);
        } else {
            quote(out, label);
        }
        out.push('=');
        quote(out, value);
    }
    if separator == ',' {
        out.push('}');
    }
}

fn metric_name(out: &mut String, name: &str) {
    if is_legacy_metric_name(name) { out.push_str(name) } else { quote(out, name) }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    escape(out, text, true);
    out.push('"');
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests;
