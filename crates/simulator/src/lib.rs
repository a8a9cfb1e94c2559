//! A synthetic fleet of Kubernetes clusters: what the demo, the tests and the benches scrape.
//!
//! [`Fleet`] builds the clusters of a [`Profile`] from a seed, and answers two questions about any
//! point in time: what a scrape target exposes ([`Fleet::page`]) and what is really so
//! ([`Fleet::truth`]). [`router`] serves both over HTTP:
//!
//! ```text
//! GET  /targets.json                                      every target, as http_sd_configs reads it
//! GET  /targets/<cluster>/<component>/<instance>/metrics  one target's page, text format 0.0.4
//! GET  /truth                                             the ground truth of every cluster, JSON
//! POST /break?cluster=<id>&what=<fault>                   breaks something (see [`Fault`])
//! POST /mend?cluster=<id>&what=<fault>                    mends it; leave out either to mend all
//! ```
//!
//! Metric names, types and labels are those of the real exporters; the values are made up.
//!
//! - SIM-1: a page is a pure function of seed, profile, time and the faults so far. Nothing here
//!   reads a clock or keeps a counter.
//! - SIM-2: a counter falls only when its target restarts, and targets restart one at a time
//!   ([`Profile::restart_every`]), so that a restart shows and still disturbs few numbers.
//! - SIM-3: `rate()` over any window of a page's counters agrees with the truth within
//!   [`truth::rate_tolerance`], where no target restarted in that window.

pub mod fault;
pub mod fleet;
pub mod http;
pub mod profile;
pub mod topology;
pub mod truth;

mod exporter;
mod noise;
mod page;
mod schedule;

pub use fault::Fault;
pub use fleet::{Fleet, FleetError};
pub use http::{Clock, router};
pub use profile::Profile;
pub use topology::{Cluster, Collection, Component, Scope, Target};
pub use truth::Truth;
