//! Which requests are done within a millisecond or two even if samples come every second, and so within
//! a fraction of one where they come every fifteen.

use std::time::Duration;

use promql::Times;

use crate::State;
use crate::form::Form;
use crate::params::parse_duration;

/// Samples that are decoded, looked at and written in that time: 20 ns each.
const SAMPLES_MAX: u64 = 1 << 17;
/// Series whose labels are.
const SERIES_MAX: u64 = 1 << 10;
/// Names or values that are put in order and written.
const TEXTS_MAX: u64 = 1 << 12;
/// A query that is longer is not read twice.
const QUERY_BYTES_MAX: usize = 512;
const SELECTORS_MAX: usize = 4;

pub(crate) fn instant(state: &State, form: &Form) -> bool {
    form.time_or("time", (state.now)()).is_ok_and(|at| {
        is_light_query(state, form, Times { start: at, end: at, step: Duration::ZERO })
    })
}

pub(crate) fn range(state: &State, form: &Form) -> bool {
    match (form.time("start"), form.time("end"), parse_duration(form.value("step"))) {
        (Ok(start), Ok(end), Ok(step)) => is_light_query(state, form, Times { start, end, step }),
        _ => false,
    }
}

fn is_light_query(state: &State, form: &Form, times: Times) -> bool {
    let text = form.value("query");
    if !is_read_quickly(text) || !form.value("lookback_delta").is_empty() {
        return false;
    }
    let Ok(expr) = state.engine.parse(text) else { return false };
    let lookback = state.engine.options().lookback;
    let weight = promql::weight(&expr, times, lookback, state.query.as_ref());
    weight.is_some_and(|weight| weight <= SAMPLES_MAX)
}

pub(crate) fn series(state: &State, form: &Form) -> bool {
    selects_few(state, form) == Some(true)
}

pub(crate) fn label_names(state: &State, form: &Form) -> bool {
    has_few_texts(state, form, None) && selects_few(state, form) == Some(true)
}

pub(crate) fn label_values(state: &State, form: &Form, name: &str) -> bool {
    has_few_texts(state, form, Some(name)) && selects_few(state, form) == Some(true)
}

fn has_few_texts(state: &State, form: &Form, name: Option<&str>) -> bool {
    let range = form.time_range().ok();
    let texts = range.and_then(|range| state.query.labels_at_most(name, range));
    texts.is_some_and(|texts| texts <= TEXTS_MAX)
}

/// Whether the selectors find few series together; `None` where that is not known.
fn selects_few(state: &State, form: &Form) -> Option<bool> {
    let selectors = form.values("match[]");
    if selectors.clone().count() > SELECTORS_MAX || !selectors.clone().all(is_read_quickly) {
        return None;
    }
    let range = form.time_range().ok()?;
    let mut series = 0u64;
    for matchers in form.matcher_sets().ok()? {
        series = series.saturating_add(state.query.series_at_most(&matchers, range)?);
    }
    Some(series <= SERIES_MAX)
}

/// Short, and without what makes large regexes of small ones: counted repetitions and classes.
fn is_read_quickly(query: &str) -> bool {
    let counts = |pair: &[u8]| pair[0] == b'{' && pair[1].is_ascii_digit();
    let may_be_large = || query.contains('\\') || query.as_bytes().windows(2).any(counts);
    query.len() <= QUERY_BYTES_MAX && !(query.contains('~') && may_be_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_take_long_to_read_is_not_read_beforehand() {
        #[track_caller]
        fn check(query: &str, expect: bool) {
            assert_eq!(is_read_quickly(query), expect, "{query}");
        }
        check(r#"sum by (job) (rate(m{pod=~"(cart|orders)-.*", code!~"2.."}[5m]))"#, true);
        check(r#"m{path="C:\\a{2}"}"#, true);
        check(r#"m{pod=~"(a{1000}){1000}"}"#, false);
        check(r#"m{pod!~"\\pL+"}"#, false);
        check(&"1 + ".repeat(200), false);
    }
}
