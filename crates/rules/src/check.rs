//! `watershed check rules`: what is in rule files, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use promql::Features;

use crate::file::{RuleFileError, load};
use crate::rule::RuleGroup;

#[derive(Debug)]
pub struct CheckedFile {
    pub path: PathBuf,
    /// Why the file is refused; empty for a good one.
    pub errors: Vec<RuleFileError>,
    pub groups: usize,
    pub rules: usize,
    /// Rules of the same name and labels, which Prometheus' linter warns of: they may write the same
    /// series.
    pub duplicates: Vec<DuplicateRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DuplicateRule {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// `features` are those of queries.
pub fn check_files(paths: &[PathBuf], features: Features) -> Vec<CheckedFile> {
    paths.iter().map(|path| check_file(path, features)).collect()
}

fn check_file(path: &Path, features: Features) -> CheckedFile {
    let (groups, errors) = match load(path, features) {
        Ok(groups) => (groups, Vec::new()),
        Err(errors) => (Vec::new(), errors),
    };
    CheckedFile {
        path: path.to_owned(),
        errors,
        groups: groups.len(),
        rules: groups.iter().map(|group| group.rules.len()).sum(),
        duplicates: duplicates(&groups),
    }
}

fn duplicates(groups: &[RuleGroup]) -> Vec<DuplicateRule> {
    let mut seen: BTreeMap<DuplicateRule, usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let labels = rule.labels();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let labels = labels.into_iter().map(owned).collect();
        *seen.entry(DuplicateRule { name: rule.name().to_owned(), labels }).or_default() += 1;
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(rule, _)| rule).collect()
}
