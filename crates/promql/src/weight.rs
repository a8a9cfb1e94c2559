//! How much work a query is at most, told before any of it is done.
//!
//! Most queries of a dashboard look at a few series. Handing those to another thread takes longer than
//! answering them: whoever serves them asks here first whether it may answer at once.

use std::time::Duration;

use model::{TimeRange, Timestamp};
use storage::Query;

use crate::ast::{Expr, Extension, Modifiers, Span, VectorSelector};

/// The times at which a query is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Zero where there is one time only.
    pub step: Duration,
}

impl Times {
    fn count(&self) -> u64 {
        let length = self.end.millis_since(self.start).unsigned_abs();
        length.checked_div(model::time::millis(self.step).unsigned_abs()).unwrap_or(0) + 1
    }
}

/// No less than the number of samples that `expr` reads, and than the number that it looks at, each as
/// often as it does, if there is one a second; `None` where that is not known at once.
pub fn weight(expr: &Expr, times: Times, lookback: Duration, storage: &dyn Query) -> Option<u64> {
    match expr {
        Expr::Vector(selector) => of_selector(selector, times, lookback, 1, storage),
        Expr::Matrix(selector) => {
            let Span::Millis(millis) = selector.range else { return None };
            let window = Duration::from_millis(u64::try_from(millis).ok()?);
            let looks = window.as_secs().saturating_add(1);
            of_selector(&selector.vector, times, window, looks, storage)
        }
        Expr::Subquery(_) => None,
        other => other.children().into_iter().try_fold(times.count(), |sum, child| {
            Some(sum.saturating_add(weight(child, times, lookback, storage)?))
        }),
    }
}

/// `looks`: how many samples of each series are looked at for one time.
fn of_selector(
    selector: &VectorSelector,
    times: Times,
    window: Duration,
    looks: u64,
    storage: &dyn Query,
) -> Option<u64> {
    if selector.time != Modifiers::default() || selector.extension != Extension::None {
        return None;
    }
    let window_millis = model::time::millis(window);
    let start = Timestamp::from_millis(times.start.as_millis().saturating_sub(window_millis));
    let range = TimeRange::new(start, times.end);
    let series = storage.series_at_most(&selector.matchers, range)?;
    let seconds = range.end.millis_since(range.start).unsigned_abs() / 1000;
    let of_series = seconds.saturating_add(1).max(times.count().saturating_mul(looks));
    Some(series.saturating_mul(of_series))
}
