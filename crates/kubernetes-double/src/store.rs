//! The objects, and the log of what happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::selector::Selection;

/// By kind, namespace and name.
type Key = (String, String, String);

#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Value>,
    log: Vec<Change>,
    version: u64,
    /// Versions before this one are forgotten.
    first_known: u64,
}

/// What an object was, and what it is.
#[derive(Debug)]
struct Change {
    version: u64,
    plural: String,
    before: Option<Value>,
    after: Option<Value>,
}

pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// Where the next page starts; empty if this is the last.
    pub(crate) next: String,
}

impl Store {
    pub(crate) fn put(&mut self, plural: &str, mut object: Value) {
        self.version += 1;
        let (kind, api_version) = kind(plural);
        object["kind"] = kind.into();
        object["apiVersion"] = api_version.into();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or("").to_owned();
        let key = (plural.to_owned(), text("namespace"), text("name"));
        let before = self.objects.insert(key, object.clone());
        self.note(plural, before, Some(object));
    }

    pub(crate) fn delete(&mut self, plural: &str, namespace: &str, name: &str) {
        let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(before) = self.objects.remove(&key) {
            self.version += 1;
            self.note(plural, Some(before), None);
        }
    }

    fn note(&mut self, plural: &str, before: Option<Value>, after: Option<Value>) {
        let version = self.version;
        self.log.push(Change { version, plural: plural.to_owned(), before, after });
    }

    pub(crate) fn forget_versions(&mut self) {
        self.version += 1;
        self.first_known = self.version;
        self.log.clear();
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn is_forgotten(&self, version: u64) -> bool {
        version < self.first_known
    }

    /// At most `limit` of the chosen objects, from the one after `after` on.
    pub(crate) fn page(&self, selection: &Selection, after: &str, limit: usize) -> Page {
        let mut page = Page { items: Vec::new(), next: String::new() };
        for ((plural, namespace, name), object) in &self.objects {
            let place = format!("{namespace}/{name}");
            if *plural != selection.plural || place.as_str() <= after || !selection.has(object) {
                continue;
            }
            if page.items.len() == limit {
                let last = &page.items[limit - 1]["metadata"];
                let text = |name: &str| last[name].as_str().unwrap_or("");
                page.next = format!("{}/{}", text("namespace"), text("name"));
                break;
            }
            page.items.push(object.clone());
        }
        page
    }

    /// What happened after `version` to objects that are, or were, chosen: as events.
    pub(crate) fn events(&self, selection: &Selection, version: u64) -> Vec<Value> {
        let news = self.log.iter().filter(|change| change.version > version);
        let news = news.filter(|change| change.plural == selection.plural);
        news.filter_map(|change| {
            let chosen = |object: &Option<Value>| object.clone().filter(|o| selection.has(o));
            let (kind, mut object) = match (chosen(&change.before), chosen(&change.after)) {
                (None, None) => return None,
                (None, Some(after)) => ("ADDED", after),
                (Some(_), Some(after)) => ("MODIFIED", after),
                (Some(before), None) => ("DELETED", before),
            };
            object["metadata"]["resourceVersion"] = change.version.to_string().into();
            Some(json!({"type": kind, "object": object}))
        })
        .collect()
    }
}

/// A kind's name and its group's, by its name in paths.
pub(crate) fn kind(plural: &str) -> (&'static str, &'static str) {
    match plural {
        "pods" => ("Pod", "v1"),
        "nodes" => ("Node", "v1"),
        "namespaces" => ("Namespace", "v1"),
        "services" => ("Service", "v1"),
        "endpoints" => ("Endpoints", "v1"),
        "secrets" => ("Secret", "v1"),
        "endpointslices" => ("EndpointSlice", "discovery.k8s.io/v1"),
        "ingresses" => ("Ingress", "networking.k8s.io/v1"),
        other => panic!("a kind that no test has used so far: {other}"),
    }
}
