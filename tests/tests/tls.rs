//! Real programs that demand certificates of their clients, and an edge that has one:
//!
//! ```text
//! edge ── scrape ──► etcd, prometheus, alertmanager
//!      ── remote write ──► prometheus
//!      ── alerts ──► alertmanager
//! ```

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cli::peers::{self, ALERTMANAGER, ETCD, PROMETHEUS, Peer};
use cli::ports;
use cli::process::{Process, Program};
use cli::programs::Tier;
use cli::ready;
use system_tests::authority::Authority;
use system_tests::page::Page;
use system_tests::{Lab, Server, eventually};

const SOON: Duration = Duration::from_secs(30);

/// Shows `server.crt` of `directory`, and trusts clients that `ca.crt` signed.
async fn etcd(lab: &Lab, directory: &Path, port: u16) -> anyhow::Result<Process> {
    let [path] = peers::find([ETCD])?;
    let (peer, metrics) = (ports::free()?, ports::free()?);
    let file = |name: &str| directory.join(name).display().to_string();
    let arguments = [
        format!("--data-dir={}", file("etcd")),
        format!("--listen-client-urls=https://127.0.0.1:{port}"),
        format!("--advertise-client-urls=https://127.0.0.1:{port}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--listen-metrics-urls=http://127.0.0.1:{metrics}"),
        format!("--cert-file={}", file("server.crt")),
        format!("--key-file={}", file("server.key")),
        "--client-cert-auth".to_owned(),
        format!("--trusted-ca-file={}", file("ca.crt")),
    ];
    let program = Program {
        name: "etcd".to_owned(),
        path,
        arguments: arguments.to_vec(),
        log: lab.directory().path().join("logs/etcd.log"),
        ready_url: format!("http://127.0.0.1:{metrics}/health"),
    };
    let mut process = program.start()?;
    ready::wait(&mut process, SOON).await?;
    Ok(process)
}

