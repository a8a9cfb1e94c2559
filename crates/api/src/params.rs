//! Parameters with a meaning: times, durations, limits, selectors.
//!
//! Their syntax and the words of their errors are Prometheus' (`web/api/v1/api.go`: `parseTime`,
//! `parseDuration`, `parseLimitParam`, `parseMatchersParam`).

use std::time::Duration;

use model::{Matcher, TimeRange, Timestamp};

use crate::error::ApiError;
use crate::form::Form;

/// The warning on an answer that `limit` has shortened.
pub(crate) const TRUNCATED: &str = "results truncated due to limit";

/// How Prometheus' own client writes "since ever" and "for ever"; no time library reads them.
const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

impl Form {
    /// A time that must be given.
    pub(crate) fn time(&self, name: &str) -> Result<Timestamp, ApiError> {
        parse_time(self.value(name)).map_err(|reason| ApiError::parameter(name, reason))
    }

    pub(crate) fn time_or(&self, name: &str, default: Timestamp) -> Result<Timestamp, ApiError> {
        match self.value(name) {
            "" => Ok(default),
            text => parse_time(text).map_err(|reason| {
                ApiError::parameter(name, format_args!("Invalid time value for '{name}': {reason}"))
            }),
        }
    }

    /// `start` to `end`, each of them open where it is not given.
    pub(crate) fn time_range(&self) -> Result<TimeRange, ApiError> {
        let start = self.time_or("start", Timestamp::MIN)?;
        let end = self.time_or("end", Timestamp::MAX)?;
        Ok(TimeRange::new(start, end))
    }

    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        match self.value(name) {
            "" => Ok(None),
            text => {
                parse_duration(text).map(Some).map_err(|reason| ApiError::parameter(name, reason))
            }
        }
    }

    /// How many results are wanted at most; `None` for all of them, which 0 asks for too.
    pub(crate) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let refuse = |reason: String| ApiError::parameter("limit", reason);
        match parse_integer(self.value("limit")).map_err(refuse)? {
            None | Some(0) => Ok(None),
            Some(limit) if limit < 0 => Err(refuse("limit must be non-negative".to_owned())),
            Some(limit) => Ok(Some(usize::try_from(limit).unwrap_or(usize::MAX))),
        }
    }

    /// One set of matchers for each `match[]`.
    pub(crate) fn matcher_sets(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let mut sets = Vec::new();
        for selector in self.values("match[]") {
            let matchers = promql::parse_selector(selector).map_err(|error| error.to_string())?;
            if matchers.iter().all(Matcher::matches_empty) {
                return Err("match[] must contain at least one non-empty matcher".to_owned());
            }
            sets.push(matchers);
        }
        Ok(sets)
    }
}

/// Seconds since the epoch, as a decimal number, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    match text {
        MIN_TIME_TEXT => return Ok(Timestamp::MIN),
        MAX_TIME_TEXT => return Ok(Timestamp::MAX),
        _ => {}
    }
    if let Some(seconds) = parse_number(text) {
        return Ok(Timestamp::from_seconds(seconds));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => {
            let millis = time.as_nanosecond().div_euclid(1_000_000);
            Ok(Timestamp::from_millis(millis as i64)) // jiff's years have four digits: it fits
        }
        Err(_) => Err(format!("cannot parse {text:?} to a valid timestamp")),
    }
}

/// Seconds, as a decimal number, or a duration such as `1h30m`. What is negative comes out as zero:
/// no caller takes either.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Some(seconds) = parse_number(text) {
        if seconds.abs() * 1e9 > i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok(Duration::from_secs_f64(seconds.max(0.0)));
    }
    model::duration::parse(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

/// A finite decimal number. Prometheus takes `NaN` and `Inf` too, and answers nonsense.
fn parse_number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number, or the words in which Go's `strconv.Atoi` refuses one.
pub(crate) fn parse_integer(text: &str) -> Result<Option<i64>, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: std::num::ParseIntError| {
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {text:?}: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        #[track_caller]
        fn check(text: &str, millis: i64) {
            assert_eq!(parse_time(text), Ok(Timestamp::from_millis(millis)), "{text}");
        }
        check("4", 4000);
        check("1435781451.781", 1_435_781_451_781);
        check("1435781451.7814", 1_435_781_451_781);
        check("-1.5", -1500);
        check("1e3", 1_000_000);
        check("1724414400000", 1_724_414_400_000_000); // Grafana's milliseconds
        check("1e300", i64::MAX);
        check("2015-07-01T20:10:51.781Z", 1_435_781_451_781);
        check("2015-07-01T22:10:51.781999999+02:00", 1_435_781_451_781);
        check("1969-12-31T23:59:59.9995Z", -1);
        check(MIN_TIME_TEXT, i64::MIN);
        check(MAX_TIME_TEXT, i64::MAX);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "now", "NaN", "Inf", "2015-13-01T00:00:00Z", "2015-07-01", "1s"] {
            let refused = format!("cannot parse {text:?} to a valid timestamp");
            assert_eq!(parse_time(text), Err(refused));
        }
    }

    #[test]
    fn durations_are_seconds_or_units() {
        #[track_caller]
        fn check(text: &str, millis: u64) {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        check("15", 15_000);
        check("0.25", 250);
        check("-3", 0);
        check("1h30m", 5_400_000);
        check("0", 0);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(parse_duration(text), Err(expect.to_owned()), "{text}");
        }
        check("", "cannot parse \"\" to a valid duration");
        check("1x", "cannot parse \"1x\" to a valid duration");
        check("NaN", "cannot parse \"NaN\" to a valid duration");
        check("1e300", "cannot parse \"1e300\" to a valid duration. It overflows int64");
    }

    #[test]
    fn integers_are_refused_in_the_words_of_go() {
        assert_eq!(parse_integer(""), Ok(None));
        assert_eq!(parse_integer("-7"), Ok(Some(-7)));
        let refused = "strconv.Atoi: parsing \"1.5\": invalid syntax";
        assert_eq!(parse_integer("1.5"), Err(refused.to_owned()));
        let refused = "strconv.Atoi: parsing \"99999999999999999999\": value out of range";
        assert_eq!(parse_integer("99999999999999999999"), Err(refused.to_owned()));
    }
}
