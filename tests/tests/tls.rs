//! A real etcd that demands certificates of its clients, scraped by an edge:
//!
//! ```text
//! edge ── client.crt, ca.crt ──► etcd --client-cert-auth
//! ```

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use cli::peers::{self, ETCD};
use cli::ports;
use cli::process::{Process, Program};
use cli::programs::Tier;
use cli::ready;
use system_tests::authority::Authority;
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

async fn wait_for_up(edge: &Server, up: f64) -> anyhow::Result<()> {
    eventually(SOON, || async {
        let is = edge.value("up{job='etcd'}").await?;
        ensure!(is == Some(up), "up is {is:?}");
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
