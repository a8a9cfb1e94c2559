//! What templates compute with.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::format::float;
use crate::time;

/// A value, with the Go type that it stands for. Clones share lists and maps.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Time(jiff::Timestamp),
    List(Arc<List>),
    Map(Arc<Map>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    items: Vec<Value>,
    depth: usize,
}

/// A Go map or struct with names as keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    entries: BTreeMap<String, Value>,
    missing: Missing,
    depth: usize,
}

/// What a name that a map does not hold evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// As in a `map[string]string`: the empty text.
    EmptyText,
    /// As in a map of anything: no value.
    Nil,
    /// As in a struct: the template is wrong.
    Error,
}

impl List {
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let items: Vec<Value> = items.into_iter().collect();
        let depth = items.iter().map(Value::depth).max().unwrap_or(0) + 1;
        Self { items, depth }
    }
}

impl Map {
    pub fn new(entries: BTreeMap<String, Value>, missing: Missing) -> Self {
        let depth = entries.values().map(Value::depth).max().unwrap_or(0) + 1;
        Self { entries, missing, depth }
    }

    /// A `map[string]string`, such as the labels of an alert.
    pub fn of_texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), Value::text(value));
        Self::new(pairs.into_iter().map(pair).collect(), Missing::EmptyText)
    }

    /// A struct, such as the data that an alert's templates see.
    pub fn of_fields<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let field = |(name, value): (&str, Value)| (name.to_owned(), value);
        Self::new(fields.into_iter().map(field).collect(), Missing::Error)
    }

    pub fn entries(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }

    /// What `map.name` is in a template; `None` where that is an error.
    pub fn get(&self, name: &str) -> Option<Value> {
        match (self.entries.get(name), self.missing) {
            (Some(value), _) => Some(value.clone()),
            (None, Missing::EmptyText) => Some(Value::text("")),
            (None, Missing::Nil) => Some(Value::Nil),
            (None, Missing::Error) => None,
        }
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(Arc::new(list))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The text of a string; the error is Go's, for an argument of another type.
    pub fn as_text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => {
                Err(format!("wrong type for value; expected string; got {}", other.type_name()))
            }
        }
    }

    pub fn as_list(&self) -> Result<&[Value], String> {
        match self {
            Self::List(list) => Ok(&list.items),
            other => Err(format!("wrong type for value; expected list; got {}", other.type_name())),
        }
    }

    /// The name of the Go type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Time(_) => "time.Time",
            Self::List(_) => "[]interface {}",
            Self::Map(map) => match map.missing {
                Missing::EmptyText => "map[string]string",
                Missing::Nil => "map[string]interface {}",
                Missing::Error => "struct",
            },
        }
    }

    /// What `if` makes of the value: false for nothing, zero and empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Time(_) => true,
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => map.missing == Missing::Error || !map.entries.is_empty(),
        }
    }

    /// How many lists and maps lie inside each other.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// As Go's `%v` writes it. Fails only where `out` does.
    pub(crate) fn write(&self, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::Nil => out.write_str("<nil>"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Float(value) => out.write_str(&float(*value, 'g', None)),
            Self::Text(text) => out.write_str(text),
            Self::Time(value) => out.write_str(&time::text(*value)),
            Self::List(list) => {
                let mut separator = "[";
                for item in &list.items {
                    out.write_str(separator)?;
                    item.write(out)?;
                    separator = " ";
                }
                out.write_str(if list.items.is_empty() { "[]" } else { "]" })
            }
            Self::Map(map) => {
                out.write_str(if map.missing == Missing::Error { "{" } else { "map[" })?;
                let mut separator = "";
                for (name, value) in &map.entries {
                    out.write_str(separator)?;
                    if map.missing != Missing::Error {
                        write!(out, "{name}:")?;
                    }
                    value.write(out)?;
                    separator = " ";
                }
                out.write_str(if map.missing == Missing::Error { "}" } else { "]" })
            }
        }
    }
}
