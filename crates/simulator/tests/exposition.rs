//! Every kind of page, read by Debian's `promtool`.

use std::io::Write;
use std::process::{Command, Stdio};

use model::Timestamp;
use simulator::{Fleet, Profile};

/// Names and types that the real exporters have, whatever the linter thinks of them.
const DISLIKED_BUT_REAL: [&str; 4] = [
    "node_memory_Mem",                       // camelCase, as in /proc/meminfo
    "node_netstat_Tcp_RetransSegs",          // camelCase, as in /proc/net/snmp
    "etcd_server_proposals_committed_total", // a gauge named like a counter
    "etcd_server_proposals_applied_total",   // likewise
];

#[test]
fn promtool_accepts_every_kind_of_page() {
    let fleet = Fleet::new(&Profile::demo(), 7);
    for target in fleet.targets_of("cn-beijing-rw") {
        let page = fleet.page(target, Timestamp::from_millis(1_800_000_001_000)).unwrap();
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool is missing: apt-get install prometheus");
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let complaints: Vec<&str> = said
            .lines()
            .filter(|line| !DISLIKED_BUT_REAL.iter().any(|name| line.starts_with(name)))
            .collect();
        assert!(complaints.is_empty(), "{}: {complaints:#?}", target.path);
        // 3: only the linter complained; 1: the page does not parse.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}: {said}", target.path);
    }
}
