//! When targets restart: one at a time, each in its turn, for ever (SIM-2).

use std::time::Duration;

use model::{Timestamp, time};

/// The turn of every target. Turn `k` is at `k × every` since the epoch; with `n` targets, the
/// target whose place in the order is `p` restarts at turns `p`, `p + n`, `p + 2n`, …
#[derive(Clone, Debug)]
pub(crate) struct RestartSchedule {
    every_millis: i64,
    places: Vec<i64>,
}

impl RestartSchedule {
    pub(crate) fn new(targets: usize, every: Duration, seed: u64) -> Self {
        let mut places: Vec<i64> = (0..targets as i64).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut places);
        Self { every_millis: time::millis(every).max(1), places }
    }

    /// The last time up to `at` that `target` restarted. Before the epoch too: every target has
    /// always been running.
    pub(crate) fn last_restart(&self, target: usize, at: Timestamp) -> Timestamp {
        let turn = at.as_millis().div_euclid(self.every_millis);
        let turns_ago = (turn - self.places[target]).rem_euclid(self.places.len() as i64);
        Timestamp::from_millis((turn - turns_ago).saturating_mul(self.every_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_restarts_exactly_one_target_and_each_has_its_turn() {
        let schedule = RestartSchedule::new(5, Duration::from_secs(10), 42);
        let mut restarted = Vec::new();
        for turn in 100..105 {
            let at = Timestamp::from_millis(turn * 10_000);
            let now: Vec<usize> =
                (0..5).filter(|target| schedule.last_restart(*target, at) == at).collect();
            assert_eq!(now.len(), 1);
            let later = at.plus_millis(9_999);
            assert_eq!(schedule.last_restart(now[0], later), at);
            restarted.extend(now);
        }
        restarted.sort_unstable();
        assert_eq!(restarted, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn no_restart_lies_in_the_future() {
        let schedule = RestartSchedule::new(3, Duration::from_secs(10), 1);
        for millis in [-25_000, -1, 0, 1, 9_999, 10_000, 123_456_789] {
            let at = Timestamp::from_millis(millis);
            for target in 0..3 {
                let last = schedule.last_restart(target, at);
                assert!(last <= at);
                assert!(at.millis_since(last) < 30_000);
            }
        }
    }
}
