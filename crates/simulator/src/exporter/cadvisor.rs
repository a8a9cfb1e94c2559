//! cAdvisor: the kubelet's page about containers. A restart of it is one of all its containers.

use crate::page::{Kind, Page};
use crate::topology::Pod;

pub(super) fn write(page: &mut Page<'_>) {
    let pods = &page.scene.cluster.nodes[page.scene.index].pods;
    let containers: Vec<Container<'_>> = pods.iter().map(Container::new).collect();
    cpu(page, &containers);
    memory(page, &containers);
    files(page, &containers);
    network(page, &containers);
    let started = page.scene.started.as_seconds();
    let mut start = page.family(
        "container_start_time_seconds",
        Kind::Gauge,
        "When the container started, in Unix time.",
    );
    for container in &containers {
        start.value(&container.labels(), started);
    }
}

/// A pod's only container, and the strings that its labels borrow.
struct Container<'a> {
    pod: &'a Pod,
    cgroup: String,
    image: String,
}

impl<'a> Container<'a> {
    fn new(pod: &'a Pod) -> Self {
        Self {
            pod,
            cgroup: format!("/kubepods/burstable/pod{}", pod.uid),
            image: format!("registry.example/{}:1.4.2", pod.app),
        }
    }

    fn labels(&self) -> [(&str, &str); 6] {
        [
            ("container", self.pod.app),
            ("id", &self.cgroup),
            ("image", &self.image),
            ("name", &self.pod.uid),
            ("namespace", self.pod.namespace),
            ("pod", &self.pod.name),
        ]
    }
}

fn cpu(page: &mut Page<'_>, containers: &[Container<'_>]) {
    let mut usage = page.family(
        "container_cpu_usage_seconds_total",
        Kind::Counter,
        "CPU time of the container in seconds.",
    );
    for container in containers {
        let [name, id, image, full_name, namespace, pod] = container.labels();
        let labels = [name, ("cpu", "total"), id, image, full_name, namespace, pod];
        usage.seconds(&labels, container.pod.cpu_cores);
    }
    for (name, help, per_second) in [
        ("container_cpu_cfs_periods_total", "Scheduler periods.", 10.0),
        ("container_cpu_cfs_throttled_periods_total", "Periods in which it was throttled.", 0.3),
    ] {
        let mut family = page.family(name, Kind::Counter, help);
        for container in containers {
            family.events(&container.labels(), per_second);
        }
    }
}

fn memory(page: &mut Page<'_>, containers: &[Container<'_>]) {
    for (name, help, share) in [
        ("container_memory_working_set_bytes", "Memory that cannot be reclaimed.", 1.0),
        ("container_memory_rss", "Anonymous memory.", 0.8),
        ("container_memory_cache", "Page cache.", 0.4),
    ] {
        let mut family = page.family(name, Kind::Gauge, help);
        for container in containers {
            let size = container.pod.key.word("memory").between(3e7, 9e8);
            family.level(&container.labels(), size * share, 0.1);
        }
    }
}

fn files(page: &mut Page<'_>, containers: &[Container<'_>]) {
    for (name, help, per_second) in [
        ("container_fs_reads_bytes_total", "Bytes read from files.", 2e3),
        ("container_fs_writes_bytes_total", "Bytes written to files.", 3e4),
    ] {
        let mut family = page.family(name, Kind::Counter, help);
        for container in containers {
            family.events(&container.labels(), per_second);
        }
    }
}

/// The network belongs to the pod: its series have no container.
fn network(page: &mut Page<'_>, containers: &[Container<'_>]) {
    for (name, help, per_second) in [
        ("container_network_receive_bytes_total", "Bytes received.", 2e4),
        ("container_network_transmit_bytes_total", "Bytes sent.", 3e4),
    ] {
        let mut family = page.family(name, Kind::Counter, help);
        for container in containers {
            let [_, id, _, _, namespace, pod] = container.labels();
            family.events(&[id, ("interface", "eth0"), namespace, pod], per_second);
        }
    }
}
