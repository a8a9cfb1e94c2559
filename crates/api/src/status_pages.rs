//! Endpoints about the process: targets, rules, alerts and `status/*`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::State;
use crate::endpoint::{Endpoint, answer};
use crate::error::ApiError;
use crate::form::Form;
use crate::params::parse_integer;
use crate::respond::Reply;

/// Rows of each `status/tsdb` table where the request names no limit.
const TABLE_ROWS: i64 = 10;

pub(crate) fn router() -> Router<Arc<State>> {
    let page = |endpoint: Endpoint| -> MethodRouter<Arc<State>> {
        get(move |Shared(state): Shared<Arc<State>>, request: Request| {
            answer(state, request, endpoint)
        })
    };
    Router::new()
        .route("/api/v1/targets", page(targets))
        .route("/api/v1/rules", page(rules))
        .route("/api/v1/alerts", page(|state, _| Reply::value(&state.status.alerts())))
        .route(
            "/api/v1/alertmanagers",
            page(|state, _| Reply::value(&state.status.alertmanagers())),
        )
        .route("/api/v1/status/buildinfo", page(|state, _| Reply::value(&state.build_info)))
        .route("/api/v1/status/config", page(config))
        .route("/api/v1/status/flags", page(|state, _| Reply::value(&state.status.flags())))
        .route("/api/v1/status/runtimeinfo", page(runtime_info))
        .route("/api/v1/status/tsdb", page(tsdb))
}

fn config(state: &State, _: &Form) -> Result<Reply, ApiError> {
    Reply::value(&json!({ "yaml": state.status.config() }))
}

fn runtime_info(state: &State, _: &Form) -> Result<Reply, ApiError> {
    Reply::value(&state.status.runtime_info())
}

fn tsdb(state: &State, form: &Form) -> Result<Reply, ApiError> {
    let limit = parse_integer(form.value("limit")).unwrap_or(Some(0)).unwrap_or(TABLE_ROWS);
    match usize::try_from(limit) {
        Ok(limit @ 1..) => Reply::value(&state.status.tsdb(limit)),
        _ => Err(ApiError::bad_data("limit must be a positive number")),
    }
}

/// `state` is `active`, `dropped` or `any`; `scrapePool` names one job.
fn targets(state: &State, form: &Form) -> Result<Reply, ApiError> {
    let mut targets = state.status.targets();
    let wanted = form.value("state").to_lowercase();
    let pool = form.value("scrapePool");
    let lists = [("activeTargets", "active"), ("droppedTargets", "dropped")];
    for (list, kind) in lists {
        let shown = matches!(wanted.as_str(), "" | "any") || wanted == kind;
        if let Some(Value::Array(targets)) = targets.get_mut(list) {
            targets.retain(|target| shown && (pool.is_empty() || target["scrapePool"] == *pool));
        }
    }
    Reply::value(&targets)
}

/// Filters by `type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]` and `exclude_alerts`.
fn rules(state: &State, form: &Form) -> Result<Reply, ApiError> {
    let kind = match form.value("type").to_lowercase().as_str() {
        "" => None,
        "alert" => Some("alerting"),
        "record" => Some("recording"),
        other => {
            return Err(ApiError::parameter("type", format_args!("not supported value {other:?}")));
        }
    };
    let exclude_alerts = parse_bool(form.value("exclude_alerts"))
        .map_err(|reason| ApiError::parameter("exclude_alerts", reason))?;
    let mut rules = state.status.rules();
    let Some(Value::Array(groups)) = rules.get_mut("groups") else { return Reply::value(&rules) };
    groups.retain_mut(|group| {
        if !is_listed(form, "rule_group[]", &group["name"])
            || !is_listed(form, "file[]", &group["file"])
        {
            return false;
        }
        let Value::Array(rules) = &mut group["rules"] else { return false };
        rules.retain_mut(|rule| {
            if exclude_alerts && rule["type"] == "alerting" {
                rule["alerts"] = json!([]);
            }
            kind.is_none_or(|kind| rule["type"] == kind)
                && is_listed(form, "rule_name[]", &rule["name"])
        });
        !rules.is_empty()
    });
    Reply::value(&rules)
}

/// Whether `value` is among the parameters called `name`, or there are none.
fn is_listed(form: &Form, name: &str, value: &Value) -> bool {
    let mut wanted = form.values(name).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| value == wanted)
}

/// As Go's `strconv.ParseBool`; nothing given is false.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid syntax"
        )),
    }
}
