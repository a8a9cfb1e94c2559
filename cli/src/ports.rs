//! Who listens where: so that a busy port is an error that says what to do about it.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// A port that somebody else listens on.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy {
    pub port: u16,
    pub holder: Option<Holder>,
}

/// The process that holds it, as far as we may see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub name: String,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Some(Holder { pid, name }) => {
                write!(f, "port {} is in use by {name} (process {pid})", self.port)
            }
            None => write!(f, "port {} is in use by another user's process", self.port),
        }
    }
}

/// A port of the loopback interface that was free a moment ago.
pub fn free() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

/// Whether we could listen on `port` of the loopback interface, and if not, because of whom.
pub fn busy(port: u16) -> Option<Busy> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => None,
        Err(_) => Some(Busy { port, holder: socket_inode(port).and_then(|inode| holder(&inode)) }),
    }
}

/// The inode of the socket that listens on `port`: field 10 of its line in the kernel's tables.
fn socket_inode(port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let found = fields.get(1)?.ends_with(&port) && *fields.get(3)? == LISTEN;
            found.then(|| fields.get(9).map(ToString::to_string)).flatten()
        })
    })
}

/// The process that has the socket open.
fn holder(inode: &str) -> Option<Holder> {
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*socket))?;
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some(Holder { pid, name: name.trim_end().to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_names_its_holder() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let busy_port = busy(port).expect("we listen on it");
        assert_eq!(busy_port.holder.as_ref().unwrap().pid, std::process::id());
        assert!(busy_port.to_string().starts_with(&format!("port {port} is in use by ")));
    }
}
