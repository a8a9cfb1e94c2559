//! The real programs of Debian that the demo and the tests run beside ours.

use std::env;
use std::path::PathBuf;

use anyhow::bail;

/// A program and the Debian package it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub program: &'static str,
    pub package: &'static str,
}

pub const PROMETHEUS: Peer = Peer { program: "prometheus", package: "prometheus" };
pub const ALERTMANAGER: Peer =
    Peer { program: "prometheus-alertmanager", package: "prometheus-alertmanager" };
pub const NODE_EXPORTER: Peer =
    Peer { program: "prometheus-node-exporter", package: "prometheus-node-exporter" };
pub const ETCD: Peer = Peer { program: "etcd", package: "etcd-server" };

impl Peer {
    fn path(self) -> Option<PathBuf> {
        let directories = env::var_os("PATH").unwrap_or_default();
        let mut candidates = env::split_paths(&directories).map(|path| path.join(self.program));
        candidates.find(|path| path.is_file())
    }
}

/// Where the programs are, in the order asked for. Missing ones are named all at once, with the line
/// that installs them.
pub fn find<const N: usize>(peers: [Peer; N]) -> anyhow::Result<[PathBuf; N]> {
    let found = peers.map(Peer::path);
    let missing: Vec<Peer> = peers
        .into_iter()
        .zip(&found)
        .filter(|(_, path)| path.is_none())
        .map(|(peer, _)| peer)
        .collect();
    if !missing.is_empty() {
        let programs: Vec<&str> = missing.iter().map(|peer| peer.program).collect();
        let packages: Vec<&str> = missing.iter().map(|peer| peer.package).collect();
        bail!(
            "not installed: {}. As root: apt-get install --no-install-recommends {}",
            programs.join(", "),
            packages.join(" ")
        );
    }
    Ok(found.map(|path| path.expect("none is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_programs_are_named_with_the_line_that_installs_them() {
        let ghost = Peer { program: "no-such-exporter", package: "ghost" };
        let shade = Peer { program: "no-such-shade", package: "shade" };
        let shell = Peer { program: "sh", package: "dash" };
        let error = find([ghost, shell, shade]).unwrap_err().to_string();
        assert_eq!(
            error,
            "not installed: no-such-exporter, no-such-shade. \
             As root: apt-get install --no-install-recommends ghost shade"
        );
        assert!(find([shell]).is_ok());
    }
}
