//! `make demo-check`: the running tree against the ground truth.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::config::SCRAPE_INTERVAL_SECONDS;
use super::numbers::{Disagreement, Numbers};
use super::screen::Screen;
use super::sink::{AlertState, Sink};
use super::topology::{Node, Tree};
use super::truth::Truth;
use crate::client::Client;
use crate::process::Process;

/// All of it: nothing that hangs may keep the check from ending.
const TIMEOUT: Duration = Duration::from_secs(480);
/// A rate is right when its window of two minutes is full; then there may be a restart to wait for.
const AGREE_TIMEOUT: Duration = Duration::from_secs(240);
/// The alert waits for a minute before it fires.
const ALERT_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_secs(1);
/// So many disagreements are named; the others are counted.
const NAMED_MAX: usize = 20;

/// Two scrape intervals.
const COME_BACK_TIMEOUT: Duration = Duration::from_secs(2 * SCRAPE_INTERVAL_SECONDS as u64);
/// When a target of each cluster answered last, as known at a central.
const LAST_ANSWERS: &str = "min(cluster:up_timestamp_seconds:max)";

/// What is broken to see an alert, where, and the alert it has to raise.
const BROKEN_CLUSTER: &str = "eu-central-1-a";
const FAULT: &str = "etcd-no-leader";
const ALERT: &str = "EtcdNoLeader";

/// The whole check, of a tree that has just started.
pub(crate) async fn run(
    tree: &Tree,
    processes: &mut [Process],
    sink: &mut Sink,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let check = async {
        // First, for the alert takes as long to fire as the rates to be right.
        tell_simulator(tree, screen, "break").await?;
        numbers_agree(tree, screen, AGREE_TIMEOUT).await?;
        screen.say("every number at both centrals agrees with the simulator's ground truth");
        killed_tiers_come_back(tree, processes, screen).await?;
        arrival(AlertState::Firing, sink, screen).await?;
        tell_simulator(tree, screen, "mend").await?;
        arrival(AlertState::Resolved, sink, screen).await
    };
    timeout(TIMEOUT, check).await.with_context(|| format!("the check took over {TIMEOUT:?}"))?
}

/// Waits until every number at both centrals agrees with the truth.
async fn numbers_agree(tree: &Tree, screen: &mut Screen, within: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let truth = Truth::ask(&tree.simulator.url("/truth")).await?;
        let mut report = String::new();
        let mut is_over = true;
        for central in &tree.centrals {
            let disagreements = disagreements(central, &truth).await?;
            is_over &= disagreements.is_empty();
            let (name, count) = (&central.name, disagreements.len());
            report += &format!("  {name}: {count} numbers do not agree with the truth yet\n");
            if count > 0 && Instant::now() > deadline {
                bail!(
                    "after {within:?}, {count} numbers of {name} disagree with the truth:\n{}",
                    listed(&disagreements)
                );
            }
        }
        screen.show(&report);
        if is_over {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Kills one process of each tier with −9 and starts it again: within two scrape intervals, both
/// centrals have fresh numbers of every cluster; and they are right.
async fn killed_tiers_come_back(
    tree: &Tree,
    processes: &mut [Process],
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let victims = [&tree.edges[0].node.name, &tree.cascades[1].node.name, &tree.centrals[1].name];
    for process in processes {
        if victims.iter().any(|victim| *victim == process.name()) {
            screen.say(&format!("kill −9 {}, and start it again", process.name()));
            process.restart()?;
        }
    }
    let (restarted, started) = (jiff::Timestamp::now(), Instant::now());
    for central in &tree.centrals {
        let client = Client::new(&central.url(""))?;
        timeout_at(started + COME_BACK_TIMEOUT, has_answers_after(restarted, &client))
            .await
            .with_context(|| format!("no fresh numbers at {} in time", central.name))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    screen.say(&format!("after {seconds:.1} s, both centrals have fresh numbers of every cluster"));
    numbers_agree(tree, screen, COME_BACK_TIMEOUT).await
}

/// Waits until a central knows, of every cluster, of a target that answered after `time`.
async fn has_answers_after(time: jiff::Timestamp, central: &Client) {
    let time = time.as_millisecond() as f64 / 1000.0;
    loop {
        // A central that is not up yet has no numbers.
        let last_answers = central.vector(LAST_ANSWERS).await.unwrap_or_default();
        if last_answers.iter().any(|(_, last)| last.value > time) {
            return;
        }
        sleep(POLL).await;
    }
}

async fn disagreements(central: &Node, truth: &Truth) -> anyhow::Result<Vec<Disagreement>> {
    let client = Client::new(&central.url(""))?;
    let numbers = Numbers::ask(&client).await.with_context(|| central.name.clone())?;
    Ok(numbers.disagreements(truth))
}

fn listed(disagreements: &[Disagreement]) -> String {
    let named = disagreements.iter().take(NAMED_MAX);
    let mut lines: Vec<String> = named.map(|one| format!("  {one}")).collect();
    if disagreements.len() > NAMED_MAX {
        lines.push(format!("  and {} more", disagreements.len() - NAMED_MAX));
    }
    lines.join("\n")
}

/// Breaks or mends something that no number depends on, and that raises an alert.
async fn tell_simulator(tree: &Tree, screen: &mut Screen, action: &str) -> anyhow::Result<()> {
    screen.say(&format!("{action} {FAULT} of {BROKEN_CLUSTER}"));
    let url = tree.simulator.url(&format!("/{action}?cluster={BROKEN_CLUSTER}&what={FAULT}"));
    let answer = reqwest::Client::new().post(&url).send().await.context("ask the simulator")?;
    answer.error_for_status().with_context(|| format!("{action} {FAULT}"))?;
    Ok(())
}

/// Says what arrives, until it is the alert looked for in this state.
async fn arrival(state: AlertState, sink: &mut Sink, screen: &mut Screen) -> anyhow::Result<()> {
    let wait = async {
        loop {
            let notification = sink.next().await;
            screen.say(&notification.to_string());
            let is_it = notification.label("alertname") == ALERT
                && notification.label("cluster") == BROKEN_CLUSTER
                && notification.status == state;
            if is_it {
                return;
            }
        }
    };
    timeout(ALERT_TIMEOUT, wait).await.with_context(|| {
        format!("{ALERT} of {BROKEN_CLUSTER} did not arrive as {state:?} at the webhook sink")
    })
}
