//! Serves the tree as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use model::Timestamp;
use serde::Serialize;
use storage::Query;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How old a cluster's newest sample may be before it counts as silent.
    pub stale_after: Duration,
}

impl Default for Options {
    /// As long as a query looks back for a sample.
    fn default() -> Self {
        Self { stale_after: Duration::from_secs(300) }
    }
}

/// `GET /api/v1/fleet`: the shape of the answer is in the crate's documentation.
pub fn router(query: Arc<dyn Query>, options: Options, now: fn() -> Timestamp) -> Router {
    let read = move || crate::read(query.as_ref(), now(), options.stale_after);
    Router::new().route("/api/v1/fleet", get(fleet)).with_state(Read(Arc::new(read)))
}

#[derive(Clone)]
struct Read(Arc<dyn Fn() -> Result<crate::Node, storage::QueryError> + Send + Sync>);

async fn fleet(State(Read(read)): State<Read>) -> Response {
    let tree = tokio::task::spawn_blocking(move || read()).await;
    let envelope = match tree {
        Ok(Ok(data)) => Envelope::Success { data },
        Ok(Err(error)) => Envelope::internal(&error),
        Err(panic) => Envelope::internal(&panic),
    };
    envelope.into_response()
}

/// What the Prometheus API puts around its answers.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Envelope {
    Success { data: crate::Node },
    Error { error_type: &'static str, error: String },
}

impl Envelope {
    fn internal(error: &dyn std::error::Error) -> Self {
        Self::Error { error_type: "internal", error: error.to_string() }
    }

    fn into_response(self) -> Response {
        let status = match self {
            Self::Success { .. } => StatusCode::OK,
            Self::Error { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let body = serde_json::to_string(&self).expect("a tree of strings and numbers is JSON");
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;

    async fn answer(read: fn() -> Result<Node, storage::QueryError>) -> (StatusCode, String) {
        let response = fleet(State(Read(Arc::new(read)))).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_tree_is_served_in_the_envelope_of_the_prometheus_api() {
        let empty = || Ok(Node::fleet(&Default::default(), [].iter()));
        let (status, body) = answer(empty).await;
        assert_eq!(status, 200);
        assert!(body.starts_with(r#"{"status":"success","data":{"level":"fleet""#), "{body}");
    }

    #[tokio::test]
    async fn what_storage_cannot_read_is_an_error() {
        let corrupt = || {
            let (place, reason) = ("chunk 7".to_owned(), "bad length".to_owned());
            Err(storage::QueryError::Corrupt { place, reason })
        };
        let (status, body) = answer(corrupt).await;
        assert_eq!(status, 500);
        let error = "corrupt data in chunk 7: bad length";
        let expect = r#"{"status":"error","errorType":"internal","error":""#;
        assert_eq!(body, format!("{expect}{error}\"}}"));
    }
}
