//! Writes the JSON of data answers, as Prometheus writes it.
//!
//! - A timestamp is seconds, with exactly three decimals where it is not whole.
//! - A sample's value is a string: the shortest digits that read back as the same float, with an
//!   exponent below 1e-6 and from 1e21 on.
//! - A scalar's value never has an exponent, and its timestamp no trailing zeros.
//!
//! Source: Prometheus `util/jsonutil/marshal.go`, `promql/value.go`.

use std::io::Write as _;

use model::histogram::FloatHistogram;
use model::{Exemplar, Labels, Timestamp};

pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escaped(out, text);
    }
    out.push(b'"');
}

/// Looks at every byte, whatever it finds: that is several at a time.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'))
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        match escape {
            b"" => write(out, format_args!("\\u{byte:04x}")),
            _ => out.extend_from_slice(escape),
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
}

pub(crate) fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    labels.iter().for_each(|(name, value)| label(out, name, value));
    out.push(b'}');
}

/// The next member of an object that has been opened.
pub(crate) fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
    string(out, value);
}

pub(crate) fn strings(out: &mut Vec<u8>, texts: &[String]) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, text);
    }
    out.push(b']');
}

/// `[1435781451.781,"1"]`: one sample of a vector or a matrix.
pub(crate) fn sample(out: &mut Vec<u8>, at: Timestamp, value: f64) {
    out.push(b'[');
    timestamp(out, at);
    out.extend_from_slice(b",\"");
    number(out, value);
    out.extend_from_slice(b"\"]");
}

/// `[1435781451.781,{"count":"3","sum":"6.5","buckets":[[0,"1","2","3"]]}]`: likewise.
pub(crate) fn histogram_sample(out: &mut Vec<u8>, at: Timestamp, histogram: &FloatHistogram) {
    out.push(b'[');
    timestamp(out, at);
    out.extend_from_slice(b",{\"count\":\"");
    number(out, histogram.count);
    out.extend_from_slice(b"\",\"sum\":\"");
    number(out, histogram.sum);
    out.push(b'"');
    let mut opening: &[u8] = b",\"buckets\":[";
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        out.extend_from_slice(opening);
        opening = b",";
        let inclusive = (bucket.lower_inclusive, bucket.upper_inclusive);
        let boundaries = match inclusive {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        write(out, format_args!("[{boundaries}"));
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.extend_from_slice(b",\"");
            number(out, value);
            out.push(b'"');
        }
        out.push(b']');
    }
    if opening == b"," {
        out.push(b']');
    }
    out.extend_from_slice(b"}]");
}

/// `{"labels":{…},"value":"1","timestamp":1435781451.781}`
pub(crate) fn exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(b"{\"labels\":");
    labels(out, &exemplar.labels);
    out.extend_from_slice(b",\"value\":\"");
    number(out, exemplar.value);
    out.extend_from_slice(b"\",\"timestamp\":");
    timestamp(out, exemplar.timestamp);
    out.push(b'}');
}

/// `[1435781451.5,"1"]`: a scalar.
pub(crate) fn scalar(out: &mut Vec<u8>, at: Timestamp, value: f64) {
    write(out, format_args!("[{},\"", at.as_seconds()));
    plain_number(out, value);
    out.extend_from_slice(b"\"]");
}

/// `[1435781451.5,"text"]`: a string.
pub(crate) fn text_at(out: &mut Vec<u8>, at: Timestamp, text: &str) {
    write(out, format_args!("[{},", at.as_seconds()));
    string(out, text);
    out.push(b']');
}

fn timestamp(out: &mut Vec<u8>, at: Timestamp) {
    let millis = at.as_millis();
    if millis < 0 {
        out.push(b'-');
    }
    let (seconds, fraction) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
    if fraction > 0 {
        let digits = [fraction / 100, fraction / 10 % 10, fraction % 10];
        out.push(b'.');
        out.extend(digits.map(|digit| b'0' + digit as u8));
    }
}

fn number(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if magnitude == 0.0 || !magnitude.is_finite() || (1e-6..1e21).contains(&magnitude) {
        return plain_number(out, value);
    }
    let mut shortest = zmij::Buffer::new();
    let text = shortest.format_finite(value);
    let (digits, exponent) = text.split_once('e').expect("so far from 1, with an exponent");
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent.trim_start_matches('+')),
    };
    write(out, format_args!("{digits}e{sign}{exponent:0>2}"));
}

