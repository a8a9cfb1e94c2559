//! Scraping: keeps a loop running for every target and appends what the targets expose.
//!
//! ```text
//! ScrapeConfig ─resolve─► Job ─┐
//! discovery's groups ──────────┴─► Pool ─► one loop per target:
//!     wait until due ─► fetch (async) ─► ingest (blocking, one batch) ─► commit ─► report
//! ```
//! A loop owns its target's [`cache`]: the hash of a series' text, as the target writes it, leads to
//! the series in storage. A series seen before costs that one hash; labels are decoded, relabelled
//! and looked up for new ones only.
//!
//! - SCRAPE-1: a scrape is one batch: all of its samples are appended, or none and `up` is 0.
//! - SCRAPE-2: a series that was in the last good scrape and is not in this one gets a staleness
//!   marker in the same batch; a failed scrape marks them all, and so does a target that has gone
//!   (two intervals later, unless it came back). A shutdown marks nothing.
//! - SCRAPE-3: whatever a target does, it costs at most its timeout, its body limit, and nobody else.
//! - SCRAPE-4: every sample is counted once: `scraped + generated = appended + Σ dropped{reason}`.
//! - SCRAPE-5: neither a new configuration nor news from discovery interrupts the targets that it leaves
//!   as they are.
//! - Source: Prometheus 3, `scrape/{manager,scrape,target}.go`, `config/config.go`.

mod cache;
mod config;
mod error;
mod fetch;
mod ingest;
mod job;
mod manager;
mod metrics;
mod pool;
mod schedule;
mod scrape_loop;
mod sources;
mod status;
mod target;

pub use config::{Limits, Protocol, ScrapeConfig};
pub use error::ScrapeError;
pub use job::{Defaults, Job, JobError, resolve};
pub use manager::{Clock, Manager, Options};
pub use metrics::Metrics;
pub use status::{ActiveTarget, DroppedTarget, Health, TargetsStatus};

#[cfg(test)]
mod tests;
