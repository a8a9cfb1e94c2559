//! A kept copy of all objects of one kind: listed once, then followed.
//!
//! ```text
//! list (in pages) ─► replace the copy ─► watch from the list's version ─► ADDED MODIFIED DELETED
//!      ▲                                      │      ▲     └─ stream ended, broke off, fell silent
//!      └──────── 410 Gone, or ERROR 410 ──────┘      └────────────── from the last version seen
//! ```
//! - WATCH-1: objects are served from the moment of the first whole list on. A list that replaces
//!   another one changes what differs and nothing else; until it is whole, the old copy stays.
//! - WATCH-2: what is broken is tried again, ever more slowly, with jitter; a watch that works starts
//!   that anew.
//! - WATCH-3: a page, an event and a silence are bounded.
//! - Source: the Kubernetes documentation, `reference/using-api/api-concepts.md` ("Efficient detection
//!   of changes").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::lines::Lines;
use super::object::{ObjectKey, Resource};
use super::server::{ApiError, ApiServer};
use crate::metrics::Metrics;

const PAGE_OBJECTS: usize = 500;
const PAGE_BYTES_MAX: usize = 256 << 20;
/// An object in etcd has at most 1.5 MB.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// How patient a watch is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The server is asked to end a watch after this time, or up to twice that.
    pub(crate) watch: Duration,
    /// Without an event for so long, not even a bookmark, which come once a minute, a stream is
    /// taken for dead.
    pub(crate) silence: Duration,
    /// The first pause after a failure; each one more doubles it.
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            watch: Duration::from_secs(5 * 60),
            silence: Duration::from_secs(3 * 60),
            backoff_min: Duration::from_millis(800),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// Which objects of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Empty for all.
    pub(crate) namespace: String,
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
}

/// The kept copy. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Watch<K> {
    shared: Arc<Shared<K>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<K> {
    copy: Mutex<Copy<K>>,
    /// Wakes who waits for the first list.
    listed: Notify,
}

#[derive(Debug)]
struct Copy<K> {
    objects: BTreeMap<ObjectKey, Arc<K>>,
    is_listed: bool,
    listeners: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    part: Part,
    changes: Arc<Changes>,
}

/// What a listener takes the objects of a watch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The objects that its targets are made of.
    Main,
    Pod,
    Service,
    Node,
    Namespace,
}

/// What has changed since a listener last looked: each object once, however often it changed, so that
/// there are never more of them than objects.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    keys: Mutex<BTreeSet<(Part, ObjectKey)>>,
    some: Notify,
}

impl Changes {
    /// Those that there are by now.
    pub(crate) fn take(&self) -> BTreeSet<(Part, ObjectKey)> {
        std::mem::take(&mut *self.keys.lock())
    }

    /// Waits until there are some, and takes them.
    pub(crate) async fn next(&self) -> BTreeSet<(Part, ObjectKey)> {
        loop {
            let keys = self.take();
            if !keys.is_empty() {
                return keys;
            }
            self.some.notified().await;
        }
    }
}

impl<K: Resource> Watch<K> {
    pub(super) fn start(
        server: Arc<ApiServer>,
        scope: Scope,
        patience: Patience,
        metrics: Metrics,
    ) -> Self {
        let copy = Copy { objects: BTreeMap::new(), is_listed: false, listeners: Vec::new() };
        let shared = Arc::new(Shared { copy: Mutex::new(copy), listed: Notify::new() });
        let following = Following { server, scope, patience, metrics, shared: Arc::clone(&shared) };
        Self { shared, task: tokio::spawn(following.run()) }
    }

    /// From here on `changes` learns of all objects that there are, as `part`, and of each change.
    pub(crate) fn listen(&self, part: Part, changes: &Arc<Changes>) {
        let mut copy = self.shared.copy.lock();
        let listener = Listener { part, changes: Arc::clone(changes) };
        listener.tell(copy.objects.keys());
        copy.listeners.push(listener);
    }

    /// Waits for the first whole list.
    pub(crate) async fn listed(&self) {
        loop {
            let notified = self.shared.listed.notified();
            if self.shared.copy.lock().is_listed {
                return;
            }
            notified.await;
        }
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.shared.copy.lock().objects.get(key).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.shared.copy.lock().objects.values().cloned().collect()
    }
}

