//! Bad input on every port: the error says what is wrong and where, and the rest goes on.
//!
//! ```text
//!  bad configuration ─► edge (does not start, or keeps what it has)
//!
//!  page (malformed) ◄── scrape ──┐
//!  page (fine)      ◄── scrape ──┤
//!  nobody           ◄── scrape ──┤
//!                                ▼
//!  bad writes, bad queries ───► edge ── remote write ──► nobody
//! ```

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use cli::ports;
use cli::programs::Tier;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use system_tests::page::Page;
use system_tests::{Lab, Server, compress, eventually, post_write};

const SOON: Duration = Duration::from_secs(15);

/// Starts an edge on `config`, which must end by itself: what it says.
fn start_on(lab: &Lab, config: &str) -> anyhow::Result<String> {
    let file = lab.directory().config("bad");
    std::fs::write(&file, config)?;
    // An edge that starts after all is ended by `timeout`, and then says too little.
    let output = Command::new("timeout")
        .args(["--kill-after=1", "10"])
        .arg(lab.binary("watershed-edge"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", lab.directory().path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", ports::free()?))
        .output()?;
    ensure!(!output.status.success(), "it started");
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_bad_configuration_ends_the_start_with_its_file_place_and_reason() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let check = |config: &str, expect: &[&str]| -> anyhow::Result<()> {
        let said = start_on(&lab, config)?;
        for part in expect.iter().chain(&["bad.yml"]) {
            ensure!(said.contains(part), "{config}\nexpected {part:?} in: {said}");
        }
        Ok(())
    };
    check("global:\n  scrape_intervall: 5s\n", &["scrape_intervall", "line 2"])?;
    check("scrape_config: []\n", &["scrape_config", "line 1"])?;
    check("global: {scrape_interval: 5s\n", &["line 2"])?;
    check("global: {scrape_interval: soon}\n", &["soon", "scrape_interval"])?;
    check(
        "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {regex: '(', action: drop}\n",
        &["regex", "line 4"],
    )?;
    check("scrape_configs:\n- job_name: a\n- job_name: a\n", &["multiple", "job name"])?;
    check("remote_write:\n- url: nowhere\n", &["remote_write.url", "relative URL", "line 2"])?;
    check(
        "remote_write: [{url: 'http://a', name: b}, {url: 'http://c', name: b}]\n",
        &["two destinations"],
    )?;
    let rules = lab.directory().path().join("rules.yml");
    std::fs::write(&rules, "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'sum(('}\n")?;
    let config = format!("rule_files: ['{}']\n", rules.display());
    check(&config, &["rules.yml", "4"])
}

async fn lives(edge: &Server) -> anyhow::Result<()> {
    ensure!(edge.value("vector(1)").await? == Some(1.0));
    Ok(())
}

