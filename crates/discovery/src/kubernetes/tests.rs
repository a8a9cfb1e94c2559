//! Providers against an API server of our own making.

mod behaviour;
mod groups;
mod objects;

use std::sync::Arc;
use std::time::Duration;

use kubernetes_double::ApiServer;
use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::TargetGroup;

/// As patient as a test.
const PATIENCE: Patience = Patience {
    watch: Duration::from_secs(60),
    silence: Duration::from_millis(1500),
    backoff_min: Duration::from_millis(20),
    backoff_max: Duration::from_millis(100),
};

fn config(server: &ApiServer, yaml: &str) -> KubernetesConfig {
    serde_yaml_ng::from_str(&format!("api_server: '{}'\n{yaml}", server.url())).unwrap()
}

/// Watches that several providers may share.
fn shared() -> Arc<Watches> {
    Arc::new(Watches::new(PATIENCE, Metrics::register(&Registry::new()).unwrap()))
}

/// A running provider, and what it has found.
struct Provider {
    feed: Feed,
    task: JoinHandle<()>,
}

impl Provider {
    fn start(config: KubernetesConfig, watches: &Arc<Watches>) -> Self {
        let feed = Feed::new(watch::Sender::new(()));
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let task = tokio::spawn(run(config, feed.clone(), Arc::clone(watches), metrics));
        Self { feed, task }
    }

    fn of(server: &ApiServer, yaml: &str) -> Self {
        Self::start(config(server, yaml), &shared())
    }

    fn groups(&self) -> Vec<Arc<TargetGroup>> {
        self.feed.groups().0
    }

    fn sources(&self) -> Vec<String> {
        self.groups().iter().map(|group| group.source.to_string()).collect()
    }

    async fn wait_for(&self, sources: &[&str]) {
        eventually(|| self.sources() == sources, || format!("{:?}", self.sources())).await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[track_caller]
fn eventually(
    mut done: impl FnMut() -> bool,
    instead: impl Fn() -> String,
) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        for _ in 0..1000 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not happen: {place}: {}", instead());
    }
}
