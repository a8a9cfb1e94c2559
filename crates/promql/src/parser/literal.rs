//! Numbers, durations that stand for numbers, and strings.

use super::{Parsed, Parser};
use crate::ast::{NumberLiteral, StringLiteral};
use crate::lexer::Kind;

impl Parser<'_> {
    /// The number or duration at the current token.
    pub(super) fn number(&mut self) -> Parsed<NumberLiteral> {
        let (position, text, is_duration) =
            (self.position(), self.text(), self.kind() == Kind::Duration);
        let value = if is_duration {
            let parsed = model::duration::parse(text);
            parsed.map_err(|reason| self.error(position, reason))?.as_secs_f64()
        } else {
            parse_number(text).map_err(|reason| {
                let message = format!("error parsing number: strconv.ParseFloat: parsing {text:?}");
                self.error(position, format!("{message}: {reason}"))
            })?
        };
        self.advance();
        Ok(NumberLiteral { value, is_duration, position })
    }

    /// The string at the current token.
    pub(super) fn string(&mut self) -> Parsed<StringLiteral> {
        let (position, source) = (self.position(), self.text().to_owned());
        self.advance();
        let bytes = unquote(&source);
        let (value, is_utf8) = match String::from_utf8(bytes) {
            Ok(value) => (value, true),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
        };
        Ok(StringLiteral { value, is_utf8, source, position })
    }
}

/// Integers in the base that their prefix names, otherwise floats; `_` between digits is skipped.
fn parse_number(text: &str) -> Result<f64, &'static str> {
    const INVALID: &str = "invalid syntax";
    let digits = text.replace('_', "").to_ascii_lowercase();
    if let Some(hex) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).map(|value| value as f64).map_err(|_| INVALID);
    }
    let is_octal = digits.len() > 1 && digits.starts_with('0');
    if is_octal && let Ok(value) = i64::from_str_radix(&digits, 8) {
        return Ok(value as f64);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_infinite() && digits != "inf" => Err("value out of range"),
        Ok(value) => Ok(value),
        Err(_) => Err(INVALID),
    }
}

/// The bytes that a string token stands for; the lexer has checked its escapes.
fn unquote(source: &str) -> Vec<u8> {
    let inner = &source[1..source.len() - 1];
    if source.starts_with('`') {
        return inner.replace('\r', "").into_bytes();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = push_escape(&mut bytes, &rest[at + 1..]);
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Resolves the escape that follows a backslash at the start of `text`; what is left after it.
fn push_escape<'a>(bytes: &mut Vec<u8>, text: &'a str) -> &'a str {
    let (digits_at, digits, base) = match text.as_bytes()[0] {
        b'0'..=b'7' => (0, 3, 8),
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        c => {
            bytes.push(match c {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                c => c,
            });
            return &text[1..];
        }
    };
    let (number, rest) = text[digits_at..].split_at(digits);
    let value = u32::from_str_radix(number, base).expect("the lexer has checked the digits");
    if digits > 3 {
        let c = char::from_u32(value).expect("the lexer has checked the code point");
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        bytes.push(u8::try_from(value).expect("the lexer has checked the byte"));
    }
    rest
}
