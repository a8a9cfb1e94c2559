//! Tests of scraping as a whole: bodies into storage, and loops against servers that misbehave.

mod bench;
mod bodies;
mod faults;
mod life;
mod peers;
mod server;
mod store;

use crate::config::ScrapeConfig;
use crate::job::{Defaults, Job, resolve};

/// A job from a YAML text without its name.
pub(crate) fn job(yaml: &str) -> Job {
    let config: ScrapeConfig = serde_yaml_ng::from_str(&format!("job_name: test\n{yaml}"))
        .unwrap_or_else(|error| panic!("{yaml}: {error}"));
    resolve(vec![config], &Defaults::default()).unwrap().remove(0)
}
