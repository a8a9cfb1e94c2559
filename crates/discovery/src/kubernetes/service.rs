//! The role `service`: a target for each port of each service.
//!
//! Source: Prometheus 3, `discovery/kubernetes/service.go`.

use super::around::{Around, Touched};
use super::labels::{MetaLabels, join_host_port};
use super::object::{ObjectKey, Service};
use super::role::{Made, MakesTargets};
use crate::group::ADDRESS;

impl MakesTargets for Service {
    fn source(key: &ObjectKey) -> String {
        format!("svc/{key}")
    }

    fn is_touched(&self, touched: &Touched<'_>) -> bool {
        touched.namespace(&self.metadata.namespace)
    }

    fn make(&self, around: &Around) -> Option<Made> {
        let mut labels = service_labels(self);
        around.attach_namespace(&mut labels, &self.metadata.namespace);
        let host = format!("{}.{}.svc", self.metadata.name, self.metadata.namespace);
        let targets = self.spec.ports.iter().map(|port| {
            let mut target = MetaLabels::default();
            target.set_plain(ADDRESS, join_host_port(&host, port.port));
            target.set("service_port_name", &*port.name);
            target.set("service_port_number", port.port.to_string());
            target.set("service_port_protocol", &*port.protocol);
            target.set("service_type", &*self.spec.kind);
            match self.spec.kind.as_str() {
                "ExternalName" => target.set("service_external_name", &*self.spec.external_name),
                _ => target.set("service_cluster_ip", &*self.spec.cluster_ip),
            }
            if self.spec.kind == "LoadBalancer" {
                target.set("service_loadbalancer_ip", &*self.spec.load_balancer_ip);
            }
            target
        });
        Some(Made { labels, targets: targets.collect() })
    }
}

/// The labels of a service, wherever it is met.
pub(super) fn service_labels(service: &Service) -> MetaLabels {
    let mut labels = MetaLabels::default();
    labels.set("namespace", &*service.metadata.namespace);
    labels.object("service", &service.metadata);
    labels
}
