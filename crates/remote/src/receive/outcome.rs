//! The account of one request (RECEIVE-1).

use storage::{ExemplarDropReason, RejectReason};

/// An answer names this many of the refused series.
pub(super) const PROBLEMS_NAMED: usize = 5;

/// Why samples and histograms were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Storage(RejectReason),
    InvalidLabels,
    InvalidHistogram,
}

/// Why exemplars were not kept. The samples beside them are stored all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExemplarRefused {
    Storage(ExemplarDropReason),
    InvalidLabels,
}

impl Refused {
    pub(crate) const ALL: [Self; 6] = [
        Self::Storage(RejectReason::OutOfOrder),
        Self::Storage(RejectReason::TooOld),
        Self::Storage(RejectReason::DuplicateTimestamp),
        Self::Storage(RejectReason::OutOfBounds),
        Self::InvalidLabels,
        Self::InvalidHistogram,
    ];

    /// As a `reason` label's value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Storage(reason) => reason.as_str(),
            Self::InvalidLabels => "invalid_labels",
            Self::InvalidHistogram => "invalid_histogram",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|listed| *listed == self).expect("ALL lists every reason")
    }
}

impl ExemplarRefused {
    pub(crate) const ALL: [Self; 5] = [
        Self::Storage(ExemplarDropReason::OutOfOrder),
        Self::Storage(ExemplarDropReason::OutOfBounds),
        Self::Storage(ExemplarDropReason::LabelsTooLong),
        Self::Storage(ExemplarDropReason::Disabled),
        Self::InvalidLabels,
    ];

    /// As a `reason` label's value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Storage(reason) => reason.as_str(),
            Self::InvalidLabels => "invalid_labels",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|listed| *listed == self).expect("ALL lists every reason")
    }
}

/// What became of one request's samples, histograms and exemplars.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Numbers.
    pub(crate) samples: SampleAccount,
    pub(crate) histograms: SampleAccount,
    pub(crate) exemplars: ExemplarAccount,
    /// Text for the sender: the first series refused, and why.
    pub(crate) problems: Vec<String>,
}

/// How many were stored, and how many not, by the order in which the reasons are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<const REASONS: usize> {
    pub(crate) appended: u64,
    pub(crate) refused: [u64; REASONS],
}

pub(crate) type SampleAccount = Account<{ Refused::ALL.len() }>;
pub(crate) type ExemplarAccount = Account<{ ExemplarRefused::ALL.len() }>;

impl<const REASONS: usize> Default for Account<REASONS> {
    fn default() -> Self {
        Self { appended: 0, refused: [0; REASONS] }
    }
}

impl<const REASONS: usize> Account<REASONS> {
    pub(crate) fn received(&self) -> u64 {
        self.appended + self.refused_total()
    }

    pub(crate) fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }
}

impl SampleAccount {
    pub(super) fn refuse(&mut self, why: Refused, count: usize) {
        self.refused[why.index()] += count as u64;
    }
}

impl Outcome {
    /// What a sender has to know of: exemplars that are not kept cost nobody a sample.
    pub(crate) fn refused_total(&self) -> u64 {
        self.samples.refused_total() + self.histograms.refused_total()
    }

    pub(super) fn refuse_exemplars(&mut self, why: ExemplarRefused, count: usize) {
        self.exemplars.refused[why.index()] += count as u64;
    }

    pub(super) fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.problems.len() < PROBLEMS_NAMED {
            self.problems.push(text());
        }
    }
}
