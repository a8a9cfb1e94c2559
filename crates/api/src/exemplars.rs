//! `query_exemplars`: the exemplars of every series that a query selects.

use std::sync::Arc;
use std::vec;

use axum::Router;
use model::{Exemplar, Labels};
use storage::LabelQuery;

use crate::endpoint::{Api, Call};
use crate::error::ApiError;
use crate::json;
use crate::query::get_or_post;
use crate::respond::{Pieces, Reply};

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new().route("/api/v1/query_exemplars", get_or_post(exemplars))
}

/// Grafana asks on load, with times in milliseconds, and must not be refused. A query without
/// selectors has no exemplars: an empty list says so.
fn exemplars(call: &Call<'_>) -> Result<Reply, ApiError> {
    let range = call.form.time_range()?;
    if range.end < range.start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = call
        .state
        .engine
        .parse(call.form.value("query"))
        .map_err(|error| ApiError::bad_data(error.to_string()))?;
    let mut matcher_sets = Vec::new();
    expr.for_each_selector(&mut |selector| matcher_sets.push(selector.matchers.clone()));
    if matcher_sets.is_empty() {
        return Reply::value(&[(); 0]);
    }
    let found = call.state.query.exemplars(&LabelQuery { range, matcher_sets, limit: None })?;
    Ok(Reply::new(ExemplarData { series: found.into_iter(), exemplars: None }))
}

/// `[{"seriesLabels":{…},"exemplars":[{"labels":{…},"value":"1","timestamp":1435781451.781},…]},…]`
struct ExemplarData {
    series: vec::IntoIter<(Labels, Vec<Exemplar>)>,
    /// What is left of the series being written; `None` before the first.
    exemplars: Option<vec::IntoIter<Exemplar>>,
}

impl Pieces for ExemplarData {
    fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(exemplar) = self.exemplars.as_mut().and_then(Iterator::next) {
            out.push(b',');
            json::exemplar(out, &exemplar);
            return true;
        }
        let is_first = self.exemplars.is_none();
        let Some((series, exemplars)) = self.series.next() else {
            out.extend_from_slice(if is_first { b"[]" } else { b"]}]" });
            return false;
        };
        out.extend_from_slice(if is_first { b"[{" } else { b"]},{" });
        out.extend_from_slice(b"\"seriesLabels\":");
        json::labels(out, &series);
        out.extend_from_slice(b",\"exemplars\":[");
        let mut exemplars = exemplars.into_iter();
        if let Some(exemplar) = exemplars.next() {
            json::exemplar(out, &exemplar);
        }
        self.exemplars = Some(exemplars);
        true
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    #[test]
    fn exemplars_are_listed_by_series() {
        #[track_caller]
        fn check(found: &[(&str, &[i64])], expect: &str) {
            let exemplar = |&millis: &i64| Exemplar {
                labels: [("trace_id", "\"x")].into_iter().collect(),
                value: millis as f64 / 4.0,
                timestamp: Timestamp::from_millis(millis),
            };
            let series = found.iter().map(|(name, exemplars)| {
                let labels = [("__name__", *name)].into_iter().collect();
                (labels, exemplars.iter().map(exemplar).collect())
            });
            let series = series.collect::<Vec<_>>().into_iter();
            let mut data = ExemplarData { series, exemplars: None };
            let mut written = Vec::new();
            loop {
                let mut piece = Vec::new(); // as if each piece began a chunk
                let goes_on = data.write_next(&mut piece);
                written.extend(piece);
                if !goes_on {
                    break;
                }
            }
            assert_eq!(String::from_utf8(written).unwrap(), expect);
        }
        check(&[], "[]");
        check(
            &[("a", &[1]), ("b", &[2000, 3001])],
            "[{\"seriesLabels\":{\"__name__\":\"a\"},\"exemplars\":[\
             {\"labels\":{\"trace_id\":\"\\\"x\"},\"value\":\"0.25\",\"timestamp\":0.001}]},\
             {\"seriesLabels\":{\"__name__\":\"b\"},\"exemplars\":[\
             {\"labels\":{\"trace_id\":\"\\\"x\"},\"value\":\"500\",\"timestamp\":2},\
             {\"labels\":{\"trace_id\":\"\\\"x\"},\"value\":\"750.25\",\"timestamp\":3.001}]}]",
        );
    }
}
