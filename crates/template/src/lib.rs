//! Go's `text/template` language, as far as Prometheus' rules and Alertmanager's notifications use it.
//!
//! A text is parsed once, against the functions and variables that it may name, and executed for each
//! alert: `{{ if gt $value 1.0 }}{{ $labels.instance | toUpper }}{{ end }}`.
//!
//! - TEMPLATE-1: what a template can cost is bounded: [`DEPTH_MAX`], [`OUTPUT_BYTES_MAX`] (of the
//!   whole, and of each value on the way), [`ITERATIONS_MAX`]. Going over is an error.
//! - TEMPLATE-2: no text makes parsing or execution panic.
//! - Errors name line and column as Go does: lines from 1, columns in bytes from 0.
//! - We differ from Go: functions and methods are those of the table and of [`Value`], `call` and
//!   complex numbers are missing, and `tmpl` (a template as a value) is always there.
//! - Sources: Go's `text/template` and `fmt` package documentation and their observable behaviour.

mod builtins;
mod execute;
mod format;
mod functions;
mod lex;
mod parse;
mod time;
mod tree;
mod value;

pub use builtins::query_escape;
pub use execute::ExecuteError;
pub use format::{float, sprintf};
pub use functions::Functions;
pub use parse::ParseError;
pub use tree::Template;
pub use value::{List, Map, Missing, Value};

/// How deeply actions, parentheses, templates and values may nest.
pub const DEPTH_MAX: usize = 100;
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Rounds of `range`, over the whole execution.
pub const ITERATIONS_MAX: usize = 100_000;

#[cfg(test)]
mod tests;