/// Never with an exponent.
fn plain_number(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-5..1e16).contains(&magnitude) {
        let mut shortest = zmij::Buffer::new();
        let text = shortest.format_finite(value); // `1.0` and `1.5`; further from 1, with an exponent
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else if magnitude.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write(out, format_args!("{value}")); // NaN is `NaN`
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn samples_are_written_as_prometheus_writes_them() {
        #[track_caller]
        fn check(millis: i64, value: f64, expect: &str) {
            let at = Timestamp::from_millis(millis);
            assert_eq!(written(|out| sample(out, at, value)), expect);
        }
        check(0, 0.0, r#"[0,"0"]"#);
        check(1000, -0.0, r#"[1,"-0"]"#);
        check(1_435_781_451_781, 1.0, r#"[1435781451.781,"1"]"#);
        check(1_100, 0.1, r#"[1.100,"0.1"]"#);
        check(1_007, 1e-6, r#"[1.007,"0.000001"]"#);
        check(-1_500, 9.9e-7, r#"[-1.500,"9.9e-07"]"#);
        check(-1, 123_456_789.125, r#"[-0.001,"123456789.125"]"#);
        check(0, 1e20, r#"[0,"100000000000000000000"]"#);
        check(0, -1e21, r#"[0,"-1e+21"]"#);
        check(0, 1.5e-300, r#"[0,"1.5e-300"]"#);
        check(0, f64::INFINITY, r#"[0,"+Inf"]"#);
        check(0, f64::NEG_INFINITY, r#"[0,"-Inf"]"#);
        check(0, f64::NAN, r#"[0,"NaN"]"#);
        check(i64::MIN, 5e-324, r#"[-9223372036854775.808,"5e-324"]"#);
        check(0, f64::from(784_000_727u32) * 1e6 + 676_786.25, r#"[0,"784000727676786.2"]"#);
    }

    proptest! {
        /// The standard library writes the fewest digits, too, more slowly.
        #[test]
        fn numbers_are_the_shortest_that_read_back_the_same(bits: u64, decimal in -1e18..1e18f64) {
            for value in [f64::from_bits(bits), decimal, decimal.round(), decimal / 1e12] {
                let text = written(|out| number(out, value));
                match text.strip_prefix('+').unwrap_or(&text).parse::<f64>() {
                    Ok(read) if read.is_nan() => prop_assert!(value.is_nan()),
                    Ok(read) => prop_assert_eq!(read.to_bits(), value.to_bits(), "{}", text),
                    Err(error) => prop_assert!(false, "{text}: {error}"),
                }
                let digits = |text: &str| {
                    let digits = text.split('e').next().unwrap_or_default().replace(['-', '.'], "");
                    digits.trim_matches('0').len()
                };
                if value.is_finite() {
                    prop_assert_eq!(digits(&text), digits(&format!("{value:e}")), "{}", text);
                }
                prop_assert_eq!(
                    text.contains('e'),
                    value.is_finite() && value != 0.0 && !(1e-6..1e21).contains(&value.abs())
                );
                // Of two that are as near, the standard library does not take the even one, as Go does.
                let plain = written(|out| plain_number(out, value));
                let plain = plain.trim_start_matches('+');
                prop_assert_eq!(plain.len(), format!("{value}").len(), "{}", plain);
                let read: f64 = plain.parse().unwrap();
                prop_assert!(read == value || (read.is_nan() && value.is_nan()), "{}", plain);
            }
        }

        #[test]
        fn timestamps_are_seconds_and_milliseconds(millis: i64) {
            let text = written(|out| timestamp(out, Timestamp::from_millis(millis)));
            let (seconds, fraction) = text.split_once('.').unwrap_or((&text, "000"));
            prop_assert_eq!(format!("{seconds}{fraction}").parse(), Ok(millis));
        }

        #[test]
        fn any_string_reads_back(text: String) {
            let read: String = serde_json::from_str(&written(|out| string(out, &text))).unwrap();
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn scalars_have_no_exponent_and_no_trailing_zeros() {
        #[track_caller]
        fn check(millis: i64, value: f64, expect: &str) {
            let at = Timestamp::from_millis(millis);
            assert_eq!(written(|out| scalar(out, at, value)), expect);
        }
        check(1_500, 1e-7, r#"[1.5,"0.0000001"]"#);
        check(4_000, f64::INFINITY, r#"[4,"+Inf"]"#);
    }

    #[test]
    fn strings_are_escaped() {
        let text = "a\"b\\c\n\r\t\u{1}\u{7f}é<";
        assert_eq!(written(|out| string(out, text)), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\u{7f}é<\"");
        assert_eq!(
            serde_json::from_str::<String>(&written(|out| string(out, text))).unwrap(),
            text
        );
    }

    #[test]
    fn labels_are_an_object_in_order() {
        let pairs = [("job", "a"), ("__name__", "up"), ("x.y", "\"")];
        let series: Labels = pairs.into_iter().collect();
        let expect = r#"{"__name__":"up","job":"a","x.y":"\""}"#;
        assert_eq!(written(|out| labels(out, &series)), expect);
        assert_eq!(written(|out| labels(out, &Labels::empty())), "{}");
    }
}
