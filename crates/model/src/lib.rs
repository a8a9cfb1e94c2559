//! What every part of Watershed talks about: series, samples, time and matchers.
//!
//! This crate does no I/O, reads no clock and depends on no other crate of ours. Whatever crosses a
//! border between two of our crates is made of these types.

pub mod alert;
pub mod duration;
pub mod exemplar;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod number;
pub mod sample;
pub mod size;
mod split;
pub mod time;
mod unsupported;

pub use alert::Alert;
pub use exemplar::Exemplar;
pub use histogram::{FloatHistogram, Histogram};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use metadata::{Metadata, MetricType};
pub use sample::{Point, STALE_NAN, Sample, SampleValue, is_stale};
pub use split::{Part, Split, null_as_default};
pub use time::{TimeRange, Timestamp};
pub use unsupported::Unsupported;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";
