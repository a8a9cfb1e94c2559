//! Numbers for people: Prometheus' `humanize…` functions.

use template::{Value, float};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// A number, or the text of one.
pub(crate) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Text(text) => parse(text),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn parse(text: &str) -> Result<f64, String> {
    let unsigned = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let named = matches!(unsigned.as_str(), "inf" | "infinity" | "nan");
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    let number = (named || unsigned.chars().all(plain)).then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
}

pub(crate) fn humanize(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (scaled, prefix) = match number.abs() >= 1.0 {
        true => scale_down(number, 1000.0, LARGE),
        false => scale_up(number),
    };
    four_digits(scaled) + prefix
}

pub(crate) fn humanize_1024(number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return four_digits(number);
    }
    let (scaled, prefix) = scale_down(number, 1024.0, LARGE_1024);
    four_digits(scaled) + prefix
}

pub(crate) fn humanize_percentage(number: f64) -> String {
    four_digits(number * 100.0) + "%"
}

/// Of seconds: `1d 2h 3m 4s`, `1.234s`, `12.3ms`.
pub(crate) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return four_digits(seconds) + "s";
    }
    if seconds.abs() < 1.0 {
        let (scaled, prefix) = scale_up(seconds);
        return four_digits(scaled) + prefix + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as i64;
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds.abs())),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, _, _) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

/// Of seconds since the epoch; what is no time reads as the number it is.
pub(crate) fn humanize_timestamp(seconds: f64) -> Result<Value, String> {
    if seconds.is_finite() { time(seconds) } else { Ok(four_digits(seconds).into()) }
}

/// Seconds since the epoch as a time, to the millisecond.
pub(crate) fn time(seconds: f64) -> Result<Value, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    let nanoseconds = seconds * 1e9;
    let fits = nanoseconds.abs() <= i64::MAX as f64;
    let millis = (nanoseconds as i64) / 1_000_000;
    let time = jiff::Timestamp::from_millisecond(millis).ok().filter(|_| fits);
    time.map(Value::Time).ok_or_else(|| {
        let number = float(seconds, 'g', None);
        format!(
            "{number} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    })
}

fn four_digits(number: f64) -> String {
    float(number, 'g', Some(4))
}

fn scale_down(mut number: f64, base: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if number.abs() < base {
            break;
        }
        prefix = next;
        number /= base;
    }
    (number, prefix)
}

fn scale_up(mut number: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if number.abs() >= 1.0 {
            break;
        }
        prefix = next;
        number *= 1000.0;
    }
    (number, prefix)
}
