//! Go's `fmt`: how numbers are written, and `printf`.

use std::fmt::Write;

use crate::{OUTPUT_BYTES_MAX, Value, time};

/// No width or precision is larger, as in Go.
const WIDTH_MAX: i64 = 1_000_000;

/// `value` as Go's `%e`, `%f` or `%g` writes it (`verb`), with `precision` digits, or with as many as
/// it takes to read the same number back.
pub fn float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match verb {
        'e' => exponential(value, precision),
        'f' => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        _ => general(value, precision),
    }
}

/// `1.5e+06`: an exponent of two digits at least.
fn exponential(value: f64, precision: Option<usize>) -> String {
    let written = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = written.split_once('e').expect("`e` formatting has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `%g`: `%e` for exponents below -4 and from the precision on (6 where there is none), otherwise
/// `%f`; no zeros at the end.
fn general(value: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|precision| precision.max(1));
    let written = match precision {
        Some(precision) => exponential(value, Some(precision - 1)),
        None => exponential(value, None),
    };
    let (digits, exponent) = written.split_once('e').expect("written with an exponent");
    let power: i32 = exponent.parse().expect("an exponent is a number");
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let count = digits.bytes().filter(u8::is_ascii_digit).count() as i32;
    let mut exponent_from = 6;
    if let Some(precision) = precision {
        exponent_from = precision as i32;
        if exponent_from > count && count > power {
            exponent_from = count;
        }
    }
    if power < -4 || power >= exponent_from {
        return format!("{digits}e{exponent}");
    }
    // `digits` has as many digits as are wanted; writing them without an exponent only moves the point.
    format!("{:.*}", (count - 1 - power).max(0) as usize, value)
}

/// Go's `Sprintf`. What does not fit its verb shows as Go shows it: `%!d(string=x)`.
pub fn sprintf(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut printer = Printer { out: String::new(), arguments, next: 0 };
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            printer.out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(&flag @ ('+' | '-' | '#' | ' ' | '0')) = chars.peek() {
            spec.set_flag(flag);
            chars.next();
        }
        spec.width = printer.number(&mut chars)?;
        if spec.width.is_some_and(|width| width < 0) {
            spec.left = true;
            spec.width = spec.width.map(i64::abs);
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            spec.precision = Some(printer.number(&mut chars)?.unwrap_or(0).max(0) as usize);
        }
        match chars.next() {
            None => printer.out.push_str("%!(NOVERB)"),
            Some('%') => printer.out.push('%'),
            Some(verb) => printer.print(verb, &spec),
        }
        if printer.out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("output is larger than {OUTPUT_BYTES_MAX} bytes"));
        }
    }
    Ok(printer.finish())
}

/// `%[flags][width][.precision]verb`
#[derive(Default)]
struct Spec {
    plus: bool,
    left: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<i64>,
    precision: Option<usize>,
}

impl Spec {
    fn set_flag(&mut self, flag: char) {
        match flag {
            '+' => self.plus = true,
            '-' => self.left = true,
            '#' => self.sharp = true,
            ' ' => self.space = true,
            _ => self.zero = true,
        }
    }
}

struct Printer<'a> {
    out: String,
    arguments: &'a [Value],
    next: usize,
}

impl Printer<'_> {
    /// A width or precision: digits, or `*` for the next argument.
    fn number(
        &mut self,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    ) -> Result<Option<i64>, String> {
        if chars.peek() == Some(&'*') {
            chars.next();
            let argument = self.arguments.get(self.next);
            self.next += 1;
            return match argument {
                Some(Value::Int(number)) if number.abs() <= WIDTH_MAX => Ok(Some(*number)),
                _ => Err("bad width or precision".to_owned()),
            };
        }
        let mut number: Option<i64> = None;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            chars.next();
            let value = number.unwrap_or(0) * 10 + i64::from(digit);
            if value > WIDTH_MAX {
                return Err("width or precision is too large".to_owned());
            }
            number = Some(value);
        }
        Ok(number)
    }

    fn print(&mut self, verb: char, spec: &Spec) {
        let Some(value) = self.arguments.get(self.next) else {
            let _ = write!(self.out, "%!{verb}(MISSING)");
            return;
        };
        self.next += 1;
        match formatted(verb, spec, value) {
            Some((text, numeric)) => self.pad(&text, spec, numeric),
            None if *value == Value::Nil => {
                let _ = write!(self.out, "%!{verb}(<nil>)");
            }
            None => {
                let _ = write!(self.out, "%!{verb}({}={})", value.type_name(), plain(value));
            }
        }
    }

    fn pad(&mut self, text: &str, spec: &Spec, numeric: bool) {
        let width = usize::try_from(spec.width.unwrap_or(0)).unwrap_or(0);
        let missing = width.saturating_sub(text.chars().count());
        if spec.left {
            self.out.push_str(text);
            self.out.extend(std::iter::repeat_n(' ', missing));
            return;
        }
        if spec.zero && numeric && text.contains(|c: char| c.is_ascii_digit()) {
            let sign = usize::from(text.starts_with(['+', '-', ' ']));
            self.out.push_str(&text[..sign]);
            self.out.extend(std::iter::repeat_n('0', missing));
            self.out.push_str(&text[sign..]);
            return;
        }
        self.out.extend(std::iter::repeat_n(' ', missing));
        self.out.push_str(text);
    }

    fn finish(mut self) -> String {
        if let Some(extra) = self.arguments.get(self.next..).filter(|extra| !extra.is_empty()) {
            let extra: Vec<String> = extra
                .iter()
                .map(|value| match value {
                    Value::Nil => "<nil>".to_owned(),
                    value => format!("{}={}", value.type_name(), plain(value)),
                })
                .collect();
            let _ = write!(self.out, "%!(EXTRA {})", extra.join(", "));
        }
        self.out
    }
}

