//! A job: a scrape configuration with nothing left open.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
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
    pub(crate) accept: HeaderValue,
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

    /// Reads the files that are named, and gives those with targets that are not there (yet).
    pub fn check_files(&self) -> Result<Vec<PathBuf>, String> {
        self.config.http.check_files().map_err(|error| error.to_string())?;
        let mut missing = Vec::new();
        for discovery in &self.config.discoveries {
            missing.extend(discovery.check_files()?);
        }
        Ok(missing)
    }

    /// Where the job's targets are found, other than in the configuration itself.
    pub fn discoveries(&self) -> &[discovery::Config] {
        &self.config.discoveries
    }

    /// Whether a series' text that `other` led to a series leads to the same one here.
    pub(crate) fn names_series_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.config, &other.config);
        mine.honor_labels == theirs.honor_labels
            && mine.metric_relabel_configs == theirs.metric_relabel_configs
            && self.limits == other.limits
    }
}

fn accept(protocols: &[Protocol]) -> HeaderValue {
    let mut accept = String::new();
    for (rank, protocol) in protocols.iter().enumerate() {
        let weight = protocols.len() + 1 - rank;
        accept.push_str(&format!("{};q=0.{weight},", protocol.media_type()));
    }
    accept.push_str("*/*;q=0.1");
    HeaderValue::try_from(accept).expect("media types fit a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_text(yaml: &str) -> Result<Vec<Job>, String> {
        let configs: Vec<ScrapeConfig> = serde_yaml_ng::from_str(yaml).unwrap();
        let limits = Limits { samples: Some(7), labels: Some(8), ..Limits::default() };
        let defaults = Defaults { limits, ..Defaults::default() };
        resolve(configs, &defaults).map_err(|error| error.to_string())
    }

    #[test]
    fn jobs_take_from_the_global_section_what_they_do_not_say() {
        #[track_caller]
        fn check(yaml: &str, interval_millis: u128, timeout_millis: u128) {
            let jobs = resolve_text(&format!("[{{job_name: a, {yaml}}}]")).unwrap();
            let times = (jobs[0].interval.as_millis(), jobs[0].timeout.as_millis());
            assert_eq!(times, (interval_millis, timeout_millis), "{yaml}");
        }
        check("", 60_000, 10_000);
        check("scrape_interval: 5s", 5000, 5000);
        check("scrape_interval: 5s, scrape_timeout: 5s", 5000, 5000);
        check("scrape_timeout: 30s", 60_000, 30_000);
        let jobs = resolve_text("[{job_name: a, sample_limit: 3, label_limit: 0}]").unwrap();
        let limits = Limits { samples: Some(3), labels: Some(8), ..Limits::default() };
        assert_eq!(jobs[0].limits, limits);
    }

    #[test]
    fn jobs_that_contradict_themselves_or_each_other_are_refused() {
        #[track_caller]
        fn check(yaml: &str, expect: &str) {
            assert_eq!(resolve_text(yaml).unwrap_err(), expect, "{yaml}");
        }
        check(
            "[{job_name: a}, {job_name: b}, {job_name: a}]",
            r#"found multiple scrape configs with job name "a""#,
        );
        check(
            "[{job_name: a, scrape_interval: 5s, scrape_timeout: 6s}]",
            "scrape timeout greater than scrape interval for scrape config with job name \"a\" \
             (6s > 5s)",
        );
        check(
            "[{job_name: a, scrape_interval: 0s}]",
            r#"scrape_interval is 0 for scrape config with job name "a""#,
        );
        check(
            "[{job_name: a, scrape_timeout: 0s}]",
            r#"scrape_timeout is 0 for scrape config with job name "a""#,
        );
    }
}
