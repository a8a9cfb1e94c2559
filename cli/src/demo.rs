//! `watershed demo`: a whole tree on loopback, from a synthetic fleet to alerts; and its check.
//!
//! Modules in the order in which they come into play.

mod topology;

mod config;
mod launch;

mod screen;
mod sink;

mod fleet;
mod numbers;
mod table;
mod truth;

mod check;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use simulator::{Fleet, Profile};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use self::launch::Site;
use self::numbers::Numbers;
use self::screen::Screen;
use self::sink::Sink;
use self::topology::Tree;
use crate::client::Client;
use crate::process::{self, Process};

/// For all processes to end, before they are killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How often the table is drawn, and who ended is started again.
const REFRESH: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Compare the tree's numbers with the ground truth, see an alert come and go, and end
    #[arg(long)]
    check: bool,
    /// Where the tree keeps its configuration, data and logs; what an earlier demo left is deleted
    #[arg(long, default_value = "demo-data")]
    directory: PathBuf,
    /// The rule packs: a folder with one folder for each tier
    #[arg(long, default_value = "rules")]
    rules: PathBuf,
}

/// Runs the demo until it is interrupted, or until the check is over. All children have ended when
/// this returns.
///
/// Call it on a thread that lives as long as the process: see PROCESS-1.
pub async fn run(arguments: DemoArgs) -> anyhow::Result<()> {
    let tree = Tree::demo(&Fleet::new(&Profile::demo(), crate::simulator::SEED));
    let site = Site::survey(&tree, &arguments.directory, &arguments.rules).await?;
    site.prepare(&tree)?;
    let sink = Sink::listen(tree.sink.port).await?;
    let mut demo = Demo { tree, sink, screen: Screen::new(), processes: Vec::new() };
    let outcome = tokio::select! {
        outcome = demo.run(&site, arguments.check) => outcome,
        interruption = interruption() => match (interruption, arguments.check) {
            (Ok(()), false) => Ok(()),
            (Ok(()), true) => Err(anyhow::anyhow!("interrupted")),
            (Err(error), _) => Err(error),
        }
    };
    demo.stop();
    outcome
}

struct Demo {
    tree: Tree,
    processes: Vec<Process>,
    sink: Sink,
    screen: Screen,
}

impl Demo {
    async fn run(&mut self, site: &Site, check: bool) -> anyhow::Result<()> {
        self.screen
            .say(&format!("starting the tree; files are in {}", site.directory.path().display()));
        self.processes = site.start(&self.tree, &mut self.screen).await?;
        if check {
            self.check().await
        } else {
            self.screen.say(&urls(&self.tree));
            self.watch().await
        }
    }

    async fn check(&mut self) -> anyhow::Result<()> {
        let Self { tree, processes, sink, screen } = &mut *self;
        check::run(tree, processes, sink, screen).await?;
        let table = self.table().await?;
        self.screen.say(&table);
        for process in &mut self.processes {
            if let Some(status) = process.exited() {
                bail!("{} ended ({status}):\n{}", process.name(), process.last_log_lines(5));
            }
        }
        self.screen.say("the demo tree is right");
        Ok(())
    }

    /// Shows the table and every alert that arrives, and starts again who ended: for ever.
    async fn watch(&mut self) -> anyhow::Result<()> {
        let mut refresh = interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notification = self.sink.next() => self.screen.say(&notification.to_string()),
                _ = refresh.tick() => {
                    self.revive()?;
                    // A central that is being started again has no table.
                    if let Ok(table) = self.table().await {
                        self.screen.show(&table);
                    }
                }
            }
        }
    }

    /// Starts again who ended: so one may kill any process and see the numbers come back.
    fn revive(&mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            if let Some(status) = process.exited() {
                self.screen.say(&format!("{} ended ({status}); starting it again", process.name()));
                process.restart()?;
            }
        }
        Ok(())
    }

    async fn table(&self) -> anyhow::Result<String> {
        let central = Client::new(&self.tree.centrals[0].url(""))?;
        Ok(table::render(&Numbers::ask(&central).await?))
    }

    fn stop(&mut self) {
        self.screen.keep();
        self.screen.say("stopping");
        for name in process::stop_all(&mut self.processes, STOP_GRACE) {
            self.screen.say(&format!("{name} had to be killed"));
        }
    }
}

/// Ctrl-C, a polite kill, or the terminal's end.
async fn interruption() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("listen to signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Where to look.
fn urls(tree: &Tree) -> String {
    let [a, b] = &tree.centrals;
    format!(
        "\n\
         ask central:     {}  and  {}\n  \
           fleet          {}\n  \
           a question     {}\n\
         alertmanager     {}\n\
         ground truth     {}\n\
         break something  curl -X POST '{}'\n\
         mend it          curl -X POST '{}'\n\
         Ctrl-C stops everything; a process that you kill is started again.\n",
        a.url("/"),
        b.url("/"),
        a.url("/api/v1/fleet"),
        a.url("/api/v1/query?query=continent:up:sum"),
        tree.alertmanager.url("/"),
        tree.simulator.url("/truth"),
        tree.simulator.url("/break?cluster=eu-central-1-a&what=etcd-no-leader"),
        tree.simulator.url("/mend?cluster=eu-central-1-a&what=etcd-no-leader"),
    )
}
