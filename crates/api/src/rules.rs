//! `rules`: the groups, filtered and in pages.
//!
//! Filters are `type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]` (on a rule's own labels)
//! and `exclude_alerts`; a group of which no rule is left is left out. `group_limit` asks for a page,
//! whose `groupNextToken` is the next page's `group_next_token`.
//!
//! Source: Prometheus `web/api/v1/api.go`, `rules`.

use model::{Labels, Matcher, matcher};
use serde_json::{Value, json};

use crate::endpoint::Call;
use crate::error::ApiError;
use crate::form::Form;
use crate::params::parse_integer;
use crate::respond::Reply;

pub(crate) fn rules(call: &Call<'_>) -> Result<Reply, ApiError> {
    let filter = Filter::read(call.form)?;
    let page = Page::read(call.form)?;
    let mut rules = call.state.status.rules();
    let next = match rules.get_mut("groups") {
        Some(Value::Array(groups)) => {
            groups.retain_mut(|group| filter.keep_group(group));
            page.cut(groups)?
        }
        _ => None,
    };
    if let Some(token) = next {
        rules["groupNextToken"] = token.into();
    }
    Reply::value(&rules)
}

struct Filter<'a> {
    form: &'a Form,
    rule_type: Option<&'static str>,
    exclude_alerts: bool,
    matcher_sets: Vec<Vec<Matcher>>,
}

impl<'a> Filter<'a> {
    fn read(form: &'a Form) -> Result<Self, ApiError> {
        let rule_type = match form.value("type").to_lowercase().as_str() {
            "" => None,
            "alert" => Some("alerting"),
            "record" => Some("recording"),
            other => {
                let reason = format!("not supported value {other:?}");
                return Err(ApiError::parameter("type", reason));
            }
        };
        let exclude_alerts = parse_bool(form.value("exclude_alerts")).map_err(|reason| {
            let reason = format!("error converting exclude_alerts: {reason}");
            ApiError::parameter("exclude_alerts", reason)
        })?;
        let matcher_sets = form.matcher_sets().map_err(ApiError::bad_data)?;
        Ok(Self { form, rule_type, exclude_alerts, matcher_sets })
    }

    /// Takes out of a group what is not asked for; false where nothing is left.
    fn keep_group(&self, group: &mut Value) -> bool {
        if !self.is_listed("rule_group[]", &group["name"])
            || !self.is_listed("file[]", &group["file"])
        {
            return false;
        }
        let Value::Array(rules) = &mut group["rules"] else { return false };
        rules.retain(|rule| self.keep_rule(rule));
        if self.exclude_alerts {
            let alerting = rules.iter_mut().filter(|rule| rule["type"] == "alerting");
            alerting.for_each(|rule| rule["alerts"] = json!([]));
        }
        !rules.is_empty()
    }

    fn keep_rule(&self, rule: &Value) -> bool {
        self.rule_type.is_none_or(|wanted| rule["type"] == wanted)
            && self.is_listed("rule_name[]", &rule["name"])
            && (self.matcher_sets.is_empty() || {
                let labels = labels(&rule["labels"]);
                self.matcher_sets.iter().any(|set| matcher::all_match(set, &labels))
            })
    }

    /// Whether `value` is among the parameters called `name`, or there are none.
    fn is_listed(&self, name: &str, value: &Value) -> bool {
        let mut wanted = self.form.values(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| value == wanted)
    }
}

fn labels(object: &Value) -> Labels {
    let pairs = object.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// As Go's `strconv.ParseBool`; nothing given is false.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Which groups of those that are left.
struct Page<'a> {
    /// The token of the first group wanted; `""` for the very first.
    from: &'a str,
    groups_max: usize,
}

impl<'a> Page<'a> {
    fn read(form: &'a Form) -> Result<Self, ApiError> {
        let from = form.value("group_next_token");
        let refuse = |reason: String| ApiError::parameter("group_limit", reason);
        let limit = parse_integer(form.value("group_limit")).map_err(|reason| {
            refuse(format!("group_limit needs to be a valid number: {reason}"))
        })?;
        match limit {
            None if from.is_empty() => Ok(Self { from, groups_max: usize::MAX }),
            None => {
                let reason = "group_limit needs to be present in order to paginate over the groups";
                Err(ApiError::parameter("group_next_token", reason))
            }
            Some(1..) => {
                let groups_max = limit.and_then(|limit| usize::try_from(limit).ok());
                Ok(Self { from, groups_max: groups_max.unwrap_or(usize::MAX) })
            }
            Some(_) => Err(refuse("group_limit needs to be greater than 0".to_owned())),
        }
    }

    /// Leaves this page of `groups`, and tells where the next one starts.
    fn cut(&self, groups: &mut Vec<Value>) -> Result<Option<String>, ApiError> {
        let start = match self.from {
            "" => 0,
            from => groups.iter().position(|group| token(group) == from).ok_or_else(|| {
                let reason =
                    format!("invalid group_next_token '{from}'. were rule groups changed?");
                ApiError::parameter("group_next_token", reason)
            })?,
        };
        groups.drain(..start);
        let next = groups.get(self.groups_max).map(token);
        groups.truncate(self.groups_max);
        Ok(next)
    }
}

/// Names a group, whatever else changes.
fn token(group: &Value) -> String {
    let text = |key: &str| group[key].as_str().unwrap_or_default();
    let names = [("file", text("file")), ("name", text("name"))];
    format!("{:016x}", names.into_iter().collect::<Labels>().stable_hash())
}
