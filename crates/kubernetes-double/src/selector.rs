//! Which objects a request is about.

use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) plural: String,
    /// Empty for all.
    pub(crate) namespace: String,
    /// `name=value`, `name!=value`, `name` or `!name`, with commas between.
    pub(crate) labels: String,
    /// `path.to.field=value`, with commas between.
    pub(crate) fields: String,
}

impl Selection {
    pub(crate) fn has(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        (self.namespace.is_empty() || metadata["namespace"] == self.namespace.as_str())
            && terms(&self.labels).all(|term| has_label(&metadata["labels"], term))
            && terms(&self.fields).all(|term| has_field(object, term))
    }
}

fn terms(selector: &str) -> impl Iterator<Item = &str> {
    selector.split(',').filter(|term| !term.is_empty())
}

fn has_label(labels: &Value, term: &str) -> bool {
    if let Some((name, value)) = term.split_once("!=") {
        labels[name] != value
    } else if let Some((name, value)) = term.split_once('=') {
        labels[name] == value.trim_start_matches('=')
    } else if let Some(name) = term.strip_prefix('!') {
        labels[name].is_null()
    } else {
        !labels[term].is_null()
    }
}

fn has_field(object: &Value, term: &str) -> bool {
    let (path, value) = term.split_once('=').unwrap_or((term, ""));
    let field = path.split('.').fold(object, |object, name| &object[name]);
    field == value
}
