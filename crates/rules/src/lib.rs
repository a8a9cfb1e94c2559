//! Recording and alerting rules: what Prometheus' rule files say, evaluated on time.
//!
//! ```text
//! files ─► groups ─► one task per group ─► promql ─┬─► recorded series ─► append
//!                                                  └─► alert states ─► ALERTS ─► append
//!                                                                   └► due alerts ─► Notify
//! ```
//! - RULES-1: a group evaluates at `n × interval + hash(file, group)`, on every replica at the same
//!   times; it evaluates its rules in order and never itself twice at once. Missed times are counted.
//! - RULES-2: a rule whose evaluation fails writes nothing, and says so in its health.
//! - RULES-3: a series that a rule no longer yields ends with a staleness marker at that evaluation.
//! - RULES-4: applying rule files keeps the state of every rule that is in both.
//! - RULES-5: an alert's state is a function of its earlier state, the evaluation time and the
//!   result ([`alerting`]); nothing reads a clock.
//! - Source: Prometheus 3, `rules/`, `model/rulefmt/`, `template/`.

pub mod alerting;
pub mod check;
pub mod file;
pub mod rule;
pub mod status;
pub mod unit_test;

mod context;
mod expand;
mod functions;
mod group;
mod humanize;
mod locate;
mod manager;
mod metrics;
mod restore;
mod schedule;
#[cfg(test)]
mod testing;

pub use check::{CheckedFile, check_files};
pub use context::{Notify, Settings};
pub use file::{RuleFileError, load, parse};
pub use manager::{Manager, Options};
pub use metrics::Metrics;
pub use rule::{AlertingRule, RecordingRule, Rule, RuleGroup};
pub use status::{AlertsStatus, RulesStatus};
pub use unit_test::{TestedFile, test_files};
