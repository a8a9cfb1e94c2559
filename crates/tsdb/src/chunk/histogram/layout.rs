//! What all histograms of a chunk have in common.
//!
//! ```text
//! layout    := threshold | schema signed | spans | spans | bounds    (spans: positive, negative;
//! spans     := n unsigned | (length unsigned | offset signed)*n       bounds: of custom buckets only)
//! bounds    := n unsigned | bound*n
//! threshold := 0:8 (zero) | p:8 (2^(p-244)) | 255:8 float:64
//! bound     := unsigned (thousandths, and one) | 0 float:64
//! ```
//! - LAYOUT-1: what was read makes sense as the layout of a histogram, and is no larger than the chunk
//!   that it was read from allows.

use std::sync::Arc;

use model::histogram::spans::{self, Span};
use model::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, NativeHistogram};

use crate::chunk::bits::{BitReader, BitWriter};

/// Between the exponent of a float, as it stores it, and how powers of two are written here.
const EXPONENT_BIAS: u64 = 779;
const MANTISSA_BITS: u32 = 52;
/// Larger bounds are written as floats.
const THOUSANDTHS_MAX: f64 = 33_554_430.0;

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) custom_bounds: Arc<[f64]>,
    /// The indexes of buckets.
    pub(super) positive: Vec<i32>,
    pub(super) negative: Vec<i32>,
}

impl Layout {
    pub(super) fn of<N>(histogram: &NativeHistogram<N>) -> Self {
        let indexes = |buckets: &[Bucket<N>]| buckets.iter().map(|bucket| bucket.index).collect();
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            custom_bounds: Arc::clone(&histogram.custom_bounds),
            positive: indexes(&histogram.positive),
            negative: indexes(&histogram.negative),
        }
    }

    /// With the buckets of `histogram` added; `None` where it has none that are not here.
    pub(super) fn widened<N>(&self, histogram: &NativeHistogram<N>) -> Option<Self> {
        let positive = union(&self.positive, &histogram.positive);
        let negative = union(&self.negative, &histogram.negative);
        if positive.is_none() && negative.is_none() {
            return None;
        }
        Some(Self {
            positive: positive.unwrap_or_else(|| self.positive.clone()),
            negative: negative.unwrap_or_else(|| self.negative.clone()),
            custom_bounds: Arc::clone(&self.custom_bounds),
            ..*self
        })
    }

    pub(super) fn put(&self, out: &mut BitWriter) {
        put_threshold(out, self.zero_threshold);
        out.put_signed(self.schema.into());
        for indexes in [&self.positive, &self.negative] {
            let spans = spans::spans(indexes.iter().copied());
            out.put_unsigned(spans.len() as u64);
            for span in spans {
                out.put_unsigned(span.length.into());
                out.put_signed(span.offset.into());
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            out.put_unsigned(self.custom_bounds.len() as u64);
            for &bound in &*self.custom_bounds {
                put_bound(out, bound);
            }
        }
    }

    pub(super) fn take(bits: &mut BitReader<'_>) -> Option<Self> {
        let zero_threshold = take_threshold(bits)?;
        let schema = i32::try_from(bits.take_signed()?).ok()?;
        let (positive, negative) = (take_indexes(bits)?, take_indexes(bits)?);
        let mut custom_bounds = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            for _ in 0..bits.take_unsigned()? {
                custom_bounds.push(take_bound(bits)?);
            }
        }
        let custom_bounds = custom_bounds.into();
        let layout = Self { schema, zero_threshold, custom_bounds, positive, negative };
        layout.is_sound().then_some(layout)
    }

    fn is_sound(&self) -> bool {
        let empty = |indexes: &[i32]| -> Vec<Bucket<u64>> {
            indexes.iter().map(|&index| Bucket { index, count: 0 }).collect()
        };
        let mut shape = NativeHistogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            custom_bounds: Arc::clone(&self.custom_bounds),
            positive: empty(&self.positive),
            negative: empty(&self.negative),
            ..NativeHistogram::default()
        };
        shape.reduce_reserved_resolution();
        shape.validate_shape().is_ok()
    }
}

/// All of `indexes` and of the buckets'; `None` where the buckets have none that is not in `indexes`.
fn union<N>(indexes: &[i32], buckets: &[Bucket<N>]) -> Option<Vec<i32>> {
    let mut known = indexes.iter().peekable();
    let is_known = |bucket: &Bucket<N>| {
        while known.next_if(|&&index| index < bucket.index).is_some() {}
        known.next_if_eq(&&bucket.index).is_some()
    };
    if buckets.iter().all(is_known) {
        return None;
    }
    let mut union: Vec<i32> =
        indexes.iter().copied().chain(buckets.iter().map(|bucket| bucket.index)).collect();
    union.sort_unstable();
    union.dedup();
    Some(union)
}

fn take_indexes(bits: &mut BitReader<'_>) -> Option<Vec<i32>> {
    let mut spans = Vec::new();
    for _ in 0..bits.take_unsigned()? {
        let length = u32::try_from(bits.take_unsigned()?).ok()?;
        let offset = i32::try_from(bits.take_signed()?).ok()?;
        spans.push(Span { offset, length });
    }
    let count = spans::length(&spans);
    // Each bucket takes a bit at least.
    if count > bits.bits_left() { None } else { spans::indexes(&spans, count as usize).ok() }
}

