//! Endpoints about the process: targets, rules, alerts and `status/*`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::endpoint::{Api, Call, answer, answer_in_turn};
use crate::error::ApiError;
use crate::params::parse_integer;
use crate::respond::Reply;

/// Rows of each `status/tsdb` table where the request names no limit.
const TABLE_ROWS: i64 = 10;

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/targets", page(targets))
        .route("/api/v1/rules", page(crate::rules::rules))
        .route("/api/v1/alerts", page(|call| Reply::value(&call.state.status.alerts())))
        .route(
            "/api/v1/alertmanagers",
            page(|call| Reply::value(&call.state.status.alertmanagers())),
        )
        .route("/api/v1/status/buildinfo", page(|call| Reply::value(&call.state.build_info)))
        .route("/api/v1/status/config", page(config))
        .route("/api/v1/status/flags", page(|call| Reply::value(&call.state.status.flags())))
        .route("/api/v1/status/runtimeinfo", page(runtime_info))
        .route("/api/v1/status/tsdb", get(tsdb_in_turn))
        .route("/api/v1/scrape_pools", page(scrape_pools))
}

fn page(endpoint: fn(&Call<'_>) -> Result<Reply, ApiError>) -> MethodRouter<Arc<Api>> {
    get(move |Shared(api): Shared<Arc<Api>>, request: Request| answer(api, request, endpoint))
}

/// Counting what storage holds is work like a query's.
async fn tsdb_in_turn(Shared(api): Shared<Arc<Api>>, request: Request) -> Response {
    answer_in_turn(api, request, tsdb).await
}

fn config(call: &Call<'_>) -> Result<Reply, ApiError> {
    Reply::value(&json!({ "yaml": call.state.status.config() }))
}

fn runtime_info(call: &Call<'_>) -> Result<Reply, ApiError> {
    Reply::value(&call.state.status.runtime_info())
}

fn tsdb(call: &Call<'_>) -> Result<Reply, ApiError> {
    let limit = parse_integer(call.form.value("limit")).unwrap_or(Some(0)).unwrap_or(TABLE_ROWS);
    match usize::try_from(limit) {
        Ok(limit @ 1..) => Reply::value(&call.state.status.tsdb(limit)),
        _ => Err(ApiError::bad_data("limit must be a positive number")),
    }
}

/// `state` is `active`, `dropped` or `any`; `scrapePool` names one job.
fn targets(call: &Call<'_>) -> Result<Reply, ApiError> {
    let mut targets = call.state.status.targets();
    let wanted = call.form.value("state").to_lowercase();
    let pool = call.form.value("scrapePool");
    let lists = [("activeTargets", "active"), ("droppedTargets", "dropped")];
    for (list, kind) in lists {
        let shown = matches!(wanted.as_str(), "" | "any") || wanted == kind;
        if let Some(Value::Array(targets)) = targets.get_mut(list) {
            targets.retain(|target| shown && (pool.is_empty() || target["scrapePool"] == *pool));
        }
    }
    Reply::value(&targets)
}

/// The names of all jobs that have or had a target.
fn scrape_pools(call: &Call<'_>) -> Result<Reply, ApiError> {
    let targets = call.state.status.targets();
    let listed = ["activeTargets", "droppedTargets"].into_iter();
    let listed = listed.filter_map(|list| targets[list].as_array()).flatten();
    let mut pools: BTreeSet<&str> =
        listed.filter_map(|target| target["scrapePool"].as_str()).collect();
    let counted = targets["droppedTargetCounts"].as_object();
    pools.extend(counted.into_iter().flat_map(|counts| counts.keys().map(String::as_str)));
    Reply::value(&json!({ "scrapePools": pools }))
}
