//! A trace behind a sample.

use crate::{Labels, Timestamp};

/// One observation that stands for those that a sample counts; its labels name a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    pub timestamp: Timestamp,
}

impl Exemplar {
    /// Characters that all its labels may have together, as OpenMetrics says.
    pub const LABELS_LENGTH_MAX: usize = 128;
}
