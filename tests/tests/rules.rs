//! The same rules on the same data, by a central and by a real Prometheus:
//!
//! ```text
//!            ┌─ scrape ─ central ────── alerts ─┐
//!  page ◄────┤                                  ├──► receiver (Alertmanager's API)
//!            └─ scrape ─ prometheus ─── alerts ─┘
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::extract::{Path, State};
use axum::{Router, routing::post};
use cli::programs::Tier;
use serde_json::{Value, json};
use system_tests::page::Page;
use system_tests::{Lab, Server, eventually, now};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(30);

const RULES: &str = r#"groups:
- name: every kind
  interval: 1s
  rules:
  - record: job:load:sum
    expr: sum  by(job) (load)
    labels: {tier: central}
  - record: job:load:twice
    expr: job:load:sum * 2
  - record: high:load
    expr: load > 10
  - alert: High
    expr: load > 10
    labels: {severity: '{{ if gt $value 20.0 }}page{{ else }}ticket{{ end }}', job: ''}
    annotations:
      summary: '{{ $labels.host }} at {{ $value | humanize }} of {{ query "sum(load)" | first | value | printf "%.1f" }} in {{ $externalLabels.region | toUpper }}'
      wrong: '{{ $labels.host | humanize }}'
  - alert: Pending
    expr: load > 10
    for: 1h
  - record: ambiguous
    expr: load * on() load
"#;

/// The alerts that each sender last told of, by sender and labels.
type Told = Arc<Mutex<BTreeMap<(String, String), Value>>>;

/// Takes alerts at `/SENDER/api/v2/alerts`. Gives its port.
async fn receive(told: Told) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let take = async |State(told): State<Told>, Path(sender): Path<String>, body: String| {
        let alerts: Vec<Value> = serde_json::from_str(&body).expect("alerts are a JSON list");
        let mut told = told.lock().expect("nobody panics with it");
        for alert in alerts {
            told.insert((sender.clone(), alert["labels"].to_string()), alert);
        }
    };
    let router = Router::new().route("/{sender}/api/v2/alerts", post(take)).with_state(told);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

fn config(sender: &str, rules: &str, page: &Page, receiver: u16) -> String {
    format!(
        "global: {{scrape_interval: 1s, external_labels: {{region: eu}}}}\n\
         rule_files: ['{rules}']\n\
         scrape_configs: [{{job_name: page, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n\
         alerting:\n  \
           alertmanagers:\n  \
           - path_prefix: /{sender}\n    \
             static_configs: [{{targets: ['127.0.0.1:{receiver}']}}]\n",
        page.port
    )
}

/// `/api/v1/rules` without times, and errors without their words.
async fn rules_of(server: &Server) -> anyhow::Result<Value> {
    let mut rules = server.client()?.get("rules", &[]).await?.data;
    for group in rules["groups"].as_array_mut().context("groups")? {
        remove(group, &["evaluationTime", "lastEvaluation"]);
        for rule in group["rules"].as_array_mut().context("rules")? {
            remove(rule, &["evaluationTime", "lastEvaluation"]);
            if rule.get("lastError").is_some() {
                rule["lastError"] = json!("an error");
            }
            for alert in rule.get_mut("alerts").and_then(Value::as_array_mut).into_iter().flatten()
            {
                // The error of a template names its place, and ours has no hidden prologue.
                let summary = alert["annotations"]["summary"].clone();
                alert["annotations"] = json!({ "summary": summary });
                remove(alert, &["activeAt"]);
            }
        }
    }
    Ok(rules)
}

fn remove(object: &mut Value, keys: &[&str]) {
    for key in keys {
        object.as_object_mut().expect("an object").remove(*key);
    }
}

