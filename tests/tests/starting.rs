//! From the end of a server to its next start, and what it answers while its storage opens, which may
//! take as long as somebody likes:
//!
//! ```text
//!  wal/00000000, a pipe without a writer ─► central ─► /-/healthy, /metrics, /-/ready
//!
//!  remote write ─► central, ended and started again ─► query, /metrics
//! ```

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use cli::ports;
use cli::programs::{self, Binaries, Tier};
use model::Sample;
use system_tests::{Lab, Server, eventually, remote_write};

const SCRAPE: Duration = Duration::from_secs(15);
const SOON: Duration = Duration::from_secs(20);

async fn answer(server: &Server, path: &str) -> anyhow::Result<(u16, String)> {
    let request = reqwest::Client::new().get(server.url(path)).timeout(Duration::from_secs(5));
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// LIFE-3.
#[tokio::test]
async fn a_server_answers_while_its_storage_opens_and_can_be_stopped() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let port = ports::free()?;
    let binaries = Binaries::beside_this_program()?;
    let program = programs::tier(Tier::Central, "central", port, &binaries, lab.directory());
    let config = lab.directory().config(&program.name);
    fs::write(&config, "")?;
    let log = lab.directory().path().join("data/central/wal");
    fs::create_dir_all(&log)?;
    ensure!(Command::new("mkfifo").arg(log.join("00000000")).status()?.success());

    let mut server = Server::new(program.start()?, port, config);
    let healthy = async || {
        let (status, _) = answer(&server, "/-/healthy").await?;
        ensure!(status == 200, "{status}");
        Ok(())
    };
    eventually(SOON, healthy).await?;
    let (status, metrics) = answer(&server, "/metrics").await?;
    ensure!(status == 200 && metrics.contains("\nwatershed_tsdb_replay_segments 1\n"), "{metrics}");
    let why = "opening the storage";
    ensure!(answer(&server, "/-/ready").await? == (503, format!("{why}\n")));
    for path in ["/api/v1/query?query=1", "/federate", "/no/such/path"] {
        let (status, body) = answer(&server, path).await?;
        ensure!(status == 503 && body.contains(why), "{path}: {status} {body}");
    }
    let ended = server.process.stop(Duration::from_secs(10));
    ensure!(ended.is_some_and(|status| status.success()), "{ended:?}");

    fs::remove_file(log.join("00000000"))?;
    server.process.restart()?;
    let ready = async || {
        ensure!(answer(&server, "/-/ready").await?.0 == 200);
        Ok(())
    };
    eventually(SOON, ready).await?;
    ensure!(answer(&server, "/api/v1/query?query=1").await?.0 == 200);
    Ok(())
}

#[tokio::test]
async fn what_a_server_held_at_its_end_is_there_at_its_next_start_without_replay()
-> anyhow::Result<()> {
    let lab = Lab::new()?;
    let mut server = lab.tier(Tier::Central, "central", "").await?;
    let now = system_tests::now();
    let series = [("__name__", "m")].into_iter().collect();
    let samples = (0..10).map(|i| Sample { timestamp: now.minus(SCRAPE * i), value: 7.0 });
    let samples = samples.rev().collect();
    let status = remote_write(&server.url("/api/v1/write"), &[(series, samples)]).await?;
    ensure!(status.is_success(), "{status}");

    for is_clean in [true, true, false] {
        if is_clean {
            let ended = server.process.stop(Duration::from_secs(10));
            ensure!(ended.is_some_and(|status| status.success()), "{ended:?}");
        }
        server.crash_and_restart().await?;
        let (_, metrics) = answer(&server, "/metrics").await?;
        let taken_over =
            format!("\nwatershed_tsdb_saved_heads_loaded_total {}\n", u8::from(is_clean));
        ensure!(metrics.contains(&taken_over), "{metrics}");
        ensure!(server.value("count_over_time(m[10m])").await? == Some(10.0));
    }
    Ok(())
}
