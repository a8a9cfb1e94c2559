//! What the HTTP surface says about itself.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramVec, IntCounterVec, Registry, histogram_opts, opts};

use crate::error::ErrorType;

/// Registered once for a process; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            opts!(
                "watershed_http_requests_total",
                "HTTP requests by handler and status code; 499: the client went away first."
            ),
            &["handler", "code"],
        )?;
        let duration = HistogramVec::new(
            histogram_opts!(
                "watershed_http_request_duration_seconds",
                "Time from a request's head to its response's head.",
                vec![0.001, 0.005, 0.025, 0.1, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0]
            ),
            &["handler"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { requests, duration })
    }
}

/// Counts a request under the route that it took, so that no client can make up label values.
pub(crate) async fn measure(
    Shared(metrics): Shared<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let handler = route.map_or("none", MatchedPath::as_str).to_owned();
    let mut request_in_work =
        InWork { metrics, handler, started: Instant::now(), code: ErrorType::Canceled.status() };
    let response = next.run(request).await;
    request_in_work.code = response.status();
    response
}

/// A request until its response's head. When the client goes away first, it is dropped before its
/// code is known.
struct InWork {
    metrics: Metrics,
    handler: String,
    started: Instant,
    code: StatusCode,
}

impl Drop for InWork {
    fn drop(&mut self) {
        let handler = self.handler.as_str();
        let duration = self.started.elapsed().as_secs_f64();
        self.metrics.duration.with_label_values(&[handler]).observe(duration);
        self.metrics.requests.with_label_values(&[handler, self.code.as_str()]).inc();
    }
}
