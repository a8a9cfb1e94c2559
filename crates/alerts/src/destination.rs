//! One Alertmanager: its queue, and the task that empties it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{HttpClient, HttpClientConfig, Request};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use model::{Alert, duration};
use parking_lot::Mutex;
use relabel::{RelabelStep, Verdict, relabel};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::queue::Queue;
use crate::{Metrics, payload};

/// What distinguishes one destination from another: where, and how to get there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) timeout: Duration,
    pub(crate) http: HttpClientConfig,
    pub(crate) alert_relabel: Vec<RelabelStep>,
}

#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) endpoint: Endpoint,
    queue: Mutex<Queue>,
    wake: Notify,
    /// No more alerts come: the task ends once the queue is empty.
    closing: CancellationToken,
    /// What is still queued is given up.
    abandoned: CancellationToken,
    metrics: Metrics,
}

impl Destination {
    pub(crate) fn new(endpoint: Endpoint, queue_capacity: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            queue: Mutex::new(Queue::new(queue_capacity)),
            wake: Notify::new(),
            closing: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            metrics,
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.endpoint.url.as_str()
    }

    /// Queues those of `alerts` that this Alertmanager's own relabelling keeps.
    pub(crate) fn push(&self, alerts: &[Alert]) {
        let kept =
            alerts.iter().filter_map(|alert| relabelled(alert, &self.endpoint.alert_relabel));
        let (dropped, length) = {
            let mut queue = self.queue.lock();
            (queue.push(kept), queue.len())
        };
        self.metrics.queued.with_label_values(&[self.name()]).set(length as i64);
        if dropped > 0 {
            self.count_dropped(dropped);
            tracing::warn!(
                alertmanager = self.name(),
                dropped,
                "alert notification queue full, oldest alerts dropped"
            );
        }
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    pub(crate) fn abandon(&self) {
        self.closing.cancel();
        self.abandoned.cancel();
    }

    /// Sends what is queued, batch by batch, until the destination is closed and the queue empty, or
    /// abandoned.
    pub(crate) async fn run(self: Arc<Self>) {
        let client = HttpClient::new(self.endpoint.http.clone());
        loop {
            let batch = {
                let mut queue = self.queue.lock();
                let batch = queue.take_batch();
                self.metrics.queued.with_label_values(&[self.name()]).set(queue.len() as i64);
                batch
            };
            if batch.is_empty() {
                tokio::select! {
                    biased; // an alert that came before the end is still sent
                    () = self.wake.notified() => continue,
                    () = self.closing.cancelled() => return,
                }
            }
            tokio::select! {
                () = self.deliver(&client, &batch) => {}
                () = self.abandoned.cancelled() => {
                    let queued = self.queue.lock().clear();
                    self.metrics.queued.with_label_values(&[self.name()]).set(0);
                    return self.count_dropped(batch.len() + queued);
                }
            }
        }
    }

    /// Sends one batch, once: the next evaluation sends again what still matters.
    async fn deliver(&self, client: &HttpClient, batch: &[Alert]) {
        let started = Instant::now();
        let outcome = self.post(client, batch).await;
        let labels = &[self.name()];
        self.metrics.latency.with_label_values(labels).observe(started.elapsed().as_secs_f64());
        match outcome {
            Ok(()) => self.metrics.sent.with_label_values(labels).inc_by(batch.len() as u64),
            Err(reason) => {
                self.metrics.errors.with_label_values(labels).inc();
                self.count_dropped(batch.len());
                tracing::error!(
                    alertmanager = self.name(),
                    alerts = batch.len(),
                    reason,
                    "error sending alerts"
                );
            }
        }
    }

    async fn post(&self, client: &HttpClient, batch: &[Alert]) -> Result<(), String> {
        let request = Request::post(self.endpoint.url.clone(), payload::encode(batch))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let timeout = self.endpoint.timeout;
        let response = match tokio::time::timeout(timeout, client.send(request)).await {
            Ok(response) => response.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no answer within {}", duration::format(timeout))),
        };
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("bad response status {status}")),
        }
    }

    fn count_dropped(&self, alerts: usize) {
        self.metrics.dropped.with_label_values(&[self.name()]).inc_by(alerts as u64);
    }
}

/// `alert` with its labels relabelled; `None` if a step drops it.
pub(crate) fn relabelled(alert: &Alert, steps: &[RelabelStep]) -> Option<Alert> {
    if steps.is_empty() {
        return Some(alert.clone());
    }
    let mut labels = alert.labels.to_builder();
    match relabel(steps, &mut labels) {
        Verdict::Keep => Some(Alert { labels: labels.build(), ..alert.clone() }),
        Verdict::Drop => None,
    }
}
