//! What the HTTP surface says about itself.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramVec, IntCounterVec, Registry, histogram_opts, opts};

/// Registered once for a process; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            opts!("watershed_http_requests_total", "HTTP requests by handler and status code."),
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
    let started = Instant::now();
    let response = next.run(request).await;
    metrics.duration.with_label_values(&[&handler]).observe(started.elapsed().as_secs_f64());
    let code = response.status();
    metrics.requests.with_label_values(&[handler.as_str(), code.as_str()]).inc();
    response
}
