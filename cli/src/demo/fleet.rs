//! A central's `/api/v1/fleet`, as if it were recorded series: `region:fleet.targets` and so on. So
//! one comparison and one table serve both.

use anyhow::Context;
use model::{Labels, LabelsBuilder, METRIC_NAME};
use serde::Deserialize;
use serde_json::Value;

/// One node of the tree that is served.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    level: String,
    name: String,
    clusters: f64,
    reporting: f64,
    targets: Option<f64>,
    targets_up: Option<f64>,
    series: Option<f64>,
    samples_per_second: Option<f64>,
    firing_alerts: f64,
    children: Vec<Node>,
}

/// Reads the `data` of the answer.
pub(crate) fn as_series(data: Value) -> anyhow::Result<Vec<(Labels, f64)>> {
    let root: Node = serde_json::from_value(data).context("read the fleet")?;
    let mut series = Vec::new();
    root.add_to(&mut series, &LabelsBuilder::default());
    Ok(series)
}

impl Node {
    /// Adds this node and all below it; `above` says where it is.
    fn add_to(&self, series: &mut Vec<(Labels, f64)>, above: &LabelsBuilder) {
        let mut place = above.clone();
        let level = match self.level.as_str() {
            "fleet" => "global",
            level => {
                place.set(level, &*self.name);
                level
            }
        };
        let figures = [
            ("clusters", Some(self.clusters)),
            ("reporting", Some(self.reporting)),
            ("targets", self.targets),
            ("targets_up", self.targets_up),
            ("series", self.series),
            ("samples_per_second", self.samples_per_second),
            ("firing_alerts", Some(self.firing_alerts)),
        ];
        for (name, value) in figures {
            let mut labels = place.clone();
            labels.set(METRIC_NAME, format!("{level}:fleet.{name}"));
            // Absent is not zero.
            series.extend(value.map(|value| (labels.build(), value)));
        }
        for child in &self.children {
            child.add_to(series, &place);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_node_gives_a_series_for_each_figure_that_it_has() {
        let node = |level: &str, name: &str, targets: Option<u64>, children: Value| {
            json!({
                "level": level, "name": name, "clusters": 1, "reporting": 0, "targets": targets,
                "targetsUp": null, "series": null, "samplesPerSecond": null, "firingAlerts": 0,
                "children": children,
            })
        };
        let region = node("region", "r", None, json!([]));
        let continent = node("continent", "asia", Some(3), json!([region]));
        let fleet = node("fleet", "", Some(3), json!([continent]));
        let series = as_series(fleet).unwrap();
        let targets: Vec<String> = series
            .iter()
            .filter(|(labels, _)| labels.metric_name().ends_with(".targets"))
            .map(|(labels, value)| format!("{labels} {value}"))
            .collect();
        let expect =
            [r#"{"global:fleet.targets"} 3"#, r#"{"continent:fleet.targets", continent="asia"} 3"#];
        assert_eq!(targets, expect);
        assert!(series.iter().any(|(labels, _)| {
            labels.to_string() == r#"{"region:fleet.clusters", continent="asia", region="r"}"#
        }));
    }
}
