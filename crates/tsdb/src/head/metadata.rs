//! What targets say of metric families, by family name.

use std::collections::HashMap;

use model::Metadata;

/// Targets may disagree about a family; no more than this many versions of it are kept.
const VERSIONS_MAX: usize = 8;
/// What a series' metric name may have behind its family's name.
const SUFFIXES: [&str; 9] =
    ["", "_total", "_bucket", "_count", "_sum", "_created", "_info", "_gcount", "_gsum"];

/// The names that the metrics of `family` may have.
pub(crate) fn metric_names(family: &str) -> impl Iterator<Item = String> {
    SUFFIXES.iter().map(move |suffix| format!("{family}{suffix}"))
}

/// The names that the family of `metric` may have.
fn family_names(metric: &str) -> impl Iterator<Item = &str> {
    SUFFIXES.iter().filter_map(move |suffix| metric.strip_suffix(suffix))
}

#[derive(Debug, Default)]
pub(crate) struct MetadataStore {
    families: HashMap<String, Vec<Version>>, // the newest last
}

#[derive(Debug)]
struct Version {
    metadata: Metadata,
    /// The log names metadata by a series: what came before any series of its family waits for one.
    is_logged: bool,
}

impl MetadataStore {
    /// Whether `metadata` is the newest of its family, and the log has it.
    pub(crate) fn is_settled(&self, family: &str, metadata: &Metadata) -> bool {
        let newest = self.families.get(family).and_then(|versions| versions.last());
        newest.is_some_and(|newest| newest.is_logged && newest.metadata == *metadata)
    }

    pub(crate) fn insert(&mut self, family: &str, metadata: &Metadata, is_logged: bool) {
        let versions = self.families.entry(family.to_owned()).or_default();
        versions.retain(|version| version.metadata != *metadata);
        if versions.len() == VERSIONS_MAX {
            versions.remove(0);
        }
        versions.push(Version { metadata: metadata.clone(), is_logged });
    }

    pub(crate) fn of_metric(&self, metric: &str) -> Option<&Metadata> {
        let versions = family_names(metric).find_map(|family| self.families.get(family))?;
        versions.last().map(|version| &version.metadata)
    }

    /// All versions of all families, the newest of each last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.families.iter().flat_map(|(family, versions)| {
            versions.iter().map(move |version| (family.as_str(), &version.metadata))
        })
    }

    /// Keeps the families that have one of the metrics that `exists` knows.
    pub(crate) fn retain(&mut self, mut exists: impl FnMut(&str) -> bool) {
        self.families.retain(|family, _| metric_names(family).any(|metric| exists(&metric)));
    }

    /// What is known of `family`, or of all, sorted by name; the newest version first.
    pub(crate) fn list(&self, family: Option<&str>) -> Vec<(String, Metadata)> {
        let wanted = |name: &str| family.is_none_or(|family| family == name);
        let pairs = self.families.iter().filter(|(name, _)| wanted(name));
        let mut list: Vec<(String, Metadata)> = pairs
            .flat_map(|(name, versions)| {
                versions.iter().rev().map(move |v| (name.clone(), v.metadata.clone()))
            })
            .collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list
    }
}

#[cfg(test)]
mod tests {
    use model::MetricType;

    use super::*;

    fn metadata(help: &str) -> Metadata {
        Metadata { metric_type: MetricType::Histogram, help: help.to_owned(), unit: String::new() }
    }

    #[test]
    fn a_metric_has_the_metadata_of_its_family() {
        #[track_caller]
        fn check(metric: &str, expect: Option<&str>) {
            let mut store = MetadataStore::default();
            store.insert("x", &metadata("x"), true);
            store.insert("y_count", &metadata("y"), true);
            let found = store.of_metric(metric).map(|found| found.help.as_str());
            assert_eq!(found, expect, "{metric}");
        }
        check("x", Some("x"));
        check("x_bucket", Some("x"));
        check("x_total", Some("x"));
        check("x_total_bucket", None);
        check("y_count", Some("y"));
        check("y_sum", None);
    }

    #[test]
    fn of_many_versions_the_newest_are_kept() {
        let mut store = MetadataStore::default();
        for version in 0..2 * VERSIONS_MAX {
            store.insert("x", &metadata(&version.to_string()), true);
        }
        let list = store.list(Some("x"));
        assert_eq!(list.len(), VERSIONS_MAX);
        assert_eq!(list[0].1.help, (2 * VERSIONS_MAX - 1).to_string());
        assert!(store.is_settled("x", &list[0].1));
        assert!(!store.is_settled("x", &list[1].1));
    }
}
