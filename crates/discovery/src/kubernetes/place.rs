//! Where an API server is: as a pod is told of its own, as a kubeconfig says, or as the configuration
//! itself does.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_yaml_ng::Mapping;
use url::Url;

use super::kubeconfig::{self, KubeconfigError};
use super::server::{ApiServerConfig, KeysError, http_client};

/// Where a pod finds who it is.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// More than any kubeconfig.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    InCluster,
    Kubeconfig(PathBuf),
    Server(Box<ApiServerConfig>),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(
        "not in a pod of Kubernetes (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not \
         set), and neither 'api_server' nor 'kubeconfig_file' says where the API server is"
    )]
    NotInCluster,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {source}")]
    Kubeconfig { path: PathBuf, source: KubeconfigError },
    #[error("use the service account: {0}")]
    ServiceAccount(KeysError),
    #[error("{0:?} is no address of an API server: {1}")]
    Address(String, url::ParseError),
}

impl Place {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        match self {
            Self::InCluster => {}
            Self::Kubeconfig(file) => *file = directory.join(&*file),
            Self::Server(server) => server.http.set_directory(directory),
        }
    }

    pub(crate) fn find(&self) -> Result<ApiServerConfig, PlaceError> {
        match self {
            Self::InCluster => in_cluster(),
            Self::Kubeconfig(path) => {
                let text = read(path)?;
                let directory = path.parent().unwrap_or(Path::new("."));
                kubeconfig::parse(&text, directory)
                    .map_err(|source| PlaceError::Kubeconfig { path: path.clone(), source })
            }
            Self::Server(server) => Ok((**server).clone()),
        }
    }
}

fn in_cluster() -> Result<ApiServerConfig, PlaceError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(host), Some(port)) =
        (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT"))
    else {
        return Err(PlaceError::NotInCluster);
    };
    let url = format!("https://{}/", super::labels::join_host_port(&host, port));
    let url = Url::parse(&url).map_err(|reason| PlaceError::Address(url, reason))?;
    let file = |name: &str| format!("{SERVICE_ACCOUNT}/{name}");
    let tls = Mapping::from_iter([("ca_file".into(), file("ca.crt").into())]);
    let authorization = Mapping::from_iter([("credentials_file".into(), file("token").into())]);
    let keys = Mapping::from_iter([
        ("tls_config".into(), tls.into()),
        ("authorization".into(), authorization.into()),
    ]);
    let http = http_client(keys).map_err(PlaceError::ServiceAccount)?;
    Ok(ApiServerConfig { url, http })
}

/// The namespace of the pod that this process runs in.
pub(super) fn own_namespace() -> Result<String, PlaceError> {
    read(&Path::new(SERVICE_ACCOUNT).join("namespace")).map(|name| name.trim().to_owned())
}

fn read(path: &Path) -> Result<String, PlaceError> {
    let mut text = String::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|source| PlaceError::File { path: path.to_owned(), source })?;
    Ok(text)
}