impl<K> Drop for Watch<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    fn tell<'a>(&self, keys: impl IntoIterator<Item = &'a ObjectKey>) {
        let mut changed = self.changes.keys.lock();
        changed.extend(keys.into_iter().map(|key| (self.part, key.clone())));
        if !changed.is_empty() {
            self.changes.some.notify_one();
        }
    }
}

impl<K: Resource> Copy<K> {
    fn tell(&mut self, keys: &[ObjectKey]) {
        // A listener whose changes nobody else holds has gone.
        self.listeners.retain(|listener| Arc::strong_count(&listener.changes) > 1);
        for listener in &self.listeners {
            listener.tell(keys);
        }
    }

    /// The object as it is kept, if it says what this one says.
    fn known(&self, key: &ObjectKey, object: &K) -> Option<Arc<K>> {
        self.objects.get(key).filter(|known| ***known == *object).cloned()
    }

    /// WATCH-1
    fn replace(&mut self, objects: BTreeMap<ObjectKey, Arc<K>>) {
        let mut before = std::mem::replace(&mut self.objects, objects);
        let mut changed = Vec::new();
        for (key, object) in &self.objects {
            match before.remove(key) {
                Some(known) if Arc::ptr_eq(&known, object) => {}
                _ => changed.push(key.clone()),
            }
        }
        changed.extend(before.into_keys());
        self.is_listed = true;
        self.tell(&changed);
    }

    fn put(&mut self, object: K) {
        let key = object.key();
        if self.known(&key, &object).is_some() {
            return; // what has changed of it, no target is made of
        }
        self.objects.insert(key.clone(), Arc::new(object));
        self.tell(&[key]);
    }

    fn remove(&mut self, key: &ObjectKey) {
        if self.objects.remove(key).is_some() {
            self.tell(std::slice::from_ref(key));
        }
    }
}

/// The task behind a watch.
struct Following<K> {
    server: Arc<ApiServer>,
    scope: Scope,
    patience: Patience,
    metrics: Metrics,
    shared: Arc<Shared<K>>,
}

#[derive(Deserialize)]
#[serde(bound = "K: Resource")]
struct List<K> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default = "Option::default")]
    items: Option<Vec<K>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

/// The object is read as what the event's type makes of it.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Bookmark {
    metadata: ListMeta,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Status {
    code: u16,
    message: String,
}

/// How a watch ended.
enum Ended {
    /// Go on from the last version seen.
    Normally,
    /// That version is no longer known.
    Expired,
}

impl<K: Resource> Following<K> {
    async fn run(self) {
        let mut backoff = Backoff::new(self.patience);
        let mut page_objects = PAGE_OBJECTS;
        loop {
            match self.list(page_objects).await {
                Ok(version) => {
                    page_objects = PAGE_OBJECTS;
                    self.follow(version, &mut backoff).await;
                }
                Err(error) => {
                    if error.is_expired() {
                        // The pages came too slowly: fewer and larger ones.
                        page_objects = page_objects.saturating_mul(10);
                    }
                    self.failed("list", &error);
                    backoff.pause().await;
                }
            }
        }
    }

    /// Makes the copy what the server has now, and gives the version that this is of.
    async fn list(&self, page_objects: usize) -> Result<String, ApiError> {
        self.metrics.kubernetes_list(K::PLURAL);
        let mut objects = BTreeMap::new();
        let mut next = String::new();
        loop {
            let limit = page_objects.to_string();
            let mut query = self.query();
            query.push(("limit", &limit));
            if !next.is_empty() {
                query.push(("continue", &next));
            }
            let body = self.server.get(&self.path(), &query, PAGE_BYTES_MAX).await?;
            let list: List<K> = serde_json::from_slice(&body)?;
            let copy = self.shared.copy.lock();
            for mut object in list.items.unwrap_or_default() {
                object.meta_mut().resource_version = String::new();
                let key = object.key();
                let object = copy.known(&key, &object).unwrap_or_else(|| Arc::new(object));
                objects.insert(key, object);
            }
            drop(copy);
            next = list.metadata.next;
            if next.is_empty() {
                self.shared.copy.lock().replace(objects);
                self.shared.listed.notify_waiters();
                return Ok(list.metadata.resource_version);
            }
        }
    }

