//! The smallest whole tree, and a writer that remembers what was acknowledged:
//!
//! ```text
//!             page
//!              ▲ scrape, every second
//!  writer ─► edge ── remote write ──► cascade ── remote write ──► central
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cli::client::{Answer, answer};
use cli::programs::Tier;
use model::{Labels, METRIC_NAME, Sample, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::page::Page;
use crate::{Lab, Server, eventually, now, remote_write};

/// Series in each of the writer's requests.
const SERIES: usize = 20;
/// Between two requests, and before one is repeated.
const WRITE_PAUSE: Duration = Duration::from_millis(50);
/// Time for a backlog to arrive everywhere, senders' backoff included.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Chain {
    /// Edge, cascade, central.
    pub tiers: [Server; 3],
    _page: Page,
    _lab: Lab,
}

impl Chain {
    pub async fn start() -> anyhow::Result<Self> {
        let lab = Lab::new()?;
        let page = Page::serve("up_to_date 1\n").await?;
        let central = lab.tier(Tier::Central, "central", "").await?;
        let cascade = lab.tier(Tier::Cascade, "cascade", &forward_to(&central)).await?;
        let edge = format!(
            "global: {{scrape_interval: 1s, external_labels: {{edge: one}}}}\n\
             scrape_configs:\n\
             - job_name: page\n  \
               static_configs: [{{targets: ['127.0.0.1:{}']}}]\n\
             {}",
            page.port,
            forward_to(&cascade)
        );
        let edge = lab.tier(Tier::Edge, "edge", &edge).await?;
        Ok(Self { tiers: [edge, cascade, central], _page: page, _lab: lab })
    }

    pub fn edge(&self) -> &Server {
        &self.tiers[0]
    }

    pub fn central(&self) -> &Server {
        &self.tiers[2]
    }

    /// What the edge scrapes reaches central again: a sample younger than `since`, within two scrape
    /// intervals.
    pub async fn wait_for_scrape_after(&self, since: Timestamp) -> anyhow::Result<()> {
        let arrived = async || {
            let scraped = self.central().value("timestamp(up{job='page'})").await?;
            let scraped = scraped.context("central has no `up` at all")?;
            ensure!(scraped > since.as_seconds(), "the newest `up` is of {scraped}");
            Ok(())
        };
        eventually(2 * SCRAPE_INTERVAL, arrived).await.context("numbers come back at central")
    }

    /// Every sample is at every tier, with its value and once.
    pub async fn assert_has(&self, samples: &[Sample]) -> anyhow::Result<()> {
        for tier in &self.tiers {
            let has_all = || has(tier, samples);
            eventually(ARRIVAL_TIMEOUT, has_all)
                .await
                .with_context(|| tier.process.name().to_owned())?;
        }
        Ok(())
    }
}

fn forward_to(next: &Server) -> String {
    let url = next.url("/api/v1/write");
    format!("remote_write: [{{url: '{url}', protobuf_message: io.prometheus.write.v2.Request}}]\n")
}

async fn has(tier: &Server, samples: &[Sample]) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Ok(()) };
    // The window is left-open: it has to start before the first sample.
    let window = last.timestamp.millis_since(first.timestamp) + 1;
    let parameters =
        [("query", format!("sent[{window}ms]")), ("time", last.timestamp.as_seconds().to_string())];
    let response = tier.client()?.get("query", &parameters).await?;
    let Answer::Matrix(matrix) = answer(&response.data)? else { bail!("no matrix") };
    ensure!(matrix.len() == SERIES, "{} of {SERIES} series", matrix.len());
    for (labels, found) in matrix {
        let found: BTreeSet<_> = found.iter().map(key).collect();
        let missing: Vec<_> =
            samples.iter().filter(|sample| !found.contains(&key(sample))).collect();
        ensure!(
            missing.is_empty(),
            "{labels}: {} of {} acknowledged samples are missing, such as {:?}",
            missing.len(),
            samples.len(),
            missing[0]
        );
    }
    Ok(())
}

/// What makes two samples the same.
fn key(sample: &Sample) -> (i64, u64) {
    (sample.timestamp.as_millis(), sample.value.to_bits())
}

/// Writes one sample of each of its series at a time to a server that may be down, and goes on to the
/// next only when the server has acknowledged.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Sample>>,
}

impl Writer {
    pub fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write_until(Arc::clone(&stop), server.url("/api/v1/write")));
        Self { stop, task }
    }

    /// What was acknowledged, in the order of time.
    pub async fn stop(self) -> anyhow::Result<Vec<Sample>> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

async fn write_until(stop: Arc<AtomicBool>, url: String) -> Vec<Sample> {
    let mut acknowledged = Vec::new();
    let mut value = 0.0;
    while !stop.load(Ordering::Relaxed) {
        value += 1.0;
        let sample = Sample { timestamp: now(), value };
        let series: Vec<_> = (0..SERIES)
            .map(|number| {
                let labels = [(METRIC_NAME, "sent".to_owned()), ("number", number.to_string())];
                (Labels::from_iter(labels), vec![sample])
            })
            .collect();
        loop {
            sleep(WRITE_PAUSE).await;
            match remote_write(&url, &series).await {
                Ok(status) if status.is_success() => break,
                _ if stop.load(Ordering::Relaxed) => return acknowledged,
                _ => {}
            }
        }
        acknowledged.push(sample);
    }
    acknowledged
}
