//! The command lines of everything that runs in a tree: our binaries and Debian's programs.
//!
//! All of them listen on loopback only, and keep their files below one directory:
//!
//! ```text
//! <directory>/config/   what they read: written before they start
//! <directory>/data/     what they store, one folder each
//! <directory>/logs/     what they say, one file each
//! ```

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::peers::{self, ALERTMANAGER, ETCD, NODE_EXPORTER, PROMETHEUS};
use crate::process::Program;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Edge,
    Cascade,
    Central,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edge => "edge",
            Self::Cascade => "cascade",
            Self::Central => "central",
        })
    }
}

/// Our own binaries: they lie beside the one that runs, as cargo builds them.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    pub fn beside_this_program() -> anyhow::Result<Self> {
        let program = env::current_exe().context("find our own program")?;
        let directory = program.parent().unwrap_or(Path::new("."));
        // A test's program lies one level deeper.
        let directory =
            if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
        Ok(Self(directory.unwrap_or(Path::new(".")).to_owned()))
    }

    pub fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// Where Debian's programs are.
#[derive(Clone, Debug)]
pub struct Peers {
    prometheus: PathBuf,
    alertmanager: PathBuf,
    node_exporter: PathBuf,
    etcd: PathBuf,
}

impl Peers {
    pub fn find() -> anyhow::Result<Self> {
        let [prometheus, alertmanager, node_exporter, etcd] =
            peers::find([PROMETHEUS, ALERTMANAGER, NODE_EXPORTER, ETCD])?;
        Ok(Self { prometheus, alertmanager, node_exporter, etcd })
    }
}

/// The directory that all files of one tree are in. Absolute, so that it means the same everywhere.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(std::path::absolute(path).with_context(|| path.display().to_string())?))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `name` of a process, such as `edge cn-hangzhou`, becomes part of a file's name.
    pub fn config(&self, name: &str) -> PathBuf {
        self.0.join("config").join(format!("{}.yml", file_name(name)))
    }

    fn data(&self, name: &str) -> String {
        self.0.join("data").join(file_name(name)).display().to_string()
    }

    fn program(
        &self,
        name: &str,
        path: PathBuf,
        ready_url: String,
        arguments: Vec<String>,
    ) -> Program {
        let log = self.0.join("logs").join(format!("{}.log", file_name(name)));
        Program { name: name.to_owned(), path, arguments, log, ready_url }
    }
}

fn file_name(name: &str) -> String {
    name.replace(' ', "-")
}

/// An edge, a cascade or a central. Its configuration is read from [`Directory::config`].
pub fn tier(
    tier: Tier,
    name: &str,
    port: u16,
    binaries: &Binaries,
    directory: &Directory,
) -> Program {
    let arguments = vec![
        format!("--config.file={}", directory.config(name).display()),
        format!("--storage.path={}", directory.data(name)),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--web.enable-lifecycle".to_owned(),
    ];
    let path = binaries.path(&format!("watershed-{tier}"));
    directory.program(name, path, ready_url(port), arguments)
}

/// The synthetic fleet, on its port.
pub fn simulator(port: u16, binaries: &Binaries, directory: &Directory) -> Program {
    let arguments = vec!["simulator".to_owned(), format!("--listen-address=127.0.0.1:{port}")];
    let url = format!("http://127.0.0.1:{port}/truth");
    directory.program("simulator", binaries.path("watershed"), url, arguments)
}

/// A real Prometheus. Its configuration is read from [`Directory::config`].
pub fn prometheus(name: &str, port: u16, peers: &Peers, directory: &Directory) -> Program {
    let arguments = vec![
        format!("--config.file={}", directory.config(name).display()),
        format!("--storage.tsdb.path={}", directory.data(name)),
        format!("--web.listen-address=127.0.0.1:{port}"),
        // It shall not wait for a receiver that is being stopped too.
        "--storage.remote.flush-deadline=1s".to_owned(),
    ];
    directory.program(name, peers.prometheus.clone(), ready_url(port), arguments)
}

/// A real Alertmanager without a cluster. Its configuration is read from [`Directory::config`].
pub fn alertmanager(name: &str, port: u16, peers: &Peers, directory: &Directory) -> Program {
    let arguments = vec![
        format!("--config.file={}", directory.config(name).display()),
        format!("--storage.path={}", directory.data(name)),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--cluster.listen-address=".to_owned(),
    ];
    directory.program(name, peers.alertmanager.clone(), ready_url(port), arguments)
}

/// A real node_exporter of this machine.
pub fn node_exporter(name: &str, port: u16, peers: &Peers, directory: &Directory) -> Program {
    let arguments = vec![format!("--web.listen-address=127.0.0.1:{port}")];
    let url = format!("http://127.0.0.1:{port}/");
    directory.program(name, peers.node_exporter.clone(), url, arguments)
}

/// The ports of an etcd.
#[derive(Clone, Copy, Debug)]
pub struct EtcdPorts {
    pub client: u16,
    pub peer: u16,
    pub metrics: u16,
}

/// A real etcd of one member.
pub fn etcd(name: &str, ports: EtcdPorts, peers: &Peers, directory: &Directory) -> Program {
    let EtcdPorts { client, peer, metrics } = ports;
    let arguments = vec![
        format!("--data-dir={}", directory.data(name)),
        "--name=demo".to_owned(),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=demo=http://127.0.0.1:{peer}"),
        format!("--listen-metrics-urls=http://127.0.0.1:{metrics}"),
    ];
    let url = format!("http://127.0.0.1:{metrics}/health");
    directory.program(name, peers.etcd.clone(), url, arguments)
}

fn ready_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/-/ready")
}
