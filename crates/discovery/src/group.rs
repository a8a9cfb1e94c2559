//! What discovery hands on.

use std::sync::Arc;

use model::Labels;

/// Targets that were found in one place, with all that is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// Where it was found. Within a provider it names the group: one with the same source replaces it.
    pub source: Arc<str>,
    /// Each with its `__address__`, and what is known of it alone.
    pub targets: Vec<Labels>,
    /// What the targets share. A target's own label goes before.
    pub labels: Labels,
}

/// The label that says where a target is reached.
pub(crate) const ADDRESS: &str = "__address__";
