//! One object of each kind, with all that becomes a label.

use serde_json::{Value, json};

pub(super) fn pod(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "u-1",
            "labels": {"app.kubernetes.io/name": "web", "empty": ""},
            "annotations": {"prometheus.io/scrape": "true"},
            "managedFields": [{"manager": "somebody"}],
            "ownerReferences": [
                {"kind": "Other", "name": "o", "uid": "1", "apiVersion": "v1"},
                {"kind": "ReplicaSet", "name": "web-5d", "controller": true, "uid": "2", "apiVersion": "apps/v1"},
            ],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": "web", "image": "web:1", "ports": [
                    {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                    {"containerPort": 9090, "protocol": "TCP"},
                ]},
                {"name": "plain", "image": "plain:1"},
            ],
            "initContainers": [{"name": "setup", "image": "setup:1"}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "hostIP": "192.168.0.1",
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "True"},
            ],
            "containerStatuses": [{"name": "web", "containerID": "containerd://1"}],
            "initContainerStatuses": [{"name": "setup", "containerID": "containerd://2"}],
        },
    })
}

pub(super) fn node(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {"topology.kubernetes.io/zone": "z-1"},
            "annotations": {"note": "n"},
        },
        "spec": {"providerID": "cloud://1"},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "host-1"},
                {"type": "InternalIP", "address": "192.168.0.1"},
                {"type": "InternalIP", "address": "192.168.0.2"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    })
}

pub(super) fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"tenant": "t-1"}, "annotations": {"since": "2026"}}})
}

pub(super) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "web"},
            "annotations": {"a/b": "c"},
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.96.0.1",
            "loadBalancerIP": "1.2.3.4",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    })
}

/// Two addresses, of which one is the pod `pod`'s.
pub(super) fn endpoints(namespace: &str, name: &str, pod: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"own": "label"}},
        "subsets": [{
            "addresses": [{
                "ip": "10.0.0.7",
                "nodeName": "node-1",
                "hostname": "web-0",
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod},
            }],
            "notReadyAddresses": [{"ip": "10.0.0.8"}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }],
    })
}

pub(super) fn slice(namespace: &str, name: &str, service: &str, pod: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
            "annotations": {"note": "n"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.0.0.7"],
                "conditions": {"ready": true, "serving": true, "terminating": false},
                "hostname": "web-0",
                "nodeName": "node-1",
                "zone": "z-1",
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod},
                "deprecatedTopology": {"kubernetes.io/hostname": "node-1"},
            },
            {"addresses": ["10.0.0.9"], "conditions": {}},
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
    })
}

pub(super) fn ingress(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["*.example.com"]}],
            "rules": [
                {"host": "a.example.com", "http": {"paths": [{"path": "/x"}, {"path": ""}]}},
                {"host": "plain.example.org"},
            ],
        },
    })
}
