//! What an edge writes down of its queries: those of clients and rules in `query_log_file`, those that a
//! crash cut off at the next start, those that are slow in its own log.
//!
//! ```text
//! client ──► edge ──► query.log, data/queries.active, the process' log
//!            rules ─┘
//! ```

use std::fs;
use std::time::Duration;

use cli::programs::Tier;
use serde_json::Value;
use system_tests::{Lab, eventually};

/// Takes far longer than a test.
const ENDLESS: &str = "quantile_over_time(0.5, vector(1)[10m:1ms])";

#[tokio::test]
async fn every_query_of_clients_and_rules_is_logged_while_a_file_is_configured()
-> anyhow::Result<()> {
    let lab = Lab::new()?;
    let rules = lab.directory().config("rules");
    fs::write(&rules, "groups: [{name: g, rules: [{record: one, expr: vector(1)}]}]")?;
    let sections = format!("rule_files: [{}]\n", rules.display());
    let without = format!("global: {{evaluation_interval: 100ms}}\n{sections}");
    let edge = lab.tier(Tier::Edge, "edge", &without).await?;
    let log = rules.with_file_name("query.log"); // beside the configuration, as it is not absolute
    let with =
        format!("global: {{evaluation_interval: 100ms, query_log_file: query.log}}\n{sections}");
    assert!(edge.reload(&with).await?.0.is_success());
    edge.value("vector(2)").await?;
    let logged = async |part: &str| {
        let text = fs::read_to_string(&log)?;
        let line = text.lines().find(|line| line.contains(part));
        Ok(serde_json::from_str::<Value>(line.ok_or(anyhow::anyhow!("no {part}: {text}"))?)?)
    };
    let of_client = logged("vector(2)").await?;
    assert_eq!(of_client["httpRequest"]["clientIP"], "127.0.0.1", "{of_client}");
    let of_rule = eventually(Duration::from_secs(10), || logged("ruleGroup")).await?;
    assert_eq!(of_rule["ruleGroup"]["name"], "g", "{of_rule}");
    assert_eq!(of_rule["params"]["query"], "vector(1)", "{of_rule}");

    // Who moved the file away gets a new one.
    fs::rename(&log, log.with_extension("old"))?;
    assert!(edge.reload(&with).await?.0.is_success());
    edge.value("vector(3)").await?;
    logged("vector(3)").await?;
    let impossible = with.replace("query.log", "none/query.log");
    let (status, text) = edge.reload(&impossible).await?;
    assert!(status == 500 && text.contains("global.query_log_file: open "), "{text}");
    assert!(edge.reload(&without).await?.0.is_success());
    edge.value("vector(4)").await?;
    assert!(logged("vector(4)").await.is_err());
    Ok(())
}

#[tokio::test]
async fn queries_that_a_crash_cut_off_are_told_at_the_next_start() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let mut edge = lab.tier(Tier::Edge, "edge", "").await?;
    edge.value("vector(5)").await?;
    let url = edge.url("/api/v1/query_range");
    let asked = format!("query={ENDLESS}&start=0&end=3600&step=1");
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(asked);
    let running = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    edge.crash_and_restart().await?;
    running.await?.expect_err("the server was killed");
    let log = edge.process.last_log_lines(100);
    let told = log.lines().find(|line| line.contains("did not finish")).unwrap_or_default();
    assert!(told.contains(ENDLESS) && !told.contains("vector(5)"), "{log}");
    Ok(())
}
