//! One step, and what it does to a label set.

use std::borrow::Cow;
use std::num::NonZeroU64;

use md5::{Digest, Md5};
use model::LabelsBuilder;
use serde::Deserialize;

use crate::config::RelabelYaml;
use crate::{Anchored, Template, Verdict};

/// One `relabel_configs` entry, already validated: each variant holds only what its action uses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RelabelYaml")]
pub enum RelabelStep {
    /// Where `regex` matches the source, sets the label named by `target`.
    Replace {
        source: Source,
        regex: Anchored,
        target: Template,
        replacement: Template,
    },
    Keep {
        source: Source,
        regex: Anchored,
    },
    Drop {
        source: Source,
        regex: Anchored,
    },
    /// Keeps what has the source's value in `target`.
    KeepEqual {
        source: Source,
        target: String,
    },
    /// Drops what has the source's value in `target`.
    DropEqual {
        source: Source,
        target: String,
    },
    /// Sets `target` to the source's hash modulo `modulus`.
    HashMod {
        source: Source,
        modulus: NonZeroU64,
        target: String,
    },
    /// Copies each label whose name matches to the name that `replacement` gives.
    LabelMap {
        regex: Anchored,
        replacement: Template,
    },
    LabelDrop {
        regex: Anchored,
    },
    LabelKeep {
        regex: Anchored,
    },
    Lowercase {
        source: Source,
        target: String,
    },
    Uppercase {
        source: Source,
        target: String,
    },
}

/// The labels whose values, joined, a step looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub labels: Vec<String>,
    pub separator: String,
}

impl Source {
    fn value<'a>(&self, labels: &'a LabelsBuilder) -> Cow<'a, str> {
        match self.labels.as_slice() {
            [] => Cow::Borrowed(""),
            [only] => Cow::Borrowed(labels.value(only)),
            [first, rest @ ..] => {
                let mut joined = labels.value(first).to_owned();
                for name in rest {
                    joined.push_str(&self.separator);
                    joined.push_str(labels.value(name));
                }
                Cow::Owned(joined)
            }
        }
    }
}

impl RelabelStep {
    pub fn apply(&self, labels: &mut LabelsBuilder) -> Verdict {
        match self {
            Self::Keep { source, regex } => keep_if(regex.is_match(&source.value(labels))),
            Self::Drop { source, regex } => keep_if(!regex.is_match(&source.value(labels))),
            Self::KeepEqual { source, target } => {
                keep_if(source.value(labels) == labels.value(target))
            }
            Self::DropEqual { source, target } => {
                keep_if(source.value(labels) != labels.value(target))
            }
            Self::Replace { source, regex, target, replacement } => {
                replace(labels, source, regex, target, replacement);
                Verdict::Keep
            }
            Self::HashMod { source, modulus, target } => {
                let hash = hash(&source.value(labels)) % *modulus;
                labels.set(target, hash.to_string());
                Verdict::Keep
            }
            Self::LabelMap { regex, replacement } => {
                map_names(labels, regex, replacement);
                Verdict::Keep
            }
            Self::LabelDrop { regex } => {
                labels.retain(|name, _| !regex.is_match(name));
                Verdict::Keep
            }
            Self::LabelKeep { regex } => {
                labels.retain(|name, _| regex.is_match(name));
                Verdict::Keep
            }
            Self::Lowercase { source, target } => {
                let value = map_chars(&source.value(labels), char::to_lowercase);
                labels.set(target, value);
                Verdict::Keep
            }
            Self::Uppercase { source, target } => {
                let value = map_chars(&source.value(labels), char::to_uppercase);
                labels.set(target, value);
                Verdict::Keep
            }
        }
    }
}

fn keep_if(condition: bool) -> Verdict {
    if condition { Verdict::Keep } else { Verdict::Drop }
}

fn replace(
    labels: &mut LabelsBuilder,
    source: &Source,
    regex: &Anchored,
    target: &Template,
    replacement: &Template,
) {
    let value = source.value(labels);
    let Some(captures) = regex.captures(&value) else { return };
    let target = target.expand(&captures);
    if target.is_empty() {
        return; // no label can be called that
    }
    let replacement = replacement.expand(&captures);
    labels.set(target, replacement);
}

/// Looks at the labels as they were before the step: a name that it makes is not mapped again.
fn map_names(labels: &mut LabelsBuilder, regex: &Anchored, replacement: &Template) {
    let mut mapped = Vec::new();
    for (name, value) in labels.iter() {
        if let Some(captures) = regex.captures(name) {
            mapped.push((replacement.expand(&captures), value.to_owned()));
        }
    }
    for (name, value) in mapped {
        if !name.is_empty() {
            labels.set(name, value);
        }
    }
}

/// The last eight bytes of the MD5 sum, big-endian: shards must agree with Prometheus' own.
fn hash(value: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(value.as_bytes()).into();
    u128::from_be_bytes(sum) as u64
}

/// Maps letter by letter, as Go does; a letter whose other case is several letters stays.
fn map_chars<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        let mut letters = map(c);
        match (letters.next(), letters.next()) {
            (Some(letter), None) => mapped.push(letter),
            _ => mapped.push(c),
        }
    }
    mapped
}
