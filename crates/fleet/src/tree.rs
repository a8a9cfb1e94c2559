//! The tree of nodes, built from clusters and where they are.

use std::collections::BTreeMap;

use model::{Labels, Timestamp};
use serde::Serialize;

const LEVEL_COUNT: usize = 4;
/// The labels that say where a cluster is, outermost first, and the level that each one names.
const LEVELS: [(&str, Level); LEVEL_COUNT] = [
    ("continent", Level::Continent),
    ("region", Level::Region),
    ("metacluster", Level::Metacluster),
    ("cluster", Level::Cluster),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Fleet,
    Continent,
    Region,
    Metacluster,
    Cluster,
}

/// Where a cluster is: its name on each level, `""` where its series do not say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place([String; LEVEL_COUNT]);

impl Place {
    pub(crate) fn of(labels: &Labels) -> Self {
        Self(LEVELS.map(|(label, _)| labels.value(label).to_owned()))
    }
}

/// What is known of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) scope: String,
    pub(crate) last_heard: Timestamp,
    /// False for a cluster that has fallen silent; then `figures` are empty.
    pub(crate) reporting: bool,
    pub(crate) figures: Figures,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) targets: Option<f64>,
    pub(crate) targets_up: Option<f64>,
    pub(crate) series: Option<f64>,
    pub(crate) samples_per_second: Option<f64>,
}

/// One node of the tree; the crate's documentation shows its JSON. Children are sorted by name.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub level: Level,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds since the epoch.
    pub last_heard: Option<f64>,
    pub stale_since: Option<f64>,
    pub clusters: u64,
    pub reporting: u64,
    pub targets_up: Option<u64>,
    pub targets: Option<u64>,
    pub series: Option<u64>,
    pub samples_per_second: Option<f64>,
    pub firing_alerts: u64,
    pub children: Vec<Self>,
}

impl Node {
    /// The whole tree. An alert counts where its labels place it, and above; one that they do not
    /// place counts at the root only.
    pub(crate) fn fleet<'a>(
        clusters: &BTreeMap<Place, Cluster>,
        alerts: impl Iterator<Item = &'a Labels>,
    ) -> Self {
        let clusters: Vec<_> = clusters.iter().collect();
        let alerts: Vec<_> = alerts.map(|labels| subject(labels, &clusters)).collect();
        Self::at(&[], &clusters, &alerts)
    }

    /// The node that `path` names. `clusters` are those below it, sorted by place.
    fn at(path: &[String], clusters: &[(&Place, &Cluster)], alerts: &[&[String]]) -> Self {
        let depth = path.len();
        let children = match depth {
            0..LEVEL_COUNT => clusters
                .chunk_by(|(left, _), (right, _)| left.0[depth] == right.0[depth])
                .map(|below| Self::at(&below[0].0.0[..=depth], below, alerts))
                .collect(),
            _ => Vec::new(),
        };
        let reporting = clusters.iter().filter(|(_, cluster)| cluster.reporting).count() as u64;
        let last_heard = clusters.iter().map(|(_, cluster)| cluster.last_heard.as_seconds());
        let last_heard = last_heard.reduce(f64::max);
        let sum = |figure: fn(&Figures) -> Option<f64>| {
            let figures = clusters.iter().filter_map(|(_, cluster)| figure(&cluster.figures));
            figures.reduce(|sum, figure| sum + figure)
        };
        let whole = |figure| sum(figure).map(|sum| sum as u64);
        Self {
            level: depth.checked_sub(1).map_or(Level::Fleet, |index| LEVELS[index].1),
            name: path.last().cloned().unwrap_or_default(),
            scope: (depth == LEVEL_COUNT).then(|| clusters[0].1.scope.clone()),
            last_heard,
            stale_since: last_heard.filter(|_| reporting == 0),
            clusters: clusters.len() as u64,
            reporting,
            targets_up: whole(|figures| figures.targets_up),
            targets: whole(|figures| figures.targets),
            series: whole(|figures| figures.series),
            samples_per_second: sum(|figures| figures.samples_per_second),
            firing_alerts: alerts.iter().filter(|about| about.starts_with(path)).count() as u64,
            children,
        }
    }
}

