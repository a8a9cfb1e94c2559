//! When a group evaluates (RULES-1).
//!
//! Source: Prometheus `rules/group.go` (`EvalTimestamp`, `run`), in milliseconds where it counts
//! nanoseconds.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use model::{Labels, Timestamp};

/// The evaluation times of one group: `n × interval + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval: i64,
    offset: i64,
}

impl Schedule {
    /// Groups of different names are spread over the interval, equally on every replica: where the
    /// file lies does not count.
    pub(crate) fn new(file: &str, group: &str, interval: Duration) -> Self {
        let interval = model::time::millis(interval).max(1);
        let file = Path::new(file).file_name().and_then(OsStr::to_str).unwrap_or(file);
        let name: Labels = [("file", file), ("name", group)].into_iter().collect();
        let offset = (name.stable_hash() % interval.unsigned_abs()) as i64;
        Self { interval, offset }
    }

    /// The first evaluation after `now`.
    pub(crate) fn first(&self, now: Timestamp) -> Timestamp {
        let since = now.as_millis().saturating_sub(self.offset).rem_euclid(self.interval);
        now.minus_millis(since).plus_millis(self.interval)
    }

    /// The evaluation after that at `previous`, which has ended at `now`, and how many were missed
    /// meanwhile. One that is late by less than an interval is not missed: it comes at once.
    pub(crate) fn next(&self, previous: Timestamp, now: Timestamp) -> (Timestamp, u64) {
        let late = now.millis_since(previous);
        if late < -self.interval {
            return (self.first(now), 0); // the clock was set back
        }
        let missed = (late / self.interval - 1).max(0);
        let next = previous.plus_millis((missed + 1).saturating_mul(self.interval));
        (next, missed.unsigned_abs())
    }

    /// How long to sleep at `now` before the evaluation at `at`. Never longer than an interval,
    /// whatever the clock says.
    pub(crate) fn wait(&self, now: Timestamp, at: Timestamp) -> Duration {
        let wait = at.millis_since(now).clamp(0, self.interval);
        Duration::from_millis(wait.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn evaluations_follow_each_other_and_those_missed_are_counted() {
        let schedule = Schedule { interval: 10_000, offset: 3_000 };
        #[track_caller]
        fn check(schedule: &Schedule, ended: i64, next: i64, missed: u64) {
            assert_eq!(schedule.next(at(103_000), at(ended)), (at(next), missed), "{ended}");
        }
        assert_eq!(schedule.first(at(100_000)), at(103_000));
        assert_eq!(schedule.first(at(103_000)), at(113_000));
        check(&schedule, 104_000, 113_000, 0);
        check(&schedule, 118_000, 113_000, 0); // late: at once
        check(&schedule, 123_000, 123_000, 1);
        check(&schedule, 145_000, 143_000, 3);
        check(&schedule, 90_000, 93_000, 0); // set back
        assert_eq!(schedule.wait(at(105_000), at(113_000)), Duration::from_secs(8));
        assert_eq!(schedule.wait(at(118_000), at(113_000)), Duration::ZERO);
        assert_eq!(schedule.wait(at(0), at(113_000)), Duration::from_secs(10));
    }

    #[test]
    fn a_group_has_the_same_times_everywhere_and_its_own() {
        let minute = Duration::from_secs(60);
        let schedule = Schedule::new("rules/a.yml", "nodes", minute);
        assert_eq!(schedule, Schedule::new("/etc/watershed/a.yml", "nodes", minute));
        assert_ne!(schedule, Schedule::new("rules/b.yml", "nodes", minute));
        assert_ne!(schedule, Schedule::new("rules/a.yml", "pods", minute));
    }

    proptest! {
        #[test]
        fn every_evaluation_is_on_the_grid(
            interval in 1i64..100_000, offset in 0i64..100_000, start in -1_000_000i64..1_000_000,
            took in proptest::collection::vec(0i64..500_000, 0..20),
        ) {
            let schedule = Schedule { interval, offset: offset % interval };
            let mut time = schedule.first(at(start));
            prop_assert!(time > at(start) && time.millis_since(at(start)) <= interval);
            for took in took {
                let (next, _) = schedule.next(time, time.plus_millis(took));
                prop_assert!(next > time);
                prop_assert!(next.plus_millis(2 * interval) > time.plus_millis(took));
                prop_assert_eq!((next.as_millis() - schedule.offset).rem_euclid(interval), 0);
                time = next;
            }
        }
    }
}
