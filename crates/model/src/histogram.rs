//! Native histograms: a distribution of observations in one sample.
//!
//! Buckets are kept sparsely, as index and count. With an exponential schema `s` in −4…8, bucket `i`
//! holds the observations in `(2^((i-1)/2^s), 2^(i/2^s)]`, negative buckets mirror that, and what is
//! too close to zero is in the zero bucket. With custom buckets (schema −53), bucket `i` holds what is
//! above bound `i-1` and not above bound `i`; the last one has no upper bound.
//!
//! - HISTOGRAM-1: buckets are sorted by index, each index is there once.
//! - HISTOGRAM-2: only histograms of one kind, exponential or custom, combine; the result has the
//!   lower resolution of the two.
//! - Source: Prometheus `model/histogram/float_histogram.go`.

mod bounds;
pub mod observed;
pub mod spans;

use std::fmt;
use std::sync::Arc;

use crate::number::General;

pub use observed::{Histogram, InvalidHistogram};

use bounds::exponential_bound;

/// The schema of histograms whose bounds are listed one by one.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
pub const SCHEMA_MIN: i32 = -4;
pub const SCHEMA_MAX: i32 = 8;
/// Later versions of Prometheus may write schemas up to this one; what is above [`SCHEMA_MAX`] is read
/// with less resolution.
pub const SCHEMA_RESERVED_MAX: i32 = 52;

/// What is known of counter resets between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterReset {
    #[default]
    Unknown,
    Reset,
    NotReset,
    /// Not a counter at all.
    Gauge,
}

impl CounterReset {
    /// As Prometheus' formats number them.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Reset => 1,
            Self::NotReset => 2,
            Self::Gauge => 3,
        }
    }

    /// Undoes [`CounterReset::number`]; other numbers say nothing.
    pub const fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Reset,
            2 => Self::NotReset,
            3 => Self::Gauge,
            _ => Self::Unknown,
        }
    }
}

/// How many observations fell into the bucket of this index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket<N = f64> {
    pub index: i32,
    pub count: N,
}

/// A native histogram with fractional counts: what queries calculate with.
pub type FloatHistogram = NativeHistogram<f64>;

/// A native histogram with whole counts: what most targets expose.
pub type IntegerHistogram = NativeHistogram<u64>;

#[derive(Clone, Debug, Default)]
pub struct NativeHistogram<N> {
    pub counter_reset: CounterReset,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: N,
    pub count: N,
    pub sum: f64,
    pub positive: Vec<Bucket<N>>,
    pub negative: Vec<Bucket<N>>,
    /// The finite upper bounds of custom buckets, rising; otherwise empty.
    pub custom_bounds: Arc<[f64]>,
}

/// A bucket with its bounds. Which bound is part of the bucket depends on the side of zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketRange {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

/// One has exponential, the other custom buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot combine histograms with exponential and with custom buckets")]
pub struct IncompatibleSchemas;

/// What was noticed while two histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One began with a counter reset, the other without.
    pub counter_reset_collision: bool,
    /// Custom bounds differed; only those that both have were kept.
    pub bounds_reconciled: bool,
}

impl<N> NativeHistogram<N> {
    pub const fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }
}

impl<N: Count> NativeHistogram<N> {
    /// Merges buckets until `schema` is reached; a schema that is not lower changes nothing.
    pub fn reduce_resolution(&mut self, schema: i32) {
        if schema >= self.schema || self.has_custom_buckets() {
            return;
        }
        let shift = self.schema.abs_diff(schema).min(i64::BITS - 1);
        for buckets in [&mut self.positive, &mut self.negative] {
            merge_indexes(buckets, |index| (((i64::from(index) - 1) >> shift) + 1) as i32);
        }
        self.schema = schema;
    }

    /// Reads a resolution of later versions as the highest there is today.
    pub fn reduce_reserved_resolution(&mut self) {
        if self.schema <= SCHEMA_RESERVED_MAX {
            self.reduce_resolution(SCHEMA_MAX);
        }
    }

    /// Whether a bucket holds less than it held in `previous`, which has the same schema.
    pub fn has_fallen_since(&self, previous: &Self) -> bool {
        any_fell(&self.positive, &previous.positive) || any_fell(&self.negative, &previous.negative)
    }
}

