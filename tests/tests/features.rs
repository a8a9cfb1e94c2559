//! Experimental parts of PromQL: there where they are switched on, and only there.

use std::fs;
use std::time::Duration;

use cli::programs::Tier;
use system_tests::{Lab, eventually};

const EXPERIMENTAL: &str = "vector(max_of(1, 2))";

#[tokio::test]
async fn experimental_functions_are_there_for_clients_and_rules_where_they_are_enabled()
-> anyhow::Result<()> {
    let lab = Lab::new()?;
    let rules = lab.directory().config("rules");
    fs::write(
        &rules,
        format!("groups: [{{name: g, rules: [{{record: one, expr: '{EXPERIMENTAL}'}}]}}]"),
    )?;
    let config =
        format!("global: {{evaluation_interval: 100ms}}\nrule_files: [{}]\n", rules.display());
    let with = ["--enable-feature=promql-experimental-functions,promql-binop-fill-modifiers"];
    let edge = lab.tier_with(Tier::Edge, "with", &config, &with).await?;
    assert_eq!(edge.value(EXPERIMENTAL).await?, Some(2.0));
    assert_eq!(edge.value("vector(1) + on () fill (3) (vector(1) < 0)").await?, Some(4.0));
    eventually(Duration::from_secs(10), async || {
        anyhow::ensure!(edge.value("one").await? == Some(2.0), "the rule has no result yet");
        Ok(())
    })
    .await?;

    let edge = lab.tier(Tier::Edge, "without", "").await?;
    let error = edge.value(EXPERIMENTAL).await.unwrap_err().to_string();
    assert!(error.contains("is not enabled"), "{error}");
    let (status, said) = edge.reload(&config).await?;
    assert!(!status.is_success() && said.contains("is not enabled"), "{status}: {said}");
    Ok(())
}
