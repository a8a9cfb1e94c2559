//! `POST /api/v1/write`: remote write 1.0 and 2.0 in.
//!
//! ```text
//! headers ─► a place (or 429) ─► body ─► snappy ─► walk ─► append ─► commit ─► 204, 400 or 503
//!            └──────── async ────────┘   └─── a blocking thread ───┘
//! ```
//! - RECEIVE-4: a 2xx answer means that all samples are stored; 400 means that what was valid is
//!   stored, and sending the rest again will not help; only 429, 408 and 5xx ask for a retry.
//!   Exemplars are not promised: the answer's headers say how many were kept.
//! - RECEIVE-5: nothing is allocated for a body's decoded size before that size is checked.
//! - Source: Prometheus' remote write specifications 1.0 and 2.0.

mod batch;
mod exemplar;
mod extras;
pub(crate) mod histogram;
mod key;
mod labels;
mod media;
mod outcome;
mod v1;
mod v2;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use storage::{Append, AppendError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub use crate::receive::key::KeySecret;
pub(crate) use crate::receive::outcome::{Account, ExemplarRefused, Outcome, Refused};

use crate::metrics::ReceiveMetrics;
use crate::receive::batch::{BatchError, Version};
use crate::wire::Malformed;

pub(crate) const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
pub(crate) const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
pub(crate) const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// No more and no larger buffers than these are kept for the next requests.
const BUFFERS_KEPT: usize = 8;
const BUFFER_KEPT_BYTES: usize = 4 << 20;

#[derive(Clone, Debug)]
pub struct Options {
    /// A request that says it decodes to more is refused unread.
    pub decoded_bytes_max: usize,
    /// A body must have arrived by then.
    pub body_timeout: Duration,
    /// Requests at work at once; their memory is bounded by this times `decoded_bytes_max`.
    pub concurrency: usize,
    /// How long a request may wait for its turn before it is told to come back later.
    pub admission_timeout: Duration,
    pub secret: KeySecret,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decoded_bytes_max: 32 << 20,
            body_timeout: Duration::from_secs(30),
            concurrency: 64,
            admission_timeout: Duration::from_secs(5),
            secret: KeySecret::random(),
        }
    }
}

/// Serves `POST /api/v1/write` into `append`.
pub fn router(append: Arc<dyn Append>, options: Options, metrics: ReceiveMetrics) -> Router {
    let receiver = Arc::new(Receiver {
        append,
        places: Arc::new(Semaphore::new(options.concurrency)),
        options,
        metrics,
        buffers: Mutex::default(),
    });
    Router::new().route("/api/v1/write", post(write)).with_state(receiver)
}

struct Receiver {
    append: Arc<dyn Append>,
    options: Options,
    places: Arc<Semaphore>,
    metrics: ReceiveMetrics,
    /// For decoded bodies.
    buffers: Mutex<Vec<Vec<u8>>>,
}