    /// Follows all changes after `version`, until they can only be had from a new list.
    async fn follow(&self, mut version: String, backoff: &mut Backoff) {
        loop {
            let began = Instant::now();
            match self.watch(&mut version, backoff).await {
                Ok(Ended::Expired) => return,
                // A server that ends every watch at once is not to be asked as often as it can answer.
                Ok(Ended::Normally) if began.elapsed() >= self.patience.backoff_min => {}
                Ok(Ended::Normally) => backoff.pause().await,
                Err(error) if error.is_expired() => return,
                Err(error) => {
                    self.failed("watch", &error);
                    backoff.pause().await;
                }
            }
        }
    }

    async fn watch(&self, version: &mut String, backoff: &mut Backoff) -> Result<Ended, ApiError> {
        let longest = self.patience.watch.mul_f64(1.0 + fastrand::f64()).as_secs().max(1);
        let timeout = longest.to_string();
        let mut query = self.query();
        query.push(("watch", "true"));
        query.push(("allowWatchBookmarks", "true"));
        query.push(("resourceVersion", version));
        query.push(("timeoutSeconds", &timeout));
        let path = self.path();
        let opening = self.server.open(&path, &query);
        let silent = |_| ApiError::Silent(self.patience.silence);
        let response =
            tokio::time::timeout(self.patience.silence, opening).await.map_err(silent)??;
        let mut lines = Lines::new(response, EVENT_BYTES_MAX);
        loop {
            let next = tokio::time::timeout(self.patience.silence, lines.next());
            let Some(line) = next.await.map_err(silent)?? else { return Ok(Ended::Normally) };
            if let Some(ended) = self.event(&line, version)? {
                return Ok(ended);
            }
            backoff.reset();
        }
    }

    fn event(&self, line: &[u8], version: &mut String) -> Result<Option<Ended>, ApiError> {
        let event: Event<'_> = serde_json::from_slice(line)?;
        let text = event.object.get();
        match event.kind {
            "ADDED" | "MODIFIED" | "DELETED" => {
                let mut object: K = serde_json::from_str(text)?;
                *version = std::mem::take(&mut object.meta_mut().resource_version);
                self.metrics.kubernetes_event(K::PLURAL, event.kind);
                let mut copy = self.shared.copy.lock();
                match event.kind {
                    "DELETED" => copy.remove(&object.key()),
                    _ => copy.put(object),
                }
            }
            "BOOKMARK" => {
                let bookmark: Bookmark = serde_json::from_str(text)?;
                *version = bookmark.metadata.resource_version;
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(text)?;
                if status.code == StatusCode::GONE.as_u16() {
                    return Ok(Some(Ended::Expired));
                }
                return Err(ApiError::Event { code: status.code, message: status.message });
            }
            // Of what a later version may add, no target is made.
            _ => {}
        }
        Ok(None)
    }

    fn path(&self) -> String {
        let (api, plural) = (K::API, K::PLURAL);
        match self.scope.namespace.as_str() {
            "" => format!("{api}/{plural}"),
            namespace => format!("{api}/namespaces/{namespace}/{plural}"),
        }
    }

    fn query(&self) -> Vec<(&'static str, &str)> {
        let Scope { label_selector, field_selector, .. } = &self.scope;
        let selectors = [("labelSelector", label_selector), ("fieldSelector", field_selector)];
        let set = selectors.into_iter().filter(|(_, selector)| !selector.is_empty());
        set.map(|(name, selector)| (name, selector.as_str())).collect()
    }

    fn failed(&self, what: &'static str, error: &ApiError) {
        self.metrics.failed("kubernetes");
        let (server, path) = (self.server.name(), self.path());
        tracing::warn!(server, path, %error, "{what} objects of Kubernetes; the last ones stay");
    }
}

/// WATCH-2
struct Backoff {
    patience: Patience,
    next: Duration,
}

impl Backoff {
    fn new(patience: Patience) -> Self {
        Self { patience, next: patience.backoff_min }
    }

    fn reset(&mut self) {
        self.next = self.patience.backoff_min;
    }

    /// Pauses for up to twice as long as is due, so that not all come back at once.
    async fn pause(&mut self) {
        tokio::time::sleep(self.next.mul_f64(1.0 + fastrand::f64())).await;
        self.next = (self.next * 2).min(self.patience.backoff_max);
    }
}
