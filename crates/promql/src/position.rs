//! Where in a query something stands, and what is wrong there.

use std::fmt;

/// Bytes `start..end` of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub start: usize,
    pub end: usize,
}

impl Position {
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }

    /// Line and column of the start, both counted from 1 and the column in bytes, as Prometheus
    /// counts them.
    pub fn line_and_column(self, query: &str) -> (usize, usize) {
        let before = &query.as_bytes()[..self.start.min(query.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        (line, column)
    }
}

/// Why a query was not understood. Shown as Prometheus shows it: `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    pub line: usize,
    pub column: usize,
    pub position: Position,
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(query: &str, position: Position, message: impl Into<String>) -> Self {
        let (line, column) = position.line_and_column(query);
        Self { line, column, position, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}
