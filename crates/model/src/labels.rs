//! The labels that name a series.
//!
//! ```text
//! labels := (length | name | length | value)*
//! length := (0x40 + 6 bits)* | 6 bits      low bits first, in bytes that are ASCII: all of it is a str
//! ```
//! - LABELS-1: sorted by name (bytes), names unique, no empty name, no empty value (an empty value
//!   means: label absent).
//! - LABELS-2: one reference-counted allocation; cloning does not copy.
//! - Two equal sets have equal bytes, so equality and hashing work on bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::METRIC_NAME;

/// A sorted, immutable set of labels. Build one with [`LabelsBuilder`] or by collecting pairs.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<str>);

impl Labels {
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// From pairs that uphold LABELS-1 already, which is checked in debug builds only.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::with_capacity(512);
        let mut previous = "";
        for (name, value) in pairs {
            debug_assert!(previous < name, "label names sorted and unique: {previous:?}, {name:?}");
            debug_assert!(!value.is_empty(), "label {name:?} has no value");
            put_text(&mut text, name);
            put_text(&mut text, value);
            previous = name;
        }
        Self(text.into())
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// As [`Labels::get`], with an absent label as `""`: how matchers and rules see it.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The same for equal labels in every process and version: shards and hashes on disk or on the
    /// wire may rely on it.
    pub fn stable_hash(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }

    /// Only the labels whose names are in `names`.
    #[must_use]
    pub fn keep(&self, names: &[impl AsRef<str>]) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| names.iter().any(|n| n.as_ref() == *name)))
    }

    /// All labels but those whose names are in `names`.
    #[must_use]
    pub fn without(&self, names: &[impl AsRef<str>]) -> Self {
        Self::from_sorted(self.iter().filter(|(name, _)| names.iter().all(|n| n.as_ref() != *name)))
    }

    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder {
            pairs: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// By name, then value, label by label: the order in which Prometheus lists series.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// `{__name__="up", job="node"}` as Prometheus writes it: `up{job="node"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare_name = is_legacy_metric_name(name);
        if bare_name {
            f.write_str(name)?;
        }
        let mut separator = "{";
        for (label, value) in self {
            if label == METRIC_NAME {
                if !bare_name {
                    write!(f, "{separator}{}", Quoted(value))?;
                    separator = ", ";
                }
                continue;
            }
            f.write_str(separator)?;
            if is_legacy_label_name(label) {
                f.write_str(label)?;
            } else {
                write!(f, "{}", Quoted(label))?;
            }
            write!(f, "={}", Quoted(value))?;
            separator = ", ";
        }
        match (separator, bare_name) {
            ("{", true) => Ok(()),
            ("{", false) => f.write_str("{}"),
            _ => f.write_str("}"),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// From pairs in any order; of pairs with one name the last stands, empty values are left out.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        pairs.into_iter().collect::<LabelsBuilder>().build()
    }
}

/// As for [`Labels`]. However many pairs there are, this takes time n log n.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for LabelsBuilder {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(String, String)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0)); // stable: of equal names the last stays last
        pairs.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        pairs.retain(|(_, value)| !value.is_empty());
        Self { pairs }
    }
}

/// Walks the labels in order of their names.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let name = take_text(&mut self.rest);
        let value = take_text(&mut self.rest);
        Some((name, value))
    }
}

/// Collects labels one by one: the mutable form that relabelling works on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>, // sorted by name, names unique, no empty value
}

impl LabelsBuilder {
    /// Sets `name`, or removes it where `value` is empty.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Ok(found) if value.is_empty() => drop(self.pairs.remove(found)),
            Ok(found) => self.pairs[found].1 = value,
            Err(_) if value.is_empty() => {}
            Err(slot) => self.pairs.insert(slot, (name, value)),
        }
        self
    }

    pub fn remove(&mut self, name: &str) -> &mut Self {
        if let Ok(found) = self.position(name) {
            self.pairs.remove(found);
        }
        self
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut Self {
        self.pairs.retain(|(name, value)| keep(name, value));
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|found| self.pairs[found].1.as_str())
    }

    /// As [`LabelsBuilder::get`], with an absent label as `""`.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(found, _)| found.as_str().cmp(name))
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`: may stand before the braces of a selector.
pub fn is_legacy_metric_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`: needs no quotes in a selector.
pub fn is_legacy_label_name(name: &str) -> bool {
    is_legacy_metric_name(name) && !name.contains(':')
}

/// Text in double quotes, escaped as Go's `%q` does it for printable text.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

const LENGTH_BITS: u32 = 6;
/// More of the length follows.
const MORE: u8 = 1 << LENGTH_BITS;

fn put_text(out: &mut String, text: &str) {
    let mut length = text.len();
    while length >= usize::from(MORE) {
        out.push(char::from(length as u8 % MORE + MORE));
        length >>= LENGTH_BITS;
    }
    out.push(char::from(length as u8));
    out.push_str(text);
}

/// Reads what [`put_text`] wrote; `rest` never comes from outside this module.
#[inline]
fn take_text<'a>(rest: &mut &'a str) -> &'a str {
    let (mut length, mut used) = (0, 0);
    for &byte in rest.as_bytes() {
        length |= usize::from(byte % MORE) << (LENGTH_BITS * used);
        used += 1;
        if byte < MORE {
            break;
        }
    }
    let (text, after) = rest[used as usize..].split_at(length);
    *rest = after;
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_without_empty_values() {
        let labels: Labels =
            [("b", "1"), ("a", "2"), ("b", "3"), ("gone", "x"), ("gone", "")].into_iter().collect();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        assert_eq!(labels.get("gone"), None);
        assert_eq!(labels.value("gone"), "");
    }

    #[test]
    fn labels_are_written_as_prometheus_writes_them() {
        #[track_caller]
        fn check(pairs: &[(&str, &str)], expect: &str) {
            assert_eq!(pairs.iter().copied().collect::<Labels>().to_string(), expect);
        }
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b\\c\n")], r#"up{job="a\"b\\c\n"}"#);
        check(&[("job", "x"), ("instance", "y")], r#"{instance="y", job="x"}"#);
        check(&[("__name__", "my.metric"), ("a.b", "c")], r#"{"my.metric", "a.b"="c"}"#);
    }

    #[test]
    fn texts_of_any_length_are_held() {
        for length in [1, 63, 64, 65, 4095, 4096, 1 << 18] {
            let value = "x".repeat(length);
            let labels = Labels::from_sorted([("a", &*value), ("b", "c")]);
            assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", &*value), ("b", "c")], "{length}");
        }
    }

    proptest! {
        #[test]
        fn labels_hold_what_was_put_in(
            pairs in proptest::collection::btree_map("[a-zé_]{1,200}", "[ -~é]{1,200}", 0..20)
        ) {
            let labels: Labels = pairs.clone().into_iter().collect();
            let back: std::collections::BTreeMap<String, String> =
                labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&back, &pairs);
            prop_assert_eq!(labels.to_builder().build(), labels);
        }

        #[test]
        fn labels_order_as_their_pairs_do(
            a in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,130}", 0..4),
            b in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,130}", 0..4),
        ) {
            let order = a.iter().collect::<Vec<_>>().cmp(&b.iter().collect::<Vec<_>>());
            let left: Labels = a.into_iter().collect();
            let right: Labels = b.into_iter().collect();
            prop_assert_eq!(left.cmp(&right), order);
        }
    }
}
