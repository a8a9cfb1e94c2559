//! Waits until processes are of use.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

use crate::process::Process;

/// How often each page is asked for.
const POLL: Duration = Duration::from_millis(100);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// So many of its last lines are quoted when a process ends early.
const LOG_LINES: usize = 5;

/// How far one process has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Ready,
    /// And what its page says until then.
    Waiting(String),
}

/// Asks each process' page until all answer 200. `report` is told of each change, with the progress
/// of all in their order. A process that ends is an error with its last words, and so is one that is
/// not ready after `timeout`.
pub async fn wait_all(
    processes: &mut [Process],
    timeout: Duration,
    mut report: impl FnMut(&[Process], &[Progress]),
) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let deadline = Instant::now() + timeout;
    let mut progress = vec![Progress::Waiting("starting".to_owned()); processes.len()];
    report(processes, &progress);
    while let Some(waiting) = progress.iter().position(|one| *one != Progress::Ready) {
        if Instant::now() > deadline {
            let (process, progress) = (&processes[waiting], &progress[waiting]);
            bail!(
                "{} is not ready after {timeout:?}: {progress:?}; see {}",
                process.name(),
                process.program().log.display()
            );
        }
        for index in 0..processes.len() {
            check_running(&mut processes[index])?;
            if progress[index] == Progress::Ready {
                continue;
            }
            let now = ask(&http, &processes[index].program().ready_url).await;
            if now != progress[index] {
                progress[index] = now;
                report(processes, &progress);
            }
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// [`wait_all`] for one, silently.
pub async fn wait(process: &mut Process, timeout: Duration) -> anyhow::Result<()> {
    wait_all(std::slice::from_mut(process), timeout, |_, _| ()).await
}

fn check_running(process: &mut Process) -> anyhow::Result<()> {
    if let Some(status) = process.exited() {
        bail!(
            "{} ended ({status}); the end of {}:\n{}",
            process.name(),
            process.program().log.display(),
            process.last_log_lines(LOG_LINES)
        );
    }
    Ok(())
}

async fn ask(http: &reqwest::Client, url: &str) -> Progress {
    match http.get(url).send().await {
        Ok(answer) if answer.status().is_success() => Progress::Ready,
        Ok(answer) => Progress::Waiting(format!("answers {}", answer.status())),
        Err(error) if error.is_connect() => Progress::Waiting("does not listen yet".to_owned()),
        Err(_) => Progress::Waiting("does not answer yet".to_owned()),
    }
}
