//! The rule packs in `rules/`: checked and unit-tested by Debian's `promtool`, and run by a real
//! `prometheus` over the simulator, whose ground truth the recorded series must meet.
//!
//! ```text
//! simulator ◄── scrape ── prometheus with rules/edge ◄── query ── this test ──► /truth
//! ```

// Helpers of tests are outside test functions, where clippy allows it.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Timestamp;
use serde_yaml_ng::Value as Yaml;
use simulator::truth::{self, ClusterTruth};
use simulator::{Clock, Fault, Fleet, Profile, router};

const TIERS: [&str; 3] = ["edge", "cascade", "central"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The YAML files of one folder of `rules/`, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("rules").join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Every rule of a tier's pack.
fn rules(tier: &str) -> Vec<Yaml> {
    let mut rules = Vec::new();
    for file in files(tier) {
        let pack: Yaml = serde_yaml_ng::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for group in pack["groups"].as_sequence().unwrap() {
            rules.extend(group["rules"].as_sequence().unwrap().iter().cloned());
        }
    }
    rules
}

#[track_caller]
fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .expect("promtool is missing: apt-get install prometheus");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_accepts_every_pack() {
    for tier in TIERS {
        promtool(&["check", "rules"], &files(tier));
    }
}

#[test]
fn our_own_parser_reads_every_expression_and_prints_it_stably() {
    for rule in TIERS.into_iter().flat_map(rules) {
        let text = rule["expr"].as_str().unwrap();
        let printed = promql::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = printed.to_string();
        assert_eq!(promql::parse(&printed).unwrap().to_string(), printed);
    }
}

#[test]
fn the_packs_unit_tests_pass() {
    promtool(&["test", "rules"], &files("tests"));
}

#[test]
fn every_alert_has_a_severity_texts_a_runbook_and_a_unit_test() {
    let tests: String =
        files("tests").into_iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let mut alerts = 0;
    for rule in TIERS.into_iter().flat_map(rules) {
        let Some(name) = rule["alert"].as_str() else { continue };
        alerts += 1;
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{name}: {severity:?}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].is_string(), "{name}: {text}");
        }
        let runbook = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(runbook, format!("docs/runbooks/{name}.md"));
        let page = fs::read_to_string(repository().join(runbook)).expect(runbook);
        assert!(page.starts_with(&format!("# {name}\n")), "{runbook}");
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no unit test");
    }
    assert!(alerts >= 6);
}

/// The level of a recorded series says which tier may forward it, and to whom.
#[test]
fn each_tier_records_its_own_levels_once() {
    let mut seen = BTreeSet::new();
    for (tier, levels) in [
        ("edge", ["cluster", "metacluster"].as_slice()),
        ("cascade", &["region", "continent"]),
        ("central", &["global"]),
    ] {
        for rule in rules(tier) {
            let Some(name) = rule["record"].as_str() else { continue };
            let level = name.split(':').next().unwrap();
            assert!(levels.contains(&level), "{name} in {tier}");
            assert!(seen.insert(name.to_owned()), "{name} is recorded twice");
        }
    }
}

/// A number that a cluster has and the whole fleet has, every level between them has too.
#[test]
fn what_is_summed_is_summed_at_every_level() {
    let names = |tier| -> BTreeSet<String> {
        let records: Vec<Yaml> = rules(tier);
        records.iter().filter_map(|rule| rule["record"].as_str().map(str::to_owned)).collect()
    };
    let of = |tier, level: &str| -> BTreeSet<String> {
        let names = names(tier);
        let level = format!("{level}:");
        let own = names.iter().filter_map(|name| name.strip_prefix(&level));
        own.filter(|name| !name.starts_with("cluster")).map(str::to_owned).collect()
    };
    let regions = of("cascade", "region");
    assert!(regions.len() >= 12, "{regions:?}");
    assert_eq!(of("edge", "metacluster"), regions);
    assert_eq!(of("cascade", "continent"), regions);
    assert_eq!(of("central", "global"), regions);
}

const SCRAPE_SECONDS: f64 = 2.0;
/// The packs' window of 2m at a scrape interval of 10s is this one at 2s, nearly.
const WINDOW_SECONDS: f64 = 30.0;

/// A `prometheus` that scrapes two clusters of a simulator under the edge's pack. Killed on drop.
struct Edge {
    child: Child,
    base: String,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Edge {
    fn start(simulator: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in files("edge") {
            let pack = fs::read_to_string(&file).unwrap();
            let pack = pack.replace("[2m]", "[30s]").replace("/ 120", "/ 30");
            fs::write(directory.path().join(file.file_name().unwrap()), pack).unwrap();
        }
        // With `honor_labels`, because the packs must bear the API server's own label `scope`.
        let config = format!(
            "global: {{scrape_interval: {SCRAPE_SECONDS}s, scrape_timeout: {SCRAPE_SECONDS}s, \
                       evaluation_interval: 1s}}\n\
             rule_files: [cluster.yml, metacluster.yml]\n\
             scrape_configs:\n\
             - job_name: simulator\n  \
               honor_labels: true\n  \
               http_sd_configs: [{{url: '{simulator}/targets.json'}}]\n  \
               relabel_configs:\n  \
               - {{source_labels: [cluster], regex: cn-beijing-(meta|rw), action: keep}}\n"
        );
        let config_file = directory.path().join("prometheus.yml");
        fs::write(&config_file, config).unwrap();
        let address = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().to_string()
        };
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus is missing: apt-get install prometheus");
        let base = format!("http://{address}");
        Self { child, base, client: reqwest::Client::new(), _directory: directory }
    }

