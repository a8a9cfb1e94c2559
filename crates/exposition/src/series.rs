//! A series' text: a metric name, a label section in braces, or both.
//!
//! ```text
//! series := name ('{' items '}')? | '{' items '}'
//! items  := (item (',' item)* ','?)?      in text format, commas between labels may be left out
//! item   := label_name '=' '"' value '"' | '"' name '"'   the latter is the metric name
//! ```
//! Names are bare, or quoted where they have other characters than letters, digits and `_` (and `:`
//! in metric names). [`scan`] finds the end of such a text by its quotes alone, [`decode`] checks it.

use std::borrow::Cow;

use memchr::memchr2;
use model::{LabelsBuilder, METRIC_NAME, MetricType};

use crate::error::quote;
use crate::number::{open_metrics_float, parse_value};
use crate::{Format, Problem};

/// What may be escaped in names, label values and the help of OpenMetrics.
pub(crate) const ESCAPED: &str = "\\\"n";
/// What may be escaped in the help of the text format.
pub(crate) const ESCAPED_HELP: &str = "\\n";

/// What is wrong, and at which byte of the text. What was found there is for the parser to say.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

/// The length of the series text that `text` begins with; all of it where a brace is not closed,
/// `None` where none begins. Looks at nothing but the name's bytes, quotes and the closing brace:
/// this is what a known series costs.
pub(crate) fn scan(text: &[u8], format: Format) -> Option<usize> {
    let name = text.iter().position(|&b| !is_name_byte(b)).unwrap_or(text.len());
    let mut at = name;
    if format == Format::Text {
        while let Some(b' ' | b'\t') = text.get(at) {
            at += 1;
        }
    }
    if text.get(at) != Some(&b'{') {
        return (name > 0).then_some(name);
    }
    at += 1;
    while let Some(found) = memchr2(b'"', b'}', text.get(at..)?) {
        at += found + 1;
        if text[at - 1] == b'}' {
            return Some(at);
        }
        let Some(length) = quoted_length(&text[at..]) else { break };
        at += length;
    }
    Some(text.len())
}

/// The length of a string up to and with its closing quote; `text` begins after the opening one.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2; // a backslash escapes whatever follows it
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// The labels of what [`scan`] found.
pub(crate) fn decode(
    series: &str,
    format: Format,
    metric_type: MetricType,
) -> Result<LabelsBuilder, Fault> {
    let mut cursor = Cursor { text: series, at: 0, format };
    let mut labels = Vec::new();
    if let Some(name) = cursor.bare_name("a metric name", true)? {
        labels.push((Cow::Borrowed(METRIC_NAME), Cow::Borrowed(name)));
    }
    let mut named = !labels.is_empty();
    cursor.skip_blanks();
    if cursor.peek() == Some(b'{') {
        cursor.at += 1;
        while let Some(item) = cursor.item()? {
            match item {
                Item::MetricName(_) if named => return Err(cursor.fault(Problem::TwoNames)),
                Item::MetricName(name) => {
                    named = true;
                    labels.push((Cow::Borrowed(METRIC_NAME), name));
                }
                Item::Label(name, value) => {
                    let value = as_float_where_due(&name, value, metric_type);
                    labels.push((name, value));
                }
            }
        }
    }
    if !named {
        return Err(cursor.fault(Problem::NoName));
    }
    labels.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(cursor.fault(Problem::DuplicateLabel(quote(&twice[0].0))));
    }
    Ok(labels.into_iter().collect())
}

/// Checks the labels of an exemplar, which have no metric name among them.
pub(crate) fn check_exemplar(labels: &str, format: Format) -> Result<(), Fault> {
    let mut cursor = Cursor { text: labels, at: 1, format };
    while let Some(item) = cursor.item()? {
        if let Item::MetricName(_) = item {
            return Err(cursor.expected("'='"));
        }
    }
    Ok(())
}

