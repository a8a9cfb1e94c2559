//! `labels`, `label/{name}/values` and `series`: which series there are.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Shared};
use axum::routing::get;
use model::Labels;
use storage::{LabelQuery, SamplesNeeded, Selection, SelectionHints, SeriesSet};

use crate::endpoint::{Api, Call, answer_weighed};
use crate::error::ApiError;
use crate::form::Form;
use crate::params::TRUNCATED;
use crate::query::get_or_post_weighed;
use crate::respond::Reply;
use crate::{State, json, light};

pub(crate) fn router() -> Router<Arc<Api>> {
    let values = |name: Result<Path<String>, PathRejection>,
                  Shared(api): Shared<Arc<Api>>,
                  request| {
        let name = name.map(|Path(name)| unescape_name(&name));
        let of_name = name.as_ref().ok().cloned().unwrap_or_default();
        let is_light = move |state: &State, form: &Form| light::label_values(state, form, &of_name);
        answer_weighed(api, request, is_light, move |call: &Call<'_>| match name {
            Ok(name) => values(call, &name),
            Err(error) => Err(ApiError::bad_data(format!("invalid label name: {error}"))),
        })
    };
    Router::new()
        .route("/api/v1/labels", get_or_post_weighed(light::label_names, names))
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/series", get_or_post_weighed(light::series, series))
}

fn names(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (query, limit) = label_query(call)?;
    let names = call.state.query.label_names(&query)?;
    Ok(strings(names, limit))
}

fn values(call: &Call<'_>, name: &str) -> Result<Reply, ApiError> {
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let (query, limit) = label_query(call)?;
    let values = call.state.query.label_values(name, &query)?;
    Ok(strings(values, limit))
}

/// What is asked for, and how much of it is wanted; one more is asked for, to tell whether there is
/// more.
fn label_query(call: &Call<'_>) -> Result<(LabelQuery, Option<usize>), ApiError> {
    let limit = call.form.limit()?;
    let range = call.form.time_range()?;
    let matcher_sets = call.form.matcher_sets().map_err(ApiError::bad_data)?;
    let one_more = limit.map(|limit| limit.saturating_add(1));
    Ok((LabelQuery { range, matcher_sets, limit: one_more }, limit))
}

fn strings(mut texts: Vec<String>, limit: Option<usize>) -> Reply {
    let limit = limit.unwrap_or(usize::MAX);
    let truncated = texts.len() > limit;
    texts.truncate(limit);
    let reply = Reply::list(texts.into_iter(), |out, text| json::string(out, text));
    if truncated { reply.with_warnings(vec![TRUNCATED.to_owned()]) } else { reply }
}

fn series(call: &Call<'_>) -> Result<Reply, ApiError> {
    if call.form.values("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = call.form.limit()?;
    let range = call.form.time_range()?;
    let matcher_sets =
        call.form.matcher_sets().map_err(|reason| ApiError::parameter("match[]", reason))?;
    let mut sets = Vec::with_capacity(matcher_sets.len());
    for matchers in matcher_sets {
        let hints = SelectionHints { samples: SamplesNeeded::None, ..SelectionHints::default() };
        sets.push(call.state.query.select(&Selection { range, matchers, hints })?);
    }
    let sets: Arc<[_]> = sets.into();
    let limit = limit.unwrap_or(usize::MAX);
    let selected: usize = sets.iter().map(|set| set.len()).sum();
    let truncated = selected > limit && Merged::new(Arc::clone(&sets)).nth(limit).is_some();
    let reply = Reply::list(Merged::new(sets).take(limit), Found::write);
    Ok(if truncated { reply.with_warnings(vec![TRUNCATED.to_owned()]) } else { reply })
}

/// The series of several sets, each once, in order.
struct Merged {
    sets: Arc<[Box<dyn SeriesSet>]>,
    /// Of each set, which series comes next.
    next: Vec<usize>,
    /// Their labels; of a single set nobody needs to know.
    heads: Vec<Option<Labels>>,
}

/// A series by its set and its place in that.
struct Found {
    sets: Arc<[Box<dyn SeriesSet>]>,
    set: usize,
    index: usize,
}

impl Merged {
    fn new(sets: Arc<[Box<dyn SeriesSet>]>) -> Self {
        let heads = match &*sets {
            [_] => Vec::new(),
            several => several.iter().map(|set| labels_at(set.as_ref(), 0)).collect(),
        };
        Self { next: vec![0; sets.len()], sets, heads }
    }

    /// The set that the next series is in; passes it in all others.
    fn next_set(&mut self) -> Option<usize> {
        if let [set] = &*self.sets {
            return (self.next[0] < set.len()).then_some(0);
        }
        let next = self.heads.iter().flatten().min()?.clone();
        let mut found = None;
        for (number, set) in self.sets.iter().enumerate() {
            if self.heads[number].as_ref() == Some(&next) {
                self.heads[number] = labels_at(set.as_ref(), self.next[number] + 1);
                match found {
                    None => found = Some(number),
                    Some(_) => self.next[number] += 1,
                }
            }
        }
        found
    }
}

impl Iterator for Merged {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let set = self.next_set()?;
        let index = self.next[set];
        self.next[set] += 1;
        Some(Found { sets: Arc::clone(&self.sets), set, index })
    }
}

impl Found {
    fn write(out: &mut Vec<u8>, found: &Self) {
        out.push(b'{');
        let set = &found.sets[found.set];
        set.each_label(found.index, &mut |name, value| json::label(out, name, value));
        out.push(b'}');
    }
}

fn labels_at(set: &dyn SeriesSet, index: usize) -> Option<Labels> {
    (index < set.len()).then(|| set.labels(index))
}

/// Undoes the escaping by which clients put any label name into a URL's path: `U__`, then `__` for
/// `_` and `_2e_` for the character U+2E. What is not escaped so is taken as it is.
///
/// Source: Prometheus `common/model/metric.go`, `UnescapeName`.
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    unescape(escaped).unwrap_or_else(|| name.to_owned())
}

fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        text.push_str(&rest[..at]);
        let (code, tail) = rest[at + 1..].split_once('_')?;
        match code {
            "" => text.push('_'),
            _ if code.len() > 6 => return None,
            _ => text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?),
        }
        rest = tail;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_unescaped() {
        #[track_caller]
        fn check(name: &str, expect: &str) {
            assert_eq!(unescape_name(name), expect);
        }
        check("job", "job");
        check("U__my_2e_label", "my.label");
        check("U__a__b_e9_", "a_bé");
        check("U__", "");
        check("U__a_zz_", "U__a_zz_"); // no number
        check("U__a_2e", "U__a_2e"); // no end
        check("U__a_1234567_", "U__a_1234567_");
        check("U___d800_", "U___d800_"); // no character
    }
}
