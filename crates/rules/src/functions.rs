//! The functions that Prometheus adds to Go's in rule templates.
//!
//! Source: Prometheus `template/template.go`, `util/strutil/strconv.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Labels, Timestamp};
use regex::Regex;
use template::{Functions, List, Map, Missing, OUTPUT_BYTES_MAX, Value, query_escape};

use crate::context::ExternalUrl;
use crate::humanize::{
    humanize, humanize_1024, humanize_duration, humanize_percentage, humanize_timestamp, number,
    time,
};

/// Where the value of a sample that is no number stands.
const STRING_VALUE_LABEL: &str = "__value__";

/// The vector that a PromQL expression yields at the evaluation's time.
type QueryFunction<'a> = &'a dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String>;

/// What templates can ask of the world.
pub(crate) struct World<'a> {
    pub(crate) external_url: &'a ExternalUrl,
    pub(crate) now: Timestamp,
    pub(crate) query: QueryFunction<'a>,
}

/// Go's functions and Prometheus'.
pub(crate) fn functions<'a>(world: &'a World<'a>) -> Functions<'a> {
    let mut functions = Functions::new();
    add_queries(&mut functions, world);
    add_numbers(&mut functions);
    add_texts(&mut functions);
    functions.add("args", 0..=usize::MAX, |args| {
        let named = args.iter().enumerate().map(|(i, arg)| (format!("arg{i}"), arg.clone()));
        Ok(Map::new(named.collect(), Missing::Nil).into())
    });
    functions.add("externalURL", 0..=0, |_| Ok(Value::text(world.external_url.as_str())));
    functions.add("pathPrefix", 0..=0, |_| Ok(Value::text(world.external_url.path_prefix())));
    functions.add("now", 0..=0, |_| Ok(Value::Float(world.now.as_seconds())));
    functions
}

fn add_queries<'a>(functions: &mut Functions<'a>, world: &'a World<'a>) {
    functions.add("query", 1..=1, |args| {
        let vector = (world.query)(args[0].as_text()?)?;
        Ok(vector.iter().map(|(labels, value)| sample(labels, *value)).collect::<List>().into())
    });
    functions.add("first", 1..=1, |args| {
        let first = args[0].as_list()?.first().cloned();
        first.ok_or_else(|| "first() called on vector with no elements".to_owned())
    });
    functions.add("value", 1..=1, |args| field(&args[0], "Value"));
    functions.add("label", 2..=2, |args| label(&args[1], args[0].as_text()?));
    functions.add("strvalue", 1..=1, |args| label(&args[0], STRING_VALUE_LABEL));
    functions.add("sortByLabel", 2..=2, |args| {
        let name = args[0].as_text()?;
        let mut keyed = Vec::new();
        for sample in args[1].as_list()? {
            keyed.push((label(sample, name)?.as_text()?.to_owned(), sample.clone()));
        }
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(keyed.into_iter().map(|(_, sample)| sample).collect::<List>().into())
    });
    functions.add("graphLink", 1..=1, |args| Ok(graph_link(args[0].as_text()?, 0).into()));
    functions.add("tableLink", 1..=1, |args| Ok(graph_link(args[0].as_text()?, 1).into()));
}

fn add_numbers(functions: &mut Functions<'_>) {
    let text = |write: fn(f64) -> String| {
        move |args: &[Value]| number(&args[0]).map(|number| write(number).into())
    };
    functions.add("humanize", 1..=1, text(humanize));
    functions.add("humanize1024", 1..=1, text(humanize_1024));
    functions.add("humanizeDuration", 1..=1, text(humanize_duration));
    functions.add("humanizePercentage", 1..=1, text(humanize_percentage));
    functions.add("humanizeTimestamp", 1..=1, |args| humanize_timestamp(number(&args[0])?));
    functions.add("toTime", 1..=1, |args| time(number(&args[0])?));
    functions.add("parseDuration", 1..=1, |args| {
        let duration = model::duration::parse(args[0].as_text()?).map_err(|e| e.to_string())?;
        Ok(Value::Float(duration.as_secs_f64()))
    });
}

