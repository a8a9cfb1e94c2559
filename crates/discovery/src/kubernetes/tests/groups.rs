//! What becomes of each kind of object: `testdata/kubernetes` holds it, label by label, as the sources
//! of Prometheus 3 have it. Debian builds its Prometheus without Kubernetes, so it cannot be asked.

use super::objects::*;
use super::*;

/// A cluster with one object of each kind.
async fn cluster() -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    server.put("nodes", node("node-1"));
    server.put("namespaces", namespace("shop"));
    server.put("pods", pod("shop", "web-1"));
    server.put("services", service("shop", "web"));
    server.put("endpoints", endpoints("shop", "web", "web-1"));
    server.put("endpointslices", slice("shop", "web-x", "web", "web-1"));
    server.put("ingresses", ingress("shop", "web"));
    server
}

async fn found(server: &ApiServer, config: &str) -> Arc<TargetGroup> {
    let provider = Provider::of(server, config);
    eventually(|| !provider.groups().is_empty(), || config.to_owned()).await;
    let groups = provider.groups();
    assert_eq!(groups.len(), 1, "{config}");
    Arc::clone(&groups[0])
}

/// The labels that a group's targets share, then those of each target, one on a line.
fn show(group: &TargetGroup) -> String {
    let mut text = format!("{}\n", group.source);
    for labels in std::iter::once(&group.labels).chain(&group.targets) {
        text.push('\n');
        for (name, value) in labels {
            text.push_str(&format!("{name} = {value}\n"));
        }
    }
    text
}

#[tokio::test]
async fn objects_become_groups_of_targets() {
    async fn check(config: &str, expect: &str) {
        let server = cluster().await;
        assert_eq!(show(&*found(&server, config).await), expect, "{config}");
    }
    check(
        "role: pod\nattach_metadata: {node: true, namespace: true}",
        include_str!("../../../testdata/kubernetes/pod.txt"),
    )
    .await;
    check("role: node", include_str!("../../../testdata/kubernetes/node.txt")).await;
    check(
        "role: service\nattach_metadata: {namespace: true}",
        include_str!("../../../testdata/kubernetes/service.txt"),
    )
    .await;
    check(
        "role: endpoints\nattach_metadata: {node: true}",
        include_str!("../../../testdata/kubernetes/endpoints.txt"),
    )
    .await;
    check(
        "role: endpointslice\nattach_metadata: {node: true}",
        include_str!("../../../testdata/kubernetes/endpointslice.txt"),
    )
    .await;
    check("role: ingress", include_str!("../../../testdata/kubernetes/ingress.txt")).await;
}
