//! When a target is due.
//!
//! Due times lie on a grid: a multiple of the interval, shifted by the target's own offset, so that
//! targets spread evenly over the interval and keep their place across restarts. The grid is fixed
//! to the wall clock, so a clock that jumps delays no scrape by more than one interval.

use std::time::Duration;

use model::Timestamp;
use model::time::millis;

/// How far a scrape may be from its due time and still carry that time: regular timestamps compress
/// better. At most a hundredth of the interval.
const ALIGN_MILLIS_MAX: i64 = 2;

/// The first due time after `now`.
pub(crate) fn next_due(now: Timestamp, interval: Duration, offset: u64) -> Timestamp {
    let interval = millis(interval).max(1);
    let offset = (offset % interval.unsigned_abs()) as i64;
    let since_due = now.minus_millis(offset).as_millis().rem_euclid(interval);
    now.plus_millis(interval - since_due)
}

/// The time from which to look for the next due time after the scrape that was due at `due`: a clock
/// that stands a little before it must not bring the same one again.
pub(crate) fn after(due: Timestamp, now: Timestamp, interval: Duration) -> Timestamp {
    let ahead = due.millis_since(now);
    if (0..millis(interval)).contains(&ahead) { due } else { now }
}

/// The timestamp of a scrape that was due at `due` and began at `now`.
pub(crate) fn align(due: Timestamp, now: Timestamp, interval: Duration) -> Timestamp {
    let tolerance = ALIGN_MILLIS_MAX.min(millis(interval) / 100);
    if now.millis_since(due).abs() <= tolerance { due } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn due_times_lie_on_the_targets_grid() {
        #[track_caller]
        fn check(now: i64, interval_millis: u64, offset: u64, expect: i64) {
            let due = next_due(at(now), Duration::from_millis(interval_millis), offset);
            assert_eq!(due, at(expect), "{now} {interval_millis} {offset}");
        }
        check(0, 1000, 0, 1000);
        check(999, 1000, 0, 1000);
        check(1000, 1000, 0, 2000);
        check(1000, 1000, 300, 1300);
        check(1299, 1000, 300, 1300);
        check(1300, 1000, 300, 2300);
        check(-5, 1000, 0, 0);
        check(5000, 1000, u64::MAX, 5000 + (u64::MAX % 1000) as i64);
    }

    #[test]
    fn a_clock_that_jumps_neither_repeats_a_scrape_nor_stops_them() {
        let second = Duration::from_secs(1);
        // a millisecond early: the same due time must not come again
        assert_eq!(next_due(after(at(2000), at(1999), second), second, 0), at(3000));
        // an hour back: go on from there
        assert_eq!(next_due(after(at(7_200_000), at(3_600_500), second), second, 0), at(3_601_000));
        // an hour ahead: what was missed is not made up for
        assert_eq!(next_due(after(at(2000), at(3_602_500), second), second, 0), at(3_603_000));
    }

    #[test]
    fn a_scrape_nearly_on_time_carries_its_due_time() {
        #[track_caller]
        fn check(due: i64, now: i64, interval_millis: u64, expect: i64) {
            let aligned = align(at(due), at(now), Duration::from_millis(interval_millis));
            assert_eq!(aligned, at(expect), "{due} {now} {interval_millis}");
        }
        check(1000, 1000, 1000, 1000);
        check(1000, 1002, 1000, 1000);
        check(1000, 998, 1000, 1000);
        check(1000, 1003, 1000, 1003);
        check(1000, 1002, 100, 1002); // a hundredth of the interval is less
    }
}