#[tokio::test]
async fn a_failed_reload_keeps_the_running_configuration() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let page = Page::serve("answer 42\n").await?;
    let scrape = |job: &str, port: u16| {
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: {job}\n  \
             static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        )
    };
    let scraped = async |edge: &Server, job: &str| {
        let up = async || {
            let up = edge.value(&format!("up{{job='{job}'}}")).await?;
            ensure!(up == Some(1.0), "up of {job} is {up:?}");
            Ok(())
        };
        eventually(SOON, up).await
    };
    let first = scrape("first", page.port);
    let edge = lab.tier(Tier::Edge, "edge", &first).await?;
    scraped(&edge, "first").await?;

    let (status, said) = edge.reload("scrape_configs:\n- job: second\n").await?;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(said.contains("line 2") && said.contains("job"), "{said}");
    let shown = edge.client()?.get("status/config", &[]).await?.data;
    assert!(shown["yaml"].as_str().unwrap().contains("first"), "{shown}");
    page.set("answer 43\n");
    eventually(SOON, async || {
        ensure!(edge.value("answer").await? == Some(43.0), "no longer scraped");
        Ok(())
    })
    .await?;

    let (status, said) = edge.reload(&scrape("second", page.port)).await?;
    assert_eq!(status, StatusCode::OK, "{said}");
    scraped(&edge, "second").await?;
    // The job is gone, and its series ended with it.
    eventually(SOON, async || {
        ensure!(edge.value("up{job='first'}").await?.is_none(), "still there");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_target_that_is_down_or_lies_is_an_error_of_its_own() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let fine = Page::serve("fine 1\n").await?;
    let malformed = Page::serve("good 1\nbad{le= 2\n").await?;
    let nobody = ports::free()?;
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: fine, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
         - {{job_name: malformed, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n\
         - {{job_name: nobody, static_configs: [{{targets: ['127.0.0.1:{nobody}']}}]}}\n\
         remote_write: [{{url: 'http://127.0.0.1:{nobody}/api/v1/write'}}]\n",
        fine.port, malformed.port
    );
    let edge = lab.tier(Tier::Edge, "edge", &config).await?;
    eventually(SOON, async || {
        for (job, expect) in [("fine", 1.0), ("malformed", 0.0), ("nobody", 0.0)] {
            let up = edge.value(&format!("up{{job='{job}'}}")).await?;
            ensure!(up == Some(expect), "up of {job} is {up:?}");
        }
        Ok(())
    })
    .await?;
    // Nothing of a page that breaks off is stored.
    assert_eq!(edge.value("good").await?, None);
    assert_eq!(edge.value("fine").await?, Some(1.0));

    let targets = edge.client()?.get("targets", &[]).await?.data;
    let targets = targets["activeTargets"].as_array().context("activeTargets")?;
    let last_error = |job: &str| {
        let target = targets.iter().find(|target| target["labels"]["job"] == job);
        target.map_or(&Value::Null, |target| &target["lastError"]).to_string()
    };
    assert_eq!(last_error("fine"), "\"\"");
    assert!(last_error("malformed").contains("line 2"), "{}", last_error("malformed"));
    assert!(last_error("nobody").contains("refused"), "{}", last_error("nobody"));
    lives(&edge).await
}

#[tokio::test]
async fn a_bad_write_is_refused_with_the_right_status_and_the_next_one_is_taken()
-> anyhow::Result<()> {
    let lab = Lab::new()?;
    let edge = lab.tier(Tier::Edge, "edge", "").await?;
    let url = edge.url("/api/v1/write");
    let check = async |what: &str, body: Vec<u8>, expect: u16| {
        let (status, said) = post_write(&url, body).await?;
        ensure!(status == expect, "{what}: {status} {said}");
        ensure!(!said.trim().is_empty(), "{what}: says nothing");
        anyhow::Ok(())
    };
    check("not snappy", b"hello".to_vec(), 400).await?;
    check("not protobuf", compress(b"\xff\xff\xff")?, 400).await?;
    check("a message cut short", compress(b"\x0a\x15\x0a\x06")?, 400).await?;
    // A length of 4 GB, and nothing behind it.
    check("a bomb", b"\xff\xff\xff\xff\x0f".to_vec(), 413).await?;

    let http = reqwest::Client::new();
    let answer = http.get(&url).send().await?;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    let answer = http.post(&url).header("Content-Type", "text/plain").body("a 1").send().await?;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    lives(&edge).await
}

#[tokio::test]
async fn a_bad_query_is_answered_with_its_place_and_the_right_status() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let edge = lab.tier(Tier::Edge, "edge", "").await?;
    let http = reqwest::Client::new();
    let check = async |method: Method, path: &str, status: u16, parts: &[&str]| {
        let answer = http.request(method, edge.url(path)).send().await?;
        let got = answer.status();
        let said = answer.text().await?;
        ensure!(got == status, "{path}: {got} {said}");
        for part in parts {
            ensure!(said.contains(part), "{path}: expected {part:?} in {said}");
        }
        anyhow::Ok(())
    };
    let bad_data = "\"errorType\":\"bad_data\"";
    let get = Method::GET;
    check(get.clone(), "/api/v1/query?query=sum(", 400, &[bad_data, "1:5"]).await?;
    check(get.clone(), "/api/v1/query?query=no_such_function(up)", 400, &[bad_data, "no_such"])
        .await?;
    check(get.clone(), "/api/v1/query?query=up%7Ba%3D~%22(%22%7D", 400, &[bad_data]).await?;
    check(get.clone(), "/api/v1/query?query=up&time=noon", 400, &[bad_data, "noon"]).await?;
    check(get.clone(), "/api/v1/query", 400, &[bad_data]).await?;
    let range = "/api/v1/query_range?query=up&start=0&end=1000000&step=";
    check(get.clone(), &format!("{range}1"), 400, &[bad_data, "11,000"]).await?;
    check(get.clone(), &format!("{range}0"), 400, &[bad_data]).await?;
    check(get.clone(), "/api/v1/query_range?query=up&start=9&end=1&step=1", 400, &[bad_data])
        .await?;
    check(get.clone(), "/api/v1/series", 400, &[bad_data]).await?;
    check(get.clone(), "/api/v1/series?match[]=%7B%7D", 400, &[bad_data]).await?;
    check(get.clone(), "/federate?match[]=up%7B", 400, &[]).await?;
    check(get.clone(), "/api/v1/no_such_page", 404, &[]).await?;
    check(Method::DELETE, "/api/v1/query", 405, &[]).await?;
    // Two series where there may be one: found while evaluating.
    let twice =
        "vector(1)%2Bon()(label_replace(vector(1),%22a%22,%22b%22,%22%22,%22%22)or%20vector(2))";
    let execution = "\"errorType\":\"execution\"";
    check(get, &format!("/api/v1/query?query={twice}"), 422, &[execution]).await?;
    lives(&edge).await
}
