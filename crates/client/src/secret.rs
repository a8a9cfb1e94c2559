//! Secrets, and where they are kept.
//!
//! - SECRET-1: a [`Secret`] has no `Display`, its `Debug` hides it, and nothing outside this crate can
//!   read it: it leaves in requests only.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::ConfigError;

/// More than any key, certificate or token.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A secret in the configuration, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Inline(Secret),
    File(PathBuf),
}

impl Source {
    /// As in Prometheus, what is empty is not configured.
    pub(crate) fn one_of(
        name: &str,
        inline: Option<Secret>,
        file: Option<PathBuf>,
    ) -> Result<Option<Self>, ConfigError> {
        let inline = inline.filter(|secret| !secret.expose().is_empty());
        let file = file.filter(|path| !path.as_os_str().is_empty());
        match (inline, file) {
            (Some(_), Some(_)) => Err(ConfigError::new(format!(
                "at most one of {name} and {name}_file must be configured"
            ))),
            (Some(inline), None) => Ok(Some(Self::Inline(inline))),
            (None, file) => Ok(file.map(Self::File)),
        }
    }

    pub(crate) fn set_directory(&mut self, directory: &Path) {
        if let Self::File(path) = self {
            *path = directory.join(&*path);
        }
    }

    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// What the file holds now, so that a changed secret needs no reload. An error names the file.
    pub(crate) fn read(&self) -> io::Result<Secret> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path).map_err(|error| {
                io::Error::new(error.kind(), format!("read {}: {error}", path.display()))
            }),
        }
    }
}

fn read_file(path: &Path) -> io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Secret(text.trim().to_owned()))
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(secret) => secret.fmt(f),
            Self::File(path) => path.fmt(f),
        }
    }
}

/// A list of secrets. Where there is something else, which may be a secret without its list, the error
/// does not quote it as serde's own would.
#[derive(Debug, Default)]
pub(crate) struct Secrets(pub(crate) Vec<Secret>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let list: Option<Vec<Secret>> =
            Option::deserialize(from).map_err(|_| D::Error::custom("expected a list of texts"))?;
        Ok(Self(list.unwrap_or_default()))
    }
}

/// A mapping, or nothing. Where there is something else, the error does not quote it either.
#[derive(Debug)]
pub(crate) struct Mapping<T>(pub(crate) Option<T>);

impl<T> Default for Mapping<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MappingVisitor(PhantomData)).map(Self)
    }
}

struct MappingVisitor<T>(PhantomData<T>);

const NO_MAPPING: &str = "expected a mapping";

impl<'de, T: Deserialize<'de>> Visitor<'de> for MappingVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<T>, E> {
        Err(E::custom(NO_MAPPING))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
        Err(E::custom(NO_MAPPING))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Err(E::custom(NO_MAPPING))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Err(E::custom(NO_MAPPING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::from("hush".to_owned());
        assert_eq!(format!("{secret:?}"), "<secret>");
        let source = Source::Inline(secret);
        assert_eq!(format!("{source:#?}"), "<secret>");
    }

    #[test]
    fn a_file_is_read_each_time_and_within_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let mut source = Source::File("token".into());
        source.set_directory(directory.path());
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains("/token: No such file"), "{error}");
        for token in ["one", "two"] {
            std::fs::write(directory.path().join("token"), format!("{token}\n")).unwrap();
            assert_eq!(source.read().unwrap().expose(), token);
        }
        let large = "x".repeat(FILE_BYTES_MAX as usize + 1);
        std::fs::write(directory.path().join("token"), large).unwrap();
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains("/token: larger than 1048576 bytes"), "{error}");
    }
}
