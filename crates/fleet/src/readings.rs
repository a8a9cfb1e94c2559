//! Reads what is known of each cluster from storage.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{Labels, METRIC_NAME, MatchOp, Matcher, TimeRange, Timestamp, is_stale};
use storage::{Columns, Query, QueryError, Selection};

use crate::tree::{Cluster, Figures, Node, Place};

/// Which recorded series holds which figure of a cluster. The packs in `rules/edge` make them, with
/// the labels of [`Place`] and `scope`.
const FIGURES: [(&str, Figure); 4] = [
    ("cluster:up:count", |figures| &mut figures.targets),
    ("cluster:up:sum", |figures| &mut figures.targets_up),
    ("cluster:scrape_samples_post_metric_relabeling:sum", |figures| &mut figures.series),
    ("cluster:scrape_samples_post_metric_relabeling:rate2m", |figures| {
        &mut figures.samples_per_second
    }),
];
type Figure = fn(&mut Figures) -> &mut Option<f64>;
/// The series by which a cluster is known, and known to be alive: it ends when no target answers.
const HEARTBEAT: &str = "cluster:up_timestamp_seconds:max";

/// The tree as of `now`. A cluster is silent when its newest heartbeat is older than `stale_after`,
/// or is a staleness marker.
pub fn read(query: &dyn Query, now: Timestamp, stale_after: Duration) -> Result<Node, QueryError> {
    let recent = TimeRange::new(now.minus(stale_after), now);
    let mut clusters = known_clusters(query, recent)?;
    for (metric, figure) in FIGURES {
        for (labels, sample) in query.latest(&Selection::new(recent, clusters_of(metric)))? {
            let cluster = clusters.get_mut(&Place::of(&labels));
            let Some(cluster) = cluster.filter(|cluster| cluster.reporting) else {
                continue;
            };
            if !is_stale(sample.value) {
                *figure(&mut cluster.figures).get_or_insert(0.0) += sample.value;
            }
        }
    }
    let firing = [(METRIC_NAME, "ALERTS"), ("alertstate", "firing")];
    let firing = firing.map(|(name, value)| Matcher::equal(name, value)).to_vec();
    let alerts = query.latest(&Selection::new(recent, firing))?;
    let alerts = alerts.iter().filter(|(_, sample)| !is_stale(sample.value));
    Ok(Node::fleet(&clusters, alerts.map(|(labels, _)| labels)))
}

/// Every cluster whose heartbeat storage remembers, without its figures.
///
/// Where the heartbeat is recent, no more than its newest sample is read; the series of a silent
/// cluster are read whole.
fn known_clusters(
    query: &dyn Query,
    recent: TimeRange,
) -> Result<BTreeMap<Place, Cluster>, QueryError> {
    let mut clusters = BTreeMap::new();
    for (labels, newest) in query.latest(&Selection::new(recent, clusters_of(HEARTBEAT)))? {
        hear(&mut clusters, &labels, newest.timestamp, !is_stale(newest.value));
    }
    let heard_recently: BTreeSet<Place> = clusters.keys().cloned().collect();
    let past = TimeRange::new(Timestamp::MIN, recent.start.minus_millis(1));
    let set = query.select(&Selection::new(past, clusters_of(HEARTBEAT)))?;
    let mut columns = Columns::default();
    for index in 0..set.len() {
        let labels = set.labels(index);
        if heard_recently.contains(&Place::of(&labels)) {
            continue;
        }
        columns.clear();
        set.read(index, &mut columns)?;
        if let Some(newest) = columns.last() {
            hear(&mut clusters, &labels, newest.timestamp, false);
        }
    }
    Ok(clusters)
}

/// Notes that one of a cluster's heartbeats was last heard at `at`.
fn hear(clusters: &mut BTreeMap<Place, Cluster>, labels: &Labels, at: Timestamp, reporting: bool) {
    let cluster = clusters.entry(Place::of(labels)).or_insert_with(|| Cluster {
        scope: labels.value("scope").to_owned(),
        last_heard: at,
        reporting,
        figures: Figures::default(),
    });
    cluster.last_heard = cluster.last_heard.max(at);
    cluster.reporting |= reporting;
}

fn clusters_of(metric: &str) -> Vec<Matcher> {
    let named = Matcher::new("cluster", MatchOp::NotEqual, "");
    vec![Matcher::equal(METRIC_NAME, metric), named.expect("a comparison is no regex")]
}

#[cfg(test)]
mod tests;
