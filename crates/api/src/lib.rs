//! The Prometheus HTTP API and the process' lifecycle endpoints, as one router.
//!
//! [`router`] is built from a [`State`]: where data is asked for (`storage::Query`, the PromQL
//! engine), what the process says of itself ([`Status`]), and how it is told to reload or quit
//! ([`Command`]). Answers are Prometheus' to the byte wherever a client could tell.
//!
//! This crate stores nothing, knows no tier, and does not hold up async threads: all that may take
//! longer than handing it over runs on a blocking thread.

mod admin;
mod ast_json;
#[cfg(feature = "bench")]
pub mod bench;
mod client;
mod cors;
mod endpoint;
mod error;
mod exemplars;
mod form;
mod json;
mod labels;
mod lifecycle;
mod light;
mod metadata;
mod metrics;
mod params;
mod query;
mod query_data;
mod respond;
mod rules;
mod status;
mod status_pages;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use model::Timestamp;
use tokio::sync::oneshot;

use crate::endpoint::Api;

pub use client::WithClient;
pub use cors::{CorsOrigin, CorsOriginError};
pub use lifecycle::{Lifecycle, Readiness};
pub use metrics::Metrics;
pub use status::{BuildInfo, HeadStats, RuntimeInfo, Status, Table, TsdbStatus};

/// What the API answers from.
#[derive(Clone)]
pub struct State {
    pub query: Arc<dyn storage::Query>,
    /// `None` where the admin API is not enabled.
    pub admin: Option<Arc<dyn storage::Admin>>,
    pub engine: promql::Engine,
    pub query_log: Arc<querylog::QueryLog>,
    pub status: Arc<dyn Status>,
    pub build_info: BuildInfo,
    pub lifecycle: Lifecycle,
    pub options: Options,
    pub now: fn() -> Timestamp,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct Options {
    /// Requests for data that are worked on at once; the others wait. `--query.max-concurrency`
    pub max_concurrency: usize,
    /// A query's time, waiting included; a request may ask for less. `--query.timeout`
    pub timeout: Duration,
    /// Whose pages may read answers. `--web.cors.origin`
    pub cors_origin: CorsOrigin,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_concurrency: 20,
            timeout: Duration::from_secs(120),
            cors_origin: CorsOrigin::default(),
        }
    }
}

/// What a client asks of the process itself.
#[derive(Debug)]
pub enum Command {
    /// Load the configuration again; `done` takes the outcome, an error's text included.
    Reload {
        done: oneshot::Sender<Result<(), String>>,
    },
    Quit,
}

/// All routes of the API and of the lifecycle, and `others`: routes of other crates (write,
/// federate, fleet) that are likewise measured, and refused with 503 until the process is ready.
pub fn router(state: State, others: Router) -> Router {
    let cors_origin = state.options.cors_origin.clone();
    let lifecycle = state.lifecycle.clone();
    let api = Arc::new(Api::new(state));
    let guarded = Router::new()
        .merge(query::router())
        .merge(exemplars::router())
        .merge(labels::router())
        .merge(metadata::router())
        .merge(status_pages::router())
        .merge(admin::router())
        .method_not_allowed_fallback(method_not_allowed) // before CORS, which answers OPTIONS
        .layer(from_fn_with_state(cors_origin, cors::allow))
        .with_state(api)
        .merge(others)
        .layer(from_fn_with_state(Arc::clone(&lifecycle.readiness), lifecycle::require_ready));
    let metrics = lifecycle.metrics.clone();
    lifecycle::router()
        .with_state(Arc::new(lifecycle))
        .merge(guarded)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn_with_state(metrics, metrics::measure))
}

/// The lifecycle's routes alone; all others are refused with 503 and the reason. For a process that
/// has nothing yet to make a [`State`] of.
pub fn starting(lifecycle: Lifecycle) -> Router {
    let metrics = lifecycle.metrics.clone();
    lifecycle::router()
        .fallback(lifecycle::not_yet)
        .with_state(Arc::new(lifecycle))
        .layer(from_fn_with_state(metrics, metrics::measure))
}

async fn not_found() -> Response {
    respond::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn method_not_allowed() -> Response {
    respond::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}
