//! How samples enter.
//!
//! - APPEND-1: nothing of a batch is visible or durable before `commit` returns `Ok`; then all of it
//!   that was not rejected is both (durable as far as the log's sync setting says).
//! - APPEND-2: every sample given to an appender is counted once by the commit: as appended, or as
//!   rejected under one reason. So is every exemplar.
//! - APPEND-3: the same sample twice is accepted and stored once.

use std::io;
use std::sync::Arc;

use model::{Exemplar, Histogram, Labels, Metadata, Sample, Timestamp};

/// Names one series inside one database. Never reused while the process lives, never persisted,
/// never sent to another tier. Between tiers a series is its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

/// A sender's own name for a series: a hash of the bytes by which it names it (the label section of
/// a remote-write series, a line of an exposition up to its value). The hash has 128 bits and must be
/// seeded with something that senders cannot know, so that nobody can make two of them collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey(pub u128);

/// Takes samples in. Implemented by the database, and by tests.
pub trait Append: Send + Sync {
    /// Starts a batch, such as one request or one scrape.
    fn appender(&self) -> Box<dyn Appender + '_>;
}

/// One batch. Dropping it without `commit` leaves no trace but possibly a few empty series.
pub trait Appender: Send {
    /// Fills `found` with the series that were last remembered under `keys`, each where it still
    /// lives. Decodes nothing, and is fastest for many keys in the order in which they came before.
    fn lookup(&mut self, keys: &[SeriesKey], found: &mut Vec<Option<SeriesRef>>);

    /// Finds or makes the series of `labels`, and remembers it under `key` where one is given.
    fn series(&mut self, labels: &Labels, key: Option<SeriesKey>)
    -> Result<SeriesRef, AppendError>;

    /// Adds a sample. A `series` that is gone (it was idle and left the database) is
    /// [`AppendError::UnknownSeries`]: ask for it again by its labels.
    fn sample(&mut self, series: SeriesRef, sample: Sample) -> Result<(), AppendError>;

    /// Adds a native histogram, which must be valid, as [`Appender::sample`] does with a number.
    fn histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: Arc<Histogram>,
    ) -> Result<(), AppendError>;

    /// Adds an exemplar. One that is not kept is no error: [`Appended::exemplars_dropped`] says why.
    fn exemplar(&mut self, series: SeriesRef, exemplar: Exemplar) -> Result<(), AppendError>;

    /// Remembers what a target says of the metric family named `family`: `http_request_seconds` for
    /// the series `http_request_seconds_bucket{…}`. Remote write 1.0 sends it apart from any series.
    fn metadata(&mut self, family: &str, metadata: &Metadata) -> Result<(), AppendError>;

    /// Writes the batch to the log and makes it visible.
    fn commit(self: Box<Self>) -> Result<Appended, AppendError>;
}

/// What became of a batch's samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    /// Numbers stored, those among them that were stored before included (APPEND-3). A marker that ends
    /// a series of histograms is given as a number.
    pub samples: u64,
    /// Native histograms, likewise.
    pub histograms: u64,
    /// Exemplars kept, those among them that were kept before included.
    pub exemplars: u64,
    /// Why each of the other exemplars was not kept.
    pub exemplars_dropped: Vec<ExemplarDropReason>,
    /// Samples refused, in the order in which they were given.
    pub rejected: Vec<Rejected>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    pub series: SeriesRef,
    pub timestamp: Timestamp,
    pub reason: RejectReason,
    pub is_histogram: bool,
}

/// Why one sample was refused while the rest of its batch was stored. Asking again will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Older than the series' newest sample, where nothing may arrive out of order.
    OutOfOrder,
    /// Older than the out-of-order window reaches.
    TooOld,
    /// A different value is stored for this time already.
    DuplicateTimestamp,
    /// Below the oldest time that the head still takes, or too far ahead of the clock.
    OutOfBounds,
}

impl RejectReason {
    pub const ALL: [Self; 4] =
        [Self::OutOfOrder, Self::TooOld, Self::DuplicateTimestamp, Self::OutOfBounds];

    /// As a `reason` label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::TooOld => "too_old",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::OutOfBounds => "out_of_bounds",
        }
    }

    /// In the words in which Prometheus answers a writer.
    pub const fn message(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out of order sample",
            Self::TooOld => "too old sample",
            Self::DuplicateTimestamp => "duplicate sample for timestamp",
            Self::OutOfBounds => "out of bounds",
        }
    }
}

/// Why an exemplar was not kept. Asking again will not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExemplarDropReason {
    /// Older than the newest of its series.
    OutOfOrder,
    /// Too far ahead of the clock.
    OutOfBounds,
    /// Its labels have more than [`Exemplar::LABELS_LENGTH_MAX`] characters.
    LabelsTooLong,
    /// None are kept.
    Disabled,
}

impl ExemplarDropReason {
    pub const ALL: [Self; 4] =
        [Self::OutOfOrder, Self::OutOfBounds, Self::LabelsTooLong, Self::Disabled];

    /// As a `reason` label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::OutOfBounds => "out_of_bounds",
            Self::LabelsTooLong => "labels_too_long",
            Self::Disabled => "disabled",
        }
    }
}

/// Why a whole batch, or a series of it, was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error("unknown series reference {}", .0.0)]
    UnknownSeries(SeriesRef),
    #[error("series without labels")]
    NoLabels,
    #[error("write log segment {segment}: {cause}")]
    Log { segment: u32, cause: io::Error },
}

impl AppendError {
    /// True when the same batch may succeed later; a receiver then answers 5xx, otherwise 400.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Log { .. } | Self::UnknownSeries(_) => true,
            Self::NoLabels => false,
        }
    }
}
