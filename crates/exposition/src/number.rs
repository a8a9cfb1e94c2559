//! Numbers as Go reads and writes them.

use std::fmt;

/// The one NaN that a target's `NaN` is stored as, so that no target can send a staleness marker.
const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// What Go's `strconv.ParseFloat` takes, but for its hexadecimal and underscored forms.
pub(crate) fn parse_value(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    if value.is_nan() {
        return text.eq_ignore_ascii_case("nan").then_some(NORMAL_NAN);
    }
    // A finite number that is too large is an error; only the word says infinity.
    text.bytes().any(|b| b.eq_ignore_ascii_case(&b'i')).then_some(value)
}

/// Writes a float in the fewest digits that read back the same, as Go's `%g` and the text format
/// do: `1`, `0.5`, `1e+06`, `1.5e-07`, `+Inf`, `NaN`.
#[derive(Clone, Copy, Debug)]
pub struct GoFloat(pub f64);

impl fmt::Display for GoFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if value == 0.0 {
            return f.write_str("0");
        }
        let scientific = format!("{value:e}"); // Rust's has the fewest digits too, as `1.5e-7`
        let (mantissa, exponent) =
            scientific.split_once('e').expect("{:e} of a finite number has an exponent");
        let exponent: i32 = exponent.parse().expect("{:e} has a decimal exponent");
        if (-4..6).contains(&exponent) {
            return write!(f, "{value}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(f, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// As OpenMetrics writes a float that is a label's value: never without a point or an exponent.
pub(crate) fn open_metrics_float(value: f64) -> String {
    let text = GoFloat(value).to_string();
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        #[track_caller]
        fn check(value: f64, expect: &str) {
            assert_eq!(GoFloat(value).to_string(), expect);
        }
        check(0.0, "0");
        check(-0.0, "0");
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(0.1, "0.1");
        check(100_000.0, "100000");
        check(123_456.789, "123456.789");
        check(1_000_000.0, "1e+06");
        check(123_456_789.0, "1.23456789e+08");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(-1.5e-7, "-1.5e-07");
        check(1.7976931348623157e308, "1.7976931348623157e+308");
        check(5e-324, "5e-324");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn floats_in_labels_show_that_they_are_floats() {
        #[track_caller]
        fn check(value: f64, expect: &str) {
            assert_eq!(open_metrics_float(value), expect);
        }
        check(1.0, "1.0");
        check(0.0, "0.0");
        check(0.5, "0.5");
        check(1e6, "1e+06");
        check(f64::INFINITY, "+Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn values_are_read_as_go_reads_them() {
        #[track_caller]
        fn check(text: &str, expect: Option<f64>) {
            let value = parse_value(text);
            assert_eq!(value.map(f64::to_bits), expect.map(f64::to_bits), "{text:?}");
        }
        check("1", Some(1.0));
        check("-1.5e3", Some(-1500.0));
        check("+.5", Some(0.5));
        check("5.", Some(5.0));
        check("Inf", Some(f64::INFINITY));
        check("+inf", Some(f64::INFINITY));
        check("-Infinity", Some(f64::NEG_INFINITY));
        check("NaN", Some(NORMAL_NAN));
        check("nan", Some(NORMAL_NAN));
        check("1e-400", Some(0.0));
        for text in ["", "-", "1e400", "-NaN", "0x1p3", "1_000", "1,5", "1f", "e", "einf"] {
            check(text, None);
        }
    }
}
