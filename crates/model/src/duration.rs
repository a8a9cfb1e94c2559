//! Durations as Prometheus writes them: `1h30m`, `15s`, `500ms`.
//!
//! Source: Prometheus `common/model/time.go` (units y, w, d, h, m, s, ms, in that order, each at
//! most once; `0` needs no unit).

use std::fmt::Write as _;
use std::time::Duration;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("empty duration string")]
    Empty,
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    #[error("unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit { unit: String, text: String },
    #[error("duration out of range")]
    OutOfRange,
}

pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let (mut rest, mut total, mut next_unit) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unknown = || DurationError::UnknownUnit { unit: unit.into(), text: text.into() };
        if unit.is_empty() {
            return Err(invalid());
        }
        let position = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(unknown)?;
        if position < next_unit {
            return Err(invalid());
        }
        next_unit = position + 1;
        let millis = number.checked_mul(UNITS[position].1).ok_or(DurationError::OutOfRange)?;
        total = total.checked_add(millis).ok_or(DurationError::OutOfRange)?;
        rest = tail;
    }
    // Prometheus counts nanoseconds in an int64; what it refuses, we refuse.
    if total > (i64::MAX / 1_000_000) as u64 {
        return Err(DurationError::OutOfRange);
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that [`parse`] reads back; years and weeks only where nothing is left over.
pub fn format(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS {
        let exact_only = matches!(unit, "y" | "w");
        if millis < size || (exact_only && !millis.is_multiple_of(size)) {
            continue;
        }
        let _ = write!(text, "{}{unit}", millis / size);
        millis %= size;
    }
    text
}

/// `#[serde(with = "model::duration::text")]` for a `Duration` field. What is no duration is an error
/// of the field, so that a format that knows places names its line.
pub mod text {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_str(Text)
    }

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*value))
    }

    struct Text;

    impl Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration such as 1m30s")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
            super::parse(text).map_err(E::custom)
        }
    }

    /// The same for an `Option<Duration>` field; pair it with `#[serde(default)]`.
    pub mod optional {
        use std::fmt;
        use std::time::Duration;

        use serde::de::{Deserializer, Error, Visitor};
        use serde::ser::Serializer;

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            from.deserialize_option(Optional)
        }

        pub fn serialize<S: Serializer>(
            value: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(duration) => super::serialize(duration, to),
                None => to.serialize_none(),
            }
        }

        struct Optional;

        impl<'de> Visitor<'de> for Optional {
            type Value = Option<Duration>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 1m30s, or nothing")
            }

            fn visit_none<E: Error>(self) -> Result<Option<Duration>, E> {
                Ok(None)
            }

            fn visit_unit<E: Error>(self) -> Result<Option<Duration>, E> {
                Ok(None)
            }

            fn visit_some<D: Deserializer<'de>>(
                self,
                from: D,
            ) -> Result<Option<Duration>, D::Error> {
                super::deserialize(from).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_as_prometheus_does() {
        #[track_caller]
        fn check(text: &str, millis: u64, written: &str) {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed, Duration::from_millis(millis), "{text}");
            assert_eq!(format(parsed), written, "{text}");
        }
        check("0", 0, "0s");
        check("0s", 0, "0s");
        check("324ms", 324, "324ms");
        check("1m30s", 90_000, "1m30s");
        check("24h", 86_400_000, "1d");
        check("4w", 4 * 604_800_000, "4w");
        check("8d", 8 * 86_400_000, "8d");
        check("1y2d", 367 * 86_400_000, "367d");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "1", "1x", "-1m", "1s1m", "1m1m", "1.5h", " 1m", "s", "300000y"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(parse(text).unwrap_err().to_string(), expect, "{text:?}");
        }
        check("", "empty duration string");
        check("soon", "not a valid duration string: \"soon\"");
        check("15", "not a valid duration string: \"15\"");
        check("1s1m", "not a valid duration string: \"1s1m\"");
        check("99999999999999999999s", "not a valid duration string: \"99999999999999999999s\"");
        check("5y1hs", "unknown unit \"hs\" in duration \"5y1hs\"");
        check("1.5h", "unknown unit \".\" in duration \"1.5h\"");
        check("300y", "duration out of range");
    }
}
