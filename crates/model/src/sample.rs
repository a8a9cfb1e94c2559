//! One observation, and the marker that ends a series.

use std::sync::Arc;

use crate::{Histogram, Timestamp};

/// The NaN whose bits say "this series has ended here". Every other NaN is an ordinary value.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Compares bits: an arithmetic NaN is not a staleness marker.
pub const fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN.to_bits()
}

/// One observation. Batches are `&[Sample]`, sorted by timestamp within a series.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub timestamp: Timestamp,
    /// May be NaN; the bit pattern [`STALE_NAN`] ends the series. Compare bits, not floats.
    pub value: f64,
}

const _: () = assert!(size_of::<Sample>() == 16, "the head's memory budget counts on 16 bytes");

impl PartialEq for Sample {
    /// Bit equality, so that two staleness markers are the same sample.
    fn eq(&self, other: &Self) -> bool {
        self.timestamp == other.timestamp && self.value.to_bits() == other.value.to_bits()
    }
}

/// What was observed: a number, or a native histogram.
#[derive(Clone, Debug)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl PartialEq for SampleValue {
    /// Bit equality, as for [`Sample`].
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            _ => false,
        }
    }
}

/// One observation of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub timestamp: Timestamp,
    pub value: SampleValue,
}

impl From<Sample> for Point {
    fn from(sample: Sample) -> Self {
        Self { timestamp: sample.timestamp, value: SampleValue::Float(sample.value) }
    }
}
