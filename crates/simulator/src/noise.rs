//! Randomness and jitter in closed form: the same key gives the same numbers, in any order.

use std::f64::consts::TAU;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A counter is never further from `rate × elapsed` than what it counts in this time, so that over
/// any window its increase is off by at most twice that.
pub(crate) const JITTER_SECONDS: f64 = 0.5;

/// The shortest period of jitter. With [`JITTER_SECONDS`] it bounds how slow a counter can get:
/// 1 − 0.5 × 2π ÷ 7 = 0.55 of its rate, never backwards.
const PERIOD_SECONDS_MIN: f64 = 7.0;
const PERIOD_SECONDS_MAX: f64 = 23.0;

/// Names one source of randomness. Keys derived along different words are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn word(self, word: &str) -> Self {
        Self(xxh3_64_with_seed(word.as_bytes(), self.0))
    }

    pub(crate) fn number(self, number: usize) -> Self {
        Self(xxh3_64_with_seed(&(number as u64).to_le_bytes(), self.0))
    }

    /// Uniform in `low..high`.
    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        low + unit * (high - low)
    }

    /// 64 random bits.
    pub(crate) fn bits(self) -> u64 {
        xxh3_64_with_seed(b"bits", self.0)
    }
}

/// `elapsed` seconds as a counter sees them: monotone, 0 at 0, and within [`JITTER_SECONDS`] × 2 of
/// `elapsed`.
pub(crate) fn warp(elapsed: f64, key: Key) -> f64 {
    let period = key.word("period").between(PERIOD_SECONDS_MIN, PERIOD_SECONDS_MAX);
    let phase = key.word("phase").between(0.0, TAU);
    elapsed + JITTER_SECONDS * ((TAU * elapsed / period + phase).sin() - phase.sin())
}

/// A level that swings by `swing` (a share of `base`) around `base`, once per `period` seconds.
pub(crate) fn wave(base: f64, swing: f64, period: f64, seconds: f64, key: Key) -> f64 {
    let phase = key.word("phase").between(0.0, TAU);
    base * (1.0 + swing * (TAU * seconds / period + phase).sin())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_counter_never_runs_backwards(
            seed in any::<u64>(),
            start in 0.0..1e6_f64,
            step in 0.001..60.0_f64,
        ) {
            let key = Key::new(seed);
            prop_assert!(warp(start + step, key) - warp(start, key) >= 0.54 * step);
        }

        #[test]
        fn jitter_is_bounded_over_any_window(
            seed in any::<u64>(),
            start in 0.0..1e6_f64,
            window in 0.0..600.0_f64,
        ) {
            let key = Key::new(seed);
            let seen = warp(start + window, key) - warp(start, key);
            prop_assert!((seen - window).abs() <= 2.0 * JITTER_SECONDS + 1e-6);
        }
    }

    #[test]
    fn a_counter_starts_at_zero() {
        assert_eq!(warp(0.0, Key::new(7)), 0.0);
    }
}
