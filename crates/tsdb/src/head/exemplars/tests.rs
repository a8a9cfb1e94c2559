use std::collections::BTreeMap;

use model::{MatchOp, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn series(name: &str) -> Labels {
    [("__name__", "m"), ("series", name)].into_iter().collect()
}

fn exemplar(millis: i64, value: f64, trace: &str) -> Exemplar {
    let labels = [("trace_id", trace)].into_iter().collect();
    Exemplar { labels, value, timestamp: Timestamp::from_millis(millis) }
}

fn all(exemplars: Exemplars) -> BTreeMap<Labels, Vec<Exemplar>> {
    select(&RwLock::new(exemplars), TimeRange::ALL, &[]).into_iter().collect()
}

#[test]
fn exemplars_are_kept_once_and_in_order() {
    #[track_caller]
    fn check(given: &Exemplar, expect: Verdict) {
        let mut exemplars = Exemplars::new(10);
        for kept in [exemplar(10, 1.0, "a"), exemplar(20, 5.0, "m"), exemplar(30, 5.0, "m")] {
            exemplars.push(&series("x"), kept);
        }
        let planned = [exemplar(40, 5.0, "m")];
        assert_eq!(exemplars.check(&series("x"), &planned, given), expect, "{given:?}");
        assert_eq!(exemplars.check(&series("y"), &[], given), Verdict::New, "{given:?}");
    }
    let out_of_order = Verdict::Dropped(ExemplarDropReason::OutOfOrder);
    check(&exemplar(41, 0.0, "a"), Verdict::New);
    check(&exemplar(40, 6.0, "a"), Verdict::New);
    check(&exemplar(40, 5.0, "n"), Verdict::New);
    check(&exemplar(40, f64::NAN, "a"), Verdict::New);
    check(&exemplar(40, 5.0, "m"), Verdict::Repeated);
    check(&exemplar(30, 5.0, "m"), Verdict::Repeated);
    check(&exemplar(10, 1.0, "a"), Verdict::Repeated);
    check(&exemplar(40, 5.0, "l"), out_of_order);
    check(&exemplar(40, 4.0, "z"), out_of_order);
    check(&exemplar(30, 6.0, "m"), out_of_order);
    check(&exemplar(5, 1.0, "a"), out_of_order);
}

#[test]
fn labels_have_at_most_128_characters() {
    #[track_caller]
    fn check(trace: &str, expect: Verdict) {
        let verdict = Exemplars::new(1).check(&series("x"), &[], &exemplar(1, 1.0, trace));
        assert_eq!(verdict, expect, "{trace}");
    }
    let too_long = Verdict::Dropped(ExemplarDropReason::LabelsTooLong);
    check(&"é".repeat(128 - "trace_id".len()), Verdict::New);
    check(&"é".repeat(129 - "trace_id".len()), too_long);
}

#[test]
fn without_room_none_are_kept() {
    let mut exemplars = Exemplars::new(0);
    let verdict = exemplars.check(&series("x"), &[], &exemplar(1, 1.0, "a"));
    assert_eq!(verdict, Verdict::Dropped(ExemplarDropReason::Disabled));
    exemplars.resize(2);
    for millis in 1..=3 {
        exemplars.push(&series("x"), exemplar(millis, 1.0, "a"));
    }
    assert_eq!(exemplars.len(), 2);
    exemplars.resize(1);
    assert_eq!(all(exemplars)[&series("x")], [exemplar(3, 1.0, "a")]);
}

/// EXEMPLARS-1: one series of this test takes more than its share.
#[test]
fn long_labels_leave_room_for_fewer() {
    let mut exemplars = Exemplars::new(100);
    for name in 0..100 {
        let name = format!("{name:03}{}", "x".repeat(10 * BYTES_EACH));
        exemplars.push(&series(&name), exemplar(1, 1.0, "a"));
        assert!(exemplars.bytes <= 100 * BYTES_EACH);
    }
    assert_eq!(exemplars.len(), 9);
}

#[test]
fn matchers_and_times_select() {
    #[track_caller]
    fn check(matcher_sets: &[Vec<Matcher>], range: (i64, i64), expect: &[(&str, &[i64])]) {
        let mut exemplars = Exemplars::new(10);
        for (name, millis) in [("b", 1), ("a", 2), ("b", 3), ("c", 4), ("b", 5)] {
            exemplars.push(&series(name), exemplar(millis, 1.0, "t"));
        }
        let (start, end) = (Timestamp::from_millis(range.0), Timestamp::from_millis(range.1));
        let found = select(&RwLock::new(exemplars), TimeRange::new(start, end), matcher_sets);
        let expect = expect.iter().map(|(name, millis)| {
            (series(name), millis.iter().map(|&at| exemplar(at, 1.0, "t")).collect())
        });
        assert_eq!(found, expect.collect::<Vec<(Labels, Vec<Exemplar>)>>());
    }
    let is = |name| vec![Matcher::equal("series", name)];
    let no_b = vec![Matcher::new("series", MatchOp::NotEqual, "b").unwrap()];
    check(&[], (0, 9), &[("a", &[2]), ("b", &[1, 3, 5]), ("c", &[4])]);
    check(&[], (3, 4), &[("b", &[3]), ("c", &[4])]);
    check(&[is("b")], (2, 5), &[("b", &[3, 5])]);
    check(&[is("c"), no_b], (0, 9), &[("a", &[2]), ("c", &[4])]);
    check(&[is("a")], (3, 9), &[]);
}

proptest! {
    /// EXEMPLARS-1, EXEMPLARS-2: the ring holds the last of what was pushed to it.
    #[test]
    fn the_newest_arrivals_are_kept(max in 0usize..8, given in vec(("[a-d]", 0i64..30), 0..60)) {
        let mut exemplars = Exemplars::new(max);
        let mut pushed = Vec::new();
        for (name, millis) in given {
            let (series, exemplar) = (series(&name), exemplar(millis, 1.0, "t"));
            if exemplars.check(&series, &[], &exemplar) == Verdict::New {
                exemplars.push(&series, exemplar.clone());
                pushed.push((series, exemplar));
            }
        }
        let mut expect: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        for (series, exemplar) in pushed.split_off(pushed.len().saturating_sub(max)) {
            expect.entry(series).or_default().push(exemplar);
        }
        let bytes: usize = expect.iter().map(|(series, kept)| {
            series_bytes(series) + kept.iter().map(exemplar_bytes).sum::<usize>()
        }).sum();
        prop_assert_eq!(exemplars.bytes, bytes);
        prop_assert_eq!(all(exemplars), expect);
    }
}
