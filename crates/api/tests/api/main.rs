//! The whole API over HTTP: a real server on a loopback port, over a real database.
//!
//! ```text
//! reqwest ──► api::router ──► promql ──► tsdb (the series of `fixture`)
//!    └──────► Debian's prometheus, with the same series by remote write (`differential`)
//! ```

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod admin;
mod bad_input;
mod cancel;
mod differential;
mod fixture;
mod grafana;
mod lifecycle;
mod light;
mod load;
mod peer;
mod query_stats;
mod server;
mod status_pages;
mod store;
