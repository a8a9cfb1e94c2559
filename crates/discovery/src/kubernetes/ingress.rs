//! The role `ingress`: a target for each path of each rule.
//!
//! Source: Prometheus 3, `discovery/kubernetes/ingress.go`.

use super::around::{Around, Touched};
use super::labels::MetaLabels;
use super::object::{Ingress, IngressRule, ObjectKey};
use super::role::{Made, MakesTargets};
use crate::group::ADDRESS;

impl MakesTargets for Ingress {
    fn source(key: &ObjectKey) -> String {
        format!("ingress/{key}")
    }

    fn is_touched(&self, touched: &Touched<'_>) -> bool {
        touched.namespace(&self.metadata.namespace)
    }

    fn make(&self, around: &Around) -> Option<Made> {
        let mut labels = MetaLabels::default();
        labels.set("namespace", &*self.metadata.namespace);
        labels.set_some("ingress_class_name", self.spec.ingress_class_name.as_deref());
        labels.object("ingress", &self.metadata);
        around.attach_namespace(&mut labels, &self.metadata.namespace);
        let mut targets = Vec::new();
        for rule in &self.spec.rules {
            let scheme = if self.has_tls(&rule.host) { "https" } else { "http" };
            for path in paths(rule) {
                let mut target = MetaLabels::default();
                target.set_plain(ADDRESS, &*rule.host);
                target.set("ingress_scheme", scheme);
                target.set("ingress_host", &*rule.host);
                target.set("ingress_path", path);
                targets.push(target);
            }
        }
        Some(Made { labels, targets })
    }
}

impl Ingress {
    fn has_tls(&self, host: &str) -> bool {
        self.spec.tls.iter().flat_map(|tls| &tls.hosts).any(|pattern| is_match(pattern, host))
    }
}

fn paths(rule: &IngressRule) -> Vec<&str> {
    let paths = rule.http.iter().flat_map(|http| &http.paths);
    let mut paths: Vec<&str> =
        paths.map(|path| if path.path.is_empty() { "/" } else { path.path.as_str() }).collect();
    if paths.is_empty() {
        paths.push("/");
    }
    paths
}

/// Whether the host is the pattern, in which a `*` may stand for the first part.
fn is_match(pattern: &str, host: &str) -> bool {
    if pattern == host {
        return true;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(pattern), Some((_, rest))) => pattern == rest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_part_of_a_host() {
        #[track_caller]
        fn check(pattern: &str, host: &str, expect: bool) {
            assert_eq!(is_match(pattern, host), expect, "{pattern} {host}");
        }
        check("a.example", "a.example", true);
        check("*.example", "a.example", true);
        check("*.example", "b.a.example", false);
        check("*.a.example", "b.a.example", true);
        check("*.example", "example", false);
        check("a.*", "a.example", false);
        check("", "a", false);
    }
}
