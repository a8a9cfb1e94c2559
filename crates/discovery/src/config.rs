//! One entry of any of the `…_sd_configs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::feed::Feed;
use crate::kubernetes::{self, Watches};
use crate::metrics::Metrics;
use crate::{FileConfig, HttpConfig, KubernetesConfig, file, http};

/// Equal entries find the same, and share one provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    File(FileConfig),
    Http(Box<HttpConfig>),
    Kubernetes(Box<KubernetesConfig>),
}

/// What providers share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) metrics: Metrics,
    pub(crate) watches: Arc<Watches>,
}

impl Config {
    /// Makes relative file names start at `directory`, the configuration file's.
    pub fn set_directory(&mut self, directory: &Path) {
        match self {
            Self::File(config) => config.set_directory(directory),
            Self::Http(config) => config.set_directory(directory),
            Self::Kubernetes(config) => config.set_directory(directory),
        }
    }

    /// Reads the files that are named, and gives those with targets that are not there (yet). An error
    /// names its file.
    pub fn check_files(&self) -> Result<Vec<PathBuf>, String> {
        match self {
            Self::File(config) => config.check_files(),
            Self::Http(config) => config.check_files().map(|()| Vec::new()),
            Self::Kubernetes(config) => config.check_files().map(|()| Vec::new()),
        }
    }

    /// Starts looking, and tells `feed` what there is until the task is aborted.
    pub(crate) fn start(&self, feed: Feed, common: Common) -> JoinHandle<()> {
        let Common { metrics, watches } = common;
        match self.clone() {
            Self::File(config) => tokio::spawn(file::run(config, feed, metrics)),
            Self::Http(config) => tokio::spawn(http::run(*config, feed, metrics)),
            Self::Kubernetes(config) => {
                tokio::spawn(kubernetes::run(*config, feed, watches, metrics))
            }
        }
    }
}
