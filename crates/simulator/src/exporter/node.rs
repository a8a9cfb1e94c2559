//! node_exporter. A restart of it is a reboot of its node: the kernel's counters start over.

use super::process;
use crate::page::{Kind, Page};
use crate::topology::Node;

/// How the busy time of a CPU divides into modes; adds up to 1.
const BUSY_MODES: [(&str, f64); 5] =
    [("irq", 0.01), ("nice", 0.02), ("softirq", 0.07), ("system", 0.25), ("user", 0.65)];
/// Modes in which a CPU does nothing for this system, as shares of what is not busy; add up to 1.
const REST_MODES: [(&str, f64); 3] = [("idle", 0.97), ("iowait", 0.02), ("steal", 0.01)];

const MEMORY_BYTES: f64 = 33_554_432_000.0;
const DEVICES: [&str; 2] = ["nvme0n1", "nvme1n1"];

pub(super) fn write(page: &mut Page<'_>) {
    let node = &page.scene.cluster.nodes[page.scene.index];
    cpu(page, node);
    memory(page);
    filesystems(page);
    disks(page);
    network(page);
    kernel(page);
    page.family("node_uname_info", Kind::Gauge, "What uname says.").value(
        &[
            ("machine", "x86_64"),
            ("nodename", &node.name),
            ("release", "6.12.41"),
            ("sysname", "Linux"),
        ],
        1.0,
    );
    process::process(page, 0.02, 2.4e7);
    process::go(page);
}

fn cpu(page: &mut Page<'_>, node: &Node) {
    let cpus = page.scene.cluster.cpus_per_node;
    let busy = node.busy_cores / cpus as f64;
    let mut seconds = page.family(
        "node_cpu_seconds_total",
        Kind::Counter,
        "Seconds each CPU spent in each mode.",
    );
    for cpu in 0..cpus {
        let cpu = cpu.to_string();
        for (mode, share) in BUSY_MODES {
            seconds.seconds(&[("cpu", &cpu), ("mode", mode)], busy * share);
        }
        for (mode, share) in REST_MODES {
            seconds.seconds(&[("cpu", &cpu), ("mode", mode)], (1.0 - busy) * share);
        }
    }
    for (name, help) in [
        ("node_load1", "Load average over 1 minute."),
        ("node_load5", "Load average over 5 minutes."),
        ("node_load15", "Load average over 15 minutes."),
    ] {
        page.gauge(name, help, (node.busy_cores * 110.0).round() / 100.0);
    }
}

fn memory(page: &mut Page<'_>) {
    page.gauge("node_memory_MemTotal_bytes", "MemTotal of /proc/meminfo.", MEMORY_BYTES);
    for (name, help, share) in [
        ("node_memory_MemFree_bytes", "MemFree of /proc/meminfo.", 0.2),
        ("node_memory_MemAvailable_bytes", "MemAvailable of /proc/meminfo.", 0.45),
        ("node_memory_Buffers_bytes", "Buffers of /proc/meminfo.", 0.01),
        ("node_memory_Cached_bytes", "Cached of /proc/meminfo.", 0.25),
    ] {
        page.level(name, help, MEMORY_BYTES * share, 0.05);
    }
}

fn filesystems(page: &mut Page<'_>) {
    const MOUNTS: [[(&str, &str); 3]; 2] = [
        [("device", "/dev/nvme0n1p1"), ("fstype", "ext4"), ("mountpoint", "/")],
        [("device", "/dev/nvme1n1"), ("fstype", "xfs"), ("mountpoint", "/var/lib/containerd")],
    ];
    for (name, help, amount, swing) in [
        ("node_filesystem_size_bytes", "Size of the file system.", 107_374_182_400.0, 0.0),
        ("node_filesystem_avail_bytes", "Bytes available to users.", 6e10, 0.02),
        ("node_filesystem_files", "Inodes of the file system.", 6_553_600.0, 0.0),
        ("node_filesystem_files_free", "Free inodes.", 6e6, 0.02),
    ] {
        let mut family = page.family(name, Kind::Gauge, help);
        for mount in &MOUNTS {
            family.level(mount, amount, swing);
        }
    }
}

fn disks(page: &mut Page<'_>) {
    for (name, help, per_second) in [
        ("node_disk_reads_completed_total", "Reads completed.", 6.0),
        ("node_disk_read_bytes_total", "Bytes read.", 3e5),
        ("node_disk_writes_completed_total", "Writes completed.", 40.0),
        ("node_disk_written_bytes_total", "Bytes written.", 2e6),
    ] {
        let mut family = page.family(name, Kind::Counter, help);
        for device in DEVICES {
            family.events(&[("device", device)], per_second);
        }
    }
    let mut io = page.family(
        "node_disk_io_time_seconds_total",
        Kind::Counter,
        "Seconds in which the disk was busy.",
    );
    for device in DEVICES {
        io.seconds(&[("device", device)], 0.08);
    }
}

fn network(page: &mut Page<'_>) {
    for (name, help, per_second) in [
        ("node_network_receive_bytes_total", "Bytes received.", 4e6),
        ("node_network_receive_packets_total", "Packets received.", 5e3),
        ("node_network_receive_errs_total", "Receive errors.", 0.001),
        ("node_network_receive_drop_total", "Received packets dropped.", 0.01),
        ("node_network_transmit_bytes_total", "Bytes sent.", 3e6),
        ("node_network_transmit_packets_total", "Packets sent.", 4e3),
        ("node_network_transmit_errs_total", "Transmit errors.", 0.001),
        ("node_network_transmit_drop_total", "Packets dropped before sending.", 0.01),
    ] {
        let mut family = page.family(name, Kind::Counter, help);
        for device in ["eth0", "lo"] {
            family.events(&[("device", device)], per_second);
        }
    }
    page.family("node_netstat_Tcp_RetransSegs", Kind::Untyped, "TCP segments sent again.")
        .events(&[], 0.4);
    page.level("node_nf_conntrack_entries", "Flows that the kernel tracks.", 3e3, 0.3);
    page.gauge("node_nf_conntrack_entries_limit", "Flows that it can track.", 262_144.0);
}

fn kernel(page: &mut Page<'_>) {
    for (name, help) in [
        ("node_pressure_cpu_waiting_seconds_total", "Seconds of waiting for CPU."),
        ("node_pressure_io_waiting_seconds_total", "Seconds of waiting for I/O."),
        ("node_pressure_memory_waiting_seconds_total", "Seconds of waiting for memory."),
    ] {
        page.seconds(name, help, 0.03);
    }
    page.events("node_context_switches_total", "Context switches.", 3e4);
    page.events("node_forks_total", "Forks.", 9.0);
    page.family("node_vmstat_pgmajfault", Kind::Untyped, "Major page faults.").events(&[], 0.2);
    page.gauge("node_timex_sync_status", "Whether the clock is synchronised.", 1.0);
    let booted = page.scene.started.as_seconds();
    page.gauge("node_boot_time_seconds", "When the node booted, in Unix time.", booted);
}