/// `value` under `verb`, and whether zeros may pad it; `None` if they do not go together.
fn formatted(verb: char, spec: &Spec, value: &Value) -> Option<(String, bool)> {
    let text = match (verb, value) {
        ('v', Value::Int(number)) => return Some((integer(spec, *number, 10), true)),
        ('v', Value::Float(number)) => {
            return Some((signed(spec, float(*number, 'g', spec.precision)), true));
        }
        ('v', Value::Text(text)) if spec.sharp => quote(text),
        ('v' | 's', Value::Text(text)) => cut(text, spec).to_owned(),
        ('v', value) => plain(value),
        ('T', value) => value.type_name().to_owned(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('s', Value::Time(value)) => time::text(*value),
        ('s', Value::List(_) | Value::Map(_)) => plain(value),
        ('q', Value::Text(text)) if spec.sharp && !text.contains('`') => format!("`{text}`"),
        ('q', Value::Text(text)) => quote(cut(text, spec)),
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('X', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02X}")).collect(),
        ('d', Value::Int(number)) => return Some((integer(spec, *number, 10), true)),
        ('b', Value::Int(number)) => return Some((integer(spec, *number, 2), true)),
        ('o', Value::Int(number)) => return Some((integer(spec, *number, 8), true)),
        ('x', Value::Int(number)) => return Some((integer(spec, *number, 16), true)),
        ('X', Value::Int(number)) => {
            return Some((integer(spec, *number, 16).to_uppercase(), true));
        }
        ('c', Value::Int(number)) => character(*number).to_string(),
        ('q', Value::Int(number)) => format!("{:?}", character(*number)),
        ('U', Value::Int(number)) => format!("U+{number:04X}"),
        ('e' | 'f' | 'g' | 'E' | 'F' | 'G', Value::Float(number)) => {
            let lower = verb.to_ascii_lowercase();
            let precision = spec.precision.or((lower != 'g').then_some(6));
            let text = signed(spec, float(*number, lower, precision));
            return Some((if verb.is_uppercase() { text.to_uppercase() } else { text }, true));
        }
        _ => return None,
    };
    Some((text, false))
}

/// As `%v` without flags.
fn plain(value: &Value) -> String {
    let mut text = String::new();
    let _ = value.write(&mut text); // a String takes everything
    text
}

fn cut<'a>(text: &'a str, spec: &Spec) -> &'a str {
    let end = spec.precision.and_then(|precision| text.char_indices().nth(precision));
    end.map_or(text, |(end, _)| &text[..end])
}

fn signed(spec: &Spec, text: String) -> String {
    match text.starts_with(['+', '-']) {
        false if spec.plus => format!("+{text}"),
        false if spec.space => format!(" {text}"),
        _ => text,
    }
}

fn integer(spec: &Spec, number: i64, radix: u32) -> String {
    let magnitude = number.unsigned_abs();
    let mut digits = match radix {
        2 => format!("{magnitude:b}"),
        8 => format!("{magnitude:o}"),
        16 => format!("{magnitude:x}"),
        _ => magnitude.to_string(),
    };
    if let Some(precision) = spec.precision {
        digits = format!("{digits:0>precision$}");
    }
    if spec.sharp && radix == 16 {
        digits.insert_str(0, "0x");
    }
    signed(spec, if number < 0 { format!("-{digits}") } else { digits })
}

fn character(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A double-quoted Go string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
