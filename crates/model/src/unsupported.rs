//! Configuration keys that Prometheus knows and we do not support yet.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The type of such a key: any value is an error that names the key and its line, so that nothing in
/// a configuration silently does nothing. The default stands for the key's absence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Refusal)
    }
}

/// Refuses in its `visit` methods: only an error from there gets the value's place.
struct Refusal;

const MESSAGE: &str = "not supported yet";

impl<'de> Visitor<'de> for Refusal {
    type Value = Unsupported;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing: this key is not supported yet")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unsupported, E> {
        Err(E::custom(MESSAGE))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Unsupported, A::Error> {
        Err(A::Error::custom(MESSAGE))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Unsupported, A::Error> {
        Err(A::Error::custom(MESSAGE))
    }
}
