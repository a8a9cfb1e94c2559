//! Writes messages straight into a buffer.
//!
//! - ENCODE-1: prost reads back exactly what was put in, in order. Schemas:
//!   `proto/prometheus/remote.proto` and `proto/io/prometheus/write/v2/types.proto`.

mod histogram;
pub(super) mod v1;
pub(super) mod v2;

use std::sync::Arc;

use crate::send::kind::Kind;
use crate::send::queue::Entry;

/// The series of a message: consecutive entries of one series and kind. What is in one is stored kind
/// by kind, so that others would lose their order.
fn runs(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    entries.chunk_by(|a, b| {
        Arc::ptr_eq(&a.series, &b.series) && Kind::of(&a.item) == Kind::of(&b.item)
    })
}

#[cfg(test)]
mod tests;