/// Why a request got no further.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("unsupported content type {0:?}: want application/x-protobuf")]
    MediaType(String),
    #[error("unsupported content encoding {0:?}: want snappy")]
    Encoding(String),
    #[error("too many requests at work")]
    Busy,
    #[error("the body did not arrive in {0:?}")]
    SlowBody(Duration),
    #[error("body of more than {max} bytes")]
    TooLarge { max: usize },
    #[error("read body: {0}")]
    Body(String),
    #[error("snappy: {0}")]
    Snappy(#[from] snap::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("store: {0}")]
    Append(#[from] AppendError),
    #[error("the request's thread ended early")]
    Panicked,
}

impl WriteError {
    fn status(&self) -> StatusCode {
        match self {
            Self::MediaType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) | Self::Snappy(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Append(error) if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Append(_) => StatusCode::BAD_REQUEST,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<BatchError> for WriteError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Malformed(error) => Self::Malformed(error),
            BatchError::Append(error) => Self::Append(error),
        }
    }
}

impl IntoResponse for WriteError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        if matches!(self, Self::Busy) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn write(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    let response = match receive(&receiver, request).await {
        Ok(outcome) => {
            receiver.metrics.count(&outcome);
            answer(&outcome)
        }
        Err(error) => {
            match &error {
                WriteError::Append(error) => tracing::error!(%error, "remote write not stored"),
                error => tracing::debug!(%error, "remote write refused"),
            }
            error.into_response()
        }
    };
    receiver.metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    response
}

async fn receive(receiver: &Arc<Receiver>, request: Request) -> Result<Outcome, WriteError> {
    let version = version(request.headers())?;
    let options = &receiver.options;
    let place = timeout(options.admission_timeout, Arc::clone(&receiver.places).acquire_owned());
    let place = place.await.map_err(|_| WriteError::Busy)?.expect("the semaphore is never closed");
    let body = timeout(options.body_timeout, read_body(request, options.decoded_bytes_max));
    let body = body.await.map_err(|_| WriteError::SlowBody(options.body_timeout))??;
    let receiver = Arc::clone(receiver);
    let work = tokio::task::spawn_blocking(move || receiver.store(version, &body, place));
    work.await.map_err(|_| WriteError::Panicked)?
}

/// The message that the headers announce; both headers may be missing, as in Prometheus.
fn version(headers: &HeaderMap) -> Result<Version, WriteError> {
    let text =
        |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap_or("?"));
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(WriteError::Encoding(encoding.to_owned()));
    }
    let content_type = text(header::CONTENT_TYPE);
    media::version(content_type).ok_or_else(|| WriteError::MediaType(content_type.to_owned()))
}

async fn read_body(request: Request, max: usize) -> Result<Bytes, WriteError> {
    axum::body::to_bytes(request.into_body(), max).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>) {
            WriteError::TooLarge { max }
        } else {
            WriteError::Body(error.to_string())
        }
    })
}

impl Receiver {
    fn store(
        &self,
        version: Version,
        body: &[u8],
        _place: OwnedSemaphorePermit, // given back when the work is done
    ) -> Result<Outcome, WriteError> {
        let max = self.options.decoded_bytes_max;
        let length = snap::raw::decompress_len(body)?;
        if length > max {
            return Err(WriteError::TooLarge { max });
        }
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let length = snap::raw::Decoder::new().decompress(body, &mut buffer)?;
        let appender = self.append.appender();
        let stored = batch::store(version, &buffer[..length], &self.options.secret, appender);
        let mut kept = self.buffers.lock();
        if kept.len() < BUFFERS_KEPT && buffer.len() <= BUFFER_KEPT_BYTES {
            kept.push(buffer);
        }
        Ok(stored?)
    }
}

fn answer(outcome: &Outcome) -> Response {
    let refused = outcome.refused_total();
    let mut response = if refused == 0 {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::BAD_REQUEST, explain(outcome)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(SAMPLES_WRITTEN, HeaderValue::from(outcome.samples.appended));
    headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(outcome.histograms.appended));
    headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(outcome.exemplars.appended));
    response
}

/// `2 of 5 samples refused (1 out_of_order, 1 invalid_labels); the rest is stored` and the first
/// problems, one a line. Histograms are samples here.
fn explain(outcome: &Outcome) -> String {
    let Outcome { samples, histograms, .. } = outcome;
    let counts = samples.refused.iter().zip(histograms.refused).map(|(a, b)| a + b);
    let reasons: Vec<_> = Refused::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.as_str()))
        .collect();
    let mut text = format!(
        "{} of {} samples refused ({}); the rest is stored\n",
        outcome.refused_total(),
        samples.received() + histograms.received(),
        reasons.join(", "),
    );
    for problem in &outcome.problems {
        let _ = writeln!(text, "{problem}");
    }
    text
}

#[cfg(test)]
mod tests;
