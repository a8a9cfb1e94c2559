//! `admin/tsdb/*`: what operators do to the storage, where that is enabled.
//!
//! Source: Prometheus `web/api/v1/api.go` (`deleteSeries`, `snapshot`, `cleanTombstones`).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use model::Timestamp;
use serde_json::json;
use storage::Admin;

use crate::endpoint::{Api, Call, answer_alone};
use crate::error::{ApiError, ErrorType, with_causes};
use crate::form::Form;
use crate::respond::Reply;

type Action = fn(&dyn Admin, &Call<'_>) -> Result<Reply, ApiError>;

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/admin/tsdb/delete_series", route(delete_series))
        .route("/api/v1/admin/tsdb/clean_tombstones", route(clean_tombstones))
        .route("/api/v1/admin/tsdb/snapshot", route(snapshot))
}

fn route(action: Action) -> MethodRouter<Arc<Api>> {
    let methods = MethodFilter::POST.or(MethodFilter::PUT);
    on(methods, move |Shared(api): Shared<Arc<Api>>, request: Request| act(api, request, action))
}

async fn act(api: Arc<Api>, request: Request, action: Action) -> Response {
    let Some(admin) = api.state.admin.clone() else {
        return ApiError::new(ErrorType::Disabled, "admin APIs disabled").into_response();
    };
    answer_alone(api, request, move |call: &Call<'_>| action(&*admin, call)).await
}

fn delete_series(admin: &dyn Admin, call: &Call<'_>) -> Result<Reply, ApiError> {
    if call.form.values("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = call.form.time_range()?;
    let selectors = call.form.values("match[]").map(promql::parse_selector);
    let mut matcher_sets = selectors
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ApiError::parameter("match[]", error))?;
    matcher_sets.retain(|matchers| !matchers.is_empty()); // `{}` deletes nothing
    admin.delete(&matcher_sets, range)?;
    Ok(Reply::nothing())
}

fn clean_tombstones(admin: &dyn Admin, _: &Call<'_>) -> Result<Reply, ApiError> {
    admin.clean_tombstones()?;
    Ok(Reply::nothing())
}

fn snapshot(admin: &dyn Admin, call: &Call<'_>) -> Result<Reply, ApiError> {
    let skip_head = boolean(call.form, "skip_head")?;
    let name = snapshot_name((call.state.now)());
    admin.snapshot(&name, !skip_head).map_err(|error| {
        let message = format!("create snapshot: {}", with_causes(&error));
        ApiError::new(ErrorType::Internal, message)
    })?;
    Reply::value(&json!({ "name": name }))
}

/// `20060102T150405Z-0123456789abcdef`: the time, and a random number.
fn snapshot_name(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    let random = RandomState::new().hash_one(now) >> 1;
    format!("{}-{random:016x}", time.strftime("%Y%m%dT%H%M%SZ"))
}

/// As Go's `strconv.ParseBool` reads them; false where it is not given.
fn boolean(form: &Form, name: &str) -> Result<bool, ApiError> {
    match form.value(name) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text => Err(ApiError::parameter(
            name,
            format_args!(
                "unable to parse boolean: strconv.ParseBool: parsing {text:?}: invalid syntax"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_by_time_and_chance() {
        let name = snapshot_name(Timestamp::from_millis(1_700_000_000_999));
        let (time, random) = name.split_once('-').unwrap();
        assert_eq!((time, random.len()), ("20231114T221320Z", 16));
        assert!(random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{random}");
        assert_ne!(name, snapshot_name(Timestamp::from_millis(1_700_000_000_999)));
    }
}
