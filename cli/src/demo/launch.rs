//! From nothing to a running tree: looks whether everything needed is there, writes the configuration
//! files, starts the processes and waits for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::config;
use super::screen::Screen;
use super::topology::{Node, Tree};
use crate::ports;
use crate::process::{Process, Program};
use crate::programs::{self, Binaries, Directory, Peers, Tier};
use crate::ready::{self, Progress};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Says that a directory's content is ours to delete.
const MARKER: &str = ".watershed-demo";

/// What the demo finds on the machine and is told on the command line.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) directory: Directory,
    /// The rule packs: one folder for each tier.
    pub(crate) rules: PathBuf,
    pub(crate) binaries: Binaries,
    pub(crate) peers: Peers,
    /// A node_exporter runs here already; another one is not needed.
    pub(crate) has_node_exporter: bool,
}

impl Site {
    /// Finds everything, or says all that is missing about it.
    pub(crate) async fn survey(
        tree: &Tree,
        directory: &Path,
        rules: &Path,
    ) -> anyhow::Result<Self> {
        let rules = std::path::absolute(rules)?;
        for tier in [Tier::Edge, Tier::Cascade, Tier::Central] {
            let pack = rules.join(tier.to_string());
            if !pack.is_dir() {
                bail!("no rule pack in {}: see --rules", pack.display());
            }
        }
        let has_node_exporter = is_node_exporter(&tree.node_exporter).await;
        let wanted = tree.ports().into_iter();
        let busy: Vec<String> = wanted
            .filter(|node| !(has_node_exporter && *node == tree.node_exporter))
            .filter_map(|node| Some(format!("{}: {}", node.name, ports::busy(node.port)?)))
            .collect();
        if !busy.is_empty() {
            bail!(
                "the demo needs ports that are taken; stop who has them\n  {}",
                busy.join("\n  ")
            );
        }
        Ok(Self {
            directory: Directory::new(directory)?,
            rules,
            binaries: Binaries::beside_this_program()?,
            peers: Peers::find()?,
            has_node_exporter,
        })
    }

    /// Empties the directory of what an earlier demo left, and writes the configuration files.
    pub(crate) fn prepare(&self, tree: &Tree) -> anyhow::Result<()> {
        let directory = self.directory.path();
        empty(directory)?;
        fs::create_dir_all(directory.join("config"))
            .context("create the configuration's directory")?;
        fs::write(directory.join(MARKER), "")?;
        for (name, text) in self.configs(tree) {
            let file = self.directory.config(&name);
            fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        }
        Ok(())
    }

    fn configs(&self, tree: &Tree) -> Vec<(String, String)> {
        let pack = |tier: Tier| self.rules.join(tier.to_string());
        let mut configs = vec![
            (tree.pushing.node.name.clone(), config::prometheus(tree)),
            (tree.alertmanager.name.clone(), config::alertmanager(tree)),
        ];
        for edge in &tree.edges {
            configs.push((edge.node.name.clone(), config::edge(tree, edge, &pack(Tier::Edge))));
        }
        for cascade in &tree.cascades {
            let text = config::cascade(tree, cascade, &pack(Tier::Cascade));
            configs.push((cascade.node.name.clone(), text));
        }
        for central in &tree.centrals {
            configs.push((central.name.clone(), config::central(tree, &pack(Tier::Central))));
        }
        configs
    }

    /// Starts everything, and shows how far it has come. What was started ends when this fails.
    pub(crate) async fn start(
        &self,
        tree: &Tree,
        screen: &mut Screen,
    ) -> anyhow::Result<Vec<Process>> {
        let mut processes = Vec::new();
        for program in self.programs(tree) {
            processes.push(program.start()?);
        }
        let mut told = vec![false; processes.len()];
        ready::wait_all(&mut processes, READY_TIMEOUT, |processes, progress| {
            screen.show(&status_block(processes, progress));
            for (index, process) in processes.iter().enumerate() {
                if !screen.is_terminal() && progress[index] == Progress::Ready && !told[index] {
                    told[index] = true;
                    screen.say(&format!("  ✓ {:<22} process {}", process.name(), process.pid()));
                }
            }
        })
        .await?;
        screen.keep();
        Ok(processes)
    }

    /// Whoever receives comes before who sends, so that nobody's first attempt fails.
    fn programs(&self, tree: &Tree) -> Vec<Program> {
        let Self { directory, binaries, peers, .. } = self;
        let tier =
            |tier, node: &Node| programs::tier(tier, &node.name, node.port, binaries, directory);
        let (alertmanager, prometheus) = (&tree.alertmanager, &tree.pushing.node);
        let mut list = vec![
            programs::simulator(tree.simulator.port, binaries, directory),
            programs::alertmanager(&alertmanager.name, alertmanager.port, peers, directory),
            programs::etcd(&tree.etcd.name, tree.etcd_ports, peers, directory),
        ];
        if !self.has_node_exporter {
            let Node { name, port } = &tree.node_exporter;
            list.push(programs::node_exporter(name, *port, peers, directory));
        }
        list.extend(tree.centrals.iter().map(|node| tier(Tier::Central, node)));
        list.extend(tree.cascades.iter().map(|cascade| tier(Tier::Cascade, &cascade.node)));
        list.extend(tree.edges.iter().map(|edge| tier(Tier::Edge, &edge.node)));
        list.push(programs::prometheus(&prometheus.name, prometheus.port, peers, directory));
        list
    }
}

/// Deletes what is in `directory`, if an earlier demo has made it.
fn empty(directory: &Path) -> anyhow::Result<()> {
    let is_empty = fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(());
    }
    if !directory.join(MARKER).is_file() {
        bail!("{} is not empty, and not from a demo: see --directory", directory.display());
    }
    fs::remove_dir_all(directory).with_context(|| format!("empty {}", directory.display()))
}

async fn is_node_exporter(node: &Node) -> bool {
    let Ok(answer) = reqwest::get(node.url("/metrics")).await else { return false };
    answer.text().await.is_ok_and(|text| text.contains("\nnode_exporter_build_info"))
}

/// One line for each process: what is up, what is awaited.
fn status_block(processes: &[Process], progress: &[Progress]) -> String {
    let line = |(process, progress): (&Process, &Progress)| {
        let (mark, state) = match progress {
            Progress::Ready => ('✓', "up"),
            Progress::Waiting(reason) => ('·', reason.as_str()),
        };
        format!("  {mark} {:<22} process {:<8} {state}\n", process.name(), process.pid())
    };
    processes.iter().zip(progress).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_demos_own_directory_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let demo = directory.path().join("demo-data");
        empty(&demo).unwrap(); // not there yet

        fs::create_dir(&demo).unwrap();
        fs::write(demo.join("thesis.txt"), "").unwrap();
        let error = empty(&demo).unwrap_err().to_string();
        assert!(error.contains("not from a demo"), "{error}");
        assert!(demo.join("thesis.txt").exists());

        fs::write(demo.join(MARKER), "").unwrap();
        empty(&demo).unwrap();
        assert!(!demo.exists());
    }
}
