//! What targets are told of besides their own object.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::labels::MetaLabels;
use super::object::{Namespace, Node, ObjectKey, ObjectReference, Pod, Service};
use super::watch::{Changes, Part, Watch};

/// The watches that a role needs besides its own, where it needs them.
#[derive(Debug, Default)]
pub(super) struct Around {
    pub(super) pods: Option<Arc<Watch<Pod>>>,
    pub(super) services: Option<Arc<Watch<Service>>>,
    pub(super) nodes: Option<Arc<Watch<Node>>>,
    pub(super) namespaces: Option<Arc<Watch<Namespace>>>,
}

impl Around {
    pub(super) fn listen(&self, changes: &Arc<Changes>) {
        if let Some(pods) = &self.pods {
            pods.listen(Part::Pod, changes);
        }
        if let Some(services) = &self.services {
            services.listen(Part::Service, changes);
        }
        if let Some(nodes) = &self.nodes {
            nodes.listen(Part::Node, changes);
        }
        if let Some(namespaces) = &self.namespaces {
            namespaces.listen(Part::Namespace, changes);
        }
    }

    /// Waits until all of them have been listed.
    pub(super) async fn listed(&self) {
        if let Some(pods) = &self.pods {
            pods.listed().await;
        }
        if let Some(services) = &self.services {
            services.listed().await;
        }
        if let Some(nodes) = &self.nodes {
            nodes.listed().await;
        }
        if let Some(namespaces) = &self.namespaces {
            namespaces.listed().await;
        }
    }

    /// The pod that is referred to, if it is one and is known.
    pub(super) fn pod(&self, reference: Option<&ObjectReference>) -> Option<Arc<Pod>> {
        self.pods.as_ref()?.get(&pod_key(reference?)?)
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.as_ref()?.get(&key(namespace, name))
    }

    /// Adds the labels of a node, where they are wanted and known.
    pub(super) fn attach_node(&self, labels: &mut MetaLabels, name: Option<&str>) {
        if let (Some(nodes), Some(name)) = (&self.nodes, name)
            && let Some(node) = nodes.get(&key("", name))
        {
            labels.attach_node(&node);
        }
    }

    /// Adds the labels and annotations of a namespace, where they are wanted and known.
    pub(super) fn attach_namespace(&self, labels: &mut MetaLabels, name: &str) {
        if let Some(namespaces) = &self.namespaces
            && let Some(namespace) = namespaces.get(&key("", name))
        {
            labels.properties("namespace", &namespace.metadata);
        }
    }
}

/// What has changed around the main objects.
pub(super) struct Touched<'a>(pub(super) &'a BTreeSet<(Part, ObjectKey)>);

impl Touched<'_> {
    pub(super) fn pod(&self, reference: Option<&ObjectReference>) -> bool {
        reference.and_then(pod_key).is_some_and(|key| self.0.contains(&(Part::Pod, key)))
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> bool {
        self.0.contains(&(Part::Service, key(namespace, name)))
    }

    pub(super) fn node(&self, name: &str) -> bool {
        self.0.contains(&(Part::Node, key("", name)))
    }

    pub(super) fn namespace(&self, name: &str) -> bool {
        self.0.contains(&(Part::Namespace, key("", name)))
    }
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn pod_key(reference: &ObjectReference) -> Option<ObjectKey> {
    (reference.kind == "Pod").then(|| key(&reference.namespace, &reference.name))
}
