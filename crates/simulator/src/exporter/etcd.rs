//! etcd.

use model::Timestamp;

use super::process;
use crate::fault::Fault;
use crate::noise::wave;
use crate::page::{Kind, Latency, Observations, Page};
use crate::topology::{self, Cluster};

const DISK_BOUNDS: [f64; 14] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096,
    8.192,
];
const ROUND_TRIP_BOUNDS: [f64; 8] =
    [0.0001, 0.0004, 0.0016, 0.0064, 0.0256, 0.1024, 0.4096, 1.6384];

const QUOTA_BYTES: f64 = 8_589_934_592.0;
const PAGE_BYTES: f64 = 4096.0;
const FSYNCS_PER_SECOND: f64 = 30.0;
/// While [`Fault::EtcdSlowFsync`] is broken: what part of fsyncs is slow, and how slow.
const SLOW_SHARE: f64 = 0.5;
const SLOW: Latency = Latency { median: 0.7 };

/// The database of the cluster: it swings by 2 % in an hour, so by no more than 0.25 % in a minute.
pub(crate) fn size_bytes(cluster: &Cluster, at: Timestamp) -> f64 {
    let key = cluster.key.word("etcd size");
    let size = wave(cluster.etcd_size_bytes, 0.02, 3600.0, at.as_seconds(), key);
    (size / PAGE_BYTES).round() * PAGE_BYTES
}

pub(super) fn write(page: &mut Page<'_>) {
    raft(page);
    database(page);
    disk(page);
    peers(page);
    grpc(page);
    process::process(page, 0.15, 2.5e8);
    process::go(page);
}

fn raft(page: &mut Page<'_>) {
    let has_leader = !page.scene.is_broken(Fault::EtcdNoLeader);
    let leads = has_leader && page.scene.index == 0;
    let leaderless = page.scene.broken_seconds(Fault::EtcdNoLeader);
    page.gauge("etcd_server_has_leader", "Whether a leader exists.", flag(has_leader));
    page.gauge("etcd_server_is_leader", "Whether this member leads.", flag(leads));
    page.events("etcd_server_leader_changes_seen_total", "Leader changes seen.", 0.000_1);
    // Gauges in etcd too, whatever their names say.
    for (name, help) in [
        ("etcd_server_proposals_committed_total", "Proposals committed."),
        ("etcd_server_proposals_applied_total", "Proposals applied."),
    ] {
        page.family(name, Kind::Gauge, help).events_except(&[], 80.0, 40.0 * leaderless);
    }
    let pending = if has_leader { 0.0 } else { 40.0 };
    page.gauge("etcd_server_proposals_pending", "Proposals waiting to be committed.", pending);
    page.family("etcd_server_proposals_failed_total", Kind::Counter, "Proposals that failed.")
        .events_except(&[], 0.001, -40.0 * leaderless);
    page.events("etcd_server_slow_apply_total", "Slow applies.", 0.01);
    page.events("etcd_server_heartbeat_send_failures_total", "Late heartbeats.", 0.001);
}

fn database(page: &mut Page<'_>) {
    let size = size_bytes(page.scene.cluster, page.scene.now);
    page.gauge("etcd_mvcc_db_total_size_in_bytes", "Size of the database file.", size);
    page.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Of it, in use.", (size * 0.6).round());
    page.gauge("etcd_server_quota_backend_bytes", "The limit of its size.", QUOTA_BYTES);
}

fn disk(page: &mut Page<'_>) {
    let broken = page.scene.broken_seconds(Fault::EtcdSlowFsync);
    let slow = (FSYNCS_PER_SECOND * SLOW_SHARE * broken, SLOW);
    page.family(
        "etcd_disk_wal_fsync_duration_seconds",
        Kind::Histogram,
        "How long an fsync of the log took.",
    )
    .histogram(
        &[],
        &DISK_BOUNDS,
        Observations { slow: Some(slow), ..Observations::steady(FSYNCS_PER_SECOND, 0.002) },
    );
    page.family(
        "etcd_disk_backend_commit_duration_seconds",
        Kind::Histogram,
        "How long a commit of the database took.",
    )
    .histogram(&[], &DISK_BOUNDS, Observations::steady(8.0, 0.004));
    page.events("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", 6e4);
}

fn peers(page: &mut Page<'_>) {
    let cluster = page.scene.cluster;
    let peers: Vec<String> = topology::etcd_peers(page.scene.index)
        .map(|peer| topology::etcd_member_id(cluster, peer))
        .collect();
    let mut sent =
        page.family("etcd_network_peer_sent_bytes_total", Kind::Counter, "Bytes sent to a peer.");
    for peer in &peers {
        sent.events(&[("To", peer)], 9e4);
    }
    let mut received = page.family(
        "etcd_network_peer_received_bytes_total",
        Kind::Counter,
        "Bytes received from a peer.",
    );
    for peer in &peers {
        received.events(&[("From", peer)], 9e4);
    }
    let mut round_trips = page.family(
        "etcd_network_peer_round_trip_time_seconds",
        Kind::Histogram,
        "Round trips between peers.",
    );
    for peer in &peers {
        let observations = Observations::steady(0.2, 0.001);
        round_trips.histogram(&[("To", peer)], &ROUND_TRIP_BOUNDS, observations);
    }
}

fn grpc(page: &mut Page<'_>) {
    let mut handled =
        page.family("grpc_server_handled_total", Kind::Counter, "Calls completed, by code.");
    for (method, service, kind, per_second) in [
        ("Range", "etcdserverpb.KV", "unary", 60.0),
        ("Txn", "etcdserverpb.KV", "unary", 25.0),
        ("LeaseGrant", "etcdserverpb.Lease", "unary", 1.0),
        ("Watch", "etcdserverpb.Watch", "bidi_stream", 0.1),
    ] {
        for (code, share) in [("OK", 0.999), ("Unavailable", 0.001)] {
            let labels = [
                ("grpc_code", code),
                ("grpc_method", method),
                ("grpc_service", service),
                ("grpc_type", kind),
            ];
            handled.events(&labels, per_second * share);
        }
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
