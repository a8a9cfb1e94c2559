//! Numbers as Go writes them, which is how they appear in answers, labels and messages.

use std::fmt;

pub(crate) use model::number::General;

/// As Go's `strconv.FormatFloat(value, 'f', -1, 64)`: the shortest digits that read back the same,
/// never with an exponent.
pub fn format_value(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { not_finite(value).to_owned() }
}

fn not_finite(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

/// Go's `%.Ng`: N significant digits, trailing zeros dropped.
pub(crate) struct Significant(pub(crate) f64, pub(crate) usize);

impl fmt::Display for Significant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, digits) = *self;
        if !value.is_finite() {
            return f.write_str(not_finite(value));
        }
        let text = format!("{value:.*e}", digits - 1);
        let (mantissa, exponent) = text.split_once('e').expect("`{:e}` writes an exponent");
        let power: i32 = exponent.parse().expect("an exponent is a number");
        let limit = i32::try_from(digits).unwrap_or(i32::MAX);
        let trim = |text: &str| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.to_owned(),
        };
        if power < -4 || power >= limit {
            return write_exponent(f, &trim(mantissa), exponent);
        }
        let decimals = usize::try_from(limit - 1 - power).unwrap_or(0);
        f.write_str(&trim(&format!("{value:.decimals$}")))
    }
}

/// Go's `%.Nf`.
pub(crate) struct Fixed(pub(crate) f64, pub(crate) usize);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, decimals) = *self;
        if value.is_finite() {
            write!(f, "{value:.decimals$}")
        } else {
            f.write_str(not_finite(value))
        }
    }
}

fn write_exponent(f: &mut fmt::Formatter<'_>, digits: &str, exponent: &str) -> fmt::Result {
    let (sign, power) = match exponent.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', exponent),
    };
    write!(f, "{digits}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        #[track_caller]
        fn check(value: f64, plain: &str, general: &str) {
            assert_eq!(format_value(value), plain);
            assert_eq!(General(value).to_string(), general);
        }
        check(0.0, "0", "0");
        check(-0.0, "-0", "-0");
        check(1.5, "1.5", "1.5");
        check(999999.5, "999999.5", "999999.5");
        check(1234567.0, "1234567", "1.234567e+06");
        check(1e21, "1000000000000000000000", "1e+21");
        check(0.000_01, "0.00001", "1e-05");
        check(1.25e-300, &format!("0.{}125", "0".repeat(299)), "1.25e-300");
        check(f64::NAN, "NaN", "NaN");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
    }

    #[test]
    fn significant_digits_are_counted_as_go_counts_them() {
        #[track_caller]
        fn check(value: f64, expect: &str) {
            assert_eq!(Significant(value, 2).to_string(), expect);
        }
        check(0.0, "0");
        check(1.0, "1");
        check(12.0, "12");
        check(123.0, "1.2e+02");
        check(0.012_34, "0.012");
        check(0.000_001, "1e-06");
    }
}
