//! How long to wait before a request is sent again.

use std::time::Duration;

use model::Timestamp;

/// A destination may ask to be left alone for this long, no longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Doubles from `min` to `max`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    /// The wait after the `failures`-th failure in a row (from 1), spread over its upper half by
    /// `jitter` in `0.0..1.0`, so that senders do not come back all at once.
    pub(super) fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.min.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(0.5 + 0.5 * jitter)
    }
}

/// What a `Retry-After` header asks for: seconds, or a date, read at `now`.
pub(super) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let wait = match header.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
            let millis = Timestamp::from_millis(date.as_millisecond()).millis_since(now);
            Duration::from_millis(millis.max(0).unsigned_abs())
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_are_spread() {
        #[track_caller]
        fn check(failures: u32, jitter: f64, millis: u64) {
            let backoff = Backoff { min: Duration::from_millis(30), max: Duration::from_secs(5) };
            assert_eq!(backoff.delay(failures, jitter), Duration::from_millis(millis));
        }
        check(1, 0.0, 15);
        check(1, 1.0, 30);
        check(2, 1.0, 60);
        check(5, 0.5, 360);
        check(9, 1.0, 5000);
        check(u32::MAX, 0.0, 2500);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        #[track_caller]
        fn check(header: &str, expect: Option<u64>) {
            let found = retry_after(header, Timestamp::from_millis(784_111_770_000));
            assert_eq!(found, expect.map(Duration::from_secs), "{header:?}");
        }
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("86400", Some(300));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7));
        check("Sun, 06 Nov 1994 08:49:00 GMT", Some(0));
        check("Tue, 29 Feb 2124 00:00:00 GMT", Some(300));
        check("-1", None);
        check("soon", None);
    }
}
