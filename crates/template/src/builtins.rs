//! The functions that Go's `text/template` provides. `and` and `or` are part of the executor.

use std::cmp::Ordering;
use std::fmt::{self, Write};

use crate::format::sprintf;
use crate::{Functions, List, OUTPUT_BYTES_MAX, Value};

const MANY: usize = usize::MAX;

pub(crate) fn add(functions: &mut Functions<'_>) {
    functions.add("not", 1..=1, |args| Ok(Value::Bool(!args[0].is_true())));
    functions.add("eq", 2..=MANY, |args| {
        for other in &args[1..] {
            if equal(&args[0], other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    });
    functions.add("ne", 2..=2, |args| Ok(Value::Bool(!equal(&args[0], &args[1])?)));
    functions.add("lt", 2..=2, |args| Ok(Value::Bool(less(&args[0], &args[1])?)));
    functions.add("le", 2..=2, |args| {
        Ok(Value::Bool(less(&args[0], &args[1])? || equal(&args[0], &args[1])?))
    });
    functions.add("gt", 2..=2, |args| {
        Ok(Value::Bool(!less(&args[0], &args[1])? && !equal(&args[0], &args[1])?))
    });
    functions.add("ge", 2..=2, |args| Ok(Value::Bool(!less(&args[0], &args[1])?)));
    functions.add("len", 1..=1, |args| length(&args[0]));
    functions.add("index", 1..=MANY, index);
    functions.add("slice", 1..=3, slice);
    functions.add("print", 0..=MANY, |args| print(args).map(Value::from));
    functions.add("println", 0..=MANY, |args| println(args).map(Value::from));
    functions
        .add("printf", 1..=MANY, |args| sprintf(args[0].as_text()?, &args[1..]).map(Value::from));
    functions.add("html", 0..=MANY, |args| Ok(html(&text_of(args)?).into()));
    functions.add("js", 0..=MANY, |args| Ok(js(&text_of(args)?).into()));
    functions.add("urlquery", 0..=MANY, |args| Ok(query_escape(&text_of(args)?).into()));
}

/// Takes text up to [`OUTPUT_BYTES_MAX`] (TEMPLATE-1).
#[derive(Default)]
pub(crate) struct Bounded(pub(crate) String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > OUTPUT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

pub(crate) fn too_large(_: fmt::Error) -> String {
    format!("output is larger than {OUTPUT_BYTES_MAX} bytes")
}

/// Go compares values of one basic kind only: an `int` is never equal to a `float64`, but an error.
fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => {
            Err("invalid type for comparison".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b) == Some(Ordering::Less)),
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        (Value::Int(_) | Value::Float(_) | Value::Text(_), Value::Int(_) | Value::Float(_))
        | (Value::Int(_) | Value::Float(_), Value::Text(_)) => {
            Err("incompatible types for comparison".to_owned())
        }
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.entries().len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

fn position(value: &Value, length: usize) -> Result<usize, String> {
    let Value::Int(index) = value else {
        return Err(format!("cannot index slice/array with type {}", value.type_name()));
    };
    let position = usize::try_from(*index).ok().filter(|position| *position <= length);
    position.ok_or_else(|| format!("index out of range: {index}"))
}

fn index(args: &[Value]) -> Result<Value, String> {
    let mut value = args[0].clone();
    for key in &args[1..] {
        value = match &value {
            Value::List(list) => {
                let position = position(key, list.items().len())?;
                let item = list.items().get(position);
                item.cloned().ok_or_else(|| format!("index out of range: {position}"))?
            }
            Value::Text(text) => {
                let position = position(key, text.len())?;
                let byte = text.as_bytes().get(position);
                let byte = byte.ok_or_else(|| format!("index out of range: {position}"))?;
                Value::Int((*byte).into())
            }
            Value::Map(map) => map.get(key.as_text()?).unwrap_or(Value::Nil),
            Value::Nil => return Err("index of untyped nil".to_owned()),
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let length = match &args[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    let start = args.get(1).map_or(Ok(0), |value| position(value, length))?;
    let end = args.get(2).map_or(Ok(length), |value| position(value, length))?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &args[0] {
        Value::Text(text) => {
            let part = text.get(start..end);
            part.map(Value::text).ok_or_else(|| "slice cuts a character".to_owned())
        }
        Value::List(list) => Ok(list.items()[start..end].iter().cloned().collect::<List>().into()),
        _ => Ok(Value::Nil),
    }
}

/// Space goes between two arguments of which neither is text.
fn print(args: &[Value]) -> Result<String, String> {
    let mut out = Bounded::default();
    let mut previous_is_text = true;
    for (index, arg) in args.iter().enumerate() {
        let is_text = matches!(arg, Value::Text(_));
        if index > 0 && !is_text && !previous_is_text {
            out.write_str(" ").map_err(too_large)?;
        }
        arg.write(&mut out).map_err(too_large)?;
        previous_is_text = is_text;
    }
    Ok(out.0)
}

fn println(args: &[Value]) -> Result<String, String> {
    let mut out = Bounded::default();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            out.write_str(" ").map_err(too_large)?;
        }
        arg.write(&mut out).map_err(too_large)?;
    }
    out.write_str("\n").map_err(too_large)?;
    Ok(out.0)
}

fn text_of(args: &[Value]) -> Result<String, String> {
    match args {
        [Value::Text(text)] => Ok(text.to_string()),
        args => print(args),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push(char::REPLACEMENT_CHARACTER),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => push_js_code(&mut out, c),
            c if c.is_control() => push_js_code(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

fn push_js_code(out: &mut String, c: char) {
    let _ = write!(out, "\\u{:04X}", c as u32); // a String takes everything
}

/// As `url.QueryEscape`.
pub fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte.into());
            }
            b' ' => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}"); // a String takes everything
            }
        }
    }
    out
}
