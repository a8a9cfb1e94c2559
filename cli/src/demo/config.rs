//! The configuration files of the demo's tree: each is what an operator would write by hand.

use std::fmt::Write as _;
use std::path::Path;

use simulator::Target;

use super::topology::{Cascade, Collects, Edge, MACHINE_CLUSTER, Node, Tree};

/// How often targets are scraped. The demo shows within a minute what takes several in the field.
pub(crate) const SCRAPE_INTERVAL_SECONDS: u32 = 10;

/// What leaves an edge, and what leaves a cascade: aggregates, and what the tiers say of themselves.
/// Every other series stays where it was scraped.
const FROM_EDGE: &str = "(cluster|metacluster):.+";
const FROM_CASCADE: &str = "(cluster|metacluster|region|continent):.+";

/// The configuration of an edge.
pub(crate) fn edge(tree: &Tree, edge: &Edge, rules: &Path) -> String {
    let mut text = global(
        rules,
        &format!(
            "{{continent: {}, region: {}, metacluster: {}}}",
            edge.continent, edge.region, edge.metacluster
        ),
    );
    text += "scrape_configs:\n";
    text += &scrape_jobs(tree, &edge.targets);
    if edge.has_machine {
        text += &machine_jobs(tree);
    }
    let cascade = tree.cascade(edge.continent);
    if cascade.collects == Collects::IsPushed {
        text += &remote_write([&cascade.node], FROM_EDGE);
    }
    text
}

/// The configuration of a cascade.
pub(crate) fn cascade(tree: &Tree, cascade: &Cascade, rules: &Path) -> String {
    let mut text = global(rules, &format!("{{continent: {}}}", cascade.continent));
    if cascade.collects == Collects::Pulls {
        let edges = tree.edges.iter().filter(|edge| edge.continent == cascade.continent);
        let addresses: Vec<String> = edges.map(|edge| edge.node.address()).collect();
        let addresses = addresses.join(", ");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "scrape_configs:\n\
             - job_name: edges\n  \
               scrape_interval: 2s\n  \
               scrape_timeout: 2s\n  \
               metrics_path: /federate\n  \
               params: {{'match[]': ['{{__name__=~\"{FROM_EDGE}\"}}']}}\n  \
               honor_labels: true\n  \
               track_timestamps_staleness: true\n  \
               static_configs: [{{targets: [{addresses}]}}]\n"
        );
    }
    text + &remote_write(&tree.centrals, FROM_CASCADE)
}

/// The configuration of either central: no label tells them apart, so that Alertmanager sees one
/// alert where both of them fire.
pub(crate) fn central(tree: &Tree, rules: &Path) -> String {
    let alertmanager = tree.alertmanager.address();
    let alerting = format!(
        "alerting:\n  alertmanagers:\n  - static_configs: [{{targets: [{alertmanager}]}}]\n"
    );
    global(rules, "{}") + &alerting
}

/// The configuration of the Prometheus that a tenant cluster runs itself.
pub(crate) fn prometheus(tree: &Tree) -> String {
    format!(
        "global: {{scrape_interval: {SCRAPE_INTERVAL_SECONDS}s}}\n\
         scrape_configs:\n{}\
         remote_write:\n\
         - url: {}\n  \
           queue_config: {{batch_send_deadline: 1s}}\n",
        scrape_jobs(tree, &tree.pushing.targets),
        tree.pushing.edge.url("/api/v1/write"),
    )
}

pub(crate) fn alertmanager(tree: &Tree) -> String {
    format!(
        "route:\n  \
           receiver: sink\n  \
           group_by: [alertname, cluster]\n  \
           group_wait: 1s\n  \
           group_interval: 2s\n\
         receivers:\n\
         - name: sink\n  \
           webhook_configs: [{{url: '{}'}}]\n",
        tree.sink.url("/")
    )
}

fn global(rules: &Path, external_labels: &str) -> String {
    format!(
        "global:\n  \
           scrape_interval: {SCRAPE_INTERVAL_SECONDS}s\n  \
           scrape_timeout: 5s\n  \
           evaluation_interval: 2s\n  \
           external_labels: {external_labels}\n\
         rule_files: ['{}/*.yml']\n",
        rules.display()
    )
}

/// One job for each component, in the order of `targets`; each target names its own path and labels.
fn scrape_jobs(tree: &Tree, targets: &[Target]) -> String {
    let mut components: Vec<_> = targets.iter().map(|target| target.component).collect();
    components.sort_unstable();
    components.dedup();
    let mut text = String::new();
    for component in components {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "- job_name: {component}\n  static_configs:\n");
        for target in targets.iter().filter(|target| target.component == component) {
            let _ = write!(
                text,
                "  - targets: [{}]\n    labels: {{__metrics_path__: '{}'",
                tree.simulator.address(),
                target.path
            );
            for (name, value) in &target.labels {
                let _ = write!(text, ", {name}: '{value}'");
            }
            text += "}\n";
        }
    }
    text
}

/// The real programs of this machine.
fn machine_jobs(tree: &Tree) -> String {
    let job = |name: &str, node: &Node| {
        format!(
            "- job_name: {name}\n  \
               static_configs:\n  \
               - targets: [{}]\n    \
                 labels: {{cluster: {MACHINE_CLUSTER}, scope: meta}}\n",
            node.address()
        )
    };
    job("node-exporter-real", &tree.node_exporter) + &job("etcd-real", &tree.etcd)
}

/// Sends the series whose names match `names` to each of `to`.
fn remote_write<'a>(to: impl IntoIterator<Item = &'a Node>, names: &str) -> String {
    let mut text = "remote_write:\n".to_owned();
    for node in to {
        let url = node.url("/api/v1/write");
        let _ = write!(text, "- url: {url}\n  protobuf_message: io.prometheus.write.v2.Request\n");
        let _ = write!(
            text,
            "  write_relabel_configs:\n  \
             - {{source_labels: [__name__], regex: '{names}', action: keep}}\n"
        );
    }
    text
}
