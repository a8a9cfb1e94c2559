//! How a request becomes an answer: parameters are read, a blocking thread works, the client reads.
//!
//! What is certainly done soon ([`crate::light`]) is done by the async thread that read the request: to
//! hand it to another one and back takes longer than most of these do.
//!
//! - ENDPOINT-1: no more requests for data are worked on at once than `max_concurrency`; the others
//!   wait for their turn, within their time.
//! - ENDPOINT-2: when a client goes away, its query is cancelled.
//! - ENDPOINT-3: of requests that change what is stored one is worked on; the others wait, without a
//!   thread.
//! - ENDPOINT-4: one async thread at least is free of such work, whatever that should have to wait for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use promql::Cancel;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::State;
use crate::client::Client;
use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::respond::{Gzip, Reply};

/// The state, and the turns of those who ask for data.
pub(crate) struct Api {
    pub(crate) state: State,
    turns: Arc<Semaphore>,
    /// Of those who change what is stored.
    admin_turn: Arc<Semaphore>,
    /// Of those who are answered by async threads.
    light_turns: Semaphore,
}

impl Api {
    pub(crate) fn new(state: State) -> Self {
        let turns = Arc::new(Semaphore::new(state.options.max_concurrency));
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        let light_turns = Semaphore::new(threads - 1);
        Self { state, turns, admin_turn: Arc::new(Semaphore::new(1)), light_turns }
    }
}

/// One request, as an endpoint sees it.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) form: &'a Form,
    pub(crate) cancel: &'a Cancel,
    /// The time that is left for the answer.
    pub(crate) timeout: Duration,
    /// How long it waited for its turn.
    pub(crate) queued: Duration,
    pub(crate) source: &'a Source,
}

/// Where a request came from, and what for.
pub(crate) struct Source {
    /// Empty where that is not known.
    pub(crate) client: String,
    pub(crate) method: Method,
    pub(crate) path: String,
}

/// From a request to its data. Runs on a blocking thread, unless it is light.
pub(crate) trait Endpoint:
    FnOnce(&Call<'_>) -> Result<Reply, ApiError> + Send + 'static
{
}

impl<F: FnOnce(&Call<'_>) -> Result<Reply, ApiError> + Send + 'static> Endpoint for F {}

/// Answers with what the process knows of itself: at once, whatever queries are running.
pub(crate) async fn answer(api: Arc<Api>, request: Request, endpoint: impl Endpoint) -> Response {
    let time = Time { queued: Duration::ZERO, left: api.state.options.timeout };
    match Asked::read(request).await {
        Ok(asked) => work(api, asked, time, endpoint).await,
        Err(error) => error.into_response(),
    }
}

/// Answers when no other request that is answered so is being worked on.
pub(crate) async fn answer_alone(
    api: Arc<Api>,
    request: Request,
    endpoint: impl Endpoint,
) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    let arrived = Instant::now();
    let turn = Arc::clone(&api.admin_turn).acquire_owned().await;
    let time = Time { queued: arrived.elapsed(), left: api.state.options.timeout };
    work(api, asked, time, move |call: &Call<'_>| {
        let _turn = turn;
        endpoint(call)
    })
    .await
}

/// Answers with data, when it is this request's turn.
pub(crate) async fn answer_in_turn(
    api: Arc<Api>,
    request: Request,
    endpoint: impl Endpoint,
) -> Response {
    answer_weighed(api, request, |_: &State, _: &Form| false, endpoint).await
}

/// As [`answer_in_turn`], for requests some of which are certainly done soon.
pub(crate) async fn answer_weighed(
    api: Arc<Api>,
    request: Request,
    is_light: impl FnOnce(&State, &Form) -> bool,
    endpoint: impl Endpoint,
) -> Response {
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    let arrived = Instant::now();
    let timeout = api.state.options.timeout;
    // A timeout that cannot be read is the endpoint's to refuse.
    let timeout =
        asked.form.duration("timeout").ok().flatten().map_or(timeout, |asked| asked.min(timeout));
    let turn = Arc::clone(&api.turns).acquire_owned();
    let Ok(turn) = tokio::time::timeout(timeout, turn).await else {
        let message = "query timed out in query queue";
        return ApiError::new(ErrorType::Timeout, message).into_response();
    };
    let queued = arrived.elapsed();
    let time = Time { queued, left: timeout.saturating_sub(queued) };
    let endpoint = move |call: &Call<'_>| {
        let _turn = turn; // until there is an answer, even if nobody waits for it any more
        endpoint(call)
    };
    if is_light(&api.state, &asked.form)
        && let Ok(_turn) = api.light_turns.try_acquire()
    {
        return work_at_once(&api, &asked, &time, endpoint);
    }
    work(api, asked, time, endpoint).await
}

/// A request that was read.
struct Asked {
    form: Form,
    source: Source,
    gzip: Gzip,
}

impl Asked {
    async fn read(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let gzip = Gzip::accepted_by(&parts.headers);
        let form = Form::read(&parts, body).await?;
        let client = parts.extensions.get().map(|Client(address)| address.to_string());
        let (client, path) = (client.unwrap_or_default(), parts.uri.path().to_owned());
        Ok(Self { form, source: Source { client, method: parts.method, path }, gzip })
    }
}

/// Of a request that is worked on.
struct Time {
    queued: Duration,
    left: Duration,
}

/// Runs `endpoint` and renders the first chunk of its answer away from the async threads.
async fn work(api: Arc<Api>, asked: Asked, time: Time, endpoint: impl Endpoint) -> Response {
    let cancel = Cancel::new();
    let _cancel_if_dropped = CancelOnDrop(cancel.clone());
    let respond = move || respond(&api, &asked, &time, &cancel, endpoint);
    let response = tokio::task::spawn_blocking(respond).await;
    response.unwrap_or_else(|error| {
        tracing::error!(%error, "request ended in a panic");
        ApiError::new(ErrorType::Internal, "internal error").into_response()
    })
}

/// As [`work`], by this thread. There is no time to cancel it.
fn work_at_once(api: &Api, asked: &Asked, time: &Time, endpoint: impl Endpoint) -> Response {
    let respond = || respond(api, asked, time, &Cancel::new(), endpoint);
    catch_unwind(AssertUnwindSafe(respond)).unwrap_or_else(|_| {
        tracing::error!("request ended in a panic");
        ApiError::new(ErrorType::Internal, "internal error").into_response()
    })
}

fn respond(
    api: &Api,
    asked: &Asked,
    time: &Time,
    cancel: &Cancel,
    endpoint: impl Endpoint,
) -> Response {
    let (state, Asked { form, source, gzip }) = (&api.state, asked);
    let call = Call { state, form, source, cancel, timeout: time.left, queued: time.queued };
    match endpoint(&call) {
        Ok(reply) => reply.into_response(*gzip),
        Err(error) => error.into_response(),
    }
}

/// The server drops a request's future when its client has gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
