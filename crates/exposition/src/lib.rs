//! The text formats in which targets expose metrics: parse and render.
//!
//! [`Parser`] reads the Prometheus text format (0.0.4, and 1.0.0 with its quoted UTF-8 names) and
//! OpenMetrics 1.0 in one pass over borrowed bytes. A sample comes with the raw text of its series,
//! which a caller can hash to recognise a series that it has seen before; labels are decoded on
//! demand only. [`render`] writes the Prometheus text format.
//!
//! - EXPO-1: the parser allocates nothing per sample, and never panics, whatever the bytes.
//! - EXPO-2: two samples whose series texts are equal have equal labels, under the same `# TYPE`.
//! - EXPO-3: what is rendered parses back to the same labels, value bits (but for the sign of a
//!   zero and the payload of a NaN) and timestamp.
//! - Sources: the Prometheus documentation's "Exposition formats", the OpenMetrics 1.0
//!   specification, and for what they leave open Prometheus 3, `model/textparse/`.

mod error;
mod format;
mod number;
mod parse;
pub mod render;
mod series;

pub use error::{ParseError, Problem};
pub use format::Format;
pub use number::GoFloat;
pub use parse::{Entry, Parser, Sample};
