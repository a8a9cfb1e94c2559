use model::{Metadata, STALE_NAN, Sample};
use storage::{LabelQuery, SeriesSet};

use super::*;
use crate::Level;

const NOW: i64 = 1_000_000;
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Series and their samples.
struct Stored(Vec<(Labels, Vec<Sample>)>);

impl Query for Stored {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        let meets = |labels: &Labels| model::matcher::all_match(&selection.matchers, labels);
        let inside = |samples: &[Sample]| {
            let samples = samples.iter().filter(|s| selection.range.contains(s.timestamp));
            samples.copied().collect::<Vec<_>>()
        };
        let found = self.0.iter().filter(|(labels, _)| meets(labels));
        let mut found: Vec<_> = found.map(|(l, samples)| (l.clone(), inside(samples))).collect();
        found.retain(|(_, samples)| !samples.is_empty());
        Ok(Box::new(Self(found)))
    }

    fn label_names(&self, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unreachable!("the tree is made of series")
    }

    fn label_values(&self, _: &str, _: &LabelQuery) -> Result<Vec<String>, QueryError> {
        unreachable!("the tree is made of series")
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        unreachable!("the tree is made of series")
    }
}

impl SeriesSet for Stored {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.0[index].0.clone()
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        self.0[index].1.iter().for_each(|sample| columns.push(*sample));
        Ok(())
    }
}

/// A metric, its labels, and its samples: age in seconds and value.
type Series<'a> = (&'a str, &'a str, &'a [(i64, f64)]);

fn tree(series: &[Series<'_>]) -> Node {
    let stored = series.iter().map(|(metric, labels, samples)| {
        let labels = labels.split(',').map(|pair| pair.split_once('=').unwrap());
        let labels = labels.chain([("__name__", *metric)]).collect();
        let samples = samples.iter().map(|&(age, value)| Sample {
            timestamp: Timestamp::from_millis(NOW - age * 1000),
            value,
        });
        (labels, samples.collect())
    });
    read(&Stored(stored.collect()), Timestamp::from_millis(NOW), STALE_AFTER).unwrap()
}

/// The only cluster below `node`.
fn leaf(node: &Node) -> &Node {
    match node.children.as_slice() {
        [] => node,
        [child] => leaf(child),
        _ => panic!("more than one child: {node:#?}"),
    }
}

const A: &str = "continent=asia,region=cn,metacluster=m,cluster=a,scope=tenant";
const UP: &str = "cluster:up:sum";
const SERIES: &str = "cluster:scrape_samples_post_metric_relabeling:sum";
const SAMPLES: &str = "cluster:scrape_samples_post_metric_relabeling:rate2m";

#[test]
fn every_figure_and_the_heartbeat_are_recorded_by_the_edges_rules() {
    let rules = include_str!("../../../../rules/edge/cluster.yml");
    for metric in FIGURES.iter().map(|(metric, _)| *metric).chain([HEARTBEAT]) {
        let record = format!("- record: {metric}");
        assert!(rules.lines().any(|line| line.trim() == record), "{metric}");
    }
}

#[test]
fn a_cluster_shows_its_newest_figures() {
    let tree = tree(&[
        (HEARTBEAT, A, &[(10, 990.0)]),
        ("cluster:up:count", A, &[(20, 9.0), (10, 3.0)]),
        (UP, A, &[(10, 2.0)]),
        (SERIES, A, &[(10, 700.0)]),
        (SAMPLES, A, &[(10, 70.5)]),
        (UP, "cluster=never-heard", &[(10, 2.0)]),
    ]);
    let cluster = leaf(&tree);
    assert_eq!((cluster.level, cluster.name.as_str()), (Level::Cluster, "a"));
    assert_eq!(cluster.scope.as_deref(), Some("tenant"));
    assert_eq!(
        (cluster.targets, cluster.targets_up, cluster.series),
        (Some(3), Some(2), Some(700))
    );
    assert_eq!(cluster.samples_per_second, Some(70.5));
    assert_eq!((cluster.last_heard, cluster.stale_since), (Some(990.0), None));
}

/// FLEET-1.
#[test]
fn a_silent_cluster_stays_without_figures() {
    #[track_caller]
    fn check(heartbeat: &[(i64, f64)], silent_since: Option<f64>) {
        let figures: &[(i64, f64)] = &[(1, 5.0)];
        let tree = tree(&[(HEARTBEAT, A, heartbeat), (SERIES, A, figures)]);
        let cluster = leaf(&tree);
        assert_eq!(cluster.stale_since, silent_since, "{heartbeat:?}");
        let expect = silent_since.is_none().then_some(5);
        assert_eq!(cluster.series, expect, "{heartbeat:?}");
        assert_eq!(cluster.reporting, u64::from(silent_since.is_none()));
    }
    check(&[(500, 1.0), (59, 1.0)], None);
    check(&[(500, 1.0), (61, 1.0)], Some(939.0)); // too long ago
    check(&[(20, 1.0), (10, STALE_NAN)], Some(990.0)); // its series ended
    check(&[(500, STALE_NAN), (10, 1.0)], None); // back again
}

#[test]
fn a_cluster_with_several_heartbeats_reports_while_one_does() {
    let by_job = |job: &str| format!("{A},job={job}");
    let tree = tree(&[
        (HEARTBEAT, &by_job("gone"), &[(5, STALE_NAN)]),
        (HEARTBEAT, &by_job("old"), &[(900, 1.0)]),
        (HEARTBEAT, &by_job("x"), &[(10, 2.0)]),
        (UP, &by_job("x"), &[(10, 2.0)]),
        (UP, &by_job("y"), &[(10, 3.0)]),
    ]);
    assert_eq!((leaf(&tree).reporting, leaf(&tree).targets_up), (1, Some(5)));
}

#[test]
fn only_alerts_that_fire_now_count() {
    let alert = |state: &str| format!("alertname=x,alertstate={state},cluster=a");
    let tree = tree(&[
        (HEARTBEAT, A, &[(10, 1.0)]),
        ("ALERTS", &alert("firing"), &[(10, 1.0)]),
        ("ALERTS", &format!("{},pod=1", alert("firing")), &[(10, STALE_NAN)]),
        ("ALERTS", &format!("{},pod=2", alert("firing")), &[(100, 1.0)]),
        ("ALERTS", &alert("pending"), &[(10, 1.0)]),
    ]);
    assert_eq!((tree.firing_alerts, leaf(&tree).firing_alerts), (1, 1));
}
