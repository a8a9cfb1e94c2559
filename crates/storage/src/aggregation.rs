//! Aggregations that a storage makes itself, so that groups travel and not the series in them.
//!
//! - QUERY-4: each series of the storage counts in exactly one of the groups that are handed back. A
//!   storage made of several may hand back a group once for each of them: whoever asked puts those
//!   together.

use std::sync::Arc;
use std::time::Duration;

use model::{FloatHistogram, Labels, METRIC_NAME, Matcher, Timestamp};

/// An aggregation whose results over parts of the series can be put together.
#[derive(Clone, Debug)]
pub struct Aggregation {
    /// In PromQL, such as `sum by (region) (rate(http_requests_total[5m]))`. Nothing in it depends on
    /// more than one series at a time, but for the aggregation itself.
    pub expression: String,
    pub grouping: Grouping,
    /// What each selector in the expression asks for: who has nothing of it can be left out.
    pub selectors: Vec<Vec<Matcher>>,
    pub start: Timestamp,
    /// Zero where there is one time only.
    pub step: Duration,
    /// How many times, `step` after `step`.
    pub count: usize,
    /// How old a sample may be to still stand for its series.
    pub lookback: Duration,
}

/// Which labels an aggregation tells its groups apart by. `Without` leaves out the metric's name, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

impl Grouping {
    /// What `labels` have in common with all others of their group.
    pub fn labels(&self, labels: &Labels) -> Labels {
        match self {
            Self::By(names) => labels.keep(names),
            Self::Without(names) => {
                let is_kept = |name: &str| name != METRIC_NAME && names.iter().all(|n| n != name);
                Labels::from_sorted(labels.iter().filter(|(name, _)| is_kept(name)))
            }
        }
    }
}

/// What a storage made of an [`Aggregation`].
#[derive(Clone, Debug, Default)]
pub struct Aggregated {
    pub groups: Vec<Group>,
    /// What whoever asked should know: sources that did not answer, for one.
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub labels: Labels,
    /// One for each time; the staleness marker where there is none.
    pub values: Vec<f64>,
    /// Likewise; empty where no time has one.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
}
