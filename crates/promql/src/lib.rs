//! PromQL: reads queries and answers them from any [`storage::Query`].
//!
//! Text becomes a tree (`lexer`, `parser`, `ast`), the tree an answer (`engine`, `eval`). This crate
//! does no I/O of its own; evaluation blocks and uses threads of its own, so callers keep it off
//! async threads.

pub mod annotations;
pub mod ast;
pub mod engine;
pub mod functions;
pub mod limits;
pub mod notation;
pub mod number;
pub mod parser;
pub mod position;
pub mod statistics;
pub mod value;
pub mod weight;

mod eval;
mod lexer;
mod pretty;
mod printer;
mod stack;

pub use annotations::Annotations;
pub use ast::{Expr, ValueType};
pub use engine::{Engine, EngineOptions, POINTS_MAX, check_resolution};
pub use limits::{Cancel, EvalError};
pub use number::format_value;
pub use parser::{Features, parse, parse_selector, parse_with};
pub use position::{ParseError, Position};
pub use pretty::pretty;
pub use statistics::{Measured, Statistics};
pub use value::{Answer, MatrixSeries, SampleValue, StringValue, Value, VectorSample};
pub use weight::{Times, weight};
