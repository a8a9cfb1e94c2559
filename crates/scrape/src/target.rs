//! A target: where it is scraped, and which labels its series get.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use discovery::TargetGroup;
use model::{Labels, LabelsBuilder, duration};
use relabel::{Verdict, relabel};
use url::Url;
use xxhash_rust::xxh3::xxh3_64;

use crate::job::Job;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
/// Labels that begin so are for relabelling; no series gets them.
const RESERVED_PREFIX: &str = "__";

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// Where it was found: its group, and its position in it.
    group: Arc<TargetGroup>,
    position: usize,
    /// What its series get.
    pub(crate) labels: Labels,
    pub(crate) url: Url,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// What becomes of a discovered address.
#[derive(Debug, PartialEq)]
pub(crate) enum Discovered {
    Target(Box<Target>),
    /// Relabelling dropped it.
    Dropped,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("no address")]
    NoAddress,
    #[error("{0:?} is not a valid hostname")]
    Address(String),
    #[error("scheme {0:?} is neither \"http\" nor \"https\"")]
    Scheme(String),
    #[error("invalid URL {0:?}")]
    Url(String),
    #[error("error parsing scrape interval: {0}")]
    Interval(duration::DurationError),
    #[error("scrape interval cannot be 0")]
    ZeroInterval,
    #[error("error parsing scrape timeout: {0}")]
    Timeout(duration::DurationError),
    #[error("scrape timeout cannot be 0")]
    ZeroTimeout,
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutAboveInterval { timeout: String, interval: String },
}

impl Target {
    /// Makes a target of the one that stands at `position` in what discovery has found.
    pub(crate) fn discover(
        job: &Job,
        group: &Arc<TargetGroup>,
        position: usize,
    ) -> Result<Discovered, TargetError> {
        let mut labels = unrelabelled(job, group, position);
        if relabel(&job.config.relabel_configs, &mut labels) == Verdict::Drop {
            return Ok(Discovered::Dropped);
        }
        let url = url(job, &labels)?;
        let (interval, timeout) = times(&labels)?;
        if labels.get("instance").is_none() {
            let address = labels.value(ADDRESS).to_owned();
            labels.set("instance", address);
        }
        labels.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
        let (group, labels) = (Arc::clone(group), labels.build());
        Ok(Discovered::Target(Box::new(Self { group, position, labels, url, interval, timeout })))
    }

    /// The labels before relabelling.
    pub(crate) fn discovered(&self, job: &Job) -> Labels {
        discovered_labels(job, &self.group, self.position)
    }

    /// Where in its interval this target is scraped: the same in every run with the same seed.
    pub(crate) fn offset(&self, seed: u64) -> u64 {
        xxh3_64(self.url.as_str().as_bytes()) ^ self.labels.stable_hash() ^ seed
    }
}

/// The labels that relabelling sees.
pub(crate) fn discovered_labels(job: &Job, group: &TargetGroup, position: usize) -> Labels {
    unrelabelled(job, group, position).build()
}

/// The target's labels, the group's where the target has none, and the job's where neither has.
fn unrelabelled(job: &Job, group: &TargetGroup, position: usize) -> LabelsBuilder {
    let mut labels = LabelsBuilder::default();
    labels
        .set("job", job.name())
        .set(SCRAPE_INTERVAL, duration::format(job.interval))
        .set(SCRAPE_TIMEOUT, duration::format(job.timeout))
        .set(METRICS_PATH, job.config.metrics_path.as_str())
        .set(SCHEME, job.config.scheme.as_str());
    for (name, values) in &job.config.params {
        if let Some(first) = values.first() {
            labels.set(format!("{PARAM_PREFIX}{name}"), first.as_str());
        }
    }
    for (name, value) in group.labels.iter().chain(&group.targets[position]) {
        labels.set(name, value);
    }
    labels
}

fn url(job: &Job, labels: &LabelsBuilder) -> Result<Url, TargetError> {
    let address = labels.get(ADDRESS).ok_or(TargetError::NoAddress)?;
    if address.contains('/') {
        return Err(TargetError::Address(address.to_owned()));
    }
    let scheme = match labels.value(SCHEME) {
        "http" | "" => "http",
        "https" => "https",
        scheme => return Err(TargetError::Scheme(scheme.to_owned())),
    };
    let base = format!("{scheme}://{address}");
    let mut url = Url::parse(&base).map_err(|_| TargetError::Url(base))?;
    url.set_path(labels.value(METRICS_PATH));

    let mut params: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in &job.config.params {
        params.insert(name, values.iter().map(String::as_str).collect());
    }
    for (name, value) in labels.iter() {
        // Relabelling has a say in the first value of each parameter.
        if let Some(name) = name.strip_prefix(PARAM_PREFIX) {
            let values = params.entry(name).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

fn times(labels: &LabelsBuilder) -> Result<(Duration, Duration), TargetError> {
    let (interval_text, timeout_text) =
        (labels.value(SCRAPE_INTERVAL), labels.value(SCRAPE_TIMEOUT));
    let interval = duration::parse(interval_text).map_err(TargetError::Interval)?;
    if interval.is_zero() {
        return Err(TargetError::ZeroInterval);
    }
    let timeout = duration::parse(timeout_text).map_err(TargetError::Timeout)?;
    if timeout.is_zero() {
        return Err(TargetError::ZeroTimeout);
    }
    if timeout > interval {
        return Err(TargetError::TimeoutAboveInterval {
            timeout: timeout_text.to_owned(),
            interval: interval_text.to_owned(),
        });
    }
    Ok((interval, timeout))
}

#[cfg(test)]
mod tests;