impl FloatHistogram {
    /// All buckets with observations, from the lowest to the highest.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = BucketRange> + '_ {
        let negative = self.negative.iter().rev().map(|b| self.clipped(self.negative_range(*b)));
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let positive = self.positive.iter().map(|b| self.clipped(self.positive_range(*b)));
        negative.chain(zero).chain(positive)
    }

    pub fn zero_bucket(&self) -> BucketRange {
        BucketRange {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    pub fn positive_range(&self, bucket: Bucket) -> BucketRange {
        BucketRange {
            lower: self.bound(bucket.index - 1),
            upper: self.bound(bucket.index),
            lower_inclusive: self.has_custom_buckets() && bucket.index == 0,
            upper_inclusive: true,
            count: bucket.count,
        }
    }

    pub fn negative_range(&self, bucket: Bucket) -> BucketRange {
        BucketRange {
            lower: -self.bound(bucket.index),
            upper: -self.bound(bucket.index - 1),
            lower_inclusive: true,
            upper_inclusive: false,
            count: bucket.count,
        }
    }

    /// Where the zero bucket reaches into another one, that one starts at its end.
    fn clipped(&self, mut range: BucketRange) -> BucketRange {
        if range.upper < 0.0 && range.upper > -self.zero_threshold {
            range.upper = -self.zero_threshold;
        } else if range.lower > 0.0 && range.lower < self.zero_threshold {
            range.lower = self.zero_threshold;
        }
        range
    }

    /// The upper bound of the positive bucket `index`.
    fn bound(&self, index: i32) -> f64 {
        if !self.has_custom_buckets() {
            return exponential_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_bounds.get(index).copied().unwrap_or(f64::INFINITY),
        }
    }

    /// Multiplies all counts and the sum.
    pub fn scale(&mut self, factor: f64) {
        self.zero_count *= factor;
        self.count *= factor;
        self.sum *= factor;
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.count *= factor;
        }
        if factor < 0.0 {
            self.counter_reset = CounterReset::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets.
    pub fn divide(&mut self, divisor: f64) {
        self.zero_count /= divisor;
        self.count /= divisor;
        self.sum /= divisor;
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
            return;
        }
        for bucket in self.positive.iter_mut().chain(&mut self.negative) {
            bucket.count /= divisor;
        }
        if divisor < 0.0 {
            self.counter_reset = CounterReset::Gauge;
        }
    }

    /// Adds the observations of `other`.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// As [`FloatHistogram::add`], for long sums: `lost` collects what rounding takes from the sum,
    /// number by number, and is to be added at the end. It begins as a default histogram.
    ///
    /// Source: Neumaier's variant of Kahan summation, as in Prometheus' `KahanAdd`.
    pub fn kahan_add(
        &mut self,
        other: &Self,
        lost: &mut Self,
    ) -> Result<Combined, IncompatibleSchemas> {
        let before = self.clone();
        let combined = self.combine(other, 1.0)?;
        // All four in the layout of the result.
        let (mut before, mut addend) = (before, other.clone());
        lost.schema = before.schema;
        lost.custom_bounds = Arc::clone(&before.custom_bounds);
        lost.zero_threshold = before.zero_threshold;
        for part in [&mut before, &mut addend, &mut *lost] {
            part.adopt_layout(self);
        }
        let rounding = |sum: f64, a: f64, b: f64| match sum {
            sum if sum.is_infinite() => 0.0,
            sum if a.abs() >= b.abs() => (a - sum) + b,
            sum => (b - sum) + a,
        };
        lost.count += rounding(self.count, before.count, addend.count);
        lost.sum += rounding(self.sum, before.sum, addend.sum);
        lost.zero_count += rounding(self.zero_count, before.zero_count, addend.zero_count);
        let sides = [
            (&self.positive, &before.positive, &addend.positive, &mut lost.positive),
            (&self.negative, &before.negative, &addend.negative, &mut lost.negative),
        ];
        for (total, before, addend, lost) in sides {
            let count = |buckets: &[Bucket], index| {
                let found = buckets.binary_search_by_key(&index, |bucket| bucket.index);
                found.map_or(0.0, |at| buckets[at].count)
            };
            let rounded: Vec<Bucket> = total
                .iter()
                .map(|bucket| {
                    let (a, b) = (count(before, bucket.index), count(addend, bucket.index));
                    Bucket { index: bucket.index, count: rounding(bucket.count, a, b) }
                })
                .filter(|bucket| bucket.count != 0.0)
                .collect();
            merge_buckets(lost, &rounded, 1.0);
        }
        Ok(combined)
    }

    /// Merges buckets until the layout is that of `target`, which is nowhere finer.
    fn adopt_layout(&mut self, target: &Self) {
        if target.has_custom_buckets() {
            self.schema = CUSTOM_BUCKETS_SCHEMA;
            self.rebound(&target.custom_bounds);
            return;
        }
        if self.zero_threshold < target.zero_threshold {
            let threshold = target.zero_threshold;
            for buckets in [&mut self.positive, &mut self.negative] {
                let schema = self.schema;
                buckets.retain(|bucket| {
                    let inside = exponential_bound(bucket.index, schema) <= threshold;
                    if inside {
                        self.zero_count += bucket.count;
                    }
                    !inside
                });
            }
            self.zero_threshold = threshold;
        }
        self.reduce_resolution(target.schema);
    }

    /// Takes the observations of `other` away.
    pub fn subtract(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Combined, IncompatibleSchemas> {
        if self.has_custom_buckets() != other.has_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let counter_reset_collision = self.adjust_counter_reset(other);
        let mut other = std::borrow::Cow::Borrowed(other);
        let mut bounds_reconciled = false;
        if self.has_custom_buckets() {
            if self.custom_bounds != other.custom_bounds {
                bounds_reconciled = true;
                let common = common_bounds(&self.custom_bounds, &other.custom_bounds);
                self.rebound(&common);
                other.to_mut().rebound(&common);
            }
        } else {
            if other.zero_threshold != self.zero_threshold {
                self.reconcile_zero_buckets(other.to_mut());
            }
            if other.schema > self.schema {
                other.to_mut().reduce_resolution(self.schema);
            } else {
                self.reduce_resolution(other.schema);
            }
            self.zero_count += sign * other.zero_count;
        }
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        merge_buckets(&mut self.positive, &other.positive, sign);
        merge_buckets(&mut self.negative, &other.negative, sign);
        Ok(Combined { counter_reset_collision, bounds_reconciled })
    }

    /// Whether the hints contradict each other; `self` then knows nothing of resets.
    fn adjust_counter_reset(&mut self, other: &Self) -> bool {
        use CounterReset::{Gauge, NotReset, Reset, Unknown};
        let collision = matches!(
            (self.counter_reset, other.counter_reset),
            (Reset, NotReset) | (NotReset, Reset)
        );
        self.counter_reset = match (self.counter_reset, other.counter_reset) {
            (same, new) if same == new => same,
            (Gauge, _) | (_, Gauge) => Gauge,
            _ => Unknown,
        };
        collision
    }

    /// Widens both zero buckets until they are equal.
    fn reconcile_zero_buckets(&mut self, other: &mut Self) {
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold > other.zero_threshold {
                other.widen_zero_bucket(self.zero_threshold);
            } else {
                self.widen_zero_bucket(other.zero_threshold);
            }
        }
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        (self.zero_count, self.zero_threshold) = self.zero_count_for(threshold);
        let (threshold, schema) = (self.zero_threshold, self.schema);
        let is_outside = |bucket: &Bucket| exponential_bound(bucket.index, schema) > threshold;
        self.positive.retain(is_outside);
        self.negative.retain(is_outside);
    }

    /// What a zero bucket at least `threshold` wide would hold, and how wide it would be: it never
    /// ends inside a bucket with observations.
    fn zero_count_for(&self, mut threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        loop {
            let before = threshold;
            let mut count = self.zero_count;
            for bucket in self.positive.iter().chain(&self.negative) {
                let range = self.positive_range(*bucket); // both sides mirror each other
                if range.lower < threshold {
                    count += bucket.count;
                    if range.upper > threshold && bucket.count != 0.0 {
                        threshold = range.upper;
                    }
                }
            }
            if threshold == before {
                return (count, threshold);
            }
        }
    }

    /// Merges custom buckets so that only `bounds`, a subset of the bounds now, are left.
    fn rebound(&mut self, bounds: &Arc<[f64]>) {
        let old = Arc::clone(&self.custom_bounds);
        merge_indexes(&mut self.positive, |index| {
            let upper = usize::try_from(index).ok().and_then(|index| old.get(index).copied());
            let upper = upper.unwrap_or(f64::INFINITY);
            bounds.partition_point(|bound| *bound < upper) as i32
        });
        self.custom_bounds = Arc::clone(bounds);
    }

    /// Drops buckets without observations.
    pub fn compact(&mut self) {
        self.positive.retain(|bucket| bucket.count != 0.0);
        self.negative.retain(|bucket| bucket.count != 0.0);
    }

    /// Whether a counter was reset between `previous` and this.
    pub fn is_reset_since(&self, previous: &Self) -> bool {
        match self.counter_reset {
            CounterReset::Reset => return true,
            CounterReset::NotReset => return false,
            CounterReset::Unknown | CounterReset::Gauge => {}
        }
        if self.count < previous.count || self.has_custom_buckets() != previous.has_custom_buckets()
        {
            return true;
        }
        if self.has_custom_buckets() {
            if self.custom_bounds == previous.custom_bounds {
                return any_fell(&self.positive, &previous.positive);
            }
            let common = common_bounds(&self.custom_bounds, &previous.custom_bounds);
            let (mut now, mut before) = (self.clone(), previous.clone());
            now.rebound(&common);
            before.rebound(&common);
            return any_fell(&now.positive, &before.positive);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_for(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let mut before = previous.clone();
        before.widen_zero_bucket(self.zero_threshold);
        before.reduce_resolution(self.schema);
        self.has_fallen_since(&before)
    }

    /// Whether a sum or a count is no longer a finite number.
    pub fn has_overflow(&self) -> bool {
        let buckets = self.positive.iter().chain(&self.negative).map(|bucket| bucket.count);
        [self.zero_count, self.count, self.sum].into_iter().chain(buckets).any(f64::is_infinite)
    }
}

/// A number of observations, whole or not.
pub trait Count: Copy + Default + PartialOrd {
    fn bits(self) -> u64;

    /// At most the largest number there is.
    fn plus(self, other: Self) -> Self;
}

impl Count for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Count for u64 {
    fn bits(self) -> u64 {
        self
    }

    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl<N: Count> PartialEq for NativeHistogram<N> {
    /// Bit by bit, whatever is known of counter resets; buckets without observations do not count.
    fn eq(&self, other: &Self) -> bool {
        let filled = |buckets: &[Bucket<N>]| -> Vec<(i32, u64)> {
            let filled = buckets.iter().filter(|bucket| bucket.count != N::default());
            filled.map(|bucket| (bucket.index, bucket.count.bits())).collect()
        };
        self.schema == other.schema
            && self.count.bits() == other.count.bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && self.zero_count.bits() == other.zero_count.bits()
            && (self.zero_threshold == other.zero_threshold || self.has_custom_buckets())
            && self.custom_bounds == other.custom_bounds
            && filled(&self.positive) == filled(&other.positive)
            && filled(&self.negative) == filled(&other.negative)
    }
}

/// `{count:3, sum:4, (1,2]:3}`, as Prometheus writes it.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", General(self.count), General(self.sum))?;
        for bucket in self.buckets().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for BucketRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, General(self.count))
    }
}

impl BucketRange {
    fn write(&self, f: &mut fmt::Formatter<'_>, count: impl fmt::Display) -> fmt::Result {
        let left = if self.lower_inclusive { '[' } else { '(' };
        let right = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{left}{},{}{right}:{count}", General(self.lower), General(self.upper))
    }
}

fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    a.iter().copied().filter(|bound| b.contains(bound)).collect()
}

