//! Runs the providers, and tells receivers what they find.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Common;
use crate::feed::Feed;
use crate::kubernetes::{Patience, Watches};
use crate::metrics::Metrics;
use crate::{Config, TargetGroup};

/// The pause after changes were handed on. Prometheus pauses for five seconds; here a change costs
/// its receiver what has changed and no more.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause is also this many times as long as it took to hand them on, however many they are.
const PAUSE_FACTOR: u32 = 20;
/// How long a set that a reload has changed waits for its new providers' first reports, so that
/// targets which they know as well do not go and come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who wants to know.
pub trait Receive: Send + Sync {
    /// From here on these are the groups of `set`. Called on blocking threads, one call at a time.
    fn receive(&self, set: &str, groups: Vec<Arc<TargetGroup>>);
}

/// Create it inside a tokio runtime.
pub struct Manager {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    common: Common,
    telling: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    providers: Vec<Provider>,
    sets: BTreeMap<String, Set>,
}

struct Provider {
    config: Config,
    feed: Feed,
    task: JoinHandle<()>,
}

/// What one receiver is told of.
struct Set {
    feeds: Vec<Feed>,
    /// The versions of the feeds that the receiver knows; `None` after a change of configuration.
    told: Option<Vec<u64>>,
    /// Until then, this waits for all feeds.
    patience: Instant,
}

impl Manager {
    pub fn new(receive: Arc<dyn Receive>, metrics: Metrics) -> Self {
        let (state, changed) = (Arc::default(), watch::Sender::new(()));
        let watches = Arc::new(Watches::new(Patience::default(), metrics.clone()));
        let telling = tell(Arc::clone(&state), changed.subscribe(), receive, metrics.clone());
        let telling = Mutex::new(Some(tokio::spawn(telling)));
        Self { state, changed, common: Common { metrics, watches }, telling }
    }

    /// Looks for what these sets, each with its name, ask for, and for nothing else (DISCOVER-2). A
    /// set that was there before and is not any more is told of no more.
    pub fn apply(&self, sets: Vec<(String, Vec<Config>)>) {
        let mut state = self.state.lock();
        let mut before = std::mem::take(&mut state.providers);
        let mut sets_before = std::mem::take(&mut state.sets);
        for (name, configs) in sets {
            let feeds = configs
                .into_iter()
                .map(|config| self.provider(config, &mut state.providers, &mut before));
            let feeds = feeds.collect();
            let patience = match sets_before.remove(&name) {
                Some(_) => PATIENCE,
                None => Duration::ZERO,
            };
            let patience = Instant::now() + patience;
            state.sets.insert(name, Set { feeds, told: None, patience });
        }
        for name in sets_before.keys() {
            // It may never have been told of.
            let _ = self.common.metrics.targets.remove_label_values(&[name]);
        }
        for provider in before {
            provider.task.abort();
        }
        self.changed.send_replace(());
    }

    /// The feed of the provider for `config`: one that `now` has or `before` had, or a new one.
    fn provider(
        &self,
        config: Config,
        now: &mut Vec<Provider>,
        before: &mut Vec<Provider>,
    ) -> Feed {
        let is_it = |provider: &Provider| provider.config == config;
        if let Some(running) = now.iter().find(|provider| is_it(provider)) {
            return running.feed.clone();
        }
        let provider = match before.iter().position(is_it) {
            Some(position) => before.swap_remove(position),
            None => {
                let feed = Feed::new(self.changed.clone());
                let task = config.start(feed.clone(), self.common.clone());
                Provider { config, feed, task }
            }
        };
        let feed = provider.feed.clone();
        now.push(provider);
        feed
    }

    /// Ends all tasks. Receivers keep what they were told last.
    pub async fn shutdown(&self) {
        let telling = self.telling.lock().take();
        let providers = std::mem::take(&mut self.state.lock().providers);
        let tasks = telling.into_iter().chain(providers.into_iter().map(|provider| provider.task));
        for task in tasks {
            task.abort();
            match task.await {
                Err(error) if error.is_panic() => tracing::error!(%error, "discovery ended badly"),
                _ => {}
            }
        }
    }
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets: Vec<String> = self.state.lock().sets.keys().cloned().collect();
        f.debug_struct("Manager").field("sets", &sets).finish_non_exhaustive()
    }
}

/// Hands on what changes, for as long as somebody can change it.
async fn tell(
    state: Arc<Mutex<State>>,
    mut changed: watch::Receiver<()>,
    receive: Arc<dyn Receive>,
    metrics: Metrics,
) {
    loop {
        changed.borrow_and_update();
        let (due, retry_at) = state.lock().due();
        let began = Instant::now();
        let (receiver, metrics) = (Arc::clone(&receive), metrics.clone());
        let handing_on = tokio::task::spawn_blocking(move || {
            for (set, groups) in due {
                let targets: usize = groups.iter().map(|group| group.targets.len()).sum();
                metrics.targets.with_label_values(&[&set]).set(targets as i64);
                receiver.receive(&set, groups);
            }
        });
        if let Err(error) = handing_on.await {
            return tracing::error!(%error, "a receiver of targets ended badly");
        }
        tokio::time::sleep(PAUSE.max(began.elapsed() * PAUSE_FACTOR)).await;
        let wait_for_patience = async {
            match retry_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = changed.changed() => {
                if changed.is_err() {
                    return; // the manager is gone
                }
            }
            () = wait_for_patience => {}
        }
    }
}

type Due = Vec<(String, Vec<Arc<TargetGroup>>)>;

impl State {
    /// What there is to tell now, and when to look again even if nothing changes.
    fn due(&mut self) -> (Due, Option<Instant>) {
        let (mut due, mut retry_at) = (Vec::new(), None);
        let now = Instant::now();
        for (name, set) in &mut self.sets {
            let versions: Vec<u64> = set.feeds.iter().map(Feed::version).collect();
            if set.told.as_ref() == Some(&versions) {
                continue;
            }
            if versions.contains(&0) && now < set.patience {
                retry_at = retry_at.into_iter().chain([set.patience]).min();
                continue;
            }
            let (groups, versions): (Vec<_>, Vec<_>) = set.feeds.iter().map(Feed::groups).unzip();
            set.told = Some(versions);
            due.push((name.clone(), groups.concat()));
        }
        (due, retry_at)
    }
}

#[cfg(test)]
mod tests;
