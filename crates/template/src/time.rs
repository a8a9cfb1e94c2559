//! Go's `time.Time`, always in UTC: its text, and the methods that templates call.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Value;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The pieces of a layout, longest first where one begins as another does.
const PIECES: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "Z07:00:00",
    "Z07:00",
    "Z070000",
    "Z0700",
    "Z07",
    "-07:00:00",
    "-07:00",
    "-070000",
    "-0700",
    "-07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "__2",
    "_2",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// As Go's `Time.String` writes it: `2015-06-23 13:19:44.128 +0000 UTC`.
pub(crate) fn text(time: Timestamp) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

pub(crate) fn call(time: Timestamp, method: &str, arguments: &[Value]) -> Result<Value, String> {
    let civil = civil(time);
    let value = match (method, arguments) {
        ("Format", [layout]) => format(time, layout.as_text()?).into(),
        ("After", [Value::Time(other)]) => Value::Bool(time > *other),
        ("Before", [Value::Time(other)]) => Value::Bool(time < *other),
        ("Equal", [Value::Time(other)]) => Value::Bool(time == *other),
        ("UTC", []) => Value::Time(time),
        ("String", []) => text(time).into(),
        ("Unix", []) => Value::Int(time.as_nanosecond().div_euclid(1_000_000_000) as i64),
        ("UnixMilli", []) => Value::Int(time.as_nanosecond().div_euclid(1_000_000) as i64),
        ("UnixNano", []) => Value::Int(time.as_nanosecond() as i64),
        ("Year", []) => Value::Int(civil.year().into()),
        ("Month", []) => Value::text(MONTHS[civil.month() as usize - 1]),
        ("Day", []) => Value::Int(civil.day().into()),
        ("YearDay", []) => Value::Int(civil.day_of_year().into()),
        ("Weekday", []) => Value::text(weekday(civil)),
        ("Hour", []) => Value::Int(civil.hour().into()),
        ("Minute", []) => Value::Int(civil.minute().into()),
        ("Second", []) => Value::Int(civil.second().into()),
        ("Nanosecond", []) => Value::Int(civil.subsec_nanosecond().into()),
        _ => {
            let count = arguments.len();
            return Err(format!("time.Time has no method {method} for {count} such arguments"));
        }
    };
    Ok(value)
}

fn civil(time: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(time)
}

fn weekday(civil: DateTime) -> &'static str {
    WEEKDAYS[civil.weekday().to_sunday_zero_offset() as usize]
}

/// `time` in a Go layout, which shows how Monday, January 2, 15:04:05 2006 is to be written.
fn format(time: Timestamp, layout: &str) -> String {
    let civil = civil(time);
    let mut out = String::new();
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some((digits, trims)) = fraction(rest) {
            put_fraction(&mut out, civil.subsec_nanosecond(), digits, trims);
            rest = &rest[digits + 1..];
            continue;
        }
        match PIECES.iter().find(|piece| rest.starts_with(**piece)) {
            // `Jan` in `January` is found above; in `Janet` it is no month.
            Some(&piece) if !(piece == "Jan" && continues_in_lower_case(&rest[3..])) => {
                put_piece(&mut out, civil, piece);
                rest = &rest[piece.len()..];
            }
            _ => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

fn continues_in_lower_case(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_lowercase())
}

/// `.000` or `,999` behind the seconds: how many digits, and whether zeros at the end go.
fn fraction(rest: &str) -> Option<(usize, bool)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let kind = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.len() - digits.trim_start_matches(kind).len();
    let ends = !digits[count..].starts_with(|c: char| c.is_ascii_digit());
    (ends && count <= 9).then_some((count, kind == '9'))
}

fn put_fraction(out: &mut String, nanoseconds: i32, digits: usize, trims: bool) {
    let written = format!("{nanoseconds:09}");
    let written = match trims {
        true => written[..digits].trim_end_matches('0'),
        false => &written[..digits],
    };
    if !written.is_empty() {
        out.push('.');
        out.push_str(written);
    }
}

fn put_piece(out: &mut String, civil: DateTime, piece: &str) {
    let (month, day, hour) = (MONTHS[civil.month() as usize - 1], civil.day(), civil.hour());
    let hour_of_12 = if hour % 12 == 0 { 12 } else { hour % 12 };
    let _ = match piece {
        "January" => write!(out, "{month}"),
        "Jan" => write!(out, "{}", &month[..3]),
        "Monday" => write!(out, "{}", weekday(civil)),
        "Mon" => write!(out, "{}", &weekday(civil)[..3]),
        "MST" => write!(out, "UTC"),
        "2006" => write!(out, "{:04}", civil.year()),
        "06" => write!(out, "{:02}", civil.year().rem_euclid(100)),
        "01" => write!(out, "{:02}", civil.month()),
        "1" => write!(out, "{}", civil.month()),
        "02" => write!(out, "{day:02}"),
        "_2" => write!(out, "{day:2}"),
        "2" => write!(out, "{day}"),
        "002" => write!(out, "{:03}", civil.day_of_year()),
        "__2" => write!(out, "{:3}", civil.day_of_year()),
        "15" => write!(out, "{hour:02}"),
        "03" => write!(out, "{hour_of_12:02}"),
        "3" => write!(out, "{hour_of_12}"),
        "04" => write!(out, "{:02}", civil.minute()),
        "4" => write!(out, "{}", civil.minute()),
        "05" => write!(out, "{:02}", civil.second()),
        "5" => write!(out, "{}", civil.second()),
        "PM" => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
        "pm" => write!(out, "{}", if hour < 12 { "am" } else { "pm" }),
        zone if zone.starts_with('Z') => write!(out, "Z"),
        zone => write!(out, "+{}", zone[1..].replace('7', "0")),
    }; // writing to a String does not fail
}
