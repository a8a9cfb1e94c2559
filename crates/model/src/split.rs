//! A YAML mapping whose keys belong to two types: what many sections share, and a section's own.
//!
//! serde can either embed one struct in another or refuse unknown keys, and not both. Here the keys of
//! the shared part are taken out of the mapping while it is read, and the section's own type, with its
//! `deny_unknown_fields`, sees the others. Nothing is read twice or buffered, so that an error of
//! either names its key and line.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::unsupported;

/// The shared part, filled key by key.
pub trait Part: Default {
    const KEYS: &'static [&'static str];

    /// Reads the value of `key`, one of [`Part::KEYS`], which comes next in `from`.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, from: &mut A) -> Result<(), A::Error>;
}

/// No keys: for a section that shares none, of which keys may be known to be unsupported.
impl Part for () {
    const KEYS: &'static [&'static str] = &[];

    fn read<'de, A: MapAccess<'de>>(&mut self, _: &str, _: &mut A) -> Result<(), A::Error> {
        Ok(())
    }
}

/// What a mapping says: the keys of `P`, and all others.
#[derive(Debug, Default)]
pub struct Split<P, T> {
    pub part: P,
    pub rest: T,
}

impl<'de, P: Part, T: Deserialize<'de>> Deserialize<'de> for Split<P, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(SplitVisitor(PhantomData))
    }
}

/// For `deserialize_with`: a key that is there with nothing after it, as where all entries of a list are
/// commented out, is as if it were not there.
pub fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

struct SplitVisitor<P, T>(PhantomData<(P, T)>);

impl<'de, P: Part, T: Deserialize<'de>> Visitor<'de> for SplitVisitor<P, T> {
    type Value = Split<P, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Split<P, T>, A::Error> {
        let mut part = P::default();
        let others = Others { map, part: &mut part, seen: Vec::new() };
        let rest = T::deserialize(MapAccessDeserializer::new(others))?;
        Ok(Split { part, rest })
    }
}

/// The entries of `map` that are not `part`'s; those that are go there on the way.
struct Others<'a, A, P> {
    map: A,
    part: &'a mut P,
    seen: Vec<&'static str>,
}

impl<'de, A: MapAccess<'de>, P: Part> MapAccess<'de> for Others<'_, A, P> {
    type Error = A::Error;

    fn next_key_seed<K>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error>
    where
        K: DeserializeSeed<'de>,
    {
        loop {
            let key = KeySeed { keys: P::KEYS, seen: &mut self.seen, seed };
            match self.map.next_key_seed(key)? {
                None => return Ok(None),
                Some(Key::Other(key)) => return Ok(Some(key)),
                Some(Key::Shared(key, unused)) => {
                    self.part.read(key, &mut self.map)?;
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

enum Key<K, V> {
    Shared(&'static str, K),
    Other(V),
}

/// Decides in its `visit` method: only an error from there gets the key's place.
struct KeySeed<'a, K> {
    keys: &'static [&'static str],
    seen: &'a mut Vec<&'static str>,
    seed: K,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for KeySeed<'_, K> {
    type Value = Key<K, K::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if let Some(&shared) = self.keys.iter().find(|shared| **shared == key) {
            if self.seen.contains(&shared) {
                return Err(E::duplicate_field(shared));
            }
            self.seen.push(shared);
            return Ok(Key::Shared(shared, self.seed));
        }
        if let Some(instead) = unsupported::instead_of(key) {
            return Err(E::custom(format_args!("{key}: not supported; {instead}")));
        }
        let key: StrDeserializer<'_, E> = key.into_deserializer();
        self.seed.deserialize(key).map(Key::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Shared {
        user: Option<String>,
        port: Option<u16>,
    }

    impl Part for Shared {
        const KEYS: &'static [&'static str] = &["user", "port"];

        fn read<'de, A: MapAccess<'de>>(
            &mut self,
            key: &str,
            from: &mut A,
        ) -> Result<(), A::Error> {
            match key {
                "user" => self.user = from.next_value()?,
                _ => self.port = from.next_value()?,
            }
            Ok(())
        }
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Own {
        #[serde(deserialize_with = "null_as_default")]
        name: String,
        size: u8,
    }

    fn read(yaml: &str) -> Result<Split<Shared, Own>, String> {
        #[derive(Deserialize)]
        struct File {
            section: Split<Shared, Own>,
        }
        let file: Result<File, _> = serde_yaml_ng::from_str(yaml);
        file.map(|file| file.section).map_err(|error| error.to_string())
    }

    #[test]
    fn each_key_goes_where_it_belongs() {
        let read = read("section: {user: me, name: x, port: 80, size: 3}").unwrap();
        assert_eq!((read.part.user.as_deref(), read.part.port), (Some("me"), Some(80)));
        assert_eq!((read.rest.name.as_str(), read.rest.size), ("x", 3));
        let read = self::read("section:\n  name:\n  user:\n").unwrap();
        assert_eq!((read.part.user, read.rest.name.as_str()), (None, ""));
    }

    #[test]
    fn errors_name_key_and_line() {
        #[track_caller]
        fn check(section: &str, expect: &str) {
            let error = read(&format!("section:\n  {}", section.replace('\n', "\n  ")));
            let error = error.unwrap_err();
            assert!(error.contains(expect), "{section:?}: {error}");
        }
        check("user: me\nusers: you", "section: unknown field `users`");
        check("user: me\nusers: you", "at line 3 column 3");
        check("name: x\nport: high", "section.port: invalid type: string \"high\"");
        check("name: x\nport: high", "at line 3 column 9");
        check("size: 300", "section.size: invalid value");
        check("port: 1\nname: x\nport: 2", "section: duplicate field `port` at line 4");
        check("name: x\nname: y", "section: duplicate field `name`");
        check("name: x\nconsul_sd_configs: []", "section: consul_sd_configs: not supported; ");
        check("name: x\nconsul_sd_configs: []", "at line 3 column 3");
        check("[]", "section: invalid type: sequence, expected a mapping at line 2");
    }
}
