//! A server whose disk fills up, on a small disk of its own:
//!
//! ```text
//!  writer ─► edge ──► tmpfs of 16 MiB ◄── ballast
//! ```
//! Writers are refused, readers are served, and all goes on when there is room. What was acknowledged
//! survives kill −9, before the disk was full and while it was.

use std::time::Duration;

use anyhow::{Context, ensure};
use cli::client::{Answer, answer};
use cli::ports;
use cli::programs::{self, Tier};
use cli::ready;
use model::{Labels, METRIC_NAME, Sample, Timestamp};
use reqwest::StatusCode;
use system_tests::small_disk::SmallDisk;
use system_tests::{Lab, Server, eventually, now, remote_write};

const DISK_MEBIBYTES: u32 = 16;
/// One request: enough samples for a few hundred of them to need a megabyte.
const SERIES: usize = 200;
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let data = lab.directory().path().join("data").join("edge");
    let disk = SmallDisk::mount(&data, DISK_MEBIBYTES).await?;
    let mut edge = start_edge(&lab, &disk).await?;
    let mut acknowledged = Vec::new();
    write(&edge, 50, &mut acknowledged).await?;
    ensure!(acknowledged.len() == 50, "there is room: {}", acknowledged.len());

    disk.fill()?;
    let refused = write(&edge, 100, &mut acknowledged).await?;
    ensure!(refused == Some(StatusCode::SERVICE_UNAVAILABLE), "{refused:?}");
    assert_has(&edge, &acknowledged).await?;

    edge.crash_and_restart().await.context("restart on a full disk")?;
    assert_has(&edge, &acknowledged).await?;
    let refused = write(&edge, 100, &mut acknowledged).await?;
    ensure!(refused == Some(StatusCode::SERVICE_UNAVAILABLE), "{refused:?}");

    disk.clear()?;
    let recovered = async || {
        let mut more = Vec::new();
        write(&edge, 1, &mut more).await?;
        more.pop().context("writes are still refused")
    };
    acknowledged.push(eventually(RECOVERY_TIMEOUT, recovered).await?);
    write(&edge, 20, &mut acknowledged).await?;
    edge.crash_and_restart().await?;
    assert_has(&edge, &acknowledged).await
}

async fn start_edge(lab: &Lab, disk: &SmallDisk) -> anyhow::Result<Server> {
    let port = ports::free()?;
    let binaries = programs::Binaries::beside_this_program()?;
    let program = programs::tier(Tier::Edge, "edge", port, &binaries, lab.directory());
    let config = lab.directory().config("edge");
    std::fs::write(&config, "")?;
    let mut process = disk.enter(program).start()?;
    ready::wait(&mut process, READY_TIMEOUT).await?;
    Ok(Server::new(process, port, config))
}

/// Writes so many requests, or until one is refused: gives the status then.
async fn write(
    edge: &Server,
    requests: usize,
    acknowledged: &mut Vec<Sample>,
) -> anyhow::Result<Option<StatusCode>> {
    for _ in 0..requests {
        let sample = Sample { timestamp: later_than(acknowledged.last()), value: fastrand::f64() };
        let series: Vec<_> = (0..SERIES)
            .map(|number| {
                let labels = [(METRIC_NAME, "sent".to_owned()), ("number", number.to_string())];
                (Labels::from_iter(labels), vec![sample])
            })
            .collect();
        let status = remote_write(&edge.url("/api/v1/write"), &series).await?;
        if !status.is_success() {
            return Ok(Some(status));
        }
        acknowledged.push(sample);
    }
    Ok(None)
}

fn later_than(last: Option<&Sample>) -> Timestamp {
    now().max(last.map_or(Timestamp::EPOCH, |last| last.timestamp.plus_millis(1)))
}

async fn assert_has(edge: &Server, acknowledged: &[Sample]) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (acknowledged.first(), acknowledged.last()) else {
        return Ok(());
    };
    let window = last.timestamp.millis_since(first.timestamp) + 1;
    let parameters =
        [("query", format!("sent[{window}ms]")), ("time", last.timestamp.as_seconds().to_string())];
    let response = edge.client()?.get("query", &parameters).await?;
    let Answer::Matrix(matrix) = answer(&response.data)? else { anyhow::bail!("no matrix") };
    ensure!(matrix.len() == SERIES, "{} of {SERIES} series", matrix.len());
    for (labels, found) in matrix {
        ensure!(found == acknowledged, "{labels}: {} of {}", found.len(), acknowledged.len());
    }
    Ok(())
}
