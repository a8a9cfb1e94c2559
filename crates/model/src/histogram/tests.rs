use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

fn histogram(schema: i32, buckets: &[(i32, f64)]) -> FloatHistogram {
    let positive: Vec<Bucket> =
        buckets.iter().map(|(index, count)| Bucket { index: *index, count: *count }).collect();
    let count = positive.iter().fold(0.0, |sum, bucket| sum + bucket.count);
    FloatHistogram { schema, count, sum: count, positive, ..FloatHistogram::default() }
}

fn custom(bounds: &[f64], buckets: &[(i32, f64)]) -> FloatHistogram {
    let custom_bounds = bounds.into();
    FloatHistogram { custom_bounds, ..histogram(CUSTOM_BUCKETS_SCHEMA, buckets) }
}

#[test]
fn histograms_are_written_as_prometheus_writes_them() {
    #[track_caller]
    fn check(histogram: &FloatHistogram, expect: &str) {
        assert_eq!(histogram.to_string(), expect);
    }
    check(&histogram(0, &[]), "{count:0, sum:0}");
    check(&histogram(0, &[(1, 2.0)]), "{count:2, sum:2, (1,2]:2}");
    check(&histogram(-1, &[(1, 1.5)]), "{count:1.5, sum:1.5, (1,4]:1.5}");
    check(&custom(&[5.0], &[(0, 1.0), (1, 2.0)]), "{count:3, sum:3, [-Inf,5]:1, (5,+Inf]:2}");
    let both = FloatHistogram {
        negative: vec![Bucket { index: 0, count: 3.0 }],
        zero_count: 1.0,
        zero_threshold: 0.001,
        ..histogram(0, &[(0, 1.0)])
    };
    check(&both, "{count:1, sum:1, [-1,-0.5):3, [-0.001,0.001]:1, (0.5,1]:1}");
}

#[test]
fn bounds_are_powers_up_to_the_largest_float() {
    #[track_caller]
    fn check(schema: i32, index: i32, expect: f64) {
        let bound = exponential_bound(index, schema);
        assert!(
            bound == expect || (bound - expect).abs() <= expect * 1e-15,
            "{schema} {index}: {bound}"
        );
    }
    check(0, 0, 1.0);
    check(0, -1, 0.5);
    check(0, 1024, f64::MAX);
    check(0, 1025, f64::INFINITY);
    check(0, -1074, 5e-324);
    check(2, 1, 2f64.powf(0.25));
    check(-4, 1, 65_536.0);
    check(8, 256, 2.0);
}

#[test]
fn sums_have_the_lower_resolution() {
    let mut sum = histogram(1, &[(1, 1.0), (2, 2.0), (3, 4.0)]);
    sum.add(&histogram(0, &[(1, 1.0)])).unwrap();
    assert_eq!(sum, FloatHistogram { count: 8.0, sum: 8.0, ..histogram(0, &[(1, 4.0), (2, 4.0)]) });
}

#[test]
fn the_wider_zero_bucket_swallows_the_buckets_that_it_reaches() {
    let mut sum = histogram(0, &[(-1, 1.0), (3, 1.0)]); // (0.25,0.5] and (4,8]
    let wide = FloatHistogram { zero_threshold: 0.3, zero_count: 2.0, ..histogram(0, &[]) };
    sum.add(&wide).unwrap();
    // It may not end inside a bucket with observations: it goes on to the end of it.
    assert_eq!((sum.zero_threshold, sum.zero_count), (0.5, 3.0));
    assert_eq!(sum.positive, [Bucket { index: 3, count: 1.0 }]);
}

#[test]
fn the_outermost_buckets_and_the_largest_counts_merge_too() {
    let bucket = |index, count| Bucket { index, count };
    let mut histogram = IntegerHistogram {
        schema: SCHEMA_RESERVED_MAX,
        positive: vec![
            bucket(i32::MIN, 1),
            bucket(1, u64::MAX),
            bucket(2, u64::MAX),
            bucket(i32::MAX, 9),
        ],
        ..IntegerHistogram::default()
    };
    histogram.reduce_resolution(SCHEMA_MAX);
    let expect = [bucket(0, 1), bucket(1, u64::MAX)];
    assert_eq!((histogram.schema, &histogram.positive[..]), (SCHEMA_MAX, &expect[..]));
}

