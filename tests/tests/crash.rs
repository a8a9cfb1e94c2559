//! Kill −9 at every tier of a running tree (the tree is drawn in `system_tests::chain`): nothing that
//! was acknowledged is lost, and numbers come back within two scrape intervals.

use std::time::Duration;

use system_tests::chain::{Chain, Writer};
use system_tests::now;
use tokio::time::sleep;

/// Long enough for samples to be at every stage of the way when a tier is killed.
const UNDISTURBED: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_killed_tier_loses_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let mut chain = Chain::start().await?;
    let writer = Writer::start(chain.edge());
    for victim in 0..chain.tiers.len() {
        sleep(UNDISTURBED).await;
        chain.tiers[victim].crash_and_restart().await?;
        chain.wait_for_scrape_after(now()).await?;
    }
    let acknowledged = writer.stop().await?;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    chain.assert_has(&acknowledged).await
}

#[tokio::test]
async fn what_arrives_while_the_next_tier_is_down_is_a_delay_and_no_gap() -> anyhow::Result<()> {
    let mut chain = Chain::start().await?;
    let writer = Writer::start(chain.edge());
    sleep(UNDISTURBED).await;
    chain.tiers[1].process.kill();
    sleep(UNDISTURBED).await;
    let acknowledged = writer.stop().await?;
    // The edge has what the cascade never saw, and dies with it.
    chain.tiers[0].crash_and_restart().await?;
    chain.tiers[1].crash_and_restart().await?;
    chain.assert_has(&acknowledged).await
}
