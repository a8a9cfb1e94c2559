//! A job: a scrape configuration with nothing left open.

use std::time::Duration;

use model::duration;

use crate::config::{Limits, Protocol, ScrapeConfig};

/// What an entry that says nothing of its own uses: the `global` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub scrape_protocols: Vec<Protocol>,
    pub limits: Limits,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            scrape_protocols: Protocol::DEFAULT.to_vec(),
            limits: Limits::default(),
        }
    }
}

/// One job, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub(crate) config: ScrapeConfig,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) limits: Limits,
    /// The `Accept` header.
    pub(crate) accept: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("found multiple scrape configs with job name {0:?}")]
    DuplicateJob(String),
    #[error("scrape_interval is 0 for scrape config with job name {job:?}")]
    ZeroInterval { job: String },
    #[error("scrape_timeout is 0 for scrape config with job name {job:?}")]
    ZeroTimeout { job: String },
    #[error(
        "scrape timeout greater than scrape interval for scrape config with job name {job:?} ({} > {})",
        duration::format(*.timeout), duration::format(*.interval)
    )]
    TimeoutAboveInterval { job: String, timeout: Duration, interval: Duration },
}

/// Completes the entries of a configuration, and checks what only all of it together can show.
pub fn resolve(configs: Vec<ScrapeConfig>, defaults: &Defaults) -> Result<Vec<Job>, JobError> {
    let mut jobs: Vec<Job> = Vec::with_capacity(configs.len());
    for config in configs {
        if jobs.iter().any(|job| job.config.job_name == config.job_name) {
            return Err(JobError::DuplicateJob(config.job_name));
        }
        jobs.push(Job::new(config, defaults)?);
    }
    Ok(jobs)
}

impl Job {
    fn new(config: ScrapeConfig, defaults: &Defaults) -> Result<Self, JobError> {
        let job = || config.job_name.clone();
        let interval = config.scrape_interval.unwrap_or(defaults.scrape_interval);
        if interval.is_zero() {
            return Err(JobError::ZeroInterval { job: job() });
        }
        // The timeout of the global section gives way to a short interval; the job's own must fit.
        let timeout =
            config.scrape_timeout.unwrap_or_else(|| defaults.scrape_timeout.min(interval));
        if timeout.is_zero() {
            return Err(JobError::ZeroTimeout { job: job() });
        }
        if timeout > interval {
            return Err(JobError::TimeoutAboveInterval { job: job(), timeout, interval });
        }
        let protocols = config.scrape_protocols.as_ref().unwrap_or(&defaults.scrape_protocols);
        Ok(Self {
            accept: accept(protocols),
            limits: config.limits.or(defaults.limits),
            interval,
            timeout,
            config,
        })
    }

    pub fn name(&self) -> &str {
        &self.config.job_name
    }

    /// Whether a series' text that `other` led to a series leads to the same one here.
    pub(crate) fn names_series_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.config, &other.config);
        mine.honor_labels == theirs.honor_labels
            && mine.metric_relabel_configs == theirs.metric_relabel_configs
            && self.limits == other.limits
    }
}

fn accept(protocols: &[Protocol]) -> String {
    let mut accept = String::new();
    for (rank, protocol) in protocols.iter().enumerate() {
        let weight = protocols.len() + 1 - rank;
        accept.push_str(&format!("{};q=0.{weight},", protocol.media_type()));
    }
    accept.push_str("*/*;q=0.1");
    accept
}
