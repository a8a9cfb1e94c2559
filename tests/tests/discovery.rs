//! An edge that is told of its targets by others:
//!
//! ```text
//!  API server (the test's own) ◄── watch ─┐
//!  file ◄── look ── edge ── scrape ──► pages
//! ```

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use cli::programs::Tier;
use kubernetes_double::{ApiServer, Cut};
use serde_json::{Value, json};
use system_tests::page::Page;
use system_tests::{Lab, Server, eventually};

/// A few scrapes, and the news of discovery before them.
const SOON: Duration = Duration::from_secs(20);

/// A pod of which the page is the only container.
fn pod(name: &str, app: &str, page: &Page) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": app}},
        "spec": {
            "nodeName": "node-1",
            "containers": [{
                "name": "main",
                "image": "page",
                "ports": [{"name": "metrics", "containerPort": page.port, "protocol": "TCP"}],
            }],
        },
        "status": {"phase": "Running", "podIP": "127.0.0.1", "hostIP": "127.0.0.1"},
    })
}

/// Which pods the edge scrapes now.
async fn scraped(edge: &Server) -> anyhow::Result<Vec<String>> {
    let vector = edge.client()?.vector("up{job='pods'} == 1").await?;
    let mut pods: Vec<String> =
        vector.iter().map(|(labels, _)| labels.value("pod").to_owned()).collect();
    pods.sort();
    Ok(pods)
}

async fn wait_for(edge: &Server, pods: &[&str]) -> anyhow::Result<()> {
    let as_expected = async || {
        let scraped = scraped(edge).await?;
        ensure!(scraped == pods, "scraped: {scraped:?}, expected: {pods:?}");
        Ok(())
    };
    eventually(SOON, as_expected).await
}

#[tokio::test]
async fn an_edge_follows_the_pods_of_its_cluster() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (Page::serve("a 1\n").await?, Page::serve("a 2\n").await?);
    let other = Page::serve("a 3\n").await?;
    let mut kubernetes = ApiServer::start().await?;
    kubernetes.put("pods", pod("one", "web", &one));
    kubernetes.put("pods", pod("other", "db", &other));
    let config = format!(
        "scrape_configs:\n\
         - job_name: pods\n  \
           scrape_interval: 500ms\n  \
           kubernetes_sd_configs: [{{role: pod, api_server: '{}'}}]\n  \
           relabel_configs:\n  \
           - {{source_labels: [__meta_kubernetes_pod_label_app], regex: web, action: keep}}\n  \
           - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}\n",
        kubernetes.url()
    );
    let edge = lab.tier(Tier::Edge, "edge", &config).await?;
    wait_for(&edge, &["one"]).await?;
    kubernetes.put("pods", pod("two", "web", &two));
    wait_for(&edge, &["one", "two"]).await?;

    // A reload, and an API server that is away for a while, disturb nobody.
    let reloaded = edge.reload(&config.replace("500ms", "400ms")).await?;
    ensure!(reloaded.0.is_success(), "{reloaded:?}");
    kubernetes.stop();
    wait_for(&edge, &["one", "two"]).await?;
    kubernetes.resume().await?;
    kubernetes.delete("pods", "shop", "one");
    wait_for(&edge, &["two"]).await?;
    kubernetes.cut(Cut::InTheMiddle);
    kubernetes.put("pods", pod("one", "web", &one));
    wait_for(&edge, &["one", "two"]).await?;

    let answer = reqwest::get(edge.url("/api/v1/targets")).await?.text().await?;
    let answer: Value = serde_json::from_str(&answer)?;
    let dropped = &answer["data"]["droppedTargets"];
    ensure!(dropped.as_array().is_some_and(|dropped| dropped.len() == 1), "{dropped}");
    let labels = &dropped[0]["discoveredLabels"];
    ensure!(labels["__meta_kubernetes_pod_name"] == "other", "{labels}");
    ensure!(answer["data"]["droppedTargetCounts"]["pods"] == 1, "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_edge_follows_a_file() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let (one, two) = (Page::serve("a 1\n").await?, Page::serve("a 2\n").await?);
    let file = lab.directory().path().join("targets.json");
    let write = |targets: &[(&str, &Page)]| -> anyhow::Result<()> {
        let groups = targets.iter().map(|(name, page)| {
            json!({"targets": [format!("127.0.0.1:{}", page.port)], "labels": {"pod": name}})
        });
        let temporary = file.with_extension("new");
        fs::write(&temporary, Value::from_iter(groups).to_string())?;
        Ok(fs::rename(temporary, &file)?)
    };
    write(&[("one", &one)])?;
    let config = format!(
        "scrape_configs:\n\
         - job_name: pods\n  \
           scrape_interval: 500ms\n  \
           file_sd_configs: [{{files: ['{}']}}]\n",
        file.display()
    );
    let edge = lab.tier(Tier::Edge, "edge", &config).await?;
    wait_for(&edge, &["one"]).await?;
    write(&[("one", &one), ("two", &two)])?;
    wait_for(&edge, &["one", "two"]).await?;
    fs::write(&file, "[{")?; // what is broken changes nothing
    let failed = async || {
        let metrics = reqwest::get(edge.url("/metrics")).await?.text().await?;
        ensure!(metrics.contains("watershed_discovery_failures_total{mechanism=\"file\"} 1"));
        Ok(())
    };
    eventually(SOON, failed).await?;
    wait_for(&edge, &["one", "two"]).await?;
    write(&[("two", &two)])?;
    wait_for(&edge, &["two"]).await
}
