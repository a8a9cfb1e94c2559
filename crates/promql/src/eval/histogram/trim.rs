//! The operators `</` and `>/`: a histogram without the observations above or below a value.
//!
//! A bucket that contains the value is split as for quantiles; the sum loses what the removed
//! observations would have been worth at the middle of their (part of a) bucket.

use model::FloatHistogram;
use model::histogram::BucketRange;

/// Keeps observations up to `limit`.
pub(in crate::eval) fn trim_upper(histogram: &FloatHistogram, limit: f64) -> FloatHistogram {
    Trim { limit, upper: true, histogram }.run()
}

/// Keeps observations above `limit`.
pub(in crate::eval) fn trim_lower(histogram: &FloatHistogram, limit: f64) -> FloatHistogram {
    Trim { limit, upper: false, histogram }.run()
}

struct Trim<'a> {
    limit: f64,
    /// Remove what is above; otherwise what is below.
    upper: bool,
    histogram: &'a FloatHistogram,
}

impl Trim<'_> {
    fn run(&self) -> FloatHistogram {
        let mut result = self.histogram.clone();
        let (mut kept, mut removed_sum) = (0.0, 0.0);
        let (mut has_positive, mut has_negative) = (false, false);
        for bucket in result.positive.iter_mut().filter(|bucket| bucket.count != 0.0) {
            let range = self.histogram.positive_range(*bucket);
            has_negative |= range.lower < 0.0 || range.upper <= 0.0;
            has_positive |= range.upper > 0.0;
            (bucket.count, removed_sum) = self.bucket(range, true, removed_sum);
            kept += bucket.count;
        }
        for bucket in result.negative.iter_mut().filter(|bucket| bucket.count != 0.0) {
            has_negative = true;
            let range = self.histogram.negative_range(*bucket);
            (bucket.count, removed_sum) = self.bucket(range, false, removed_sum);
            kept += bucket.count;
        }
        if result.zero_count > 0.0 {
            let below = self.below(self.histogram.zero_bucket(), true, true);
            result.zero_count = if self.upper { below } else { result.zero_count - below };
            kept += result.zero_count;
        }
        result.count = kept;
        result.sum = 0.0;
        if kept != 0.0 {
            result.sum = self.histogram.sum - removed_sum;
            let wrong_side =
                (!has_negative && result.sum < 0.0) || (!has_positive && result.sum > 0.0);
            if wrong_side {
                result.sum = 0.0;
            }
        }
        result.compact();
        result
    }

    /// What is kept of a bucket, and the sum of everything removed so far.
    fn bucket(&self, range: BucketRange, is_positive: bool, removed_sum: f64) -> (f64, f64) {
        let is_kept = match self.upper {
            true => range.upper <= self.limit,
            false => range.lower >= self.limit,
        };
        if is_kept {
            return (range.count, removed_sum);
        }
        let (keep, middle) = self.split(range, is_positive);
        let is_split = range.lower < self.limit && range.upper > self.limit;
        if is_split {
            return (keep, removed_sum + (range.count - keep) * middle);
        }
        let middle = match self.histogram.has_custom_buckets() {
            true => middle,
            false if is_positive => (range.lower * range.upper).sqrt(),
            false => (range.lower * range.upper).sqrt(), // as Prometheus has it: not negative
        };
        (0.0, removed_sum + range.count * middle)
    }

    /// How many observations of a bucket stay, and what each of the others is worth.
    fn split(&self, range: BucketRange, is_positive: bool) -> (f64, f64) {
        let is_custom = self.histogram.has_custom_buckets();
        if range.lower.is_infinite() || range.upper.is_infinite() {
            return self.split_open(range);
        }
        let below = self.below(range, is_positive, is_custom);
        let (keep, product) = match self.upper {
            true => (below, range.lower.abs() * self.limit.abs()),
            false => (range.count - below, self.limit.abs() * range.upper.abs()),
        };
        let middle = match (is_custom, is_positive) {
            (true, _) => (range.lower + range.upper) / 2.0,
            (false, true) => product.sqrt(),
            (false, false) => -product.sqrt(),
        };
        (keep, middle)
    }

    /// Of a bucket without one of its ends, nothing is known: a trim inside removes all of it. The
    /// lowest custom bucket begins at 0, though, if it ends above.
    fn split_open(&self, range: BucketRange) -> (f64, f64) {
        let BucketRange { lower, upper, count, .. } = range;
        let limit = self.limit;
        if lower == f64::NEG_INFINITY {
            let inside = limit >= 0.0 && upper > limit && upper.is_finite();
            return match self.upper {
                true if limit >= upper => (count, 0.0),
                true if inside => (count * limit / upper, f64::midpoint(limit, upper)),
                false if limit <= lower => (count, 0.0),
                false if inside => (count * (1.0 - limit / upper), limit / 2.0),
                _ => (0.0, upper),
            };
        }
        match self.upper {
            false if limit <= lower => (count, 0.0),
            _ => (0.0, lower),
        }
    }

    /// How many observations of a bucket are up to the limit.
    fn below(&self, range: BucketRange, is_positive: bool, is_linear: bool) -> f64 {
        let BucketRange { lower, upper, count, .. } = range;
        if self.limit <= lower {
            return 0.0;
        }
        if self.limit >= upper {
            return count;
        }
        let part = if is_linear {
            (self.limit - lower) / (upper - lower)
        } else {
            let [lower, upper, limit] = [lower, upper, self.limit].map(|x| x.abs().log2());
            match is_positive {
                true => (limit - lower) / (upper - lower),
                false => 1.0 - (limit - upper) / (lower - upper),
            }
        };
        count * part
    }
}
