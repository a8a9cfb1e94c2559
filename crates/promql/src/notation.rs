//! The notation of series: `metric{label="value"} 1 2+3x4 _x2 stale {{schema:1 count:3}}`.
//!
//! Source: Prometheus `docs/configuration/unit_testing_rules.md`.

use model::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, CounterReset};
use model::{FloatHistogram, Labels, MatchOp, STALE_NAN};

/// One value of a series.
#[derive(Clone)]
pub enum Value {
    /// There is no sample.
    Omitted,
    Float(f64),
    Histogram(FloatHistogram),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Omitted => write!(f, "_"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Histogram(h) => write!(f, "schema:{} {h}", h.schema),
        }
    }
}

/// A line of a `load` command, or of the expected series of an evaluation.
#[derive(Debug)]
pub struct SeriesLine {
    pub labels: Labels,
    /// The values are start timestamps, relative to the samples (`@st`).
    pub is_start_timestamps: bool,
    pub values: String,
}

pub fn parse_line(line: &str) -> Result<SeriesLine, String> {
    let end = end_of_metric(line);
    let (metric, rest) = line.split_at(end);
    let labels = if metric.is_empty() {
        Labels::empty()
    } else {
        let matchers = crate::parse_selector(metric).map_err(|e| format!("{metric}: {e}"))?;
        if matchers.iter().any(|matcher| matcher.op() != MatchOp::Equal) {
            return Err(format!("labels of a series are given with `=`: {metric}"));
        }
        matchers.iter().map(|matcher| (matcher.name(), matcher.value())).collect()
    };
    let (is_start_timestamps, values) = match rest.strip_prefix("@st") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    Ok(SeriesLine { labels, is_start_timestamps, values: values.trim().to_owned() })
}

/// Where the name and the braces end.
fn end_of_metric(line: &str) -> usize {
    let (mut quote, mut braces, mut escaped) = (None, false, false);
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) => {
                if escaped {
                    escaped = false;
                } else if c == '\\' && open != '`' {
                    escaped = true;
                } else if c == open {
                    quote = None;
                }
            }
            None => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '{' => braces = true,
                '}' => return at + 1,
                c if (c.is_whitespace() || c == '@') && !braces => return at,
                _ => {}
            },
        }
    }
    line.len()
}

pub fn parse_values(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for item in items(text) {
        parse_item(item, &mut values).ok_or_else(|| format!("bad value {item:?}"))?;
    }
    Ok(values)
}

/// Cuts at blanks outside of histograms.
fn items(text: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth) = (Vec::new(), None, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            if let Some(start) = start.take() {
                items.push(&text[start..at]);
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    items.extend(start.map(|start| &text[start..]));
    items
}

fn parse_item(item: &str, values: &mut Vec<Value>) -> Option<()> {
    if item == "stale" {
        values.push(Value::Float(STALE_NAN));
        return Some(());
    }
    if let Some(rest) = item.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { rest.strip_prefix('x')?.parse().ok()? };
        values.extend(std::iter::repeat_n(Value::Omitted, times));
        return Some(());
    }
    if item.starts_with("{{") {
        return parse_histograms(item, values);
    }
    let (first, rest) = number_prefix(item)?;
    if rest.is_empty() {
        values.push(Value::Float(first));
        return Some(());
    }
    let (step, rest) = if rest.starts_with('x') { (0.0, rest) } else { number_prefix(rest)? };
    let times: usize = rest.strip_prefix('x')?.parse().ok()?;
    let mut value = first;
    for _ in 0..=times {
        values.push(Value::Float(value));
        value += step;
    }
    Some(())
}

