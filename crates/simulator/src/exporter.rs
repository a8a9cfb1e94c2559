//! What each kind of target exposes: the families, types and labels of the real exporters, as far
//! as dashboards and rules use them.

pub(crate) mod apiserver;
mod cadvisor;
mod controller_manager;
pub(crate) mod etcd;
mod kube_state;
mod kubelet;
mod node;
mod process;
mod scheduler;

use crate::page::Page;
use crate::topology::Component;

/// Writes the page of the scene's target, which is a `component`.
pub(crate) fn write(component: Component, page: &mut Page<'_>) {
    match component {
        Component::NodeExporter => node::write(page),
        Component::Kubelet => kubelet::write(page),
        Component::Cadvisor => cadvisor::write(page),
        Component::KubeStateMetrics => kube_state::write(page),
        Component::Apiserver => apiserver::write(page),
        Component::ControllerManager => controller_manager::write(page),
        Component::Scheduler => scheduler::write(page),
        Component::Etcd => etcd::write(page),
    }
}