/// Adds `other`, times `sign`, index by index.
fn merge_buckets(buckets: &mut Vec<Bucket>, other: &[Bucket], sign: f64) {
    if other.is_empty() {
        return;
    }
    let mine = std::mem::take(buckets);
    let (mut left, mut right) = (mine.iter().peekable(), other.iter().peekable());
    buckets.reserve(mine.len().max(other.len()));
    loop {
        buckets.push(match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l.index == r.index => {
                let merged = Bucket { index: l.index, count: l.count + sign * r.count };
                left.next();
                right.next();
                merged
            }
            (Some(l), r) if r.is_none_or(|r| l.index < r.index) => {
                let bucket = **l;
                left.next();
                bucket
            }
            (_, Some(r)) => {
                let bucket = Bucket { index: r.index, count: sign * r.count };
                right.next();
                bucket
            }
            (_, None) => return,
        });
    }
}

/// Gives every bucket the index that `to`, which keeps their order, says.
fn merge_indexes<N: Count>(buckets: &mut Vec<Bucket<N>>, to: impl Fn(i32) -> i32) {
    let mut merged: Vec<Bucket<N>> = Vec::with_capacity(buckets.len());
    for bucket in buckets.iter() {
        let index = to(bucket.index);
        match merged.last_mut() {
            Some(last) if last.index == index => last.count = last.count.plus(bucket.count),
            _ => merged.push(Bucket { index, count: bucket.count }),
        }
    }
    *buckets = merged;
}

/// Whether some bucket holds less `now` than `before`.
fn any_fell<N: Count>(now: &[Bucket<N>], before: &[Bucket<N>]) -> bool {
    let mut at = 0;
    before.iter().filter(|bucket| bucket.count != N::default()).any(|old| {
        while now.get(at).is_some_and(|bucket| bucket.index < old.index) {
            at += 1;
        }
        now.get(at).is_none_or(|bucket| bucket.index != old.index || bucket.count < old.count)
    })
}

#[cfg(test)]
mod tests;
