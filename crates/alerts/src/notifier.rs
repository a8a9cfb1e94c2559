//! Hands every alert to every Alertmanager.

use std::sync::Arc;
use std::time::Duration;

use discovery::TargetGroup;
use model::{Alert, Labels};
use parking_lot::Mutex;
use relabel::RelabelStep;
use tokio_util::task::TaskTracker;

use crate::config::set_name;
use crate::destination::{Destination, Endpoint, relabelled};
use crate::status::{AlertmanagerUrl, AlertmanagersStatus};
use crate::{AlertingConfig, AlertmanagerConfig, Metrics};

/// After this time a shutdown gives up what is still queued.
const DRAIN_MAX: Duration = Duration::from_secs(15);

/// Owns one task per Alertmanager. Create it inside a tokio runtime.
#[derive(Debug)]
pub struct Notifier {
    queue_capacity: usize,
    metrics: Metrics,
    tasks: TaskTracker,
    routing: Mutex<Routing>,
}

/// What a configuration says; replaced as a whole.
#[derive(Debug, Default)]
struct Routing {
    external_labels: Labels,
    alert_relabel: Vec<RelabelStep>,
    entries: Vec<Entry>,
    destinations: Vec<Arc<Destination>>,
    dropped: Vec<AlertmanagerUrl>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    config: AlertmanagerConfig,
    /// What discovery has found for it.
    found: Vec<Arc<TargetGroup>>,
}

impl Notifier {
    /// Sends nothing until a configuration is applied. `queue_capacity`: alerts that may wait for one
    /// Alertmanager.
    pub fn new(queue_capacity: usize, metrics: Metrics) -> Self {
        let (tasks, routing) = (TaskTracker::new(), Mutex::default());
        Self { queue_capacity, metrics, tasks, routing }
    }

    /// From now on alerts go where `config` says. Alertmanagers that stay as they were keep their
    /// queue; what is queued for one that is gone is dropped.
    pub fn apply(&self, config: AlertingConfig, external_labels: Labels) {
        let mut routing = self.routing.lock();
        let mut before = std::mem::take(&mut routing.entries).into_iter();
        let entries = config.alertmanagers.into_iter().map(|config| {
            // What was found before holds until discovery says otherwise, if it looks for the same.
            let found =
                before.next().filter(|entry| entry.config.discoveries == config.discoveries);
            Entry { config, found: found.map_or_else(Vec::new, |entry| entry.found) }
        });
        routing.entries = entries.collect();
        routing.external_labels = external_labels;
        routing.alert_relabel = config.alert_relabel;
        self.follow_entries(&mut routing);
    }

    /// From here on these are the groups that discovery knows for `set`, one of
    /// [`AlertingConfig::discoveries`]. Call it within a tokio runtime.
    pub fn find(&self, set: &str, found: Vec<Arc<TargetGroup>>) {
        let mut routing = self.routing.lock();
        let mut entries = routing.entries.iter_mut().enumerate();
        let entry = entries.find(|(position, _)| set_name(*position) == set);
        let Some((_, entry)) = entry else { return }; // discovery was told later than we
        entry.found = found;
        self.follow_entries(&mut routing);
    }

    /// Makes the destinations those of the entries.
    fn follow_entries(&self, routing: &mut Routing) {
        if routing.closed {
            return;
        }
        let mut before = std::mem::take(&mut routing.destinations);
        routing.dropped.clear();
        for Entry { config, found } in &routing.entries {
            let endpoints = config.places.endpoints(found);
            for error in endpoints.errors {
                tracing::error!(%error, "create the target of an alertmanager");
            }
            let url = |url: &url::Url| AlertmanagerUrl { url: url.to_string() };
            routing.dropped.extend(endpoints.dropped.iter().map(url));
            for url in endpoints.active {
                let endpoint = Endpoint {
                    url,
                    timeout: config.timeout,
                    http: config.http.clone(),
                    alert_relabel: config.alert_relabel.clone(),
                };
                let kept = before.iter().position(|destination| destination.endpoint == endpoint);
                let destination = match kept {
                    Some(position) => before.swap_remove(position),
                    None => self.start(endpoint),
                };
                routing.destinations.push(destination);
            }
        }
        for gone in before {
            gone.abandon();
        }
        self.metrics.alertmanagers.set(routing.destinations.len() as i64);
    }

    /// Queues `alerts` for every Alertmanager; never blocks. After [`Notifier::shutdown`] it drops
    /// them.
    pub fn send(&self, alerts: Vec<Alert>) {
        let routing = self.routing.lock();
        if routing.closed {
            return tracing::warn!(dropped = alerts.len(), "alerts after shutdown dropped");
        }
        let alerts: Vec<Alert> = alerts
            .into_iter()
            .map(|alert| with_external_labels(alert, &routing.external_labels))
            .filter_map(|alert| relabelled(&alert, &routing.alert_relabel))
            .collect();
        if alerts.is_empty() {
            return;
        }
        for destination in &routing.destinations {
            destination.push(&alerts);
        }
    }

    pub fn status(&self) -> AlertmanagersStatus {
        let routing = self.routing.lock();
        let url = |destination: &Arc<Destination>| destination.name().to_owned();
        let mut active: Vec<String> = routing.destinations.iter().map(url).collect();
        active.sort();
        AlertmanagersStatus {
            active_alertmanagers: active.into_iter().map(|url| AlertmanagerUrl { url }).collect(),
            dropped_alertmanagers: routing.dropped.clone(),
        }
    }

    /// Sends what is queued, for [`DRAIN_MAX`] at most, and ends all tasks.
    pub async fn shutdown(&self) {
        let destinations = {
            let mut routing = self.routing.lock();
            routing.closed = true;
            routing.destinations.clone()
        };
        for destination in &destinations {
            destination.close();
        }
        self.tasks.close();
        if tokio::time::timeout(DRAIN_MAX, self.tasks.wait()).await.is_err() {
            for destination in &destinations {
                destination.abandon();
            }
            self.tasks.wait().await;
        }
    }

    fn start(&self, endpoint: Endpoint) -> Arc<Destination> {
        let destination = Destination::new(endpoint, self.queue_capacity, self.metrics.clone());
        self.tasks.spawn(Arc::clone(&destination).run());
        destination
    }
}

/// Adds each external label whose name the alert does not use.
fn with_external_labels(mut alert: Alert, external_labels: &Labels) -> Alert {
    let missing = |name: &str| alert.labels.get(name).is_none();
    if external_labels.iter().any(|(name, _)| missing(name)) {
        let mut labels = alert.labels.to_builder();
        for (name, value) in external_labels.iter().filter(|(name, _)| missing(name)) {
            labels.set(name, value);
        }
        alert.labels = labels.build();
    }
    alert
}

#[cfg(test)]
mod tests;
