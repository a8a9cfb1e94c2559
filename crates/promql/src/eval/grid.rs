//! The times at which an expression is evaluated.

use std::time::Duration;

/// `start`, `start + step`, …: `count` times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// More than 0, except in an instant query.
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) const fn instant(at: i64) -> Self {
        Self { start: at, step: 0, count: 1 }
    }

    /// No times at all where `end` is before `start`.
    pub(crate) fn range(start: i64, end: i64, step: i64) -> Self {
        let count = if end < start {
            0
        } else {
            usize::try_from(end.saturating_sub(start) / step).unwrap_or(usize::MAX - 1) + 1
        };
        Self { start, step, count }
    }

    pub(crate) const fn at(&self, index: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    pub(crate) const fn end(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..self.count).map(move |index| grid.at(index))
    }

    /// None where there is one time only.
    pub(crate) fn step(&self) -> Option<Duration> {
        (self.step > 0).then(|| Duration::from_millis(self.step.unsigned_abs()))
    }

    /// The first time alone.
    pub(crate) const fn first(&self) -> Self {
        Self { count: 1, ..*self }
    }
}
