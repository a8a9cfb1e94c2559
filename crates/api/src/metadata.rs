//! `metadata`: what targets say of metric families.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::routing::get;
use serde::Serialize;

use crate::endpoint::{Api, Call, answer_in_turn};
use crate::error::ApiError;
use crate::params::parse_integer;
use crate::respond::Reply;

pub(crate) fn router() -> Router<Arc<Api>> {
    let metadata =
        |Shared(api): Shared<Arc<Api>>, request: Request| answer_in_turn(api, request, metadata);
    Router::new().route("/api/v1/metadata", get(metadata))
}

#[derive(Serialize)]
struct Entry {
    #[serde(rename = "type")]
    metric_type: &'static str,
    help: String,
    unit: String,
}

fn metadata(call: &Call<'_>) -> Result<Reply, ApiError> {
    let families_max = count(call, "limit")?.unwrap_or(usize::MAX);
    // Zero of each family is all of it; zero families are none. So it is in Prometheus.
    let entries_max = count(call, "limit_per_metric")?.filter(|max| *max > 0).unwrap_or(usize::MAX);
    let metric = Some(call.form.value("metric")).filter(|metric| !metric.is_empty());
    let mut families: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for (name, metadata) in call.state.query.metadata(metric)? {
        if !families.contains_key(&name) && families.len() >= families_max {
            continue;
        }
        let entries = families.entry(name).or_default();
        if entries.len() < entries_max {
            let metric_type = metadata.metric_type.as_str();
            entries.push(Entry { metric_type, help: metadata.help, unit: metadata.unit });
        }
    }
    Reply::value(&families)
}

/// A number of things; `None` where none or a negative one is given.
fn count(call: &Call<'_>, name: &str) -> Result<Option<usize>, ApiError> {
    let number = parse_integer(call.form.value(name));
    let number = number.map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(number.and_then(|number| usize::try_from(number).ok()))
}
