//! The endpoints that supervisors and operators call: healthy, ready, reload, quit.

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodFilter, get, on};
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot};

use crate::Command;
use crate::error::{ApiError, ErrorType};
use crate::metrics::Metrics;
use crate::respond::{self, text};

/// Whether the process can answer, and if not, why.
pub struct Readiness(Mutex<Option<Reason>>);

/// Written out anew for each client: it may tell how far something is.
type Reason = Box<dyn fmt::Display + Send>;

impl Readiness {
    /// Not ready: `why` is what clients are told, such as `replaying the log`.
    pub fn not_ready(why: impl fmt::Display + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(why))))
    }

    pub fn set_ready(&self) {
        self.set(None);
    }

    pub fn set_not_ready(&self, why: impl fmt::Display + Send + 'static) {
        self.set(Some(Box::new(why)));
    }

    /// `Err` with the reason while not ready.
    pub fn check(&self) -> Result<(), String> {
        match &*self.0.lock().expect("no one panics while holding the state") {
            None => Ok(()),
            Some(why) => Err(why.to_string()),
        }
    }

    fn set(&self, state: Option<Reason>) {
        *self.0.lock().expect("no one panics while holding the state") = state;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.check()).finish()
    }
}

/// What the process can answer from its first moment on.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub readiness: Arc<Readiness>,
    /// Where reload and quit are sent; `None` where the lifecycle API is not enabled.
    pub commands: Option<mpsc::Sender<Command>>,
    /// What `/metrics` shows.
    pub registry: Registry,
    pub metrics: Metrics,
}

pub(crate) fn router() -> Router<Arc<Lifecycle>> {
    let commands = MethodFilter::POST.or(MethodFilter::PUT);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", on(commands, reload).fallback(wrong_method))
        .route("/-/quit", on(commands, quit).fallback(wrong_method))
}

/// Answers 503 in place of routes that need what is still being made ready.
pub(crate) async fn require_ready(
    Shared(readiness): Shared<Arc<Readiness>>,
    request: Request,
    next: Next,
) -> Response {
    match readiness.check() {
        Ok(()) => next.run(request).await,
        Err(why) => ApiError::new(ErrorType::Unavailable, why).into_response(),
    }
}

/// Answers 503 in place of routes that are not there yet.
pub(crate) async fn not_yet(Shared(lifecycle): Shared<Arc<Lifecycle>>) -> Response {
    let why = lifecycle.readiness.check().err().unwrap_or_else(|| "starting".to_owned());
    ApiError::new(ErrorType::Unavailable, why).into_response()
}

async fn metrics(Shared(lifecycle): Shared<Arc<Lifecycle>>, request: Request) -> Response {
    let encoded = prometheus::TextEncoder::new().encode_to_string(&lifecycle.registry.gather());
    match encoded {
        Ok(page) => respond::metrics_page(page, respond::Gzip::accepted_by(request.headers())),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn healthy() -> Response {
    text(StatusCode::OK, "Watershed is healthy.\n")
}

async fn ready(Shared(lifecycle): Shared<Arc<Lifecycle>>) -> Response {
    match lifecycle.readiness.check() {
        Ok(()) => text(StatusCode::OK, "Watershed is ready.\n"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Answers when the configuration has been reloaded, or has not and the old one runs on.
async fn reload(Shared(lifecycle): Shared<Arc<Lifecycle>>) -> Response {
    let Some(commands) = &lifecycle.commands else { return not_enabled() };
    let (done, outcome) = oneshot::channel();
    if commands.send(Command::Reload { done }).await.is_err() {
        return shutting_down();
    }
    match outcome.await {
        Ok(Ok(())) => text(StatusCode::OK, ""),
        Ok(Err(reason)) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {reason}\n"))
        }
        Err(_) => shutting_down(),
    }
}

async fn quit(Shared(lifecycle): Shared<Arc<Lifecycle>>) -> Response {
    let Some(commands) = &lifecycle.commands else { return not_enabled() };
    match commands.send(Command::Quit).await {
        Ok(()) => text(StatusCode::OK, "Requesting termination... Goodbye!"),
        Err(mpsc::error::SendError(_)) => shutting_down(),
    }
}

async fn wrong_method() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed")
}

fn not_enabled() -> Response {
    text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
}

fn shutting_down() -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
}