/// Start timestamps, as milliseconds from the sample: `-30s-1mx2 _ 0`.
pub fn parse_starts(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut starts = Vec::new();
    for item in text.split_whitespace() {
        let (item, times) = match item.split_once('x') {
            Some((item, times)) => (item, times.parse::<usize>().ok()),
            None => (item, None),
        };
        if item == "_" {
            starts.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let sign = item.starts_with(['+', '-']) as usize;
        let (first, step) = match item[sign..].find(['+', '-']) {
            Some(at) => item.split_at(at + sign),
            None => (item, "0"),
        };
        let millis = |text: &str| {
            let unsigned = text.trim_start_matches(['+', '-']);
            let parsed = model::duration::parse(unsigned).map_err(|e| format!("{item}: {e}"));
            let millis = model::time::millis(parsed?);
            Ok::<_, String>(if text.starts_with('-') { -millis } else { millis })
        };
        let (mut start, step) = (millis(first)?, millis(step)?);
        for _ in 0..=times.unwrap_or(0) {
            starts.push(Some(start));
            start += step;
        }
    }
    Ok(starts)
}

fn number_prefix(text: &str) -> Option<(f64, &str)> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let sign = text.len() - unsigned.len();
    for word in ["Inf", "inf", "NaN", "nan"] {
        if let Some(rest) = unsigned.strip_prefix(word) {
            return Some((text[..sign + word.len()].parse().ok()?, rest));
        }
    }
    let mut end =
        unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let exponent = &unsigned[end..];
    if let Some(power) = exponent.strip_prefix(['e', 'E']) {
        let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
        let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        end += exponent.len() - digits.len() + length;
    }
    let (number, rest) = text.split_at(sign + end);
    Some((number.parse().ok()?, rest))
}

fn parse_histograms(item: &str, values: &mut Vec<Value>) -> Option<()> {
    let (first, rest) = histogram_prefix(item)?;
    if rest.is_empty() {
        values.push(Value::Histogram(first));
        return Some(());
    }
    let (add, rest) = match rest.as_bytes()[0] {
        b'x' => (None, rest),
        b'+' => {
            let (step, rest) = histogram_prefix(&rest[1..])?;
            (Some((step, true)), rest)
        }
        b'-' => {
            let (step, rest) = histogram_prefix(&rest[1..])?;
            (Some((step, false)), rest)
        }
        _ => return None,
    };
    let times: usize = rest.strip_prefix('x')?.parse().ok()?;
    let mut value = first;
    for _ in 0..=times {
        values.push(Value::Histogram(value.clone()));
        match &add {
            Some((step, true)) => drop(value.add(step).ok()?),
            Some((step, false)) => drop(value.subtract(step).ok()?),
            None => {}
        }
    }
    Some(())
}

/// `{{schema:1 buckets:[1 2] …}}`
fn histogram_prefix(text: &str) -> Option<(FloatHistogram, &str)> {
    let (inner, rest) = text.strip_prefix("{{")?.split_once("}}")?;
    let mut histogram = FloatHistogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let (mut buckets, mut negative_buckets) = (Vec::new(), Vec::new());
    for (key, value) in entries(inner)? {
        let list = || -> Option<Vec<f64>> {
            value.split_whitespace().map(|n| number_prefix(n).map(|(n, _)| n)).collect()
        };
        let number = || number_prefix(value).map(|(number, _)| number);
        match key {
            "schema" => histogram.schema = value.parse().ok()?,
            "sum" => histogram.sum = number()?,
            "count" => histogram.count = number()?,
            "z_bucket" => histogram.zero_count = number()?,
            "z_bucket_w" => histogram.zero_threshold = number()?,
            "offset" => offset = value.parse().ok()?,
            "n_offset" => negative_offset = value.parse().ok()?,
            "buckets" => buckets = list()?,
            "n_buckets" => negative_buckets = list()?,
            "custom_values" => {
                histogram.custom_bounds = list()?.into();
            }
            "counter_reset_hint" => {
                histogram.counter_reset = match value {
                    "unknown" => CounterReset::Unknown,
                    "reset" => CounterReset::Reset,
                    "not_reset" => CounterReset::NotReset,
                    "gauge" => CounterReset::Gauge,
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    let sparse = |offset: i32, counts: Vec<f64>| {
        let indexed = (offset..).zip(counts).map(|(index, count)| Bucket { index, count });
        indexed.filter(|bucket| bucket.count != 0.0).collect()
    };
    debug_assert!(histogram.schema == CUSTOM_BUCKETS_SCHEMA || histogram.custom_bounds.is_empty());
    histogram.positive = sparse(offset, buckets);
    histogram.negative = sparse(negative_offset, negative_buckets);
    Some((histogram, rest))
}

/// `key:value` and `key:[value value]`, cut at blanks.
fn entries(text: &str) -> Option<Vec<(&str, &str)>> {
    let (mut entries, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':')?;
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']')?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        entries.push((key, value));
        rest = after.trim_start();
    }
    Some(entries)
}
