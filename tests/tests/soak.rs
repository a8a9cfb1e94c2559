//! `make soak`: tiers of a running tree (drawn in `system_tests::chain`) are killed at random for
//! `SOAK_SECONDS`; after each round, every acknowledged sample is at every tier.

use std::env;
use std::time::{Duration, Instant};

use anyhow::Context;
use system_tests::chain::{Chain, Writer};
use tokio::time::sleep;

/// Kills in one round.
const KILLS: usize = 5;
const PAUSE_MILLIS_MAX: u64 = 4000;

#[tokio::test]
#[ignore = "takes SOAK_SECONDS; `make soak` runs it"]
async fn random_kills_lose_nothing() -> anyhow::Result<()> {
    let seconds = env::var("SOAK_SECONDS").context("SOAK_SECONDS")?.parse()?;
    let seed = fastrand::u64(..);
    println!("for {seconds} s, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let mut chain = Chain::start().await?;
    let started = Instant::now();
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        let writer = Writer::start(chain.edge());
        for _ in 0..KILLS {
            sleep(Duration::from_millis(random.u64(0..PAUSE_MILLIS_MAX))).await;
            let victim = random.usize(0..chain.tiers.len());
            chain.tiers[victim].crash_and_restart().await?;
        }
        let acknowledged = writer.stop().await?;
        chain.assert_has(&acknowledged).await?;
        rounds += 1;
        println!("round {rounds}: {} samples acknowledged and found", acknowledged.len());
    }
    Ok(())
}
