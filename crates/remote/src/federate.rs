//! `GET /federate?match[]=…`: the newest sample of each series asked for, as text.
//!
//! - FEDERATE-1: each series is given once, sorted by name and then labels, and each family's lines
//!   stand together after its type; a series that has ended is not given.
//! - FEDERATE-2: external labels are added where a series does not have them, and so is an empty
//!   `instance`, so that whoever scrapes this does not add its own.
//! - FEDERATE-3: the answer is written in pieces, each when the client has taken the ones before it;
//!   when the client goes or takes too long, writing stops.
//! - FEDERATE-4: an answer that was not written to its end does not look as if it were: the connection
//!   is cut.
//! - Source: Prometheus `web/federate.go`; we differ in that we keep types and help.

mod families;
mod negotiate;
mod page;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use model::{Labels, METRIC_NAME, Matcher, Sample, TimeRange, Timestamp, is_stale};
use storage::{Query, QueryError, Selection};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_blocking;

use crate::clock;
use crate::federate::negotiate::Negotiated;
use crate::federate::page::Page;
use crate::metrics::FederateMetrics;

/// Pieces of an answer that wait for the client.
const PIECES_WAITING: usize = 2;

#[derive(Clone, Debug)]
pub struct Options {
    /// A series whose newest sample is older is not given.
    pub lookback: Duration,
    /// Answers at work at once; further requests wait for their turn.
    pub concurrency: usize,
    /// A client that does not take a piece of the answer for this long is given up.
    pub write_timeout: Duration,
    pub clock: fn() -> Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            concurrency: 8,
            write_timeout: Duration::from_secs(30),
            clock: clock::now,
        }
    }
}

/// Serves `GET /federate` from `query`. A reload sends new external labels.
pub fn router(
    query: Arc<dyn Query>,
    external_labels: watch::Receiver<Labels>,
    options: Options,
    metrics: FederateMetrics,
) -> Router {
    let places = Arc::new(Semaphore::new(options.concurrency));
    let federation = Arc::new(Federation { query, external_labels, options, metrics, places });
    Router::new().route("/federate", get(federate)).with_state(federation)
}

struct Federation {
    query: Arc<dyn Query>,
    external_labels: watch::Receiver<Labels>,
    options: Options,
    metrics: FederateMetrics,
    places: Arc<Semaphore>,
}

#[derive(Debug, thiserror::Error)]
enum FederateError {
    #[error("match[]={selector}: {error}")]
    Selector { selector: String, error: promql::ParseError },
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the request's thread ended early")]
    Panicked,
}

impl IntoResponse for FederateError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Selector { .. } => StatusCode::BAD_REQUEST,
            Self::Query(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{self}\n")).into_response()
    }
}

async fn federate(
    State(federation): State<Arc<Federation>>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Response {
    let response = match answer(&federation, &parameters.unwrap_or_default(), &headers).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, "federation refused");
            error.into_response()
        }
    };
    federation.metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    response
}

async fn answer(
    federation: &Arc<Federation>,
    parameters: &str,
    headers: &HeaderMap,
) -> Result<Response, FederateError> {
    let selectors = selectors(parameters)?;
    let negotiated = Negotiated::from_headers(headers);
    let place = Arc::clone(&federation.places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    let asked = Arc::clone(federation);
    let page = spawn_blocking(move || asked.page(selectors, negotiated.any_names)).await;
    let page = page.map_err(|_| FederateError::Panicked)??;
    federation.metrics.series.inc_by(page.len() as u64);

    let (pieces, receiver) = mpsc::channel(PIECES_WAITING);
    let write_timeout = federation.options.write_timeout;
    let runtime = Handle::current();
    // It ends when the client has it all, is gone or is too slow, so nobody has to wait for it.
    spawn_blocking(move || {
        let give = |piece| runtime.block_on(pieces.send_timeout(piece, write_timeout)).is_ok();
        if page.write(negotiated.gzip, |piece| give(Piece::Text(piece))) {
            give(Piece::End);
        }
        drop(place);
    });
    let mut response = Response::new(body(receiver));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, negotiated.content_type());
    headers.insert(header::VARY, header::HeaderValue::from_static("Accept-Encoding"));
    if negotiated.gzip {
        headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn selectors(parameters: &str) -> Result<Vec<Vec<Matcher>>, FederateError> {
    let pairs = url::form_urlencoded::parse(parameters.as_bytes());
    let texts = pairs.filter(|(name, _)| name == "match[]").map(|(_, value)| value);
    let parse = |selector: std::borrow::Cow<'_, str>| {
        promql::parse_selector(&selector)
            .map_err(|error| FederateError::Selector { selector: selector.into_owned(), error })
    };
    texts.map(parse).collect()
}

/// What the writer gives to the connection.
#[derive(Debug)]
enum Piece {
    Text(Bytes),
    /// Nothing is missing (FEDERATE-4).
    End,
}

fn body(receiver: mpsc::Receiver<Piece>) -> Body {
    let pieces = stream::try_unfold(receiver, |mut receiver| async {
        match receiver.recv().await {
            Some(Piece::Text(text)) => Ok(Some((text, receiver))),
            Some(Piece::End) => Ok(None),
            None => Err(io::Error::other("the answer was given up")),
        }
    });
    Body::from_stream(pieces)
}

impl Federation {
    fn page(&self, selectors: Vec<Vec<Matcher>>, any_names: bool) -> Result<Page, QueryError> {
        let now = (self.options.clock)();
        let range = TimeRange::new(now.minus(self.options.lookback), now);
        let mut series: Vec<(Labels, Sample)> = Vec::new();
        for matchers in selectors {
            series.append(&mut self.query.latest(&Selection::new(range, matchers))?);
        }
        series.retain(|(labels, sample)| {
            !is_stale(sample.value) && labels.get(METRIC_NAME).is_some()
        });
        // The label section would do but for names that sort before `__name__`.
        series.sort_unstable_by(|(a, _), (b, _)| {
            a.metric_name().cmp(b.metric_name()).then_with(|| a.cmp(b))
        });
        series.dedup_by(|(a, _), (b, _)| a == b);
        let metadata = self.query.metadata(None)?;
        Ok(Page::new(series, &metadata, &self.external_labels.borrow(), any_names))
    }
}

#[cfg(test)]
mod tests;
