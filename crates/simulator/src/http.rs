//! The fleet over HTTP. The crate's documentation lists the endpoints.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, RawPathParams, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, UnknownFault};
use crate::fleet::{Fleet, FleetError};

/// Tells what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Serves `fleet` as it is at the time that `clock` tells.
pub fn router(fleet: Arc<Fleet>, clock: Clock) -> Router {
    let targets = fleet.targets().iter().enumerate();
    let by_path = targets.map(|(index, target)| (target.path.clone(), index)).collect();
    Router::new()
        .route("/targets.json", get(targets_json))
        .route("/targets/{cluster}/{component}/{instance}/metrics", get(page))
        .route("/truth", get(truth))
        .route("/break", post(start_fault))
        .route("/mend", post(stop_faults))
        .with_state(AppState { fleet, clock, by_path: Arc::new(by_path) })
}

#[derive(Clone)]
struct AppState {
    fleet: Arc<Fleet>,
    clock: Clock,
    /// Where in the fleet's targets the one with this path is.
    by_path: Arc<HashMap<String, usize>>,
}

async fn page(State(state): State<AppState>, place: RawPathParams) -> Response {
    let mut path = String::from("/targets");
    for (_, segment) in &place {
        path.push('/');
        path.push_str(segment);
    }
    path.push_str("/metrics");
    let Some(index) = state.by_path.get(&path) else {
        return (StatusCode::NOT_FOUND, "no such target\n").into_response();
    };
    match state.fleet.page(&state.fleet.targets()[*index], (state.clock)()) {
        Some(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "this target is broken\n").into_response(),
    }
}

/// One entry of an `http_sd_configs` answer.
#[derive(Serialize)]
struct TargetGroup<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<&'static str, &'a str>,
}

async fn targets_json(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let Some(address) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return (StatusCode::BAD_REQUEST, "no Host header: at which address?\n").into_response();
    };
    let groups = state.fleet.targets().iter().map(|target| {
        let mut labels: BTreeMap<_, _> =
            target.labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        labels.insert("__metrics_path__", &target.path);
        TargetGroup { targets: [address], labels }
    });
    json(&groups.collect::<Vec<_>>())
}

async fn truth(State(state): State<AppState>) -> Response {
    json(&state.fleet.truth((state.clock)()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BreakQuery {
    cluster: String,
    what: String,
}

async fn start_fault(
    State(state): State<AppState>,
    Query(query): Query<BreakQuery>,
) -> Result<Response, RequestError> {
    let at = (state.clock)();
    state.fleet.start_fault(&query.cluster, query.what.parse()?, at)?;
    Ok(json(&state.fleet.truth(at)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MendQuery {
    cluster: Option<String>,
    what: Option<String>,
}

async fn stop_faults(
    State(state): State<AppState>,
    Query(query): Query<MendQuery>,
) -> Result<Response, RequestError> {
    let at = (state.clock)();
    let faults = match query.what {
        Some(what) => vec![what.parse()?],
        None => Fault::ALL.to_vec(),
    };
    let clusters = match query.cluster {
        Some(cluster) => vec![cluster],
        None => state.fleet.clusters().iter().map(|cluster| cluster.id.clone()).collect(),
    };
    for cluster in &clusters {
        for fault in &faults {
            state.fleet.stop_fault(cluster, *fault, at)?;
        }
    }
    Ok(json(&state.fleet.truth(at)))
}

fn json<T: Serialize>(body: &T) -> Response {
    let body = serde_json::to_vec(body).expect("no map keys but strings");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Why a request to break or mend was refused.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("what: {0}")]
    Fault(#[from] UnknownFault),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Fault(UnknownFault) => StatusCode::BAD_REQUEST,
            Self::Fleet(FleetError::UnknownCluster(_)) => StatusCode::NOT_FOUND,
            Self::Fleet(FleetError::History { .. }) => StatusCode::TOO_MANY_REQUESTS,
        };
        (status, format!("{self}\n")).into_response()
    }
}
