//! The watches that are running, each once however many providers use it.

use std::any::Any;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::object::Resource;
use super::server::{ApiServer, ApiServerConfig};
use super::watch::{Patience, Scope, Watch};
use crate::metrics::Metrics;

/// Knows the watches, but does not hold them: one that no provider uses ends.
#[derive(Debug)]
pub(crate) struct Watches {
    patience: Patience,
    metrics: Metrics,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    servers: Vec<Weak<ApiServer>>,
    watches: Vec<KnownWatch>,
}

#[derive(Debug)]
struct KnownWatch {
    server: Weak<ApiServer>,
    scope: Scope,
    /// A `Watch<K>`, whose kind is tried when it is asked for.
    watch: Weak<dyn Any + Send + Sync>,
}

impl Watches {
    pub(crate) fn new(patience: Patience, metrics: Metrics) -> Self {
        Self { patience, metrics, known: Mutex::default() }
    }

    pub(crate) fn server(&self, config: ApiServerConfig) -> Arc<ApiServer> {
        let mut known = self.known.lock();
        known.servers.retain(|server| server.strong_count() > 0);
        let running = known.servers.iter().filter_map(Weak::upgrade);
        if let Some(server) = running.into_iter().find(|server| *server.config() == config) {
            return server;
        }
        let server = Arc::new(ApiServer::new(config));
        known.servers.push(Arc::downgrade(&server));
        server
    }

    /// The watch for these objects of that server: one that is running, or a new one.
    pub(crate) fn watch<K: Resource>(
        &self,
        server: &Arc<ApiServer>,
        scope: Scope,
    ) -> Arc<Watch<K>> {
        let mut known = self.known.lock();
        known.watches.retain(|known| known.watch.strong_count() > 0);
        for known in &known.watches {
            if known.scope == scope
                && known.server.ptr_eq(&Arc::downgrade(server))
                && let Some(Ok(watch)) = known.watch.upgrade().map(Arc::downcast::<Watch<K>>)
            {
                return watch;
            }
        }
        let (patience, metrics) = (self.patience, self.metrics.clone());
        let watch = Watch::<K>::start(Arc::clone(server), scope.clone(), patience, metrics);
        let watch = Arc::new(watch);
        let as_any: Arc<dyn Any + Send + Sync> = Arc::clone(&watch) as _;
        let as_any = Arc::downgrade(&as_any);
        known.watches.push(KnownWatch { server: Arc::downgrade(server), scope, watch: as_any });
        watch
    }
}
