use std::collections::BTreeMap;

use prometheus_parse::{Scrape, Value};

use super::*;
use crate::truth::rate_tolerance;

const SCRAPE_SECONDS: i64 = 10;
const WINDOW_SECONDS: i64 = 120;

fn fleet() -> Fleet {
    Fleet::new(&Profile::demo(), 42)
}

/// A time at which nothing restarts for a while: turns are at multiples of 300 s.
fn quiet() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + 1_000)
}

fn after(seconds: i64) -> Timestamp {
    quiet().plus_millis(seconds * 1000)
}

/// The series of a page with their values.
type Series = BTreeMap<String, f64>;

fn parse(page: &str) -> Scrape {
    Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

/// Whether `component` may expose `name`: writing every page of a fleet for each sample is slow.
fn exposes(component: Component, name: &str) -> bool {
    match name.split_once('_').unwrap().0 {
        "node" => component == Component::NodeExporter,
        "kube" => component == Component::KubeStateMetrics,
        "apiserver" => component == Component::Apiserver,
        "etcd" => component == Component::Etcd,
        _ => true,
    }
}

/// The samples of the counter or gauge `name`, by target and labels.
fn samples(fleet: &Fleet, cluster: &str, name: &str, at: Timestamp) -> Series {
    let mut series = Series::new();
    for target in fleet.targets_of(cluster).filter(|target| exposes(target.component, name)) {
        let Some(page) = fleet.page(target, at) else { continue };
        for line in page.lines() {
            let Some(rest) = line.strip_prefix(name) else { continue };
            if rest.starts_with(['{', ' ']) {
                let (labels, value) = rest.rsplit_once(' ').unwrap();
                series.insert(format!("{} {labels}", target.path), value.parse().unwrap());
            }
        }
    }
    series
}

/// What `sum(rate(name[2m]))` gives over `cluster` at `at`, but for extrapolation, which changes
/// nothing where scrapes are evenly spaced.
fn rate(fleet: &Fleet, cluster: &str, name: &str, keep: &str, at: Timestamp) -> f64 {
    let scrapes: Vec<Series> = (0..WINDOW_SECONDS / SCRAPE_SECONDS)
        .rev()
        .map(|ago| at.minus_millis(ago * SCRAPE_SECONDS * 1000))
        .map(|at| samples(fleet, cluster, name, at))
        .collect();
    let mut increase = 0.0;
    for pair in scrapes.windows(2) {
        for (labels, value) in pair[1].iter().filter(|(labels, _)| labels.contains(keep)) {
            let before = pair[0][labels];
            increase += if *value < before { *value } else { value - before };
        }
    }
    increase / (WINDOW_SECONDS - SCRAPE_SECONDS) as f64
}

#[track_caller]
fn assert_close(seen: f64, truth: f64, tolerance: f64, what: &str) {
    assert!((seen / truth - 1.0).abs() <= tolerance, "{what}: {seen} instead of {truth}");
}

#[test]
fn every_page_parses_and_repeats_no_series() {
    let fleet = fleet();
    for target in fleet.targets() {
        let page = fleet.page(target, quiet()).unwrap();
        parse(&page);
        let series: Vec<&str> = page
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        let distinct: std::collections::BTreeSet<_> = series.iter().collect();
        assert_eq!(distinct.len(), series.len(), "{}", target.path);
    }
}

#[test]
fn the_demo_keeps_to_a_few_thousand_series_per_metacluster() {
    let fleet = fleet();
    let mut series = BTreeMap::new();
    for target in fleet.targets() {
        let lines = fleet.page(target, quiet()).unwrap();
        let lines = lines.lines().filter(|line| !line.starts_with('#')).count();
        let cluster = &fleet.clusters()[target.cluster_index];
        *series.entry(cluster.metacluster.as_str()).or_insert(0) += lines;
    }
    for (metacluster, series) in series {
        assert!((3_000..=6_500).contains(&series), "{metacluster}: {series}");
    }
}

/// SIM-1.
#[test]
fn the_same_seed_and_time_give_the_same_bytes_and_another_seed_others() {
    let other = Fleet::new(&Profile::demo(), 43);
    let (one, two) = (fleet(), fleet());
    for (a, b) in one.targets().iter().zip(two.targets()) {
        // In another order, and with other times asked for in between.
        let first = one.page(a, quiet());
        two.page(b, after(500));
        assert_eq!(first, two.page(b, quiet()));
    }
    let target = &one.targets()[0];
    assert_ne!(one.page(target, quiet()), other.page(&other.targets()[0], quiet()));
}

/// SIM-3.
#[test]
fn rates_over_the_series_agree_with_the_truth() {
    let fleet = fleet();
    let tolerance = rate_tolerance(WINDOW_SECONDS as f64, SCRAPE_SECONDS as f64);
    let at = after(WINDOW_SECONDS);
    for cluster in fleet.truth(at).clusters {
        let id = &cluster.cluster;
        assert!(at.as_millis() - cluster.last_restart > WINDOW_SECONDS * 1000, "not quiet");

        let requests = rate(&fleet, id, "apiserver_request_total", "", at);
        assert_close(requests, cluster.apiserver_requests_per_second, tolerance, id);
        let errors = rate(&fleet, id, "apiserver_request_total", r#"code="500""#, at);
        assert!((errors / requests - cluster.apiserver_error_ratio).abs() < 0.001, "{id}");

        let busy: f64 = ["irq", "nice", "softirq", "system", "user"]
            .iter()
            .map(|mode| format!(r#"mode="{mode}""#))
            .map(|mode| rate(&fleet, id, "node_cpu_seconds_total", &mode, at))
            .sum();
        assert_close(busy, cluster.cpu_cores_used, tolerance, id);
        let all = rate(&fleet, id, "node_cpu_seconds_total", "", at);
        assert_close(all, (cluster.nodes * 2) as f64, tolerance, id);
    }
}

#[test]
fn counts_and_sizes_agree_with_the_truth() {
    let fleet = fleet();
    for cluster in fleet.truth(quiet()).clusters {
        let count = |name| samples(&fleet, &cluster.cluster, name, quiet()).len();
        assert_eq!(count("kube_node_info"), cluster.nodes);
        assert_eq!(count("kube_pod_info"), cluster.pods);
        assert_eq!(count("process_start_time_seconds"), cluster.targets - cluster.nodes);
        let sizes = samples(&fleet, &cluster.cluster, "etcd_mvcc_db_total_size_in_bytes", quiet());
        assert_eq!(sizes.into_values().fold(0.0, f64::max), cluster.etcd_db_size_bytes);
        assert_eq!((cluster.targets_up, cluster.nodes_ready), (cluster.targets, cluster.nodes));
    }
}

#[test]
fn sizes_move_slowly() {
    let fleet = fleet();
    for minute in 0..120 {
        let (one, two) = (fleet.truth(after(minute * 60)), fleet.truth(after(minute * 60 + 60)));
        for (one, two) in one.clusters.iter().zip(&two.clusters) {
            let what = &one.cluster;
            let tolerance = crate::truth::SIZE_TOLERANCE;
            assert_close(one.etcd_db_size_bytes, two.etcd_db_size_bytes, tolerance, what);
        }
    }
}

/// SIM-2.
#[test]
fn a_restart_resets_the_counters_of_one_target_and_they_grow_again() {
    let fleet = fleet();
    let name = "process_cpu_seconds_total";
    let turn = Timestamp::from_millis(1_800_000_300_000);
    let before = turn.minus_millis(1);
    let mut reset = Vec::new();
    for cluster in fleet.clusters() {
        let (old, new) =
            (samples(&fleet, &cluster.id, name, before), samples(&fleet, &cluster.id, name, turn));
        let later = samples(&fleet, &cluster.id, name, turn.plus_millis(250_000));
        for (labels, value) in &new {
            if *value < old[labels] {
                assert_eq!(*value, 0.0);
                assert!(later[labels] > 1.0);
                reset.push(labels.clone());
            }
        }
    }
    let restarted: Vec<_> =
        fleet.targets().iter().filter(|target| fleet.last_restart(target, turn) == turn).collect();
    assert_eq!(restarted.len(), 1);
    let has_process = restarted[0].component != Component::Cadvisor;
    assert_eq!(reset.len(), usize::from(has_process), "{reset:?}");
}

#[test]
fn breaking_shows_and_mending_does_too() {
    let fleet = fleet();
    let id = "eu-central-1-a";
    let value = |name: &str, labels: &str, at| {
        let found = samples(&fleet, id, name, at);
        found.into_iter().filter(|(key, _)| key.contains(labels)).map(|(_, value)| value).sum()
    };
    let check = |name: &str, labels: &str, at, expect: f64| {
        let seen: f64 = value(name, labels, at);
        assert_eq!(seen, expect, "{name} {labels}");
    };
    let ready = r#"node="eu-central-1-a-node-0",condition="Ready",status="true""#;

    check("etcd_server_has_leader", "", after(0), 3.0);
    check("kube_node_status_condition", ready, after(0), 1.0);
    for fault in [Fault::EtcdNoLeader, Fault::NodeNotReady] {
        fleet.start_fault(id, fault, after(1)).unwrap();
    }
    check("etcd_server_has_leader", "", after(2), 0.0);
    check("etcd_server_is_leader", "", after(2), 0.0);
    check("kube_node_status_condition", ready, after(2), 0.0);
    let truth = fleet.truth(after(2));
    assert_eq!(truth.cluster(id).unwrap().nodes_ready, 1);
    assert_eq!(truth.cluster(id).unwrap().faults, [Fault::EtcdNoLeader, Fault::NodeNotReady]);
    assert!(truth.cluster("eu-central-1-b").unwrap().faults.is_empty());

    for fault in Fault::ALL {
        fleet.stop_fault(id, fault, after(3)).unwrap();
    }
    check("etcd_server_has_leader", "", after(4), 3.0);
    check("kube_node_status_condition", ready, after(4), 1.0);
    assert!(fleet.truth(after(4)).cluster(id).unwrap().faults.is_empty());
}

#[test]
fn errors_replace_successes_and_the_request_rate_stays() {
    let fleet = fleet();
    let id = "us-west-1-b";
    fleet.start_fault(id, Fault::ApiserverErrors, after(0)).unwrap();
    let at = after(WINDOW_SECONDS);
    let truth = fleet.truth(at);
    let truth = truth.cluster(id).unwrap();

    let requests = rate(&fleet, id, "apiserver_request_total", "", at);
    let errors = rate(&fleet, id, "apiserver_request_total", r#"code="500""#, at);
    assert_close(requests, truth.apiserver_requests_per_second, 0.02, "requests");
    assert_close(errors / requests, truth.apiserver_error_ratio, 0.02, "error ratio");

    fleet.stop_fault(id, Fault::ApiserverErrors, at).unwrap();
    let at = after(2 * WINDOW_SECONDS);
    let errors = rate(&fleet, id, "apiserver_request_total", r#"code="500""#, at);
    assert!(errors < 1.0, "{errors}");
}

#[test]
fn slow_fsyncs_fill_the_upper_buckets_and_no_bucket_falls() {
    let fleet = fleet();
    let id = "cn-hangzhou-meta";
    let target = fleet.targets_of(id).find(|t| t.component == Component::Etcd).unwrap();
    let buckets = |at| -> Vec<f64> {
        let scrape = parse(&fleet.page(target, at).unwrap());
        let name = "etcd_disk_wal_fsync_duration_seconds";
        let sample = scrape.samples.into_iter().find(|sample| sample.metric == name).unwrap();
        let Value::Histogram(buckets) = sample.value else { panic!("{name}") };
        buckets.into_iter().map(|bucket| bucket.count).collect()
    };
    let above_half_second = |from: Timestamp, to: Timestamp| {
        let (old, new) = (buckets(from), buckets(to));
        assert!(old.iter().zip(&new).all(|(old, new)| old <= new), "{old:?} {new:?}");
        let total = new[new.len() - 1] - old[old.len() - 1];
        1.0 - (new[9] - old[9]) / total
    };
    assert!(above_half_second(after(0), after(60)) < 0.001);
    fleet.start_fault(id, Fault::EtcdSlowFsync, after(60)).unwrap();
    assert!(above_half_second(after(60), after(120)) > 0.3);
    fleet.stop_fault(id, Fault::EtcdSlowFsync, after(120)).unwrap();
    assert!(above_half_second(after(120), after(180)) < 0.001);
}

#[test]
fn what_is_down_does_not_answer() {
    let fleet = fleet();
    let id = "cn-beijing-rw";
    let up = |at| fleet.targets_of(id).filter(|target| fleet.page(target, at).is_some()).count();
    let all = fleet.targets_of(id).count();
    assert_eq!(up(after(0)), all);
    fleet.start_fault(id, Fault::TargetDown, after(1)).unwrap();
    assert_eq!(up(after(1)), all - 1);
    fleet.start_fault(id, Fault::Silent, after(2)).unwrap();
    assert_eq!(up(after(2)), 0);
    assert_eq!(fleet.truth(after(2)).cluster(id).unwrap().targets_up, 0);
    fleet.stop_fault(id, Fault::Silent, after(3)).unwrap();
    assert_eq!(up(after(3)), all - 1);
    let elsewhere = fleet.start_fault("nowhere", Fault::Silent, after(3));
    assert_eq!(elsewhere, Err(FleetError::UnknownCluster("nowhere".to_owned())));
}
