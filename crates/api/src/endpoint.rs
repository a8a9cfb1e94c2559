//! How a request becomes an answer: parameters are read, a blocking thread works, the client reads.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use crate::State;
use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::respond::{Gzip, Reply};

/// From a request's parameters to its data. Runs on a blocking thread.
pub(crate) type Endpoint = fn(&State, &Form) -> Result<Reply, ApiError>;

pub(crate) async fn answer(state: Arc<State>, request: Request, endpoint: Endpoint) -> Response {
    let (parts, body) = request.into_parts();
    let gzip = Gzip::accepted_by(&parts.headers);
    let form = match Form::read(&parts, body).await {
        Ok(form) => form,
        Err(error) => return error.into_response(),
    };
    on_blocking_thread(gzip, move || endpoint(&state, &form)).await
}

/// Runs `work` and renders the first chunk of its answer away from the async threads.
pub(crate) async fn on_blocking_thread(
    gzip: Gzip,
    work: impl FnOnce() -> Result<Reply, ApiError> + Send + 'static,
) -> Response {
    let respond = move || match work() {
        Ok(reply) => reply.into_response(gzip),
        Err(error) => error.into_response(),
    };
    tokio::task::spawn_blocking(respond).await.unwrap_or_else(|error| {
        tracing::error!(%error, "request ended in a panic");
        ApiError::new(ErrorType::Internal, "internal error").into_response()
    })
}
