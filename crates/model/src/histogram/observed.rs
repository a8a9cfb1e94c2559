//! A native histogram as it is observed, sent and stored: with whole counts or with fractional ones.
//!
//! - Source: Prometheus `model/histogram/histogram.go`, `Validate`.

use std::fmt;
use std::sync::Arc;

use super::{
    Bucket, Count, CounterReset, FloatHistogram, IntegerHistogram, NativeHistogram, SCHEMA_MAX,
    SCHEMA_MIN,
};
use crate::number::General;
use crate::{STALE_NAN, is_stale};

#[derive(Clone, Debug, PartialEq)]
pub enum Histogram {
    Integer(IntegerHistogram),
    Float(FloatHistogram),
}

/// Why a histogram is not stored.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidHistogram {
    #[error("histogram has an invalid schema: {0}")]
    Schema(i32),
    #[error("histogram's zero threshold is not a number of at least 0: {0}")]
    ZeroThreshold(f64),
    #[error("histogram's buckets are not sorted by index")]
    BucketOrder,
    #[error("histogram has a bucket or a count that is negative or not a number: {0}")]
    Negative(f64),
    #[error("histogram has a bucket with more observations than can be stored: {0}")]
    TooMany(u64),
    #[error("{buckets} observations found in buckets, but the count field is {count}")]
    CountMismatch { buckets: u64, count: u64 },
    #[error("custom buckets: bounds must be finite and rise strictly")]
    CustomBounds,
    #[error("custom buckets: must not have zero or negative buckets")]
    CustomExtraBuckets,
    #[error("custom buckets: bucket {index} is beyond the {bounds} bounds")]
    CustomBucketIndex { index: i32, bounds: usize },
    #[error("custom bounds with exponential buckets")]
    UnexpectedCustomBounds,
}

impl From<IntegerHistogram> for Histogram {
    fn from(histogram: IntegerHistogram) -> Self {
        Self::Integer(histogram)
    }
}

impl From<FloatHistogram> for Histogram {
    fn from(histogram: FloatHistogram) -> Self {
        Self::Float(histogram)
    }
}

impl Histogram {
    pub const fn is_integer(&self) -> bool {
        matches!(self, Self::Integer(_))
    }

    pub const fn sum(&self) -> f64 {
        match self {
            Self::Integer(histogram) => histogram.sum,
            Self::Float(histogram) => histogram.sum,
        }
    }

    pub const fn counter_reset(&self) -> CounterReset {
        match self {
            Self::Integer(histogram) => histogram.counter_reset,
            Self::Float(histogram) => histogram.counter_reset,
        }
    }

    pub const fn set_counter_reset(&mut self, counter_reset: CounterReset) {
        match self {
            Self::Integer(histogram) => histogram.counter_reset = counter_reset,
            Self::Float(histogram) => histogram.counter_reset = counter_reset,
        }
    }

    /// The marker that ends a series of histograms of this kind.
    pub fn to_stale(&self) -> Self {
        match self {
            Self::Integer(_) => {
                Self::Integer(NativeHistogram { sum: STALE_NAN, ..Default::default() })
            }
            Self::Float(_) => Self::Float(NativeHistogram { sum: STALE_NAN, ..Default::default() }),
        }
    }

    pub const fn is_stale(&self) -> bool {
        is_stale(self.sum())
    }

    /// With fractional counts, to calculate with.
    pub fn to_float(&self) -> FloatHistogram {
        match self {
            Self::Float(histogram) => histogram.clone(),
            Self::Integer(histogram) => FloatHistogram {
                counter_reset: histogram.counter_reset,
                schema: histogram.schema,
                zero_threshold: histogram.zero_threshold,
                zero_count: histogram.zero_count as f64,
                count: histogram.count as f64,
                sum: histogram.sum,
                positive: to_float(&histogram.positive),
                negative: to_float(&histogram.negative),
                custom_bounds: Arc::clone(&histogram.custom_bounds),
            },
        }
    }

