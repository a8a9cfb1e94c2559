//! Watches that break off, expire, fall silent and are refused.

use axum::http::StatusCode;
use kubernetes_double::Cut;

use super::objects::*;
use super::*;

fn lists(server: &ApiServer) -> usize {
    let requests = server.requests();
    requests.iter().filter(|request| !request.contains("watch=true")).count()
}

#[tokio::test]
async fn targets_follow_objects_that_come_change_and_go() {
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "one"));
    let provider = Provider::of(&server, "role: pod");
    provider.wait_for(&["pod/a/one"]).await;
    server.put("pods", pod("b", "two"));
    provider.wait_for(&["pod/a/one", "pod/b/two"]).await;
    let before = provider.groups();

    let mut moved = pod("b", "two");
    moved["status"]["podIP"] = "10.0.0.9".into();
    server.put("pods", moved.clone());
    let address = || provider.groups()[1].targets[0].value("__address__").to_owned();
    eventually(|| address() == "10.0.0.9:8080", address).await;
    assert!(Arc::ptr_eq(&before[0], &provider.groups()[0]));

    moved["status"]["podIP"] = "".into(); // evicted: an object still, but nothing to reach
    server.put("pods", moved);
    provider.wait_for(&["pod/a/one"]).await;
    server.delete("pods", "a", "one");
    provider.wait_for(&[]).await;
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn large_lists_come_in_pages_and_start_again_where_they_expire() {
    let server = ApiServer::start().await.unwrap();
    for number in 0..1200 {
        server.put("nodes", node(&format!("node-{number:04}")));
    }
    server.expire_next_page();
    let provider = Provider::of(&server, "role: node");
    eventually(|| provider.groups().len() == 1200, || provider.groups().len().to_string()).await;
    let requests = server.requests();
    let limits: Vec<&str> = requests
        .iter()
        .filter_map(|request| {
            request.split(['?', '&']).find_map(|part| part.strip_prefix("limit="))
        })
        .collect();
    assert_eq!(limits, ["500", "500", "5000"], "{requests:?}");
    drop(provider);

    let provider = Provider::of(&server, "role: node");
    eventually(|| provider.groups().len() == 1200, || provider.groups().len().to_string()).await;
    let pages = server.requests().iter().filter(|request| request.contains("continue=")).count();
    assert_eq!(pages, 1 + 2);
}

#[tokio::test]
async fn a_watch_that_ends_or_breaks_off_goes_on_where_it_was() {
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "one"));
    let provider = Provider::of(&server, "role: pod");
    provider.wait_for(&["pod/a/one"]).await;
    let mut expected = vec!["pod/a/one".to_owned()];
    for (number, cut) in [Cut::Cleanly, Cut::InTheMiddle, Cut::Silently].into_iter().enumerate() {
        server.cut(cut);
        let name = format!("two-{number}");
        server.put("pods", pod("a", &name)); // while nobody watches
        expected.push(format!("pod/a/{name}"));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        provider.wait_for(&expected).await;
    }
    assert_eq!(lists(&server), 1, "{:?}", server.requests());
}

#[tokio::test]
async fn an_expired_version_is_listed_anew_without_losing_targets() {
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "goes"));
    server.put("pods", pod("a", "stays"));
    let provider = Provider::of(&server, "role: pod");
    provider.wait_for(&["pod/a/goes", "pod/a/stays"]).await;
    let before = provider.groups();

    // First in a watch that is open, then at the beginning of one.
    server.delete("pods", "a", "goes");
    server.put("pods", pod("a", "comes"));
    server.forget_versions();
    provider.wait_for(&["pod/a/comes", "pod/a/stays"]).await;
    assert!(Arc::ptr_eq(&before[1], &provider.groups()[1]), "what stays is as it was");
    server.refuse(Some(StatusCode::SERVICE_UNAVAILABLE));
    server.cut(Cut::Cleanly);
    server.delete("pods", "a", "comes");
    server.forget_versions();
    server.refuse(None);
    provider.wait_for(&["pod/a/stays"]).await;
    assert!(Arc::ptr_eq(&before[1], &provider.groups()[0]));
    assert!(lists(&server) >= 3, "{:?}", server.requests());
}

#[tokio::test]
async fn a_server_that_is_away_costs_no_target() {
    let mut server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "one"));
    let provider = Provider::of(&server, "role: pod");
    provider.wait_for(&["pod/a/one"]).await;
    server.stop();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(provider.sources(), ["pod/a/one"]);
    server.put("pods", pod("a", "two"));
    server.resume().await.unwrap();
    provider.wait_for(&["pod/a/one", "pod/a/two"]).await;
    for refusal in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS] {
        server.refuse(Some(refusal));
        server.cut(Cut::Cleanly);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(provider.sources().len(), 2);
        server.refuse(None);
    }
    server.delete("pods", "a", "one");
    provider.wait_for(&["pod/a/two"]).await;
}