fn add_texts(functions: &mut Functions<'_>) {
    let text = |change: fn(&str) -> String| {
        move |args: &[Value]| args[0].as_text().map(|text| change(text).into())
    };
    functions.add("title", 1..=1, text(title));
    functions.add("toUpper", 1..=1, text(str::to_uppercase));
    functions.add("toLower", 1..=1, text(str::to_lowercase));
    functions.add("stripPort", 1..=1, text(strip_port));
    functions.add("stripDomain", 1..=1, text(strip_domain));
    functions.add("safeHtml", 1..=1, text(str::to_owned));
    functions.add("urlQueryEscape", 1..=1, text(query_escape));
    functions.add("match", 2..=2, |args| {
        Ok(Value::Bool(regex(args[0].as_text()?)?.is_match(args[1].as_text()?)))
    });
    functions.add("reReplaceAll", 3..=3, |args| {
        let (pattern, replacement, text) =
            (args[0].as_text()?, args[1].as_text()?, args[2].as_text()?);
        replace_all(&regex(pattern)?, replacement, text).map(Value::from)
    });
}

/// Where the page of an expression is, below the external URL; tab 0 is the graph, 1 the table.
pub(crate) fn graph_link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

/// One element of what `query` gives.
fn sample(labels: &Labels, value: f64) -> Value {
    Map::of_fields([
        ("Labels", Map::of_texts(labels.iter()).into()),
        ("Value", Value::Float(value)),
    ])
    .into()
}

fn field(sample: &Value, name: &str) -> Result<Value, String> {
    let Value::Map(fields) = sample else {
        return Err(format!("wrong type for value; expected sample; got {}", sample.type_name()));
    };
    fields.get(name).ok_or_else(|| format!("wrong type for value; a sample has no {name}"))
}

fn label(sample: &Value, name: &str) -> Result<Value, String> {
    field(&field(sample, "Labels")?, name)
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// As `Regex::replace_all`, for a result that fits a template.
fn replace_all(regex: &Regex, replacement: &str, text: &str) -> Result<String, String> {
    let (mut replaced, mut copied) = (String::new(), 0);
    for captures in regex.captures_iter(text) {
        let whole = captures.get_match();
        replaced.push_str(&text[copied..whole.start()]);
        captures.expand(replacement, &mut replaced);
        copied = whole.end();
        if replaced.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the result is larger than {OUTPUT_BYTES_MAX} bytes"));
        }
    }
    replaced.push_str(&text[copied..]);
    Ok(replaced)
}

/// The first letter of each word in upper case, the others as they are.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        let belongs = c.is_alphanumeric() || matches!(c, '_' | '\'');
        match belongs && !in_word {
            true => titled.extend(c.to_uppercase()),
            false => titled.push(c),
        }
        in_word = belongs;
    }
    titled
}

fn strip_port(address: &str) -> String {
    split_host_port(address).map_or(address, |(host, _)| host).to_owned()
}

/// The first part of a host name, and the port where there is one. Addresses stay as they are.
fn strip_domain(address: &str) -> String {
    let (host, port) = split_host_port(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    if port.is_empty() { name.to_owned() } else { format!("{name}:{port}") }
}

/// As Go's `net.SplitHostPort`; `None` where that is an error.
fn split_host_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .and_then(|(host, port)| port.strip_prefix(':').map(|port| (host, port)))?,
        None => address.rsplit_once(':').filter(|(host, _)| !host.contains(':'))?,
    };
    let plain = |text: &str| !text.contains(['[', ']']);
    (plain(host) && plain(port) && !port.contains(':')).then_some((host, port))
}

/// The fields of `.` in the templates of an alert, and the variables of the same meaning.
pub(crate) fn alert_data(
    labels: &Labels,
    value: f64,
    external_labels: &Labels,
    external_url: &ExternalUrl,
) -> ([(&'static str, Value); 4], Value) {
    let labels: Value = Map::of_texts(labels.iter()).into();
    let external_labels: Value = Map::of_texts(external_labels.iter()).into();
    let url = Value::text(external_url.as_str());
    let value = Value::Float(value);
    let fields: BTreeMap<String, Value> = [
        ("Labels".to_owned(), labels.clone()),
        ("ExternalLabels".to_owned(), external_labels.clone()),
        ("ExternalURL".to_owned(), url.clone()),
        ("Value".to_owned(), value.clone()),
    ]
    .into();
    let variables = [
        ("labels", labels),
        ("externalLabels", external_labels),
        ("externalURL", url),
        ("value", value),
    ];
    (variables, Map::new(fields, Missing::Error).into())
}

#[cfg(test)]
mod tests;