    /// Whether it can be a histogram at all; storage takes no others.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.is_stale() {
            return Ok(());
        }
        match self {
            Self::Integer(histogram) => {
                histogram.validate_shape()?;
                validate_count(histogram)
            }
            Self::Float(histogram) => {
                histogram.validate_shape()?;
                let buckets = histogram.positive.iter().chain(&histogram.negative);
                let mut counts = buckets.map(|bucket| bucket.count);
                let totals = [histogram.count, histogram.zero_count];
                let is_bad = |count: &f64| !matches!(*count, 0.0..);
                match totals.into_iter().find(is_bad).or_else(|| counts.find(is_bad)) {
                    Some(bad) => Err(InvalidHistogram::Negative(bad)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// As Prometheus writes it: whole counts in all their digits.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let histogram = match self {
            Self::Float(histogram) => return histogram.fmt(f),
            Self::Integer(histogram) => histogram,
        };
        write!(f, "{{count:{}, sum:{}", histogram.count, General(histogram.sum))?;
        let of = |bucket: &Bucket<u64>| bucket.count;
        let zero = Some(histogram.zero_count).filter(|&count| count > 0);
        let counts = histogram.negative.iter().rev().map(of).chain(zero);
        let counts = counts.chain(histogram.positive.iter().map(of));
        for (range, count) in self.to_float().buckets().zip(counts).filter(|&(_, count)| count > 0)
        {
            f.write_str(", ")?;
            range.write(f, count)?;
        }
        f.write_str("}")
    }
}

fn to_float(buckets: &[Bucket<u64>]) -> Vec<Bucket> {
    let float = |bucket: &Bucket<u64>| Bucket { index: bucket.index, count: bucket.count as f64 };
    buckets.iter().map(float).collect()
}

impl<N: Count> NativeHistogram<N> {
    /// Whether schema, threshold, bounds and indexes make sense, whatever the counts are.
    pub fn validate_shape(&self) -> Result<(), InvalidHistogram> {
        let is_sorted = |buckets: &[Bucket<N>]| buckets.is_sorted_by(|a, b| a.index < b.index);
        if !is_sorted(&self.positive) || !is_sorted(&self.negative) {
            return Err(InvalidHistogram::BucketOrder);
        }
        if self.has_custom_buckets() {
            return self.validate_custom();
        }
        if !(SCHEMA_MIN..=SCHEMA_MAX).contains(&self.schema) {
            return Err(InvalidHistogram::Schema(self.schema));
        }
        if !self.custom_bounds.is_empty() {
            return Err(InvalidHistogram::UnexpectedCustomBounds);
        }
        match self.zero_threshold {
            0.0.. => Ok(()),
            threshold => Err(InvalidHistogram::ZeroThreshold(threshold)),
        }
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        let bounds = &self.custom_bounds;
        let is_rising = bounds.is_sorted_by(|a, b| a < b);
        if !is_rising || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(InvalidHistogram::CustomBounds);
        }
        let has_zero = self.zero_threshold != 0.0 || self.zero_count != N::default();
        if has_zero || !self.negative.is_empty() {
            return Err(InvalidHistogram::CustomExtraBuckets);
        }
        let is_beyond = |index| usize::try_from(index).map_or(true, |index| index > bounds.len());
        match self.positive.iter().find(|bucket| is_beyond(bucket.index)) {
            Some(&Bucket { index, .. }) => {
                Err(InvalidHistogram::CustomBucketIndex { index, bounds: bounds.len() })
            }
            None => Ok(()),
        }
    }
}

