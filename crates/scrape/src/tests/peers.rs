//! The same target, scraped by us and by Debian's Prometheus:
//!
//! ```text
//! prometheus-node-exporter ◄── this test ──► store
//!                          ◄── prometheus  ──► /api/v1/series, /api/v1/metadata
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use serde_yaml_ng::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::bench::Bench;

/// Starts a program that must be installed; it ends with its handle.
#[track_caller]
fn start(program: &str, package: &str, arguments: &[String]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; apt-get install {package}"))
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What Prometheus' API says; empty until it answers.
async fn ask(address: &str, path: &str) -> Value {
    match reqwest::get(format!("http://{address}{path}")).await {
        Ok(answer) => {
            let text = answer.text().await.unwrap();
            serde_yaml_ng::from_str::<Value>(&text).unwrap()["data"].clone()
        }
        Err(_) => Value::Null,
    }
}

type Families = BTreeMap<String, (String, String)>;

/// Label sets as `{name="value", …}` by name, and types and helps by family.
async fn seen_by_prometheus(address: &str) -> (BTreeSet<Vec<(String, String)>>, Families) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let series = ask(address, "/api/v1/series?match[]={job=\"test\"}").await;
    let series = series.as_sequence().cloned().unwrap_or_default();
    let series = series.iter().map(|labels| {
        let labels = labels.as_mapping().unwrap().iter();
        labels.map(|(name, value)| as_version_3(text(name), text(value))).collect()
    });
    let metadata = ask(address, "/api/v1/metadata").await;
    let metadata = metadata.as_mapping().cloned().unwrap_or_default();
    let families = metadata.iter().map(|(family, entries)| {
        (text(family), (text(&entries[0]["type"]), text(&entries[0]["help"])))
    });
    (series.collect(), families.collect())
}

/// Prometheus 3 writes bounds and quantiles as floats, as we do; Debian's does not yet.
fn as_version_3(name: String, value: String) -> (String, String) {
    match value.parse::<f64>() {
        Ok(number) if matches!(name.as_str(), "le" | "quantile") && number.is_finite() => {
            (name, format!("{number:?}"))
        }
        _ => (name, value),
    }
}

fn seen_by_us(bench: &Bench) -> (BTreeSet<Vec<(String, String)>>, Families) {
    let series = bench.store.label_sets().into_iter().map(|labels| {
        let mut labels: Vec<(String, String)> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        labels.sort();
        labels
    });
    let families = bench
        .store
        .metadata()
        .into_iter()
        .map(|(family, metadata)| (family, (metadata.metric_type.to_string(), metadata.help)));
    (series.collect(), families.collect())
}

#[tokio::test]
async fn node_exporter_looks_to_us_as_it_does_to_prometheus() {
    let (exporter, prometheus) = (free_address(), free_address());
    let listen = format!("--web.listen-address={exporter}");
    let _exporter = start("prometheus-node-exporter", "prometheus-node-exporter", &[listen]);

    let directory = TempDir::new().unwrap();
    let config = directory.path().join("prometheus.yml");
    let job = format!("job_name: test, static_configs: [{{targets: ['{exporter}']}}]");
    std::fs::write(&config, format!("scrape_configs: [{{{job}, scrape_interval: 1s}}]")).unwrap();
    let _prometheus = start(
        "prometheus",
        "prometheus",
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", directory.path().join("data").display()),
            format!("--web.listen-address={prometheus}"),
        ],
    );

    let mut last = None;
    for _ in 0..60 {
        // The exporter's series come and go: both look until they have seen the same.
        let theirs = seen_by_prometheus(&prometheus).await;
        let mut bench = Bench::of_target(&exporter, "");
        let error = bench.fetch().await;
        let ours = seen_by_us(&bench);
        if error.is_empty() && ours == theirs {
            assert!(ours.0.len() > 100 && ours.1.len() > 50, "{:?}", ours.1);
            return;
        }
        last = Some((error, ours, theirs));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (error, ours, theirs) = last.unwrap();
    let only_ours: Vec<_> = ours.0.difference(&theirs.0).collect();
    let only_theirs: Vec<_> = theirs.0.difference(&ours.0).collect();
    assert_eq!(ours.1, theirs.1, "metadata");
    panic!("{error}; only ours: {only_ours:#?}; only theirs: {only_theirs:#?}");
}
