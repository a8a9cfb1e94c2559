//! `query`, `query_range`, and the endpoints around expressions.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::routing::{MethodFilter, MethodRouter, on};
use model::Timestamp;
use promql::{Answer, Engine, EngineOptions, EvalError, Expr, Statistics, Value};
use querylog::{Origin, Query, Stats};

use crate::endpoint::{Api, Call, Source, answer_weighed};
use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::params::TRUNCATED;
use crate::query_data::QueryData;
use crate::respond::Reply;
use crate::{State, light};

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/query", get_or_post_weighed(light::instant, instant))
        .route("/api/v1/query_range", get_or_post_weighed(light::range, range))
        .route("/api/v1/format_query", get_or_post(format))
        .route("/api/v1/parse_query", get_or_post(parse))
}

/// Prometheus takes parameters in a form's body wherever they can be long.
pub(crate) fn get_or_post(
    endpoint: fn(&Call<'_>) -> Result<Reply, ApiError>,
) -> MethodRouter<Arc<Api>> {
    get_or_post_weighed(|_, _| false, endpoint)
}

pub(crate) fn get_or_post_weighed(
    is_light: fn(&State, &Form) -> bool,
    endpoint: fn(&Call<'_>) -> Result<Reply, ApiError>,
) -> MethodRouter<Arc<Api>> {
    on(
        MethodFilter::GET.or(MethodFilter::POST),
        move |Shared(api): Shared<Arc<Api>>, request: Request| {
            answer_weighed(api, request, is_light, endpoint)
        },
    )
}

fn instant(call: &Call<'_>) -> Result<Reply, ApiError> {
    let limit = call.form.limit()?;
    let at = call.form.time_or("time", (call.state.now)())?;
    call.form.duration("timeout")?;
    let engine = engine(call)?;
    let expr = expression(call)?;
    let storage = call.state.query.as_ref();
    let (answer, stats) = logged(call, (at, at, Duration::ZERO), |statistics| {
        engine.measured_by(statistics).instant(storage, &expr, at, call.cancel)
    });
    Ok(reply(call, answer?, stats, limit))
}

fn range(call: &Call<'_>) -> Result<Reply, ApiError> {
    let limit = call.form.limit()?;
    let start = call.form.time("start")?;
    let end = call.form.time("end")?;
    if end < start {
        let reason = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", reason));
    }
    let step = step(call)?;
    promql::check_resolution(start, end, step)?;
    call.form.duration("timeout")?;
    let engine = engine(call)?;
    let expr = expression(call)?;
    let storage = call.state.query.as_ref();
    let (answer, stats) = logged(call, (start, end, step), |statistics| {
        engine.measured_by(statistics).range(storage, &expr, start, end, step, call.cancel)
    });
    let answer = answer.map_err(|error| match error {
        EvalError::BadData(reason) => ApiError::parameter("query", reason),
        other => other.into(),
    })?;
    Ok(reply(call, answer, stats, limit))
}

/// Evaluates under the eyes of the query log; the statistics are for who asked for them.
fn logged(
    call: &Call<'_>,
    (start, end, step): (Timestamp, Timestamp, Duration),
    evaluate: impl FnOnce(Arc<Statistics>) -> Result<Answer, EvalError>,
) -> (Result<Answer, EvalError>, Option<Stats>) {
    let asked = call.form.value("stats");
    let Source { client, method, path } = call.source;
    let query = Query {
        text: call.form.value("query"),
        start,
        end,
        step,
        origin: Origin::Http { client, method: method.as_str(), path },
        queued: call.queued,
        counts_samples: !asked.is_empty(),
    };
    let (answer, measured) = call.state.query_log.run(&query, evaluate);
    let stats = (!asked.is_empty()).then(|| Stats::new(&measured, call.queued, asked == "all"));
    (answer, stats)
}

fn format(call: &Call<'_>) -> Result<Reply, ApiError> {
    Reply::value(&promql::pretty(&expression(call)?))
}

fn parse(call: &Call<'_>) -> Result<Reply, ApiError> {
    Reply::value(&crate::ast_json::expression(&expression(call)?))
}

fn step(call: &Call<'_>) -> Result<Duration, ApiError> {
    let step = crate::params::parse_duration(call.form.value("step"))
        .map_err(|reason| ApiError::parameter("step", reason))?;
    if step < Duration::from_millis(1) {
        let reason = "zero or negative query resolution step widths are not accepted. Try a \
                      positive integer";
        return Err(ApiError::parameter("step", reason));
    }
    Ok(step)
}

fn expression(call: &Call<'_>) -> Result<Expr, ApiError> {
    call.state
        .engine
        .parse(call.form.value("query"))
        .map_err(|error| ApiError::parameter("query", error))
}

/// The engine with what this request asks of it.
fn engine(call: &Call<'_>) -> Result<Engine, ApiError> {
    let options = call.state.engine.options();
    let lookback = match call.form.value("lookback_delta") {
        "" => options.lookback,
        text => crate::params::parse_duration(text).map_err(|reason| {
            ApiError::bad_data(format!("error parsing lookback delta duration: {reason}"))
        })?,
    };
    let lookback = if lookback.is_zero() { options.lookback } else { lookback };
    let timeout = options.timeout.min(call.timeout);
    Ok(Engine::new(EngineOptions { lookback, timeout, ..options.clone() }))
}

fn reply(call: &Call<'_>, answer: Answer, stats: Option<Stats>, limit: Option<usize>) -> Reply {
    let query = call.form.value("query");
    let mut warnings = answer.annotations.warnings(query);
    let mut value = answer.value;
    if truncate(&mut value, limit) {
        warnings.push(TRUNCATED.to_owned());
    }
    Reply::new(QueryData::new(value, stats))
        .with_warnings(warnings)
        .with_infos(answer.annotations.infos(query))
}

/// Whether anything had to go.
fn truncate(value: &mut Value, limit: Option<usize>) -> bool {
    let limit = limit.unwrap_or(usize::MAX);
    let before = match value {
        Value::Vector(samples) => {
            let before = samples.len();
            samples.truncate(limit);
            before
        }
        Value::Matrix(series) => {
            let before = series.len();
            series.truncate(limit);
            before
        }
        Value::Scalar(_) | Value::String(_) => 0,
    };
    before > limit
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> Self {
        let error_type = match error {
            EvalError::Timeout => ErrorType::Timeout,
            EvalError::Canceled => ErrorType::Canceled,
            EvalError::TooManySamples
            | EvalError::TooMuchMemory { .. }
            | EvalError::Execution(_) => ErrorType::Execution,
            EvalError::BadData(_) => ErrorType::BadData,
            EvalError::Storage(_) => ErrorType::Internal,
        };
        Self::new(error_type, error.to_string())
    }
}