/// Each observation is in one bucket, but for those that are not a number: they make the sum such.
fn validate_count(histogram: &IntegerHistogram) -> Result<(), InvalidHistogram> {
    let counts = histogram.positive.iter().chain(&histogram.negative).map(|bucket| bucket.count);
    if let Some(count) = counts.clone().find(|&count| i64::try_from(count).is_err()) {
        return Err(InvalidHistogram::TooMany(count));
    }
    let buckets = counts.fold(histogram.zero_count, u64::saturating_add);
    let count = histogram.count;
    let is_plausible = if histogram.sum.is_nan() { buckets <= count } else { buckets == count };
    if is_plausible { Ok(()) } else { Err(InvalidHistogram::CountMismatch { buckets, count }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_BUCKETS_SCHEMA;

    #[test]
    fn what_cannot_be_a_histogram_is_refused() {
        #[track_caller]
        fn check(expect: Result<(), &str>, change: impl Fn(&mut IntegerHistogram)) {
            let bucket = |index, count| Bucket { index, count };
            let mut histogram = IntegerHistogram {
                count: 6,
                zero_count: 1,
                positive: vec![bucket(0, 2), bucket(3, 3)],
                ..IntegerHistogram::default()
            };
            change(&mut histogram);
            let result = Histogram::Integer(histogram).validate().map_err(|e| e.to_string());
            assert_eq!(result.as_ref().map_err(String::as_str), expect.as_ref().map_err(|e| *e));
        }
        let custom = |histogram: &mut IntegerHistogram, bounds: &[f64]| {
            histogram.schema = CUSTOM_BUCKETS_SCHEMA;
            histogram.zero_count = 0;
            histogram.count = 5;
            histogram.custom_bounds = bounds.into();
        };
        check(Ok(()), |_| {});
        check(Ok(()), |h| (h.count, h.sum) = (7, f64::NAN));
        check(Ok(()), |h| *h = IntegerHistogram { sum: STALE_NAN, ..Default::default() });
        check(Ok(()), |h| custom(h, &[1.0, 2.0, 3.0]));
        check(Err("6 observations found in buckets, but the count field is 7"), |h| h.count = 7);
        check(
            Err(
                "histogram has a bucket with more observations than can be stored: 9223372036854775808",
            ),
            |h| h.positive[0].count = 1 << 63,
        );
        check(Err("histogram has an invalid schema: 9"), |h| h.schema = 9);
        check(Err("histogram's buckets are not sorted by index"), |h| h.positive.reverse());
        check(Err("histogram's zero threshold is not a number of at least 0: NaN"), |h| {
            h.zero_threshold = f64::NAN;
        });
        check(Err("custom bounds with exponential buckets"), |h| {
            h.custom_bounds = [1.0].into();
        });
        check(Err("custom buckets: bounds must be finite and rise strictly"), |h| {
            custom(h, &[1.0, 1.0, 3.0]);
        });
        check(Err("custom buckets: bucket 3 is beyond the 2 bounds"), |h| custom(h, &[1.0, 2.0]));
        check(Err("custom buckets: must not have zero or negative buckets"), |h| {
            custom(h, &[1.0, 2.0, 3.0]);
            h.zero_count = 1;
        });
    }

    #[test]
    fn whole_counts_are_written_in_all_their_digits() {
        let histogram = IntegerHistogram {
            count: 9_007_199_254_740_996,
            sum: 2.5,
            zero_threshold: 0.5,
            zero_count: 1,
            negative: vec![Bucket { index: 1, count: 2 }, Bucket { index: 2, count: 0 }],
            positive: vec![Bucket { index: 0, count: 9_007_199_254_740_993 }],
            ..Default::default()
        };
        assert_eq!(
            Histogram::Integer(histogram).to_string(),
            "{count:9007199254740996, sum:2.5, [-2,-1):2, [-0.5,0.5]:1, (0.5,1]:9007199254740993}"
        );
    }

    #[test]
    fn fractional_counts_are_numbers_of_at_least_zero() {
        #[track_caller]
        fn check(count: f64, is_valid: bool) {
            let positive = vec![Bucket { index: 1, count }];
            let histogram = Histogram::Float(FloatHistogram { positive, ..Default::default() });
            assert_eq!(histogram.validate().is_ok(), is_valid, "{count}");
        }
        check(0.5, true);
        check(f64::INFINITY, true);
        check(-0.5, false);
        check(f64::NAN, false);
    }
}
