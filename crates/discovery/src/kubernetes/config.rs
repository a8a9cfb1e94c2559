//! An entry of `kubernetes_sd_configs`.
//!
//! Source: Prometheus 3, `discovery/kubernetes/kubernetes.go`.

use std::path::{Path, PathBuf};

use client::{HttpClientConfig, HttpClientYaml};
use model::Split;
use serde::Deserialize;

use super::place::{Place, PlaceError};
use super::server::{ApiServerConfig, parse_url};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Split<HttpClientYaml, KubernetesConfigYaml>")]
pub struct KubernetesConfig {
    pub(super) place: Place,
    pub(super) role: Role,
    namespaces: NamespacesYaml,
    selectors: Vec<Selector>,
    pub(super) attach_metadata: AttachMetadata,
}

/// What targets are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Pod,
    Service,
    Endpoints,
    EndpointSlice,
    Node,
    Ingress,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AttachMetadata {
    pub(super) node: bool,
    pub(super) namespace: bool,
}

/// Which objects of a role the API server is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    role: Option<Role>,
    pub(super) label: String,
    pub(super) field: String,
}

#[derive(Debug, thiserror::Error)]
enum KubernetesConfigError {
    #[error("role missing (one of: pod, service, endpoints, endpointslice, node, ingress)")]
    NoRole,
    #[error("unknown Kubernetes SD role {0:?}")]
    Role(String),
    #[error("cannot use 'kubeconfig_file' and 'api_server' simultaneously")]
    TwoServers,
    #[error("cannot use a custom HTTP client configuration together with 'kubeconfig_file'")]
    KubeconfigAndHttp,
    #[error(
        "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"
    )]
    HttpWithoutServer,
    #[error("cannot use '{0}' and 'namespaces.own_namespace' simultaneously")]
    OwnNamespace(&'static str),
    #[error("api_server: {0}")]
    ApiServer(String),
    #[error("duplicated selector role: {0}")]
    DuplicateSelector(&'static str),
    #[error("{role} role supports only {allowed} selectors")]
    Selector { role: &'static str, allowed: String },
    #[error(transparent)]
    Http(#[from] client::ConfigError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KubernetesConfigYaml {
    api_server: Option<String>,
    role: Option<String>,
    kubeconfig_file: Option<PathBuf>,
    #[serde(default)]
    namespaces: NamespacesYaml,
    #[serde(default)]
    selectors: Vec<SelectorYaml>,
    #[serde(default)]
    attach_metadata: AttachMetadata,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NamespacesYaml {
    own_namespace: bool,
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorYaml {
    role: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    field: String,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Service => "service",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslice",
            Self::Node => "node",
            Self::Ingress => "ingress",
        }
    }

    fn parse(name: &str) -> Result<Self, KubernetesConfigError> {
        let all = [
            Self::Pod,
            Self::Service,
            Self::Endpoints,
            Self::EndpointSlice,
            Self::Node,
            Self::Ingress,
        ];
        let found = all.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| KubernetesConfigError::Role(name.to_owned()))
    }

    /// Whose objects a selector may be for.
    fn selectable(self) -> &'static [Self] {
        match self {
            Self::Pod => &[Self::Pod, Self::Node],
            Self::Service => &[Self::Service],
            Self::Endpoints => &[Self::Pod, Self::Service, Self::Endpoints],
            Self::EndpointSlice => &[Self::Pod, Self::Service, Self::EndpointSlice],
            Self::Node => &[Self::Node],
            Self::Ingress => &[Self::Ingress],
        }
    }
}

impl TryFrom<Split<HttpClientYaml, KubernetesConfigYaml>> for KubernetesConfig {
    type Error = KubernetesConfigError;

    fn try_from(
        yaml: Split<HttpClientYaml, KubernetesConfigYaml>,
    ) -> Result<Self, KubernetesConfigError> {
        let Split { part: http, rest: yaml } = yaml;
        let role =
            yaml.role.filter(|role| !role.is_empty()).ok_or(KubernetesConfigError::NoRole)?;
        let role = Role::parse(&role)?;
        let selectors = selectors(role, yaml.selectors)?;
        let http = HttpClientConfig::try_from(http)?;
        let has_http = http != HttpClientConfig::default();
        let own_namespace = yaml.namespaces.own_namespace;
        let place = match (yaml.api_server, yaml.kubeconfig_file) {
            (Some(_), Some(_)) => return Err(KubernetesConfigError::TwoServers),
            (None, Some(_)) if has_http => return Err(KubernetesConfigError::KubeconfigAndHttp),
            (None, None) if has_http => return Err(KubernetesConfigError::HttpWithoutServer),
            (Some(_), None) if own_namespace => {
                return Err(KubernetesConfigError::OwnNamespace("api_server"));
            }
            (None, Some(_)) if own_namespace => {
                return Err(KubernetesConfigError::OwnNamespace("kubeconfig_file"));
            }
            (Some(url), None) => {
                let url = parse_url(&url).map_err(KubernetesConfigError::ApiServer)?;
                Place::Server(Box::new(ApiServerConfig { url, http }))
            }
            (None, Some(file)) => Place::Kubeconfig(file),
            (None, None) => Place::InCluster,
        };
        let (namespaces, attach_metadata) = (yaml.namespaces, yaml.attach_metadata);
        Ok(Self { place, role, namespaces, selectors, attach_metadata })
    }
}

fn selectors(role: Role, yaml: Vec<SelectorYaml>) -> Result<Vec<Selector>, KubernetesConfigError> {
    let mut selectors: Vec<Selector> = Vec::new();
    for SelectorYaml { role: of, label, field } in yaml {
        let of = Role::parse(&of)?;
        if selectors.iter().any(|selector| selector.role == Some(of)) {
            return Err(KubernetesConfigError::DuplicateSelector(of.name()));
        }
        if !role.selectable().contains(&of) {
            let allowed: Vec<&str> = role.selectable().iter().map(|role| role.name()).collect();
            let allowed = allowed.join(", ");
            return Err(KubernetesConfigError::Selector { role: role.name(), allowed });
        }
        selectors.push(Selector { role: Some(of), label, field });
    }
    Ok(selectors)
}

impl KubernetesConfig {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        self.place.set_directory(directory);
    }

    /// Reads the files that are named. In a cluster, only the cluster can know its own.
    pub(crate) fn check_files(&self) -> Result<(), String> {
        match &self.place {
            Place::InCluster => Ok(()),
            place => {
                let server = place.find().map_err(|error| error.to_string())?;
                server.http.check_files().map_err(|error| error.to_string())
            }
        }
    }

    pub(super) fn selector(&self, role: Role) -> Option<&Selector> {
        self.selectors.iter().find(|selector| selector.role == Some(role))
    }

    /// The namespaces to look in; the empty name stands for all.
    pub(super) fn namespaces(&self) -> Result<Vec<String>, PlaceError> {
        let mut names = self.namespaces.names.clone();
        if self.namespaces.own_namespace {
            names.push(super::place::own_namespace()?);
        }
        if names.is_empty() || self.role == Role::Node {
            return Ok(vec![String::new()]);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

#[cfg(test)]
mod tests;
