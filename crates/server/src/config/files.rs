//! The files that a configuration names by patterns.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Those that there are, and the names that name nothing.
#[derive(Default)]
pub(super) struct Files {
    pub(super) found: Vec<PathBuf>,
    pub(super) missing: Vec<MissingFile>,
}

/// A name without a wildcard under which there is no file. Prometheus starts all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFile {
    key: &'static str,
    name: String,
}

impl fmt::Display for MissingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} does not exist", self.key, self.name)
    }
}

impl Files {
    /// Expands what `key` lists in the order in which it stands; each file counts once.
    pub(super) fn find(
        key: &'static str,
        patterns: &[String],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let mut files = Self::default();
        for pattern in patterns {
            let full = directory.join(pattern);
            let full = full.to_str().with_context(|| format!("{key}: path is not valid UTF-8"))?;
            let matches = glob::glob(full).with_context(|| format!("{key}: {pattern:?}"))?;
            let mut is_missing = !pattern.contains(['*', '?', '[']);
            for path in matches {
                let path = path.with_context(|| format!("{key}: {pattern:?}"))?;
                is_missing = false;
                if !files.found.contains(&path) {
                    files.found.push(path);
                }
            }
            if is_missing {
                files.missing.push(MissingFile { key, name: pattern.clone() });
            }
        }
        Ok(files)
    }
}
