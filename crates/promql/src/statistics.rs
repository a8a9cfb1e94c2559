//! What a query cost: the times of its phases, and the samples that it looked at.
//!
//! - STATISTICS-1: counted is what the expression asks for, as if it were evaluated alone at each time: a
//!   sample counts at every time that looks at it, and a subexpression as often as it is written, however
//!   much of that the engine spares itself. What a subquery looked at only counts where the subquery is
//!   the whole query; otherwise what is looked at of its result does.
//! - STATISTICS-2: nobody pays for what nobody asked for: samples are counted in a pass of their own.
//! - Source: Prometheus `util/stats/query_stats.go`, `promql/engine.go`.

use std::time::Duration;

use model::Timestamp;
use parking_lot::Mutex;

/// Takes what one query cost. Handed to the engine before, read after, also of a query that failed.
#[derive(Debug, Default)]
pub struct Statistics {
    counts_samples: bool,
    measured: Mutex<Measured>,
}

impl Statistics {
    /// Of times, and of the samples held at most.
    pub fn timed() -> Self {
        Self::default()
    }

    /// Of the samples looked at, too.
    pub fn counted() -> Self {
        Self { counts_samples: true, ..Self::default() }
    }

    pub fn measured(&self) -> Measured {
        self.measured.lock().clone()
    }

    pub(crate) const fn counts_samples(&self) -> bool {
        self.counts_samples
    }

    pub(crate) fn set(&self, measured: Measured) {
        *self.measured.lock() = measured;
    }
}

#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Of all that follows.
    pub total: Duration,
    /// Until storage had found the series.
    pub preparation: Duration,
    pub evaluation: Duration,
    pub sorting: Duration,
    /// The samples looked at, at each time asked about; empty where they were not counted.
    pub samples: Vec<(Timestamp, u64)>,
    /// The most samples held at one time.
    pub peak: usize,
}

impl Measured {
    pub fn samples_total(&self) -> u64 {
        self.samples.iter().map(|(_, count)| count).sum()
    }
}
