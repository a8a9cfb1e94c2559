//! `kubernetes_sd_configs`: targets from the objects of a Kubernetes cluster.
//!
//! ```text
//! Watches: one per (API server, kind, namespace, selectors), shared by all providers
//!    └─ Watch: list, then watch: a copy of the objects, and who listens to its changes
//!         └─ role::follow: changed objects, and those that refer to them ─► groups ─► Feed
//! ```
//! The client is our own, some five hundred lines over the HTTP client that all else here uses, and
//! not the `kube` crate: its types hold whole objects (a pod of 20 KB, of which a target needs 1),
//! its settings of TLS, proxies and credentials would stand beside those of `http_config`, and it
//! takes longer to build than all of this workspace. What is hard about a watch stands in [`watch`].
//!
//! - KUBERNETES-1: nothing that an API server does, and no absence of it, costs a target that was
//!   found: only an object that the server says is gone, or without an address, takes its targets.
//! - KUBERNETES-2: what is watched is watched once, however many jobs ask for it.
//! - Source: Prometheus 3, `discovery/kubernetes/`.

mod around;
mod config;
mod endpoints;
mod ingress;
mod kubeconfig;
mod labels;
mod lines;
mod node;
mod object;
mod place;
mod pod;
mod role;
mod server;
mod service;
mod watch;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use crate::feed::Feed;
use crate::metrics::Metrics;

use around::Around;
use object::{EndpointSlice, Endpoints, Ingress, Namespace, Node, Pod, Resource, Service};
use role::MakesTargets;
use server::ApiServer;
use watch::{Scope, Watch};

pub use config::KubernetesConfig;
pub(crate) use config::Role;
pub(crate) use watch::Patience;
pub(crate) use watches::Watches;

/// Between two tries to find out where the API server is.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    config: KubernetesConfig,
    feed: Feed,
    watches: Arc<Watches>,
    metrics: Metrics,
) {
    let (server, namespaces) = loop {
        match config.place.find().and_then(|server| Ok((server, config.namespaces()?))) {
            Ok(found) => break found,
            Err(error) => {
                metrics.failed("kubernetes");
                tracing::error!(%error, "find the API server of Kubernetes");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    };
    let server = watches.server(server);
    let following = namespaces.into_iter().map(|namespace| {
        let cluster = Cluster { config: config.clone(), namespace, server: server.clone() };
        follow(cluster, Arc::clone(&watches), feed.clone())
    });
    futures_util::future::join_all(following).await;
}

/// What one configuration watches in one namespace, or in all.
struct Cluster {
    config: KubernetesConfig,
    /// Empty for all.
    namespace: String,
    server: Arc<ApiServer>,
}

async fn follow(cluster: Cluster, watches: Arc<Watches>, feed: Feed) {
    match cluster.config.role {
        Role::Node => cluster.follow::<Node>(Role::Node, &watches, feed).await,
        Role::Pod => cluster.follow::<Pod>(Role::Pod, &watches, feed).await,
        Role::Service => cluster.follow::<Service>(Role::Service, &watches, feed).await,
        Role::Endpoints => cluster.follow::<Endpoints>(Role::Endpoints, &watches, feed).await,
        Role::EndpointSlice => {
            cluster.follow::<EndpointSlice>(Role::EndpointSlice, &watches, feed).await;
        }
        Role::Ingress => cluster.follow::<Ingress>(Role::Ingress, &watches, feed).await,
    }
}

impl Cluster {
    async fn follow<M: MakesTargets>(&self, role: Role, watches: &Watches, feed: Feed) {
        let main = self.watch::<M>(Some(role), watches);
        role::follow(main, self.around(watches), feed).await;
    }

    /// What the role needs to know besides its own objects.
    fn around(&self, watches: &Watches) -> Around {
        let attach = self.config.attach_metadata;
        let has_endpoints = matches!(self.config.role, Role::Endpoints | Role::EndpointSlice);
        let has_nodes = has_endpoints || self.config.role == Role::Pod;
        let has_namespaces = self.config.role != Role::Node;
        Around {
            pods: has_endpoints.then(|| self.watch(Some(Role::Pod), watches)),
            services: has_endpoints.then(|| self.watch(Some(Role::Service), watches)),
            nodes: (attach.node && has_nodes).then(|| self.watch(Some(Role::Node), watches)),
            namespaces: (attach.namespace && has_namespaces)
                .then(|| self.watch::<Namespace>(None, watches)),
        }
    }

    /// `role`: whose selector counts.
    fn watch<K: Resource>(&self, role: Option<Role>, watches: &Watches) -> Arc<Watch<K>> {
        let selector = role.and_then(|role| self.config.selector(role)).cloned();
        let selector = selector.unwrap_or_default();
        let mut scope = Scope {
            namespace: self.namespace.clone(),
            label_selector: selector.label,
            field_selector: selector.field,
        };
        match K::PLURAL {
            "nodes" => scope.namespace.clear(),
            // A namespace has no namespace either, but is one, and can be asked for by name.
            "namespaces" if !scope.namespace.is_empty() => {
                scope.field_selector = format!("metadata.name={}", scope.namespace);
                scope.namespace.clear();
            }
            _ => {}
        }
        watches.watch(&self.server, scope)
    }
}

#[cfg(test)]
mod tests;