/// Reads `<name>.yml` and `web.yml` of `directory`, the latter of which says that it speaks TLS.
fn start(
    lab: &Lab,
    peer: Peer,
    directory: &Path,
    port: u16,
    flags: &[&str],
) -> anyhow::Result<Process> {
    let [path] = peers::find([peer])?;
    let file = |name: &str| directory.join(name).display().to_string();
    let mut arguments = vec![
        format!("--config.file={}", file(&format!("{}.yml", peer.program))),
        format!("--web.config.file={}", file("web.yml")),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let program = Program {
        name: peer.program.to_owned(),
        path,
        arguments,
        log: lab.directory().path().join(format!("logs/{}.log", peer.program)),
        ready_url: String::new(), // it speaks TLS only: the edge will tell
    };
    program.start()
}

async fn wait_for_up(edge: &Server, up: f64) -> anyhow::Result<()> {
    wait_for(edge, "up{job='etcd'}", up).await
}

async fn wait_for(edge: &Server, query: &str, expect: f64) -> anyhow::Result<()> {
    eventually(SOON, || async {
        let is = edge.value(query).await?;
        ensure!(is == Some(expect), "{query} is {is:?}");
        Ok(())
    })
    .await
}

async fn targets(edge: &Server) -> anyhow::Result<String> {
    Ok(reqwest::get(edge.url("/api/v1/targets")).await?.text().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_is_scraped_with_a_client_certificate_that_changes_meanwhile() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let directory = lab.directory().path().join("config");
    let (ours, others) = (Authority::new("ours")?, Authority::new("others")?);
    fs::write(directory.join("ca.crt"), &ours.pem)?;
    ours.sign(&directory, "server")?;
    ours.sign(&directory, "client")?;
    let port = ports::free()?;
    let _etcd = etcd(&lab, &directory, port).await?;

    let config = format!(
        "scrape_configs:\n\
         - job_name: etcd\n  \
           scrape_interval: 500ms\n  \
           scheme: https\n  \
           tls_config: {{ca_file: ca.crt, cert_file: client.crt, key_file: client.key}}\n  \
           static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    );
    let edge = lab.tier(Tier::Edge, "edge", &config).await?;
    wait_for_up(&edge, 1.0).await?;
    let leader = edge.value("etcd_server_has_leader{job='etcd'}").await?;
    ensure!(leader == Some(1.0), "{leader:?}");

    others.sign(&directory, "client")?;
    wait_for_up(&edge, 0.0).await?;
    let said = targets(&edge).await?;
    ensure!(said.contains("received fatal alert: "), "{said}");

    fs::remove_file(directory.join("client.crt"))?;
    eventually(SOON, || async {
        let said = targets(&edge).await?;
        ensure!(said.contains("client.crt: No such file"), "{said}");
        Ok(())
    })
    .await?;

    ours.sign(&directory, "client")?;
    wait_for_up(&edge, 1.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_and_alerts_are_sent_with_a_client_certificate() -> anyhow::Result<()> {
    let (lab, page) = (Lab::new()?, Page::serve("told 7\n").await?);
    let directory = lab.directory().path().join("config");
    let authority = Authority::new("ours")?;
    let write = |name: &str, text: &str| fs::write(directory.join(name), text);
    write("ca.crt", &authority.pem)?;
    authority.sign(&directory, "server")?;
    authority.sign(&directory, "client")?;
    write(
        "web.yml",
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, \
         client_auth_type: RequireAndVerifyClientCert}",
    )?;
    write("prometheus.yml", "{}")?;
    write("prometheus-alertmanager.yml", "{route: {receiver: none}, receivers: [{name: none}]}")?;
    write("rules.yml", "groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]")?;
    let data = |name: &str| format!("={}", lab.directory().path().join(name).display());
    let (prometheus, alertmanager) = (ports::free()?, ports::free()?);
    let storage = format!("--storage.tsdb.path{}", data("prometheus"));
    let flags = [storage.as_str(), "--web.enable-remote-write-receiver"];
    let _prometheus = start(&lab, PROMETHEUS, &directory, prometheus, &flags)?;
    let storage = format!("--storage.path{}", data("alertmanager"));
    let flags = [storage.as_str(), "--cluster.listen-address="];
    let _alertmanager = start(&lab, ALERTMANAGER, &directory, alertmanager, &flags)?;

    let tls = "tls_config: {ca_file: ca.crt, cert_file: client.crt, key_file: client.key}";
    let config = format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 500ms, external_labels: {{via: edge}}}}\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n\
         - job_name: page\n  \
           static_configs: [{{targets: ['127.0.0.1:{}']}}]\n\
         - job_name: prometheus\n  \
           scheme: https\n  \
           {tls}\n  \
           metrics_path: /federate\n  \
           honor_labels: true\n  \
           params: {{'match[]': [told]}}\n  \
           static_configs: [{{targets: ['127.0.0.1:{prometheus}']}}]\n\
         - job_name: alertmanager\n  \
           scheme: https\n  \
           {tls}\n  \
           static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]\n\
         remote_write:\n\
         - url: https://127.0.0.1:{prometheus}/api/v1/write\n  \
           {tls}\n  \
           write_relabel_configs: [{{source_labels: [job], regex: page, action: keep}}]\n\
         alerting:\n  \
           alertmanagers:\n  \
           - scheme: https\n    \
             {tls}\n    \
             static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]\n",
        page.port,
    );
    // Alerts may go out before the Alertmanager listens, and are to go out again soon.
    let flags = ["--rules.alert.resend-delay=1s"];
    let edge = lab.tier_with(Tier::Edge, "edge", &config, &flags).await?;
    wait_for(&edge, "told{via='edge', job='page'}", 7.0).await?;
    let received = "sum(alertmanager_alerts_received_total{status='firing'}) > bool 0";
    wait_for(&edge, received, 1.0).await
}