/// The path of the node that an alert with these labels is about: the deepest one that they name,
/// whether or not they name those above it. Empty where they name none, or more than one.
fn subject<'a>(labels: &Labels, clusters: &[(&'a Place, &Cluster)]) -> &'a [String] {
    let named = Place::of(labels);
    let depth = named.0.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    let agrees = |place: &Place| {
        let mut names = named.0.iter().zip(&place.0);
        names.all(|(named, name)| named.is_empty() || named == name)
    };
    let mut paths = clusters.iter().filter(|(place, _)| agrees(place)).map(|(p, _)| &p.0[..depth]);
    match paths.next() {
        Some(path) if paths.all(|other| other == path) => path,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(at: i64, targets: Option<f64>) -> Cluster {
        Cluster {
            scope: "tenant".to_owned(),
            last_heard: Timestamp::from_millis(at),
            reporting: targets.is_some(),
            figures: Figures { targets, ..Figures::default() },
        }
    }

    fn fleet(clusters: &[(&str, Cluster)], alerts: &[&[(&str, &str)]]) -> Node {
        let clusters = clusters.iter().map(|(path, cluster)| {
            let mut names = path.split('/').map(str::to_owned);
            (Place(std::array::from_fn(|_| names.next().unwrap())), cluster.clone())
        });
        let alerts: Vec<Labels> =
            alerts.iter().map(|labels| labels.iter().copied().collect()).collect();
        Node::fleet(&clusters.collect(), alerts.iter())
    }

    /// One line for each node: its path, then reporting/clusters, targets and firing alerts.
    fn outline(node: &Node) -> String {
        fn add(node: &Node, indent: usize, text: &mut String) {
            let Node { name, reporting, clusters, targets, firing_alerts, .. } = node;
            let targets = targets.map_or("-".to_owned(), |targets| targets.to_string());
            let line = format!("{name:?} {reporting}/{clusters} {targets} {firing_alerts}\n");
            text.push_str(&"  ".repeat(indent));
            text.push_str(&line);
            node.children.iter().for_each(|child| add(child, indent + 1, text));
        }
        let mut text = String::new();
        add(node, 0, &mut text);
        text
    }

    #[test]
    fn sums_cover_the_clusters_that_report() {
        let clusters = [
            ("asia/cn-1/m1/a", cluster(5_000, Some(3.0))),
            ("asia/cn-1/m1/b", cluster(9_500, Some(4.0))),
            ("asia/cn-2/m2/c", cluster(1_000, None)),
        ];
        let tree = fleet(&clusters, &[]);
        let expect = r#"
"" 2/3 7 0
  "asia" 2/3 7 0
    "cn-1" 2/2 7 0
      "m1" 2/2 7 0
        "a" 1/1 3 0
        "b" 1/1 4 0
    "cn-2" 0/1 - 0
      "m2" 0/1 - 0
        "c" 0/1 - 0
"#;
        assert_eq!(outline(&tree).trim(), expect.trim());
        let asia = &tree.children[0];
        assert_eq!((asia.last_heard, asia.stale_since), (Some(9.5), None));
        let silent = &asia.children[1];
        assert_eq!((silent.last_heard, silent.stale_since), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn alerts_count_at_the_node_that_they_name_and_above() {
        let clusters = [
            ("asia/cn-1/m1/a", cluster(0, Some(1.0))),
            ("asia/cn-2/m2/b", cluster(0, Some(1.0))),
            ("europe/eu-1/m3/b", cluster(0, Some(1.0))),
        ];
        #[track_caller]
        fn check(clusters: &[(&str, Cluster)], alert: &[(&str, &str)], expect: &[&str]) {
            let tree = fleet(clusters, &[alert]);
            let text = outline(&tree);
            let counted = text.lines().filter(|line| line.ends_with(" 1"));
            let names: Vec<_> = counted.map(|line| line.split('"').nth(1).unwrap()).collect();
            assert_eq!(names, expect, "{alert:?}");
        }
        check(&clusters, &[("cluster", "a")], &["", "asia", "cn-1", "m1", "a"]);
        check(&clusters, &[("region", "cn-2")], &["", "asia", "cn-2"]);
        check(
            &clusters,
            &[("continent", "europe"), ("cluster", "b")],
            &["", "europe", "eu-1", "m3", "b"],
        );
        check(&clusters, &[("cluster", "b")], &[""]); // which one?
        check(&clusters, &[("cluster", "gone")], &[""]);
        check(&clusters, &[("job", "x")], &[""]);
    }

    #[test]
    fn an_empty_fleet_has_no_figures() {
        let expect = serde_json::json!({
            "level": "fleet", "name": "", "lastHeard": null, "staleSince": null, "clusters": 0,
            "reporting": 0, "targetsUp": null, "targets": null, "series": null,
            "samplesPerSecond": null, "firingAlerts": 0, "children": [],
        });
        assert_eq!(serde_json::to_value(fleet(&[], &[])).unwrap(), expect);
    }
}