/// What a query gives now, by labels.
async fn vector(server: &Server, query: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let vector = server.client()?.vector(query).await?;
    Ok(vector.into_iter().map(|(labels, sample)| (labels.to_string(), sample.value)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_central_evaluates_rules_and_sends_alerts_as_prometheus_does() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let page =
        Page::serve("load{host=\"a\"} 12\nload{host=\"b\"} 25\nload{host=\"c\"} 1\n").await?;
    let told = Told::default();
    let receiver = receive(Arc::clone(&told)).await?;
    let rules = lab.directory().path().join("rules.yml");
    std::fs::write(&rules, RULES)?;
    let rules = rules.display().to_string();
    let central = config("central", &rules, &page, receiver);
    let central = lab.tier(Tier::Central, "central", &central).await?;
    let prometheus = config("prometheus", &rules, &page, receiver);
    let prometheus = lab.prometheus("prometheus", &prometheus).await?;

    let same_rules = async || {
        let (ours, theirs) = (rules_of(&central).await?, rules_of(&prometheus).await?);
        ensure!(theirs["groups"][0]["rules"][3]["state"] == "firing", "prometheus: {theirs:#}");
        ensure!(ours == theirs, "central: {ours:#}\nprometheus: {theirs:#}");
        Ok(())
    };
    eventually(SOON, same_rules).await?;
    let recorded = r#"{__name__=~"job:.*|high:.*|ALERTS|ambiguous"}"#;
    let same_series = async || {
        let (ours, theirs) =
            (vector(&central, recorded).await?, vector(&prometheus, recorded).await?);
        ensure!(ours == theirs, "central: {ours:#?}\nprometheus: {theirs:#?}");
        Ok(ours.len())
    };
    // Two sums, two of three that are high, and as many alerts that fire and that are pending.
    ensure!(eventually(SOON, same_series).await? == 8);
    let sent = sent_alerts(&told, 2).await?;
    ensure!(sent["central"] == sent["prometheus"], "{sent:#?}");

    // One is no longer high: its series end and its alert resolves, in both.
    page.set("load{host=\"a\"} 12\nload{host=\"b\"} 2\nload{host=\"c\"} 1\n");
    eventually(SOON, async || {
        let series = same_series().await?;
        ensure!(series == 5, "{series} series");
        Ok(())
    })
    .await?;
    eventually(SOON, same_rules).await?;
    eventually(SOON, async || {
        for sender in ["central", "prometheus"] {
            let resolved =
                told.lock().expect("nobody panics with it").iter().any(|(key, alert)| {
                    key.0 == sender && alert["labels"]["host"] == "b" && until(alert) <= 0.0
                });
            ensure!(resolved, "{sender} told of no end");
        }
        Ok(())
    })
    .await
}

/// What each sender says of its firing alerts once each has told of `count`: labels, annotations,
/// the path of the link, and for how many minutes the alert stands.
async fn sent_alerts(told: &Told, count: usize) -> anyhow::Result<BTreeMap<String, Vec<Value>>> {
    eventually(SOON, async || {
        let mut by_sender: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for ((sender, _), alert) in &*told.lock().expect("nobody panics with it") {
            let link = alert["generatorURL"].as_str().and_then(|url| url.find("/graph"));
            let path = &alert["generatorURL"].as_str().unwrap_or("")[link.unwrap_or(0)..];
            by_sender.entry(sender.clone()).or_default().push(json!({
                "labels": alert["labels"],
                "summary": alert["annotations"]["summary"],
                "wrong": alert["annotations"]["wrong"].as_str().map(|text| &text[..27]),
                "path": path,
                "minutes": (until(alert) / 60.0).ceil(),
            }));
        }
        let all = by_sender.len() == 2 && by_sender.values().all(|alerts| alerts.len() == count);
        ensure!(all, "{by_sender:#?}");
        Ok(by_sender)
    })
    .await
}

/// Seconds from now to when the alert ends.
fn until(alert: &Value) -> f64 {
    let end = alert["endsAt"].as_str().and_then(|end| end.parse::<jiff::Timestamp>().ok());
    end.map_or(f64::NAN, |end| end.as_millisecond() as f64 / 1000.0 - now().as_seconds())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_alert_goes_on_after_kill_9() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let page = Page::serve("load 12\n").await?;
    let rules = lab.directory().path().join("rules.yml");
    std::fs::write(&rules, RULES)?;
    let config = config("nobody", &rules.display().to_string(), &page, 1);
    let mut central = lab.tier(Tier::Central, "central", &config).await?;
    let pending_since = async |central: &Server| {
        let rules = central.client()?.get("rules", &[]).await?.data;
        let since = rules["groups"][0]["rules"][4]["alerts"][0]["activeAt"].as_str();
        let since: jiff::Timestamp = since.context("no alert is pending")?.parse()?;
        Ok(since.as_millisecond())
    };
    let before = eventually(SOON, async || pending_since(&central).await).await?;
    eventually(SOON, async || {
        ensure!(central.value("ALERTS_FOR_STATE{alertname='Pending'}").await?.is_some());
        Ok(())
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let killed = now().as_millis();
    central.crash_and_restart().await?;
    let restarted = now().as_millis();
    eventually(SOON, async || {
        let after = pending_since(&central).await?;
        // The time that it was down does not count; nor does what is left of a second.
        let moved = after - before;
        ensure!(
            after < killed && moved < restarted - killed + 5000,
            "pending since {before} before, {after} after it was down from {killed} to {restarted}"
        );
        Ok(())
    })
    .await
}
