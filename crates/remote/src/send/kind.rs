//! The kinds of what is sent. Each has an account of its own (SEND-2).

use std::ops::{AddAssign, SubAssign};

use model::{Point, SampleValue};
use tsdb::LogItem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Numbers.
    Sample,
    Histogram,
    Exemplar,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Sample, Self::Histogram, Self::Exemplar];

    pub(crate) const fn of(item: &LogItem) -> Self {
        match item {
            LogItem::Point(Point { value: SampleValue::Float(_), .. }) => Self::Sample,
            LogItem::Point(Point { value: SampleValue::Histogram(_), .. }) => Self::Histogram,
            LogItem::Exemplar(_) => Self::Exemplar,
        }
    }
}

/// So many of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; Kind::ALL.len()]);

impl Counts {
    pub(crate) fn of<'a>(items: impl IntoIterator<Item = &'a LogItem>) -> Self {
        let mut counts = Self::default();
        items.into_iter().for_each(|item| counts.add(Kind::of(item)));
        counts
    }

    pub(crate) fn by(count: impl FnMut(Kind) -> u64) -> Self {
        Self(Kind::ALL.map(count))
    }

    pub(crate) fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub(crate) fn get(self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub(crate) fn total(self) -> usize {
        self.0.iter().sum::<u64>() as usize
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = Self::by(|kind| self.get(kind) + other.get(kind));
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        *self = Self::by(|kind| self.get(kind) - other.get(kind));
    }
}
