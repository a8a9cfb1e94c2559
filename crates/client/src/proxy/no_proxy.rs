//! What is not asked of a proxy: `no_proxy`, and the variable `NO_PROXY`.
//!
//! ```text
//! list  := entry ("," entry)*
//! entry := "*" | address | network | name, each of the last but one with a port or without
//! ```
//! A name stands for itself and all names below it; one with a dot (or `*.`) before it for those below
//! it only. This machine is never asked of a proxy where there is such a list, even an empty one.

use std::net::IpAddr;

use ipnet::IpNet;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct NoProxy {
    entries: Vec<Entry>,
    spares_this_machine: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    All,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// `name` starts with a dot.
    Domain {
        name: String,
        with_itself: bool,
        port: Option<u16>,
    },
}

impl NoProxy {
    /// No exception at all.
    pub(super) fn nothing() -> Self {
        Self { entries: Vec::new(), spares_this_machine: false }
    }

    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split(',').map(|entry| entry.trim().to_lowercase());
        let entries = entries.filter(|entry| !entry.is_empty()).map(|entry| Entry::parse(&entry));
        Self { entries: entries.collect(), spares_this_machine: true }
    }

    pub(super) fn contains(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches([']', '.']).to_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_this_machine = host == "localhost" || address.is_some_and(|ip| ip.is_loopback());
        (self.spares_this_machine && is_this_machine)
            || self.entries.iter().any(|entry| entry.matches(&host, address, port))
    }
}

impl Entry {
    fn parse(entry: &str) -> Self {
        if entry == "*" {
            return Self::All;
        }
        if let Ok(network) = entry.parse() {
            return Self::Network(network);
        }
        let (host, port) = match entry.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port))
            }
            _ => (entry, None),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Self::Address(address, port);
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let with_itself = !name.starts_with('.');
        let name = if with_itself { format!(".{name}") } else { name.to_owned() };
        Self::Domain { name, with_itself, port }
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, asked: u16) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address(own, port) => address == Some(*own) && port.is_none_or(|p| p == asked),
            Self::Domain { name, with_itself, port } => {
                let is_itself = *with_itself && host == &name[1..];
                (is_itself || host.ends_with(name.as_str())) && port.is_none_or(|p| p == asked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_what_no_proxy_is_asked_about() {
        #[track_caller]
        fn check(list: &str, contains: &[(&str, u16)], contains_not: &[(&str, u16)]) {
            let no_proxy = NoProxy::parse(list);
            for (host, port) in contains {
                assert!(no_proxy.contains(host, *port), "{list}: {host}:{port}");
            }
            for (host, port) in contains_not {
                assert!(!no_proxy.contains(host, *port), "{list}: {host}:{port}");
            }
        }
        let here = [("localhost", 80), ("127.0.0.9", 80), ("[::1]", 80), ("LOCALHOST.", 1)];
        check("", &here, &[("a.example", 80)]);
        check("*", &[("a.example", 1), ("10.0.0.1", 1)], &[]);
        check(
            "example",
            &[("example", 1), ("a.EXAMPLE", 2)],
            &[("badexample", 1), ("example.a", 1)],
        );
        check(
            ".example, *.test",
            &[("a.example", 1), ("a.test", 1)],
            &[("example", 1), ("test", 1)],
        );
        check("a.example:80", &[("a.example", 80)], &[("a.example", 443)]);
        check("10.0.0.0/8,fd00::/8", &[("10.9.9.9", 1), ("[fd00::1]", 1)], &[("11.0.0.1", 1)]);
        check(
            "10.0.0.1:90,[fd00::2]:91",
            &[("10.0.0.1", 90), ("[fd00::2]", 91)],
            &[("10.0.0.1", 91)],
        );
        check(" fd00::2 ", &[("[fd00::2]", 1)], &[("[fd00::3]", 1)]);
        assert!(!NoProxy::nothing().contains("localhost", 80));
    }
}