/// The metric name, bare or quoted, that `text` begins with, and its length there.
pub(crate) fn take_name(text: &str) -> Option<(Cow<'_, str>, usize)> {
    let mut cursor = Cursor { text, at: 0, format: Format::OpenMetrics };
    let name = match cursor.peek()? {
        b'"' => cursor.quoted("a metric name").ok()?,
        _ => cursor.bare_name("a metric name", true).ok()?.map(Cow::Borrowed)?,
    };
    (!name.is_empty()).then_some((name, cursor.at))
}

/// Undoes a backslash before any of `escaped` (`n` stands for a newline); other backslashes stay.
pub(crate) fn unescape<'a>(text: &'a str, escaped: &str) -> Cow<'a, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let next = chars.clone().next().filter(|next| c == '\\' && escaped.contains(*next));
        match next {
            Some('n') => unescaped.push('\n'),
            Some(next) => unescaped.push(next),
            None => unescaped.push(c),
        }
        if next.is_some() {
            chars.next();
        }
    }
    Cow::Owned(unescaped)
}

fn as_float_where_due<'a>(
    name: &str,
    value: Cow<'a, str>,
    metric_type: MetricType,
) -> Cow<'a, str> {
    let due = matches!(
        (metric_type, name),
        (MetricType::Histogram, "le") | (MetricType::Summary, "quantile")
    );
    match parse_value(&value) {
        Some(number) if due => Cow::Owned(open_metrics_float(number)),
        _ => value,
    }
}

enum Item<'a> {
    Label(Cow<'a, str>, Cow<'a, str>),
    MetricName(Cow<'a, str>),
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    format: Format,
}

impl<'a> Cursor<'a> {
    /// The next item and the comma after it; `None` after the closing brace.
    fn item(&mut self) -> Result<Option<Item<'a>>, Fault> {
        self.skip_blanks();
        let (name, quoted) = match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b'"') => (self.quoted("a label name")?, true),
            _ => match self.bare_name("a label name", false)? {
                Some(name) => (Cow::Borrowed(name), false),
                None => return Err(self.expected("a label name")),
            },
        };
        if name.is_empty() {
            return Err(self.expected("a name that is not empty"));
        }
        self.skip_blanks();
        let item = match self.peek() {
            Some(b'=') => {
                self.at += 1;
                self.skip_blanks();
                Item::Label(name, self.quoted("a label value in quotes")?)
            }
            Some(b',' | b'}') if quoted => Item::MetricName(name),
            _ => return Err(self.expected("'='")),
        };
        self.skip_blanks();
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(b'}') => {}
            Some(_) if self.format == Format::Text => {}
            _ => return Err(self.expected("',' or '}'")),
        }
        Ok(Some(item))
    }

    fn bare_name(
        &mut self,
        expected: &'static str,
        colons: bool,
    ) -> Result<Option<&'a str>, Fault> {
        let rest = &self.text[self.at..];
        let is_part = |b: u8| is_name_byte(b) && (colons || b != b':');
        let length = rest.bytes().position(|b| !is_part(b)).unwrap_or(rest.len());
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.expected(expected));
        }
        self.at += length;
        Ok((length > 0).then_some(&rest[..length]))
    }

    fn quoted(&mut self, expected: &'static str) -> Result<Cow<'a, str>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(expected));
        }
        let rest = &self.text[self.at + 1..];
        let Some(length) = quoted_length(rest.as_bytes()) else {
            return Err(self.expected("a closing quote"));
        };
        let inner = &rest[..length - 1];
        if self.format == Format::OpenMetrics && inner.contains('\n') {
            return Err(self.expected("a closing quote on the same line"));
        }
        self.at += 1 + length;
        Ok(unescape(inner, ESCAPED))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        if self.format == Format::Text {
            while let Some(b' ' | b'\t') = self.peek() {
                self.at += 1;
            }
        }
    }

    fn expected(&self, expected: &'static str) -> Fault {
        self.fault(Problem::expected(expected))
    }

    fn fault(&self, problem: Problem) -> Fault {
        Fault { at: self.at, problem }
    }
}
