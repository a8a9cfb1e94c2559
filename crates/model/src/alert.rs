//! An alert on its way from a rule to whoever routes it.

use crate::{Labels, Timestamp};

/// One firing or resolved alert. Two centrals that evaluate the same rule make equal alerts, so
/// nothing here may name the process that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at: Timestamp,
    /// When it ended, or, while it fires, until when it stands if no more is heard of it.
    pub ends_at: Timestamp,
    pub generator_url: String,
}
