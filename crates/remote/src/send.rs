//! `remote_write:`: every destination's loop, reading the log.
//!
//! ```text
//! log ─► source (relabel, labels encoded once) ─► queue ─► requests ─► client ─► destination
//!                                                   └─► acknowledged ─► cursor file, log held
//! ```
//! - SEND-1: at least once: a cursor on disk never passes a sample that was not acknowledged or given
//!   up, and the log is held from there on, over restarts too (CURSOR-1, QUEUE-2).
//! - SEND-2: `read = delivered + pending + Σ dropped{reason}` for each destination, since its start, of
//!   numbers, histograms and exemplars each.
//! - SEND-3: a new destination starts with what is appended from then on.

mod backoff;
mod client;
mod config;
mod cursor;
mod destination;
mod encode;
mod kind;
mod queue;
mod series;
mod source;
mod symbols;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Labels;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tsdb::Db;

pub use crate::send::config::{
    ConfigError, MetadataConfig, Protocol, QueueConfig, RemoteWriteConfig, shared_name,
};

use crate::metrics::SendMetrics;
use crate::send::destination::{Destination, Prepared};

pub(crate) use crate::send::client::Reply;
pub(crate) use crate::send::kind::{Counts, Kind};
pub(crate) use crate::send::queue::Queue;
pub(crate) use crate::send::source::Chunk;

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("remote_write: two destinations are named {0:?}; give each a name of its own")]
    SharedName(String),
    #[error("create {path}", path = .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cursor of remote write destination {name:?}")]
    Cursor { name: String, source: io::Error },
}

/// Runs one sender for each destination.
#[derive(Debug)]
pub struct Senders {
    db: Arc<Db>,
    folder: PathBuf,
    metrics: SendMetrics,
    wakers: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
    running: tokio::sync::Mutex<HashMap<String, Running>>,
}

#[derive(Debug)]
struct Running {
    config: RemoteWriteConfig,
    external_labels: Labels,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Senders {
    /// Cursors are kept in `remote/` under `data_dir`.
    pub fn new(db: Arc<Db>, data_dir: &Path, metrics: SendMetrics) -> Result<Self, SendError> {
        let folder = data_dir.join("remote");
        let failed = |source| SendError::Folder { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let wakers: Arc<Mutex<HashMap<String, Arc<Notify>>>> = Arc::default();
        let to_wake = Arc::clone(&wakers);
        db.on_commit(Box::new(move || to_wake.lock().values().for_each(|wake| wake.notify_one())));
        Ok(Self { db, folder, metrics, wakers, running: tokio::sync::Mutex::default() })
    }

    /// Makes `configs` the destinations. One that did not change keeps running; one that did goes on
    /// where it was; one that is gone stops and no longer holds the log. After an error all are as
    /// they were.
    ///
    /// Call it before the database's first `maintain`, or the log may go before it is held.
    pub async fn apply(
        &self,
        configs: &[RemoteWriteConfig],
        external_labels: &Labels,
    ) -> Result<(), SendError> {
        if let Some(name) = shared_name(configs) {
            return Err(SendError::SharedName(name.to_owned()));
        }
        let mut running = self.running.lock().await;
        let is_same = |sender: &Running, config: &RemoteWriteConfig| {
            sender.config == *config && sender.external_labels == *external_labels
        };
        let new = configs.iter().filter(|config| {
            running.get(&config.name).is_none_or(|sender| !is_same(sender, config))
        });
        let new = new.map(|config| Prepared::new(&self.folder, config.clone()));
        let new: Vec<Prepared> = new.collect::<Result<_, _>>()?;
        // Nothing fails from here on.
        let ends = |_: &String, sender: &mut Running| {
            !configs.iter().any(|config| is_same(sender, config))
        };
        for (name, sender) in running.extract_if(ends) {
            self.stop(&name, sender).await;
            if configs.iter().all(|config| config.name != name) {
                self.db.release_log(&name);
            }
        }
        for prepared in new {
            let name = prepared.config().name.clone();
            running.insert(name, self.start(prepared, external_labels.clone()));
        }
        Ok(())
    }

    /// Stops all senders. The log stays held: what they did not send is sent after the next start.
    pub async fn shutdown(&self) {
        let mut running = self.running.lock().await;
        for sender in running.values() {
            sender.stop.cancel();
        }
        for (name, sender) in running.drain() {
            self.stop(&name, sender).await;
        }
    }

    fn start(&self, prepared: Prepared, external_labels: Labels) -> Running {
        let config = prepared.config().clone();
        let metrics = self.metrics.destination(&config.name, config.url.shown().as_str());
        let db = Arc::clone(&self.db);
        let destination =
            Destination::start_at_cursor(db, prepared, external_labels.clone(), metrics);
        self.wakers.lock().insert(config.name.clone(), destination.wake());
        let stop = CancellationToken::new();
        let task = tokio::spawn(destination.run(stop.clone()));
        Running { config, external_labels, stop, task }
    }

    async fn stop(&self, name: &str, sender: Running) {
        sender.stop.cancel();
        self.wakers.lock().remove(name);
        if let Err(error) = sender.task.await {
            tracing::error!(remote = name, %error, "sender ended badly");
        }
        self.metrics.forget(name, sender.config.url.shown().as_str());
    }
}

#[cfg(test)]
mod tests;
