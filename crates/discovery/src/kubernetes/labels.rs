//! How what Kubernetes says of an object becomes labels.
//!
//! Source: Prometheus 3, `discovery/kubernetes/kubernetes.go`, `docs/configuration/configuration.md`.

use model::Labels;

use super::object::{Meta, Node, Pairs};

pub(super) const PREFIX: &str = "__meta_kubernetes_";

/// Labels in the making: of two with one name the later stands.
#[derive(Clone, Debug, Default)]
pub(super) struct MetaLabels(Vec<(String, String)>);

impl MetaLabels {
    /// Sets `__meta_kubernetes_<name>`.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((format!("{PREFIX}{name}"), value.into()));
    }

    pub(super) fn set_some(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.set(name, value.to_string());
        }
    }

    /// Sets a label that has no prefix.
    pub(super) fn set_plain(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The name, labels and annotations of an object of the kind that labels call `kind`.
    pub(super) fn object(&mut self, kind: &str, meta: &Meta) {
        self.set(&format!("{kind}_name"), &*meta.name);
        self.properties(kind, meta);
    }

    /// The labels and annotations alone.
    pub(super) fn properties(&mut self, kind: &str, meta: &Meta) {
        self.pairs(&format!("{kind}_label"), &meta.labels);
        self.pairs(&format!("{kind}_annotation"), &meta.annotations);
    }

    fn pairs(&mut self, what: &str, pairs: &Pairs) {
        for (name, value) in pairs.iter() {
            let name = sanitize(name);
            self.set(&format!("{what}_{name}"), value);
            self.set(&format!("{what}present_{name}"), "true");
        }
    }

    /// What `attach_metadata` of nodes adds: the name and the labels.
    pub(super) fn attach_node(&mut self, node: &Node) {
        self.set("node_name", &*node.metadata.name);
        self.pairs("node_label", &node.metadata.labels);
    }

    pub(super) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(super) fn build(self) -> Labels {
        self.0.into_iter().collect()
    }
}

/// As a label name may be: every other character becomes `_`.
pub(super) fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// `host:port`, with the brackets that an IPv6 address needs.
pub(super) fn join_host_port(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains([':', '%']) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_label_names() {
        #[track_caller]
        fn check(name: &str, expect: &str) {
            assert_eq!(sanitize(name), expect);
        }
        check("app.kubernetes.io/name", "app_kubernetes_io_name");
        check("a-b_c9", "a_b_c9");
        check("größe", "gr__e");
    }

    #[test]
    fn of_two_labels_with_one_name_the_later_stands() {
        let mut labels = MetaLabels::default();
        labels.set("a", "1");
        labels.set("b", "");
        labels.set("a", "2");
        assert_eq!(labels.build().to_string(), r#"{__meta_kubernetes_a="2"}"#);
    }

    #[test]
    fn addresses_of_all_kinds_take_a_port() {
        assert_eq!(join_host_port("10.0.0.1", 80), "10.0.0.1:80");
        assert_eq!(join_host_port("fd00::1", 80), "[fd00::1]:80");
    }
}
