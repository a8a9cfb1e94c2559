//! Relabelling: an ordered list of steps that rewrite, keep or drop a label set.
//!
//! The same steps serve targets, scraped metrics, remote write and alerts. They are read from the
//! entries of Prometheus' `relabel_configs`, with its defaults and its refusals.
//!
//! - RELABEL-1: an absent label reads as `""`, and setting a label to `""` removes it.
//! - RELABEL-2: a regex matches the whole value, and its `.` matches newlines too.
//! - RELABEL-3: a step that could not work is refused when it is read; applying one cannot fail.
//! - Source: Prometheus 3, `model/relabel/relabel.go`, names under its UTF-8 validation scheme.

mod anchored;
mod config;
mod step;
mod template;

pub use anchored::Anchored;
pub use config::RelabelError;
pub use step::{RelabelStep, Source};
pub use template::Template;

use model::LabelsBuilder;

/// What became of a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Drop,
}

/// Applies `steps` in order, in place, and stops at the first drop.
pub fn relabel(steps: &[RelabelStep], labels: &mut LabelsBuilder) -> Verdict {
    for step in steps {
        if step.apply(labels) == Verdict::Drop {
            return Verdict::Drop;
        }
    }
    Verdict::Keep
}

#[cfg(test)]
mod tests;
