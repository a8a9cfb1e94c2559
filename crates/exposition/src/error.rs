//! What is wrong with an exposition, and where.

/// Names a place in an exposition, and what was found there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// The first line is 1.
    pub line: usize,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("invalid UTF-8")]
    Utf8,
    /// `got` is the beginning of what was found instead; empty at the end of a line.
    #[error("expected {expected}, got {}", Got(.got))]
    Expected { expected: &'static str, got: String },
    #[error("invalid value {0:?}")]
    Value(String),
    #[error("invalid timestamp {0:?}")]
    Timestamp(String),
    #[error("invalid metric type {0:?}")]
    MetricType(String),
    #[error("unit {unit:?} not a suffix of metric {metric:?}")]
    Unit { unit: String, metric: String },
    #[error("metric name set twice")]
    TwoNames,
    #[error("metric name not set")]
    NoName,
    #[error("label name {0:?} is not unique")]
    DuplicateLabel(String),
    #[error("data does not end with # EOF")]
    NoEof,
    #[error("unexpected data after # EOF")]
    DataAfterEof,
}

/// How much of what was found an error quotes, in characters.
const QUOTE_CHARS_MAX: usize = 40;

/// The beginning of `found`: a target decides how long it is, and an error is kept and shown.
pub(crate) fn quote(found: &str) -> String {
    found.chars().take(QUOTE_CHARS_MAX).collect()
}

impl Problem {
    /// Without what was found: [`Problem::found`] adds it.
    pub(crate) fn expected(expected: &'static str) -> Self {
        Self::Expected { expected, got: String::new() }
    }

    pub(crate) fn found(mut self, rest_of_line: &str) -> Self {
        if let Self::Expected { got, .. } = &mut self {
            *got = quote(rest_of_line);
        }
        self
    }
}

struct Got<'a>(&'a str);

impl std::fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            f.write_str("the end of the line")
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}
