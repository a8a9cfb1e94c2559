//! The list of groups that files and web servers give: `[{targets: ["host:port"], labels: {a: b}}]`,
//! as JSON or YAML.
//!
//! Source: Prometheus `discovery/targetgroup/targetgroup.go`.

use std::collections::BTreeMap;

use model::{Labels, LabelsBuilder};
use serde::{Deserialize, Deserializer};

use crate::TargetGroup;
use crate::group::ADDRESS;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupList(Vec<Listed>);

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    targets: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, Value>>,
}

/// A label's value. Other than JSON, YAML takes `9100` for a number where nothing says otherwise.
#[derive(Debug, PartialEq, Eq)]
struct Value(String);

impl<'de> Deserialize<'de> for GroupList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let list = Option::<Vec<Option<Listed>>>::deserialize(from)?.unwrap_or_default();
        let mut groups = Vec::with_capacity(list.len());
        for (index, listed) in list.into_iter().enumerate() {
            let missing =
                || D::Error::custom(format!("nil target group item found (index {index})"));
            let listed = listed.ok_or_else(missing)?;
            if listed.labels.as_ref().is_some_and(|labels| labels.contains_key("")) {
                return Err(D::Error::custom(format!("group {index}: a label name is empty")));
            }
            groups.push(listed);
        }
        Ok(Self(groups))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a label value")]
        enum Scalar {
            Text(String),
            Unsigned(u64),
            Signed(i64),
            Float(f64),
            Bool(bool),
        }
        Ok(Self(match Scalar::deserialize(from)? {
            Scalar::Text(text) => text,
            Scalar::Unsigned(number) => number.to_string(),
            Scalar::Signed(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
            Scalar::Bool(is) => is.to_string(),
        }))
    }
}

impl GroupList {
    /// The groups as found in `place`, each of which also gets the label `origin` with that place.
    pub(crate) fn into_groups(self, place: &str, origin: &str) -> Vec<TargetGroup> {
        let groups = self.0.into_iter().enumerate().map(|(index, listed)| {
            let labels = listed.labels.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0));
            let mut labels: LabelsBuilder = labels.collect();
            labels.set(origin, place);
            let target = |address| Labels::from_iter([(ADDRESS, address)]);
            TargetGroup {
                source: format!("{place}:{index}").into(),
                targets: listed.targets.unwrap_or_default().into_iter().map(target).collect(),
                labels: labels.build(),
            }
        });
        groups.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(list: GroupList) -> String {
        let groups = list.into_groups("p", "__meta_p");
        let shown = groups
            .iter()
            .map(|group| format!("{} {:?} {}", group.source, group.targets, group.labels));
        shown.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_list_reads_the_same_from_json_and_yaml() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(show(serde_json::from_str(text).unwrap()), expect, "JSON: {text}");
            assert_eq!(show(serde_yaml_ng::from_str(text).unwrap()), expect, "YAML: {text}");
        }
        check("[]", "");
        check("null", "");
        check(
            r#"[{"targets": ["a:1", "b:2"], "labels": {"x": "y"}}, {"targets": null}]"#,
            r#"p:0 [{__address__="a:1"}, {__address__="b:2"}] {__meta_p="p", x="y"}; p:1 [] {__meta_p="p"}"#,
        );
        check(
            r#"[{"labels": {"port": 9100, "on": true, "ratio": 0.5, "low": -1}}]"#,
            r#"p:0 [] {__meta_p="p", low="-1", on="true", port="9100", ratio="0.5"}"#,
        );
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let error = serde_json::from_str::<GroupList>(text).unwrap_err().to_string();
            assert!(error.contains(expect), "{text}: {error}");
        }
        check("[null]", "nil target group item found (index 0)");
        check(r#"[{"target": []}]"#, "unknown field `target`");
        check(r#"[{"labels": {"": "x"}}]"#, "group 0: a label name is empty");
        check(r#"[{"labels": {"a": []}}]"#, "a label value");
        check("{}", "invalid type: map");
    }
}
