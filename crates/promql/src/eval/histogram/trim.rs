//! The operators `</` and `>/`: a histogram without the observations above or below a value.
//!
//! A bucket that contains the value is split as for quantiles. The sum becomes what the remaining
//! observations are worth, each at the middle of what remains of its bucket.
//!
//! Of a bucket with an open end little is known: the lowest custom bucket begins at 0 if it ends
//! above; otherwise what is cut off towards the open end takes no observation away, and what is cut
//! off from the other end takes them all.

use model::FloatHistogram;
use model::histogram::BucketRange;

/// Keeps observations up to `limit`.
pub(in crate::eval) fn trim_upper(histogram: &FloatHistogram, limit: f64) -> FloatHistogram {
    trim(histogram, |range, scale| upper_part(range, limit, scale))
}

/// Keeps observations above `limit`.
pub(in crate::eval) fn trim_lower(histogram: &FloatHistogram, limit: f64) -> FloatHistogram {
    trim(histogram, |range, scale| lower_part(range, limit, scale))
}

/// How observations are spread inside a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Exponential,
}

/// What is left of a bucket: the count, and the ends of where it is.
type Part = (f64, f64, f64);

fn trim(
    histogram: &FloatHistogram,
    part_of: impl Fn(BucketRange, Scale) -> Part,
) -> FloatHistogram {
    let mut result = histogram.clone();
    let scale = match histogram.has_custom_buckets() {
        true => Scale::Linear,
        false => Scale::Exponential,
    };
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut keep = |range: BucketRange, scale| {
        let (kept, lower, upper) = part_of(range, scale);
        changed |= (kept, lower, upper) != (range.count, range.lower, range.upper);
        count += kept;
        if kept != 0.0 {
            sum += kept * middle(lower, upper, scale);
        }
        kept
    };
    for bucket in result.positive.iter_mut().filter(|bucket| bucket.count != 0.0) {
        bucket.count = keep(histogram.positive_range(*bucket), scale);
    }
    for bucket in result.negative.iter_mut().filter(|bucket| bucket.count != 0.0) {
        bucket.count = keep(histogram.negative_range(*bucket), scale);
    }
    if histogram.zero_count > 0.0 {
        let mut range = histogram.zero_bucket();
        match (histogram.positive.is_empty(), histogram.negative.is_empty()) {
            (false, true) => range.lower = 0.0,
            (true, false) => range.upper = 0.0,
            _ => {}
        }
        result.zero_count = keep(range, Scale::Linear);
    }
    if !changed {
        return histogram.clone();
    }
    (result.count, result.sum) = (count, sum);
    result.compact();
    result
}

fn upper_part(range: BucketRange, limit: f64, scale: Scale) -> Part {
    let BucketRange { lower, upper, count, .. } = range;
    if limit >= upper {
        return (count, lower, upper);
    }
    if limit <= lower || upper == f64::INFINITY {
        return (0.0, lower, lower);
    }
    if lower == f64::NEG_INFINITY {
        return match upper > 0.0 {
            true if limit <= 0.0 => (0.0, 0.0, 0.0),
            true => (count * limit / upper, 0.0, limit),
            false => (count, limit, limit),
        };
    }
    (count * share_below(limit, lower, upper, scale), lower, limit)
}

fn lower_part(range: BucketRange, limit: f64, scale: Scale) -> Part {
    let BucketRange { lower, upper, count, .. } = range;
    if limit <= lower {
        return (count, lower, upper);
    }
    if limit >= upper {
        return (0.0, upper, upper);
    }
    if lower == f64::NEG_INFINITY {
        return match upper.is_finite() && upper > 0.0 && limit >= 0.0 {
            true if limit == 0.0 => (count, lower, upper),
            true => (count * (1.0 - limit / upper), limit, upper),
            false => (0.0, upper, upper),
        };
    }
    if upper == f64::INFINITY {
        return (count, limit, limit);
    }
    (count * (1.0 - share_below(limit, lower, upper, scale)), limit, upper)
}

/// Which part of a bucket's observations is not above `limit`, which lies inside.
fn share_below(limit: f64, lower: f64, upper: f64, scale: Scale) -> f64 {
    if scale == Scale::Linear {
        return (limit - lower) / (upper - lower);
    }
    let [low, high, at] = [lower, upper, limit].map(|bound| bound.abs().log2());
    if lower >= 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
}

/// What an observation between two ends is worth.
fn middle(lower: f64, upper: f64, scale: Scale) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if scale == Scale::Linear => f64::midpoint(lower, upper),
        (false, false) => (lower * upper).sqrt().copysign(upper),
    }
}
