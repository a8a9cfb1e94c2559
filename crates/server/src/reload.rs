//! Loads the configuration: at the start, when asked to, and when it has changed.
//!
//! - LIFE-1: a reload is all or nothing: a configuration that does not load, or that a part refuses,
//!   leaves the running one in place.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use parking_lot::RwLock;

use crate::Tier;
use crate::config::{Config, fingerprint};
use crate::flags::Flags;
use crate::parts::Parts;
use crate::status::Loaded;
use crate::telemetry::ReloadMetrics;

pub(crate) fn load(flags: &Flags) -> anyhow::Result<Config> {
    let Some(path) = &flags.config_file else { return Ok(Config::default()) };
    let config = Config::load(path, flags.query.options.features).context("load configuration")?;
    for missing in &config.missing_files {
        tracing::warn!("{missing}");
    }
    for name in &config.unset_variables {
        tracing::warn!(name, "an external label names an environment variable without a value");
    }
    Ok(config)
}

/// What the configuration looked like when it was last tried.
#[derive(Debug)]
pub(crate) struct Seen {
    /// `None` if nobody is to look.
    path: Option<PathBuf>,
    fingerprint: u64,
}

impl Seen {
    /// Looks; do so before the configuration is loaded, lest a change between the two be missed.
    pub(crate) async fn now(flags: &Flags) -> Self {
        let path = flags.config_file.clone().filter(|_| flags.auto_reload.is_some());
        let mut seen = Self { path, fingerprint: 0 };
        seen.has_changed().await;
        seen
    }

    /// Whether it differs from the last time.
    async fn has_changed(&mut self) -> bool {
        let Some(path) = self.path.clone() else { return false };
        let looked = tokio::task::spawn_blocking(move || fingerprint(&path)).await;
        let Ok(now) = looked else { return false }; // only where the runtime ends
        std::mem::replace(&mut self.fingerprint, now) != now
    }
}

pub(crate) struct Reloader<'a> {
    pub(crate) tier: &'a Tier,
    pub(crate) flags: &'a Flags,
    pub(crate) parts: Arc<Parts>,
    pub(crate) loaded: Arc<RwLock<Loaded>>,
    pub(crate) metrics: ReloadMetrics,
    pub(crate) seen: Seen,
}

impl Reloader<'_> {
    pub(crate) async fn reload_if_changed(&mut self) {
        if self.seen.has_changed().await {
            tracing::info!("the configuration has changed");
            let _logged = self.apply().await;
        }
    }

    pub(crate) async fn reload(&mut self) -> Result<(), String> {
        self.seen.has_changed().await;
        self.apply().await
    }

    async fn apply(&self) -> Result<(), String> {
        match self.load_and_apply().await {
            Ok(now) => {
                *self.loaded.write() = now;
                self.metrics.succeeded();
                tracing::info!("configuration reloaded");
                Ok(())
            }
            Err(error) => {
                let reason = format!("{error:#}");
                self.loaded.write().successful = false;
                self.metrics.failed();
                tracing::error!(error = reason, "configuration not reloaded; the last one stays");
                Err(reason)
            }
        }
    }

    async fn load_and_apply(&self) -> anyhow::Result<Loaded> {
        let config = load(self.flags)?;
        let loaded = Loaded::now(&config);
        self.parts.apply(self.tier, config).await?;
        Ok(loaded)
    }
}
