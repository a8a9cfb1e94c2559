//! One pass over a body, entry by entry.
//!
//! ```text
//! text := (blanks | comment | sample) ('\n' …)*          OpenMetrics := … "# EOF" '\n'?
//! comment := "# HELP" name text | "# TYPE" name type | "# UNIT" name unit | '#' anything
//! sample := name? ('{' labels '}')? value timestamp? exemplar?
//! ```
//! In text format, tokens are apart by any spaces and tabs and a timestamp is in milliseconds; in
//! OpenMetrics by exactly one space, timestamps are in seconds, and exemplars are checked and left
//! out. What lies between a sample's beginning and its value is found by its quotes only; it is
//! checked when its labels are decoded ([`Parser::labels`]), which a caller does once per series.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use model::{LabelsBuilder, MetricType, Timestamp};

use crate::error::quote;
use crate::number::parse_value;
use crate::series::{self, ESCAPED, ESCAPED_HELP};
use crate::{Format, ParseError, Problem};

/// Reads a body's entries. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    body: &'a str,
    at: usize,
    format: Format,
    /// Of the `# TYPE` line read last.
    metric_type: MetricType,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    Sample(Sample<'a>),
    Type { family: Cow<'a, str>, metric_type: MetricType },
    Help { family: Cow<'a, str>, help: Cow<'a, str> },
    Unit { family: Cow<'a, str>, unit: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The metric name and the label section as they stand in the body: what to hash.
    pub series: &'a str,
    pub value: f64,
    /// As the target gave it, if it did.
    pub timestamp: Option<Timestamp>,
    start: usize,
    metric_type: MetricType,
}

impl<'a> Parser<'a> {
    pub fn new(body: &'a [u8], format: Format) -> Result<Self, ParseError> {
        let body = std::str::from_utf8(body).map_err(|error| ParseError {
            line: line_at(body, error.valid_up_to()),
            problem: Problem::Utf8,
        })?;
        Ok(Self { body, at: 0, format, metric_type: MetricType::Unknown, ended: false })
    }

    /// Decodes the labels of a sample of this body, the metric name as `__name__` among them.
    ///
    /// As Prometheus 3 does, the `le` of a histogram and the `quantile` of a summary are written
    /// anew as floats, so that `1` and `1.0` are one series.
    pub fn labels(&self, sample: &Sample<'a>) -> Result<LabelsBuilder, ParseError> {
        series::decode(sample.series, self.format, sample.metric_type)
            .map_err(|fault| self.error_at(sample.start + fault.at, fault.problem))
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            if self.format == Format::Text {
                self.skip_blanks();
            }
            match (self.peek(), self.format) {
                (None, Format::Text) => return Ok(None),
                (None, Format::OpenMetrics) => return Err(self.error(Problem::NoEof)),
                (Some(b'\n'), Format::Text) => self.at += 1,
                (Some(b'#'), Format::Text) => {
                    if let Some(entry) = self.comment()? {
                        return Ok(Some(entry));
                    }
                }
                (Some(b'#'), Format::OpenMetrics) => {
                    return if self.rest().starts_with("# EOF") {
                        self.eof().map(|()| None)
                    } else {
                        self.open_metrics_comment().map(Some)
                    };
                }
                (Some(_), _) => return self.sample().map(|sample| Some(Entry::Sample(sample))),
            }
        }
    }

    fn sample(&mut self) -> Result<Sample<'a>, ParseError> {
        let start = self.at;
        let Some(length) = series::scan(self.rest().as_bytes(), self.format) else {
            return Err(self.expected("a metric name"));
        };
        self.at += length;
        let series = &self.body[start..self.at];
        let mut sample =
            Sample { series, value: 0.0, timestamp: None, start, metric_type: self.metric_type };
        // Where the end is bad, the cause is often an unclosed quote before it: look there first.
        let end = self.sample_end();
        (sample.value, sample.timestamp) = match end {
            Ok(end) => end,
            Err(error) => return Err(self.labels(&sample).err().unwrap_or(error)),
        };
        Ok(sample)
    }

    /// What follows the series: value, timestamp and exemplar, with the line's end.
    fn sample_end(&mut self) -> Result<(f64, Option<Timestamp>), ParseError> {
        let value = self.value()?;
        let mut timestamp = None;
        match self.format {
            Format::Text => {
                self.skip_blanks();
                if !self.at_line_end() {
                    timestamp = Some(self.timestamp_millis()?);
                    self.skip_blanks();
                }
            }
            Format::OpenMetrics => {
                if self.rest().starts_with(' ') && !self.rest().starts_with(" # ") {
                    timestamp = Some(self.timestamp_seconds()?);
                }
                if self.rest().starts_with(" # ") {
                    self.exemplar()?;
                }
            }
        }
        self.line_end("the end of the line")?;
        Ok((value, timestamp))
    }

    fn value(&mut self) -> Result<f64, ParseError> {
        let token = self.token("a value")?;
        parse_value(token).ok_or_else(|| self.error_before(token, Problem::Value(quote(token))))
    }

    fn timestamp_millis(&mut self) -> Result<Timestamp, ParseError> {
        let token = self.token("a timestamp")?;
        token
            .parse()
            .map(Timestamp::from_millis)
            .map_err(|_| self.error_before(token, Problem::Timestamp(quote(token))))
    }

    fn timestamp_seconds(&mut self) -> Result<Timestamp, ParseError> {
        let token = self.token("a timestamp")?;
        match parse_value(token) {
            Some(seconds) if seconds.is_finite() => Ok(Timestamp::from_seconds(seconds)),
            _ => Err(self.error_before(token, Problem::Timestamp(quote(token)))),
        }
    }

    /// ` # {labels} value timestamp?`: checked, and left out.
    fn exemplar(&mut self) -> Result<(), ParseError> {
        self.at += " # ".len();
        let (start, rest) = (self.at, self.rest());
        let labels = series::scan(rest.as_bytes(), self.format).unwrap_or(0);
        if !rest.starts_with('{') || labels == 0 {
            return Err(self.expected("the labels of an exemplar"));
        }
        series::check_exemplar(&rest[..labels], self.format)
            .map_err(|fault| self.error_at(start + fault.at, fault.problem))?;
        self.at += labels;
        self.value()?;
        if self.rest().starts_with(' ') {
            self.timestamp_seconds()?;
        }
        Ok(())
    }

    /// A comment of the text format; `None` if it is only that.
    fn comment(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let line = self.line();
        let after_hash = line[1..].trim_start_matches([' ', '\t']);
        let blank_after_hash = after_hash.len() + 1 < line.len();
        let keyword_end = after_hash.find([' ', '\t']).unwrap_or(after_hash.len());
        let (keyword, rest) = after_hash.split_at(keyword_end);
        if !blank_after_hash || rest.is_empty() || !matches!(keyword, "HELP" | "TYPE") {
            self.at += line.len();
            return Ok(None);
        }
        self.at += line.len() - rest.trim_start_matches([' ', '\t']).len();
        let family = self.family_name()?;
        // One blank separates the text from the name; more belong to the text.
        let text = self.line();
        let text = text.strip_prefix([' ', '\t']).unwrap_or(text);
        let entry = match keyword {
            "HELP" => Entry::Help { family, help: series::unescape(text, ESCAPED_HELP) },
            _ => self.metric_type(family, text)?,
        };
        self.at += self.line().len();
        Ok(Some(entry))
    }

    fn open_metrics_comment(&mut self) -> Result<Entry<'a>, ParseError> {
        let line = self.line();
        let keyword = line.get(..7).unwrap_or_default();
        if !matches!(keyword, "# HELP " | "# TYPE " | "# UNIT ") {
            return Err(self.expected("# HELP, # TYPE, # UNIT or # EOF"));
        }
        self.at += keyword.len();
        let family = self.family_name()?;
        let Some(text) = self.line().strip_prefix(' ') else {
            return Err(self.expected("a space after the metric name"));
        };
        let entry = match keyword {
            "# HELP " => Entry::Help { family, help: series::unescape(text, ESCAPED) },
            "# TYPE " => self.metric_type(family, text)?,
            _ => {
                let prefix = family.strip_suffix(text);
                if !text.is_empty() && !prefix.is_some_and(|prefix| prefix.ends_with('_')) {
                    let (unit, metric) = (quote(text), quote(&family));
                    return Err(self.error(Problem::Unit { unit, metric }));
                }
                Entry::Unit { family, unit: text }
            }
        };
        self.at += 1 + text.len();
        self.line_end("the end of the line")?;
        Ok(entry)
    }

    fn family_name(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let rest = self.rest();
        let Some((name, length)) = series::take_name(rest) else {
            return Err(self.expected("a metric name"));
        };
        self.at += length;
        Ok(name)
    }

    fn metric_type(&mut self, family: Cow<'a, str>, text: &str) -> Result<Entry<'a>, ParseError> {
        let Some(metric_type) = MetricType::parse(text) else {
            return Err(self.error(Problem::MetricType(quote(text))));
        };
        self.metric_type = metric_type;
        Ok(Entry::Type { family, metric_type })
    }

    fn eof(&mut self) -> Result<(), ParseError> {
        self.at += "# EOF".len();
        self.at += usize::from(self.peek() == Some(b'\n'));
        if self.peek().is_some() { Err(self.error(Problem::DataAfterEof)) } else { Ok(()) }
    }

    /// The bytes up to the next blank or line end, after the blanks before them.
    fn token(&mut self, expected: &'static str) -> Result<&'a str, ParseError> {
        match self.format {
            Format::Text => self.skip_blanks(),
            Format::OpenMetrics => {
                if self.peek() != Some(b' ') {
                    return Err(self.expected(expected));
                }
                self.at += 1;
            }
        }
        let rest = self.rest();
        let end = rest.bytes().position(|b| matches!(b, b' ' | b'\t' | b'\n'));
        let token = &rest[..end.unwrap_or(rest.len())];
        if token.is_empty() {
            return Err(self.expected(expected));
        }
        self.at += token.len();
        Ok(token)
    }

    fn line_end(&mut self, expected: &'static str) -> Result<(), ParseError> {
        match (self.peek(), self.format) {
            (Some(b'\n'), _) => self.at += 1,
            (None, Format::Text) => {}
            (None, Format::OpenMetrics) => return Err(self.error(Problem::NoEof)),
            (Some(_), _) => return Err(self.expected(expected)),
        }
        Ok(())
    }

    fn at_line_end(&self) -> bool {
        matches!(self.peek(), None | Some(b'\n'))
    }

    fn peek(&self) -> Option<u8> {
        self.body.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        &self.body[self.at..]
    }

    /// The rest of the line, without its end.
    fn line(&self) -> &'a str {
        let rest = self.rest();
        &rest[..memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len())]
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        self.error(Problem::expected(expected))
    }

    fn error(&self, problem: Problem) -> ParseError {
        self.error_at(self.at, problem)
    }

    fn error_before(&self, token: &str, problem: Problem) -> ParseError {
        self.error_at(self.at - token.len(), problem)
    }

    fn error_at(&self, at: usize, problem: Problem) -> ParseError {
        let rest_of_line = self.body[at..].split('\n').next().unwrap_or_default();
        ParseError { line: line_at(self.body.as_bytes(), at), problem: problem.found(rest_of_line) }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_entry().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn line_at(body: &[u8], at: usize) -> usize {
    1 + memchr_iter(b'\n', &body[..at]).count()
}

#[cfg(test)]
mod tests;
