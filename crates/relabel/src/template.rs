//! Replacement text with references to a regex's groups: `$1`, `${1}`, `$name`, `${name}`, `$$`.
//!
//! An unbraced name is as long as it can be (`$1x` is the group `1x`); a group that the regex has
//! not is empty; a `$` before anything else stands for itself.
//! Source: Go `regexp.Expand`.

use regex::Captures;

use crate::Anchored;

/// A replacement, with its references resolved against one regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    pub fn new(text: &str, regex: &Anchored) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            literal.push_str(&rest[..dollar]);
            let after = &rest[dollar + 1..];
            if let Some(tail) = after.strip_prefix('$') {
                literal.push('$');
                rest = tail;
            } else if let Some((name, tail)) = split_reference(after) {
                if let Some(group) = regex.group(name) {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Group(group));
                }
                rest = tail;
            } else {
                literal.push('$');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Self { parts }
    }

    pub(crate) fn expand(&self, captures: &Captures<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Group(group) => {
                    text.push_str(captures.get(*group).map_or("", |found| found.as_str()));
                }
            }
        }
        text
    }
}

/// The name that `text`, what follows a `$`, begins with, and what comes after it.
fn split_reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let rest = if braced.is_some() { rest.strip_prefix('}')? } else { rest };
    Some((name, rest))
}