    /// The values of an instant query, by the label `cluster`; empty while nothing answers.
    async fn query(&self, query: &str) -> BTreeMap<String, f64> {
        let url = format!("{}/api/v1/query?query={query}", self.base);
        let Ok(answer) = self.client.get(url).send().await else { return BTreeMap::new() };
        let body = answer.text().await.unwrap();
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&body) else {
            return BTreeMap::new(); // still starting
        };
        let result = json["data"]["result"].as_array().unwrap_or_else(|| panic!("{json}"));
        let values = result.iter().map(|series| {
            let cluster = series["metric"]["cluster"].as_str().unwrap_or_default().to_owned();
            (cluster, series["value"][1].as_str().unwrap().parse().unwrap())
        });
        values.collect()
    }

    /// Waits until `query` gives `value` for `cluster`.
    async fn wait_for(&self, query: &str, cluster: &str, value: f64) {
        for _ in 0..600 {
            if self.query(query).await.get(cluster) == Some(&value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{query} of {cluster} is not {value} but {:?}", self.query(query).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_records_what_is_really_so() {
    let restart_every = Duration::from_secs(30 * 86_400); // not during this test
    let fleet = Arc::new(Fleet::new(&Profile { restart_every, ..Profile::demo() }, 11));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = format!("http://{}", listener.local_addr().unwrap());
    let clock: Clock = Arc::new(now);
    let app = router(Arc::clone(&fleet), clock);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let edge = Edge::start(&simulator);
    // Until every target has been scraped all through a window.
    let scrapes = WINDOW_SECONDS / SCRAPE_SECONDS + 2.0;
    let full = format!("min by (cluster) (count_over_time(up[5m])) >= bool {scrapes}");
    edge.wait_for(&full, "cn-beijing-rw", 1.0).await;
    edge.wait_for(&full, "cn-beijing-meta", 1.0).await;
    // A busy machine scrapes late, or not at all: then the numbers agree a window later.
    for attempt in 0.. {
        match disagreement(&edge, &fleet).await {
            None => break,
            Some(what) => assert!(attempt < 40, "{what}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let broken = "cn-beijing-meta";
    for fault in [Fault::EtcdNoLeader, Fault::NodeNotReady, Fault::TargetDown] {
        fleet.start_fault(broken, fault, now()).unwrap();
    }
    fleet.start_fault("cn-beijing-rw", Fault::Silent, now()).unwrap();
    edge.wait_for("cluster:etcd_server_without_leader:sum", broken, 3.0).await;
    edge.wait_for("cluster:kube_node_not_ready:sum", broken, 1.0).await;
    edge.wait_for("cluster:up:count-cluster:up:sum", broken, 1.0).await;
    edge.wait_for("cluster:up:sum", "cn-beijing-rw", 0.0).await;
    // Silent is not zero.
    let nodes = edge.query("cluster:kube_node_info:count").await;
    assert_eq!(nodes.keys().collect::<Vec<_>>(), [broken]);
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::EPOCH.plus(since_epoch)
}

/// The first number of either cluster that is not what the truth says.
async fn disagreement(edge: &Edge, fleet: &Fleet) -> Option<String> {
    let truth = fleet.truth(now());
    for id in ["cn-beijing-meta", "cn-beijing-rw"] {
        for (query, range) in expected(truth.cluster(id).unwrap()) {
            let seen = edge.query(query).await.get(id).copied();
            if !seen.is_some_and(|seen| range.contains(&seen)) {
                return Some(format!("{query} of {id} is {seen:?}, not in {range:?}"));
            }
        }
    }
    None
}

/// What an edge records of a cluster, and between which values it must be.
fn expected(truth: &ClusterTruth) -> Vec<(&'static str, RangeInclusive<f64>)> {
    let about = |value: f64, share: f64| value * (1.0 - share)..=value * (1.0 + share);
    let count = |value: usize| about(value as f64, 0.0);
    let rate = |value| about(value, truth::rate_tolerance(WINDOW_SECONDS, SCRAPE_SECONDS));
    let errors = truth.apiserver_requests_per_second * truth.apiserver_error_ratio;
    vec![
        ("cluster:up:count", count(truth.targets)),
        ("cluster:up:sum", count(truth.targets_up)),
        ("time()-cluster:up_timestamp_seconds:max", 0.0..=3.0 * SCRAPE_SECONDS),
        ("cluster:kube_node_info:count", count(truth.nodes)),
        ("cluster:kube_node_not_ready:sum", count(truth.nodes - truth.nodes_ready)),
        ("cluster:kube_pod_info:count", count(truth.pods)),
        (
            "cluster:etcd_mvcc_db_total_size_in_bytes:max",
            about(truth.etcd_db_size_bytes, truth::SIZE_TOLERANCE),
        ),
        ("cluster:etcd_server_without_leader:sum", count(0)),
        ("cluster:etcd_disk_wal_fsync_duration_seconds:p99_rate2m", 0.004..=0.016),
        ("cluster:node_cpu_seconds_busy:rate2m", rate(truth.cpu_cores_used)),
        ("cluster:apiserver_request:rate2m", rate(truth.apiserver_requests_per_second)),
        // Some tenths of an error per second, of which each of 12 series counts whole ones.
        ("cluster:apiserver_request_errors:rate2m", 0.0..=2.0 * errors + 0.1),
        (
            "cluster:scrape_samples_post_metric_relabeling:rate2m\
             /cluster:scrape_samples_post_metric_relabeling:sum",
            about(1.0 / SCRAPE_SECONDS, 0.1),
        ),
    ]
}