#[test]
fn custom_bounds_that_differ_are_reduced_to_the_common_ones() {
    let mut sum = custom(&[1.0, 2.0, 4.0], &[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]);
    let combined = sum.add(&custom(&[2.0, 3.0], &[(0, 10.0), (2, 10.0)])).unwrap();
    assert!(combined.bounds_reconciled);
    assert_eq!(&sum.custom_bounds[..], [2.0]);
    assert_eq!(
        sum.positive[..],
        [Bucket { index: 0, count: 12.0 }, Bucket { index: 1, count: 12.0 }]
    );
    assert_eq!(sum.add(&histogram(0, &[])), Err(IncompatibleSchemas));
}

#[test]
fn resets_are_seen_in_counts_buckets_and_layouts() {
    #[track_caller]
    fn check(now: &FloatHistogram, before: &FloatHistogram, expect: bool) {
        assert_eq!(now.is_reset_since(before), expect, "{now} after {before}");
    }
    let before = histogram(0, &[(1, 2.0), (2, 2.0)]);
    check(&histogram(0, &[(1, 2.0), (2, 3.0)]), &before, false);
    check(&histogram(0, &[(1, 1.0), (2, 9.0)]), &before, true); // a bucket fell
    check(&histogram(0, &[(2, 9.0)]), &before, true); // a bucket is gone
    check(&histogram(0, &[(1, 1.0)]), &before, true); // the count fell
    check(&histogram(-1, &[(1, 9.0)]), &before, false); // merged, nothing fell
    check(&histogram(1, &[(1, 9.0), (4, 9.0)]), &before, true); // nobody raises the resolution
    let overlapping = FloatHistogram { zero_threshold: 3.0, zero_count: 1.0, ..before.clone() };
    check(&overlapping, &overlapping, false); // buckets in the zero bucket count where they are
    let hinted = |counter_reset| FloatHistogram { counter_reset, ..before.clone() };
    check(&hinted(CounterReset::Reset), &before, true);
    let fallen = FloatHistogram { count: 0.0, ..hinted(CounterReset::NotReset) };
    check(&fallen, &before, false);
}

proptest! {
    /// What is taken away after it was added is gone.
    #[test]
    fn subtraction_undoes_addition(
        a in btree_map(-20i32..20, 1u32..1000, 0..10),
        b in btree_map(-20i32..20, 1u32..1000, 0..10),
    ) {
        let whole = |buckets: std::collections::BTreeMap<i32, u32>| {
            let buckets: Vec<_> = buckets.into_iter().map(|(i, c)| (i, f64::from(c))).collect();
            histogram(0, &buckets)
        };
        let (a, b) = (whole(a), whole(b));
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(sum.count, a.count + b.count);
        prop_assert!(!sum.is_reset_since(&a));
        sum.subtract(&b).unwrap();
        prop_assert_eq!(sum, a);
    }

    /// A lower resolution moves observations to wider buckets, and loses none.
    #[test]
    fn a_lower_resolution_loses_no_observation(
        buckets in btree_map(-50i32..50, 1u32..1000, 0..20), schema in -4i32..=8, lower in 0i32..=4,
    ) {
        let buckets: Vec<_> = buckets.into_iter().map(|(i, c)| (i, f64::from(c))).collect();
        let before = histogram(schema, &buckets);
        let mut after = before.clone();
        after.reduce_resolution((schema - lower).max(SCHEMA_MIN));
        let total = |h: &FloatHistogram| h.positive.iter().map(|b| b.count).sum::<f64>();
        prop_assert_eq!(total(&after), total(&before));
        for bucket in &before.positive {
            let fine = before.positive_range(*bucket);
            let inside = after.positive.iter().map(|b| after.positive_range(*b)).any(|coarse| {
                coarse.lower <= fine.lower * (1.0 + 1e-12) && coarse.upper >= fine.upper * (1.0 - 1e-12)
            });
            prop_assert!(inside, "{} is in none of {}", fine, after);
        }
    }

    /// The compensated sum of numbers of very different sizes is right to the last digits.
    #[test]
    fn compensated_sums_are_exact(values in proptest::collection::vec(-1000i32..1000, 1..30)) {
        let of = |sum: f64| FloatHistogram { sum, count: 1.0, ..FloatHistogram::default() };
        let (mut sum, mut lost) = (of(1e18), FloatHistogram::default());
        for value in &values {
            sum.kahan_add(&of(f64::from(*value) / 8.0), &mut lost).unwrap();
        }
        sum.kahan_add(&of(-1e18), &mut lost).unwrap();
        sum.add(&lost).unwrap();
        prop_assert_eq!(sum.sum, values.iter().map(|v| f64::from(*v) / 8.0).sum::<f64>());
    }
}
