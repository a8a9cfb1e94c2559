//! Where in a YAML document a value stands, for errors that are found after reading it.
//!
//! `serde` does not say where values come from, but it does say where it failed: so the document is
//! read again, and reading fails on purpose at the value in question.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step on the way down from the top of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Line and column, both from 1, of the value at `path`, or of the last value on the way there.
pub(crate) fn locate(yaml: &str, path: &[Step<'_>]) -> (usize, usize) {
    let from = serde_yaml_ng::Deserializer::from_str(yaml);
    let location = Seek { path }.deserialize(from).err().and_then(|error| error.location());
    location.map_or((1, 1), |location| (location.line(), location.column()))
}

struct Seek<'a> {
    path: &'a [Step<'a>],
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

/// Fails at everything that is not on the path, scalars (no `visit_` of theirs is here) included.
impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Some((Step::Key(wanted), path)) = self.path.split_first() {
            while let Some(key) = map.next_key::<String>()? {
                if key == *wanted {
                    return map.next_value_seed(Seek { path });
                }
                map.next_value::<IgnoredAny>()?;
            }
        }
        Err(A::Error::custom("here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((Step::Index(wanted), path)) = self.path.split_first() {
            for _ in 0..*wanted {
                list.next_element::<IgnoredAny>()?;
            }
            if list.next_element_seed(Seek { path })?.is_some() {
                return Ok(());
            }
        }
        Err(A::Error::custom("here"))
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Index, Key};
    use super::*;

    #[test]
    fn values_are_found_by_their_path() {
        let yaml = "groups:\n- name: a\n  rules:\n  - record: x\n    expr: |\n      sum(y)\n  - {alert: A,\n     expr: up}\n";
        #[track_caller]
        fn check(yaml: &str, path: &[Step<'_>], expect: (usize, usize)) {
            assert_eq!(locate(yaml, path), expect, "{path:?}");
        }
        let group = [Key("groups"), Index(0)];
        check(yaml, &[], (1, 1));
        check(yaml, &group, (2, 3));
        check(yaml, &[&group[..], &[Key("name")]].concat(), (2, 9));
        check(yaml, &[&group[..], &[Key("rules"), Index(0), Key("expr")]].concat(), (5, 11));
        check(yaml, &[&group[..], &[Key("rules"), Index(1), Key("expr")]].concat(), (8, 12));
        check(yaml, &[&group[..], &[Key("rules"), Index(1), Key("missing")]].concat(), (7, 5));
        check(yaml, &[&group[..], &[Key("rules"), Index(7)]].concat(), (4, 3));
        check("", &group, (1, 1));
    }
}
