//! Puts points of several chunks of one series in order, or takes some out.
//!
//! - MERGE-1: each time is there once; of several points for it that of the first run stands.
//! - MERGE-2: what a histogram says of a counter reset refers to the one before it. Where another one
//!   stands there now it says nothing; whoever reads it compares the two.

use std::sync::Arc;

use model::histogram::CounterReset;
use model::{Point, SampleValue, TimeRange};

/// Each run is sorted by time.
pub(crate) fn merge(runs: Vec<Vec<Point>>) -> Vec<Point> {
    let mut placed: Vec<(usize, usize, Point)> =
        Vec::with_capacity(runs.iter().map(Vec::len).sum());
    for (run, points) in runs.into_iter().enumerate() {
        placed.extend(points.into_iter().enumerate().map(|(at, point)| (run, at, point)));
    }
    placed.sort_by_key(|(_, _, point)| point.timestamp);
    placed.dedup_by_key(|(_, _, point)| point.timestamp);
    let mut before = None;
    let mut merged = Vec::with_capacity(placed.len());
    for (run, at, mut point) in placed {
        if before.is_some_and(|before| before != (run, at)) {
            forget_reset(&mut point);
        }
        before = Some((run, at + 1));
        merged.push(point);
    }
    merged
}

/// The points that none of `ranges` contains.
pub(crate) fn without(mut points: Vec<Point>, ranges: &[TimeRange]) -> Vec<Point> {
    let mut has_the_one_before = true;
    points.retain_mut(|point| {
        let stays = !ranges.iter().any(|range| range.contains(point.timestamp));
        if stays && !has_the_one_before {
            forget_reset(point);
        }
        has_the_one_before = stays;
        stays
    });
    points
}

fn forget_reset(point: &mut Point) {
    if let SampleValue::Histogram(histogram) = &mut point.value
        && !matches!(histogram.counter_reset(), CounterReset::Gauge | CounterReset::Unknown)
    {
        Arc::make_mut(histogram).set_counter_reset(CounterReset::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use model::histogram::IntegerHistogram;
    use model::{Histogram, Timestamp};

    use super::*;

    /// `3r`: at time 3, known to be reset; `n`: known not to be, `g`: a gauge, `u`: unknown.
    fn run(text: &str) -> Vec<Point> {
        let point = |word: &str| {
            let (time, hint) = word.split_at(word.len() - 1);
            let counter_reset = match hint {
                "r" => CounterReset::Reset,
                "n" => CounterReset::NotReset,
                "g" => CounterReset::Gauge,
                _ => CounterReset::Unknown,
            };
            let histogram = IntegerHistogram { counter_reset, ..Default::default() };
            Point {
                timestamp: Timestamp::from_millis(time.parse().unwrap()),
                value: SampleValue::Histogram(Arc::new(Histogram::Integer(histogram))),
            }
        };
        text.split_whitespace().map(point).collect()
    }

    fn text(points: &[Point]) -> String {
        let text = |point: &Point| {
            let SampleValue::Histogram(histogram) = &point.value else { unreachable!() };
            let hint = match histogram.counter_reset() {
                CounterReset::Reset => "r",
                CounterReset::NotReset => "n",
                CounterReset::Gauge => "g",
                CounterReset::Unknown => "u",
            };
            format!("{}{hint}", point.timestamp.as_millis())
        };
        points.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_was_next_to_each_other_still_knows_of_resets() {
        #[track_caller]
        fn check(runs: &[&str], expect: &str) {
            let merged = merge(runs.iter().map(|text| run(text)).collect());
            assert_eq!(text(&merged), expect, "{runs:?}");
        }
        check(&["1r 2n 3n"], "1r 2n 3n");
        check(&["1r 2n 4n", "3n"], "1r 2n 3u 4u");
        check(&["3r 4n", "1r 2n"], "1r 2n 3u 4n");
        check(&["1g 3g", "2g"], "1g 2g 3g");
        check(&["1r 2n", "2r 3n"], "1r 2n 3u"); // the same time: the first run's stands
        check(&[], "");
    }

    #[test]
    fn what_follows_a_gap_knows_of_no_reset() {
        #[track_caller]
        fn check(points: &str, ranges: &[(i64, i64)], expect: &str) {
            let at = Timestamp::from_millis;
            let ranges: Vec<_> =
                ranges.iter().map(|&(s, e)| TimeRange::new(at(s), at(e))).collect();
            assert_eq!(text(&without(run(points), &ranges)), expect, "{ranges:?}");
        }
        check("1r 2n 3n 4r 5n", &[], "1r 2n 3n 4r 5n");
        check("1r 2n 3n 4r 5n", &[(2, 3)], "1r 4u 5n");
        check("1r 2n 3n 4r 5n", &[(0, 1), (3, 3)], "2u 4u 5n");
        check("1g 2g 3g", &[(2, 2)], "1g 3g");
        check("1r", &[(0, 9)], "");
    }
}
