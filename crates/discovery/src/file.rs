//! `file_sd_configs`: groups that others write into files.
//!
//! Once a second the files that the patterns name are looked at, and one that is another one than
//! before (its inode, its time or its length) is read. That also sees a file that was renamed into
//! place, a link that leads elsewhere (as in a mounted ConfigMap) and a network's file system, for all
//! of which a kernel's notifications need care; a look costs some microseconds.
//!
//! - FILE-1: a file that cannot be read or understood keeps the groups that it last had, and is tried
//!   again at `refresh_interval`; one that is gone takes its groups with it.
//! - Source: Prometheus `discovery/file/file.go`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::TargetGroup;
use crate::feed::Feed;
use crate::group_list::GroupList;
use crate::metrics::Metrics;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);
const FILE_BYTES_MAX: u64 = 64 << 20;
const ORIGIN: &str = "__meta_filepath";

/// An entry of `file_sd_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FileConfigYaml")]
pub struct FileConfig {
    /// With at most one `*`, in the file's name.
    patterns: Vec<String>,
    /// After so long a file is read again even if it looks as it did.
    refresh_interval: Duration,
}

#[derive(Debug, thiserror::Error)]
enum FileConfigError {
    #[error("file service discovery config must contain at least one path name")]
    NoFiles,
    #[error("path name {0:?} is not valid for file discovery")]
    Pattern(String),
    #[error("refresh_interval: must be more than 0")]
    ZeroInterval,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfigYaml {
    files: Option<Vec<String>>,
    #[serde(default, with = "model::duration::text::optional")]
    refresh_interval: Option<Duration>,
}

impl TryFrom<FileConfigYaml> for FileConfig {
    type Error = FileConfigError;

    fn try_from(yaml: FileConfigYaml) -> Result<Self, FileConfigError> {
        let patterns = yaml.files.unwrap_or_default();
        if patterns.is_empty() {
            return Err(FileConfigError::NoFiles);
        }
        if let Some(bad) = patterns.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(FileConfigError::Pattern(bad.clone()));
        }
        let refresh_interval = yaml.refresh_interval.unwrap_or(DEFAULT_REFRESH_INTERVAL);
        if refresh_interval.is_zero() {
            return Err(FileConfigError::ZeroInterval);
        }
        Ok(Self { patterns, refresh_interval })
    }
}

/// At most one `*`, no slash after it, and an extension that says which format is in the file.
fn is_pattern(pattern: &str) -> bool {
    let stars_well = match pattern.split_once('*') {
        None => true,
        Some((_, rest)) => !rest.contains(['*', '/']),
    };
    stars_well && Format::of(Path::new(pattern)).is_some()
}

impl FileConfig {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        for pattern in &mut self.patterns {
            *pattern = directory.join(&*pattern).to_string_lossy().into_owned();
        }
    }

    /// Reads all files, and gives the names that name none.
    pub(crate) fn check_files(&self) -> Result<Vec<PathBuf>, String> {
        let mut missing = Vec::new();
        for pattern in &self.patterns {
            let paths = matches(pattern);
            for path in &paths {
                read(path)
                    .map_err(|error| format!("file_sd_configs: {}: {error}", path.display()))?;
            }
            if paths.is_empty() && !pattern.contains('*') {
                missing.push(PathBuf::from(pattern));
            }
        }
        Ok(missing)
    }
}

pub(crate) async fn run(config: FileConfig, feed: Feed, metrics: Metrics) {
    let mut files = Files::default();
    loop {
        let patterns = config.patterns.clone();
        let interval = config.refresh_interval;
        let look = tokio::task::spawn_blocking(move || {
            let look = files.look(&patterns, interval);
            (files, look)
        });
        let Ok((looked, look)) = look.await else { return }; // only where the runtime ends
        files = looked;
        for (path, error) in look.errors {
            metrics.failed("file");
            let path = path.display();
            tracing::error!(%path, %error, "read targets from a file; its last ones stay");
        }
        if look.changed {
            feed.replace(files.groups());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// What was read from each file.
#[derive(Debug, Default)]
struct Files {
    by_path: BTreeMap<PathBuf, Reading>,
    /// The first look has happened.
    looked: bool,
}

#[derive(Debug)]
struct Reading {
    stamp: Option<Stamp>,
    at: Instant,
    groups: Vec<TargetGroup>,
}

/// What a file looks like from outside.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

#[derive(Debug, Default)]
struct Look {
    changed: bool,
    errors: Vec<(PathBuf, FileError)>,
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("larger than {FILE_BYTES_MAX} bytes")]
    Size,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Yaml(#[from] serde_yaml_ng::Error),
}

impl Files {
    fn look(&mut self, patterns: &[String], refresh_interval: Duration) -> Look {
        let mut look = Look { changed: !self.looked, ..Look::default() };
        self.looked = true;
        let paths: Vec<PathBuf> = patterns.iter().flat_map(|pattern| matches(pattern)).collect();
        let before = self.by_path.len();
        self.by_path.retain(|path, _| paths.contains(path));
        look.changed |= self.by_path.len() != before;
        for path in paths {
            let stamp = Stamp::of(&path).ok();
            let known = self.by_path.get(&path);
            let is_due = known.is_none_or(|reading| {
                reading.stamp != stamp || reading.at.elapsed() >= refresh_interval
            });
            if !is_due {
                continue;
            }
            let groups = match read(&path) {
                Ok(groups) => {
                    look.changed = true;
                    groups
                }
                Err(error) => {
                    look.errors.push((path.clone(), error));
                    self.by_path.remove(&path).map_or(Vec::new(), |reading| reading.groups)
                }
            };
            self.by_path.insert(path, Reading { stamp, at: Instant::now(), groups });
        }
        look
    }

    fn groups(&self) -> Vec<TargetGroup> {
        self.by_path.values().flat_map(|reading| reading.groups.iter().cloned()).collect()
    }
}

/// The files that there are. A pattern without a star is one, whether it is there or not.
fn matches(pattern: &str) -> Vec<PathBuf> {
    match glob::glob(pattern) {
        Ok(paths) if pattern.contains('*') => paths.filter_map(Result::ok).collect(),
        _ if Path::new(pattern).exists() => vec![PathBuf::from(pattern)],
        _ => Vec::new(),
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        let modified = (about.mtime(), about.mtime_nsec());
        Ok(Self { inode: about.ino(), modified, bytes: about.len() })
    }
}

enum Format {
    Json,
    Yaml,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" | "JSON" => Some(Self::Json),
            "yml" | "yaml" | "YML" | "YAML" => Some(Self::Yaml),
            _ => None,
        }
    }
}

fn read(path: &Path) -> Result<Vec<TargetGroup>, FileError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FileError::Size);
    }
    let list: GroupList = match Format::of(path) {
        Some(Format::Json) => serde_json::from_slice(&bytes)?,
        _ => serde_yaml_ng::from_slice(&bytes)?,
    };
    Ok(list.into_groups(&path.to_string_lossy(), ORIGIN))
}

#[cfg(test)]
mod tests;
