//! All numbers of one histogram after the other, each beside what it was before.
//!
//! A whole bucket is written as what it has more than the bucket to its left.

use std::fmt;

use model::histogram::{Bucket, Count, CounterReset, NativeHistogram};
use model::{Timestamp, is_stale};

use super::layout::Layout;
use super::running::{Dod, Running, Xor};
use crate::chunk::bits::{BitReader, BitWriter};

/// What the encodings of whole and of fractional counts differ in.
pub(super) trait Encoded: Count + fmt::Debug {
    type Running: Running;

    fn of_bits(bits: u64) -> Self;
    /// What is written for a bucket, beside the one to its left.
    fn bucket_word(self, left: Self) -> u64;
    /// Undoes [`Encoded::bucket_word`]; `None` where that leaves no count.
    fn of_bucket_word(word: u64, left: Self) -> Option<Self>;
}

impl Encoded for u64 {
    type Running = Dod;

    fn of_bits(bits: u64) -> Self {
        bits
    }

    fn bucket_word(self, left: Self) -> u64 {
        self.wrapping_sub(left)
    }

    fn of_bucket_word(word: u64, left: Self) -> Option<Self> {
        let count = left.wrapping_add(word);
        (count <= i64::MAX.cast_unsigned()).then_some(count)
    }
}

impl Encoded for f64 {
    type Running = Xor;

    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }

    fn bucket_word(self, _left: Self) -> u64 {
        self.to_bits()
    }

    fn of_bucket_word(word: u64, _left: Self) -> Option<Self> {
        Some(Self::from_bits(word))
    }
}

/// All numbers of the last histogram.
#[derive(Clone, Debug)]
pub(super) struct Numbers<N: Encoded> {
    time: Dod,
    count: N::Running,
    zero_count: N::Running,
    sum: Xor,
    positive: Vec<N::Running>,
    negative: Vec<N::Running>,
}

impl<N: Encoded> Numbers<N> {
    /// `layout` has all of the histogram's buckets.
    pub(super) fn put_first(
        out: &mut BitWriter,
        layout: &Layout,
        at: Timestamp,
        histogram: &NativeHistogram<N>,
    ) -> Self {
        let buckets = |out: &mut BitWriter, indexes, buckets| {
            words(indexes, buckets).map(|word| N::Running::put_first_bucket(out, word)).collect()
        };
        Self {
            time: Dod::put_first_bucket(out, at.as_millis().cast_unsigned()),
            count: N::Running::put_first_count(out, histogram.count.bits()),
            zero_count: N::Running::put_first_count(out, histogram.zero_count.bits()),
            sum: Xor::put_first_count(out, histogram.sum.to_bits()),
            positive: buckets(out, &layout.positive, &histogram.positive),
            negative: buckets(out, &layout.negative, &histogram.negative),
        }
    }

    pub(super) fn put(
        &mut self,
        out: &mut BitWriter,
        layout: &Layout,
        at: Timestamp,
        histogram: &NativeHistogram<N>,
    ) {
        self.time.put(out, at.as_millis().cast_unsigned());
        if is_stale(histogram.sum) {
            self.count.put_stale(out);
            self.zero_count.put_stale(out);
            return self.sum.put(out, histogram.sum.to_bits());
        }
        self.count.put(out, histogram.count.bits());
        self.zero_count.put(out, histogram.zero_count.bits());
        self.sum.put(out, histogram.sum.to_bits());
        let positive = words(&layout.positive, &histogram.positive);
        let negative = words(&layout.negative, &histogram.negative);
        for (last, word) in self.positive.iter_mut().zip(positive) {
            last.put(out, word);
        }
        for (last, word) in self.negative.iter_mut().zip(negative) {
            last.put(out, word);
        }
    }

    pub(super) fn take_first(bits: &mut BitReader<'_>, layout: &Layout) -> Option<Self> {
        let buckets = |bits: &mut BitReader<'_>, indexes: &[i32]| {
            indexes.iter().map(|_| N::Running::take_first_bucket(bits)).collect::<Option<_>>()
        };
        Some(Self {
            time: Dod::take_first_bucket(bits)?,
            count: N::Running::take_first_count(bits)?,
            zero_count: N::Running::take_first_count(bits)?,
            sum: Xor::take_first_count(bits)?,
            positive: buckets(bits, &layout.positive)?,
            negative: buckets(bits, &layout.negative)?,
        })
    }

    pub(super) fn take(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.time.take(bits)?;
        self.count.take(bits)?;
        self.zero_count.take(bits)?;
        self.sum.take(bits)?;
        if !self.is_stale() {
            for last in self.positive.iter_mut().chain(&mut self.negative) {
                last.take(bits)?;
            }
        }
        Some(())
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.time.word().cast_signed())
    }

    pub(super) fn is_stale(&self) -> bool {
        is_stale(f64::from_bits(self.sum.word()))
    }

    pub(super) fn histogram(
        &self,
        layout: &Layout,
        counter_reset: CounterReset,
    ) -> Option<NativeHistogram<N>> {
        let sum = f64::from_bits(self.sum.word());
        if self.is_stale() {
            return Some(NativeHistogram { sum, ..NativeHistogram::default() });
        }
        Some(NativeHistogram {
            counter_reset,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: N::of_bits(self.zero_count.word()),
            count: N::of_bits(self.count.word()),
            sum,
            positive: buckets(&layout.positive, &self.positive)?,
            negative: buckets(&layout.negative, &self.negative)?,
            custom_bounds: layout.custom_bounds.clone(),
        })
    }
}

/// What is written for each of `indexes`; those that have no bucket are empty.
fn words<N: Encoded>(indexes: &[i32], buckets: &[Bucket<N>]) -> impl Iterator<Item = u64> {
    let mut buckets = buckets.iter().peekable();
    let mut left = N::default();
    indexes.iter().map(move |&index| {
        let bucket = buckets.next_if(|bucket| bucket.index == index);
        let count = bucket.map_or_else(N::default, |bucket| bucket.count);
        let word = count.bucket_word(left);
        left = count;
        word
    })
}

fn buckets<N: Encoded>(indexes: &[i32], numbers: &[N::Running]) -> Option<Vec<Bucket<N>>> {
    let mut left = N::default();
    let bucket = |(&index, number): (&i32, &N::Running)| {
        let count = N::of_bucket_word(number.word(), left)?;
        left = count;
        Some(Bucket { index, count })
    };
    indexes.iter().zip(numbers).map(bucket).collect()
}
