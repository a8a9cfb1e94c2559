//! An edge whose configuration changes while it scrapes: by signal, on request, and on its own.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use cli::programs::Tier;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use system_tests::page::Page;
use system_tests::{Lab, Server, eventually};

const SOON: Duration = Duration::from_secs(30);

fn config(page: &Page, jobs: &[&str]) -> String {
    let mut config = "rule_files: ['rules-*.yml']\nscrape_config_files: [jobs.yml]\n\
                      scrape_configs:\n"
        .to_owned();
    for job in jobs {
        config.push_str(&format!(
            "- job_name: {job}\n  scrape_interval: 200ms\n  \
             static_configs: [{{targets: ['127.0.0.1:{}']}}]\n",
            page.port
        ));
    }
    config
}

async fn wait_for(edge: &Server, query: &str, expect: f64) -> anyhow::Result<()> {
    eventually(SOON, || async {
        let is = edge.value(query).await?;
        ensure!(is == Some(expect), "{query} is {is:?}");
        Ok(())
    })
    .await
}

async fn reload_succeeded(edge: &Server) -> anyhow::Result<bool> {
    let metrics = reqwest::get(edge.url("/metrics")).await?.text().await?;
    Ok(metrics.contains("\nwatershed_config_last_reload_successful 1\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_is_new_and_leaves_no_gap_in_what_stays() -> anyhow::Result<()> {
    let (lab, page) = (Lab::new()?, Page::serve("told 7\n").await?);
    let edge = lab.tier(Tier::Edge, "edge", &config(&page, &["stays"])).await?;
    wait_for(&edge, "told{job='stays'}", 7.0).await?;

    edge.write_config(&config(&page, &["stays", "by-signal"]))?;
    let pid = Pid::from_raw(edge.process.pid() as i32).expect("it runs");
    kill_process(pid, Signal::HUP)?;
    wait_for(&edge, "told{job='by-signal'}", 7.0).await?;

    let (status, said) = edge.reload(&config(&page, &["stays", "on-request"])).await?;
    ensure!(status == StatusCode::OK, "{said}");
    wait_for(&edge, "told{job='on-request'}", 7.0).await?;
    // One that is gone is marked; one that stayed was scraped all the time.
    eventually(SOON, || async {
        let gone = edge.value("told{job='by-signal'}").await?;
        ensure!(gone.is_none(), "{gone:?}");
        Ok(())
    })
    .await?;
    let gaps = "max_over_time((timestamp(told{job='stays'}) \
                - timestamp(told{job='stays'} offset 400ms))[10s:200ms])";
    let gap = edge.value(gaps).await?.unwrap_or(f64::INFINITY);
    ensure!(gap <= 2.0, "no scrape for {gap} seconds");

    let (status, said) = edge.reload("scrape_configs: [{}]").await?;
    ensure!(status == StatusCode::INTERNAL_SERVER_ERROR, "{status}: {said}");
    ensure!(said.contains("job_name is empty at line 1"), "{said}");
    ensure!(!reload_succeeded(&edge).await?);
    wait_for(&edge, "up{job='on-request'}", 1.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_watched_is_reloaded_when_it_changes() -> anyhow::Result<()> {
    let (lab, page) = (Lab::new()?, Page::serve("told 7\n").await?);
    let flags = ["--enable-feature=auto-reload-config", "--config.auto-reload-interval=1s"];
    let edge = lab.tier_with(Tier::Edge, "edge", &config(&page, &["a"]), &flags).await?;
    wait_for(&edge, "told{job='a'}", 7.0).await?;

    edge.write_config(&config(&page, &["a", "b"]))?;
    wait_for(&edge, "told{job='b'}", 7.0).await?;

    let directory = lab.directory().path().join("config");
    let rule = "groups: [{name: g, interval: 1s, rules: [{record: twice, expr: sum(told) * 2}]}]";
    fs::write(directory.join("rules-1.yml"), rule)?;
    wait_for(&edge, "twice", 28.0).await?;

    let job = config(&page, &["c"]);
    fs::write(directory.join("jobs.yml"), &job[job.find("scrape_configs:").unwrap_or(0)..])?;
    wait_for(&edge, "told{job='c'}", 7.0).await?;

    fs::write(directory.join("jobs.yml"), "scrape_configs: [{}]")?;
    eventually(SOON, || async {
        ensure!(!reload_succeeded(&edge).await?, "it was taken");
        Ok(())
    })
    .await?;
    fs::write(directory.join("jobs.yml"), "")?;
    eventually(SOON, || async {
        ensure!(reload_succeeded(&edge).await?, "it was not taken");
        Ok(())
    })
    .await
}