#[tokio::test]
async fn bookmarks_move_on_the_version_to_start_from() {
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "one"));
    let provider = Provider::of(&server, "role: pod");
    provider.wait_for(&["pod/a/one"]).await;
    eventually(|| server.open_watches() == 1, String::new).await;
    for number in 0..9 {
        server.put("nodes", node(&format!("n-{number}"))); // nothing that this watch is told of
    }
    server.bookmark();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.cut(Cut::Cleanly);
    let goes_on = |request: &String| request.contains("resourceVersion=10&");
    let requests = || server.requests();
    eventually(|| requests().iter().any(goes_on), || format!("{:?}", requests())).await;
}

#[tokio::test]
async fn events_may_come_in_pieces() {
    let server = ApiServer::start().await.unwrap();
    let provider = Provider::of(&server, "role: pod");
    eventually(|| server.open_watches() == 1, String::new).await;
    server.drip(400, Duration::from_millis(5));
    server.put("pods", pod("a", "one"));
    server.put("pods", pod("a", "two"));
    provider.wait_for(&["pod/a/one", "pod/a/two"]).await;
}

#[tokio::test]
async fn what_is_watched_is_watched_once_and_no_longer_than_it_is_needed() {
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("shop", "web-1"));
    server.put("endpoints", endpoints("shop", "web", "web-1"));
    let watches = shared();
    let pods = Provider::start(config(&server, "role: pod"), &watches);
    let endpoints = Provider::start(config(&server, "role: endpoints"), &watches);
    let others =
        Provider::start(config(&server, "role: pod\nselectors: [{role: pod, label: x}]"), &watches);
    pods.wait_for(&["pod/shop/web-1"]).await;
    endpoints.wait_for(&["endpoints/shop/web"]).await;
    // pods once for the first two; endpoints and services; and the pods that a selector chooses
    eventually(|| server.open_watches() == 4, || server.open_watches().to_string()).await;
    drop((pods, others));
    eventually(|| server.open_watches() == 3, || server.open_watches().to_string()).await;
    drop(endpoints);
    eventually(|| server.open_watches() == 0, || server.open_watches().to_string()).await;
    assert_eq!(lists(&server), 4, "{:?}", server.requests());
}

#[tokio::test]
async fn selectors_and_namespaces_choose_what_is_asked_for() {
    let server = ApiServer::start().await.unwrap();
    for namespace in ["a", "b", "c"] {
        server.put("pods", pod(namespace, "one"));
        let mut other = pod(namespace, "two");
        other["spec"]["nodeName"] = "node-2".into();
        server.put("pods", other);
    }
    let provider = Provider::of(
        &server,
        "role: pod\nnamespaces: {names: [a, c]}\n\
         selectors: [{role: pod, label: 'empty=', field: spec.nodeName=node-2}]",
    );
    provider.wait_for(&["pod/a/two", "pod/c/two"]).await;
    let mut moved = pod("a", "two");
    moved["metadata"]["labels"] = serde_json::json!({});
    server.put("pods", moved); // no longer chosen: for the watcher it is deleted
    provider.wait_for(&["pod/c/two"]).await;
}

#[tokio::test]
async fn what_changes_around_an_object_changes_its_targets() {
    let server = ApiServer::start().await.unwrap();
    server.put("endpointslices", slice("shop", "web-x", "web", "web-1"));
    let attach = "role: endpointslice\nattach_metadata: {node: true, namespace: true}";
    let provider = Provider::of(&server, attach);
    provider.wait_for(&["endpointslice/shop/web-x"]).await;
    let has = |name: &str| {
        let group = provider.groups()[0].clone();
        let name = format!("__meta_kubernetes_{name}");
        std::iter::once(&group.labels).chain(&group.targets).any(|l| l.get(&name).is_some())
    };
    let labels = [
        "pod_name",
        "service_name",
        "node_label_topology_kubernetes_io_zone",
        "namespace_label_tenant",
    ];
    assert_eq!(labels.map(has), [false; 4]);
    server.put("pods", pod("shop", "web-1"));
    eventually(|| has(labels[0]), || labels[0].to_owned()).await;
    server.put("services", service("shop", "web"));
    eventually(|| has(labels[1]), || labels[1].to_owned()).await;
    server.put("nodes", node("node-1"));
    eventually(|| has(labels[2]), || labels[2].to_owned()).await;
    server.put("namespaces", namespace("shop"));
    eventually(|| has(labels[3]), || labels[3].to_owned()).await;
    server.delete("pods", "shop", "web-1");
    eventually(|| !has(labels[0]), || labels[0].to_owned()).await;
}

#[tokio::test]
async fn a_token_file_is_read_again_for_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "old").unwrap();
    let server = ApiServer::start().await.unwrap();
    server.put("pods", pod("a", "one"));
    server.require_token("new");
    let authorization = format!("authorization: {{credentials_file: '{}'}}", file.display());
    let provider = Provider::of(&server, &format!("role: pod\n{authorization}"));
    eventually(|| lists(&server) >= 2, String::new).await;
    assert!(provider.groups().is_empty());
    std::fs::write(&file, "new").unwrap();
    provider.wait_for(&["pod/a/one"]).await;
}
