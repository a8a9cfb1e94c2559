//! What the process tells of itself over the API.

mod cardinality;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{BuildInfo, RuntimeInfo, TsdbStatus};
use jiff::Timestamp as Time;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::Value;

use crate::Tier;
use crate::config::Config;
use crate::flags::{Flags, RETENTION_SIZE};
use crate::parts::Parts;

pub(crate) struct Status {
    parts: Arc<Parts>,
    flags: BTreeMap<String, String>,
    /// How much is kept.
    retention: String,
    started: Time,
    loaded: Arc<RwLock<Loaded>>,
}

/// How the configuration was last loaded.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The running configuration without its secrets.
    pub(crate) shown: String,
    pub(crate) at: Time,
    /// Whether the last try worked; the running configuration may be an older one.
    pub(crate) successful: bool,
}

impl Loaded {
    pub(crate) fn now(config: &Config) -> Self {
        Self { shown: config.shown.clone(), at: Time::now(), successful: true }
    }
}

impl Status {
    pub(crate) fn new(parts: Arc<Parts>, flags: &Flags, loaded: Arc<RwLock<Loaded>>) -> Self {
        let time = flags.storage.retention.map(model::duration::format);
        let size = flags.storage.retention_bytes.map(|_| flags.effective[RETENTION_SIZE].clone());
        let retention = time.into_iter().chain(size).collect::<Vec<_>>().join(" or ");
        Self { parts, flags: flags.effective.clone(), retention, started: Time::now(), loaded }
    }
}

impl api::Status for Status {
    fn targets(&self) -> Value {
        json(&self.parts.scrape.status())
    }

    fn rules(&self) -> Value {
        json(&self.parts.rules.rules())
    }

    fn alerts(&self) -> Value {
        json(&self.parts.rules.alerts())
    }

    fn alertmanagers(&self) -> Value {
        json(&self.parts.notifier.status())
    }

    fn config(&self) -> String {
        self.loaded.read().shown.clone()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        self.flags.clone()
    }

    fn runtime_info(&self) -> RuntimeInfo {
        let loaded = self.loaded.read().clone();
        RuntimeInfo {
            start_time: self.started.to_string(),
            cwd: std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default(),
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            server_time: Time::now().to_string(),
            reload_config_success: loaded.successful,
            last_config_time: loaded.at.to_string(),
            goroutine_count: threads(),
            gomaxprocs: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            storage_retention: self.retention.clone(),
            ..RuntimeInfo::default()
        }
    }

    fn tsdb(&self, limit: usize) -> TsdbStatus {
        cardinality::status(self.parts.db.statistics(limit))
    }
}

pub(crate) fn build_info(tier: &Tier) -> BuildInfo {
    BuildInfo { version: tier.version.to_owned(), ..BuildInfo::default() }
}

/// Of the adapters' own types, which have nothing in them that JSON cannot say.
fn json(status: &impl Serialize) -> Value {
    serde_json::to_value(status).expect("a status type serialises")
}

fn threads() -> u64 {
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() as u64)
}