fn put_threshold(out: &mut BitWriter, threshold: f64) {
    let exponent = threshold.to_bits() >> MANTISSA_BITS;
    let power = exponent.wrapping_sub(EXPONENT_BIAS);
    if threshold == 0.0 {
        out.put(0, 8);
    } else if (1..=254).contains(&power) && threshold.to_bits() == exponent << MANTISSA_BITS {
        out.put(power, 8);
    } else {
        out.put(255, 8);
        out.put(threshold.to_bits(), 64);
    }
}

fn take_threshold(bits: &mut BitReader<'_>) -> Option<f64> {
    Some(match bits.take(8)? {
        0 => 0.0,
        255 => f64::from_bits(bits.take(64)?),
        power => f64::from_bits((power + EXPONENT_BIAS) << MANTISSA_BITS),
    })
}

fn put_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    if (0.0..=THOUSANDTHS_MAX).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound {
        out.put_unsigned(thousandths as u64 + 1);
    } else {
        out.put(0, 1);
        out.put(bound.to_bits(), 64);
    }
}

fn take_bound(bits: &mut BitReader<'_>) -> Option<f64> {
    Some(match bits.take_unsigned()? {
        0 => f64::from_bits(bits.take(64)?),
        thousandths => (thousandths - 1) as f64 / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use model::histogram::SCHEMA_RESERVED_MAX;

    use super::*;

    /// LAYOUT-1.
    #[test]
    fn what_does_not_fit_the_chunk_is_refused_before_it_is_allocated() {
        #[track_caller]
        fn check(schema: i32, buckets: u64, bounds: u64, expect: bool) {
            let mut out = BitWriter::default();
            put_threshold(&mut out, 0.0);
            out.put_signed(schema.into());
            out.put_unsigned(1); // a span of positive buckets, from 0
            out.put_unsigned(buckets);
            out.put_signed(0);
            out.put_unsigned(0);
            out.put_unsigned(bounds);
            out.put(0, 64);
            let layout = Layout::take(&mut BitReader::new(&out.to_bytes()));
            assert_eq!(layout.is_some(), expect, "{layout:?}");
        }
        check(0, 60, 0, true);
        check(0, 1 << 16, 0, false);
        check(0, u64::MAX, 0, false);
        check(CUSTOM_BUCKETS_SCHEMA, 0, 0, true);
        check(CUSTOM_BUCKETS_SCHEMA, 0, u64::MAX, false);
    }

    #[test]
    fn bounds_that_are_thousandths_and_thresholds_that_are_powers_of_two_are_small() {
        #[track_caller]
        fn check(value: f64, bound_bits: u64, threshold_bits: u64) {
            let (mut bound, mut threshold) = (BitWriter::default(), BitWriter::default());
            put_bound(&mut bound, value);
            put_threshold(&mut threshold, value);
            let (bound, threshold) = (bound.to_bytes(), threshold.to_bytes());
            let bits =
                |bytes: &[u8], reader: &BitReader<'_>| 8 * bytes.len() as u64 - reader.bits_left();
            let mut reader = BitReader::new(&bound);
            assert_eq!(take_bound(&mut reader), Some(value));
            assert_eq!(bits(&bound, &reader), bound_bits, "bound {value}");
            let mut reader = BitReader::new(&threshold);
            assert_eq!(take_threshold(&mut reader), Some(value));
            assert_eq!(bits(&threshold, &reader), threshold_bits, "threshold {value}");
        }
        check(0.0, 5, 8);
        check(0.005, 5, 72);
        check(0.007, 9, 72);
        check(0.5, 13, 8);
        check(1.0, 17, 8);
        check(262.142, 24, 72);
        check(33_554.43, 32, 72);
        check(33_554.431, 65, 72);
        check(0.0005, 65, 72);
        check(-1.0, 65, 72);
        check(1024.0, 32, 8);
        check(2048.0, 32, 72);
        check(2f64.powi(-243), 65, 8);
        check(2f64.powi(-244), 65, 72);
    }

    #[test]
    fn what_is_no_layout_is_refused() {
        #[track_caller]
        fn check(change: impl Fn(&mut Layout), expect: bool) {
            let mut layout = Layout::of(&NativeHistogram::<u64>::default());
            layout.positive = vec![0, 1, 5];
            change(&mut layout);
            let mut out = BitWriter::default();
            layout.put(&mut out);
            out.put(0, 64);
            let read = Layout::take(&mut BitReader::new(&out.to_bytes()));
            assert_eq!(read.is_some(), expect, "{layout:?}");
        }
        check(|_| {}, true);
        check(|layout| layout.schema = -4, true);
        check(|layout| layout.schema = -5, false);
        check(|layout| layout.schema = SCHEMA_RESERVED_MAX, true);
        check(|layout| layout.schema = SCHEMA_RESERVED_MAX + 1, false);
        check(|layout| layout.zero_threshold = f64::NAN, false);
        check(|layout| layout.zero_threshold = -1.0, false);
        let custom = |layout: &mut Layout, bounds: &[f64]| {
            (layout.schema, layout.custom_bounds) = (CUSTOM_BUCKETS_SCHEMA, bounds.into());
        };
        check(|layout| custom(layout, &[0.0, 0.1, 1.0, 2.0, 1e9]), true);
        check(|layout| custom(layout, &[0.0, 0.1, 1.0, 2.0]), false);
        check(|layout| custom(layout, &[0.0, 0.1, 0.1, 2.0, 1e9]), false);
    }
}
