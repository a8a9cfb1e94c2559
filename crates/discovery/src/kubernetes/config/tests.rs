use super::*;

fn read(yaml: &str) -> Result<KubernetesConfig, String> {
    serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn the_server_is_where_the_configuration_says() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let mut config = read(yaml).unwrap();
        config.set_directory(Path::new("/etc/watershed"));
        let place = match config.place {
            Place::InCluster => "in cluster".to_owned(),
            Place::Kubeconfig(file) => file.display().to_string(),
            Place::Server(server) => server.url.to_string(),
        };
        assert_eq!(place, expect, "{yaml}");
    }
    check("role: pod", "in cluster");
    check("role: pod\nkubeconfig_file: meta.yml", "/etc/watershed/meta.yml");
    check("role: pod\napi_server: http://host:6443/k8s", "http://host:6443/k8s");
    check("{role: pod, api_server: 'http://host/', basic_auth: {username: me}}", "http://host/");
}

#[test]
fn namespaces_are_those_named_or_all() {
    #[track_caller]
    fn check(yaml: &str, expect: &[&str]) {
        assert_eq!(read(yaml).unwrap().namespaces().unwrap(), expect, "{yaml}");
    }
    check("role: pod", &[""]);
    check("role: pod\nnamespaces: {names: [b, a, b]}", &["a", "b"]);
    check("role: node\nnamespaces: {names: [a]}", &[""]);
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expect), "{yaml}: {error}");
    }
    let roles = "(one of: pod, service, endpoints, endpointslice, node, ingress)";
    check("{}", &format!("role missing {roles}"));
    check("role: pods", r#"unknown Kubernetes SD role "pods""#);
    check("role: pod\napi_server: host", "api_server: \"host\": relative URL without a base");
    check(
        "{role: pod, api_server: 'http://host/', kubeconfig_file: a}",
        "cannot use 'kubeconfig_file' and 'api_server' simultaneously",
    );
    check(
        "{role: pod, kubeconfig_file: a, basic_auth: {username: me}}",
        "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
    );
    check(
        "{role: pod, authorization: {credentials: x}}",
        "please provide the 'api_server' URL explicitly",
    );
    check(
        "{role: pod, api_server: 'http://host/', namespaces: {own_namespace: true}}",
        "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously",
    );
    check(
        "{role: pod, kubeconfig_file: a, namespaces: {own_namespace: true}}",
        "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously",
    );
    check(
        "{role: pod, selectors: [{role: pod, label: a}, {role: pod, label: b}]}",
        "duplicated selector role: pod",
    );
    check(
        "{role: endpoints, selectors: [{role: node}]}",
        "endpoints role supports only pod, service, endpoints selectors",
    );
    check("{role: pod, attach_metadata: {nodes: true}}", "unknown field `nodes`");
}
