//! A kubeconfig: where a cluster's API server is, and who we are to it.
//!
//! Only what says that in itself is read: a user that runs a program for its credentials is refused,
//! for nothing here runs programs.
//!
//! Source: the Kubernetes documentation, `reference/config-api/kubeconfig.v1`.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

use super::server::{ApiServerConfig, KeysError, http_client, parse_url};

#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeconfigError {
    #[error(transparent)]
    Yaml(#[from] serde_yaml_ng::Error),
    #[error("current-context is not set")]
    NoContext,
    #[error("there is no {kind} {name:?}")]
    Missing { kind: &'static str, name: String },
    #[error("cluster {0:?} has no server")]
    NoServer(String),
    #[error("cluster {cluster:?}: {reason}")]
    Server { cluster: String, reason: String },
    #[error("the data of the {0} is not base64 of text")]
    Data(&'static str),
    #[error("user {user:?}: {key} is not supported, use a token or a client certificate")]
    Program { user: String, key: &'static str },
    #[error(transparent)]
    Keys(#[from] KeysError),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[derive(Default)]
struct Kubeconfig {
    current_context: String,
    clusters: Vec<Named<Cluster>>,
    contexts: Vec<Named<Context>>,
    users: Vec<Named<User>>,
}

/// `{name: …, cluster: {…}}` and the like.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    value: T,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: String,
    certificate_authority_data: String,
    insecure_skip_tls_verify: bool,
    tls_server_name: String,
    proxy_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: String,
    client_certificate_data: String,
    client_key: String,
    client_key_data: String,
    token: String,
    #[serde(rename = "tokenFile")]
    token_file: String,
    username: String,
    password: String,
    exec: Option<Value>,
    auth_provider: Option<Value>,
}

/// `directory`: where relative names of files start.
pub(crate) fn parse(text: &str, directory: &Path) -> Result<ApiServerConfig, KubeconfigError> {
    let config: Kubeconfig = serde_yaml_ng::from_str(text)?;
    if config.current_context.is_empty() {
        return Err(KubeconfigError::NoContext);
    }
    let context = find("context", &config.contexts, &config.current_context)?;
    let cluster = find("cluster", &config.clusters, &context.cluster)?;
    let user = find("user", &config.users, &context.user)?;
    if cluster.server.is_empty() {
        return Err(KubeconfigError::NoServer(context.cluster.clone()));
    }
    let url = parse_url(&cluster.server)
        .map_err(|reason| KubeconfigError::Server { cluster: context.cluster.clone(), reason })?;
    for (key, value) in [("exec", &user.exec), ("auth-provider", &user.auth_provider)] {
        if value.is_some() {
            return Err(KubeconfigError::Program { user: context.user.clone(), key });
        }
    }
    let mut http = http_client(keys(cluster, user)?)?;
    http.set_directory(directory);
    Ok(ApiServerConfig { url, http })
}

fn find<'a, T>(
    kind: &'static str,
    all: &'a [Named<T>],
    name: &str,
) -> Result<&'a T, KubeconfigError> {
    let found = all.iter().find(|named| named.name == name);
    found
        .map(|named| &named.value)
        .ok_or_else(|| KubeconfigError::Missing { kind, name: name.to_owned() })
}

/// The same in the words of our own configuration.
fn keys(cluster: &Cluster, user: &User) -> Result<Mapping, KubeconfigError> {
    let mut tls = Mapping::new();
    let Cluster { certificate_authority, certificate_authority_data, .. } = cluster;
    set_one(&mut tls, "ca", certificate_authority, certificate_authority_data)?;
    set(&mut tls, "server_name", &cluster.tls_server_name);
    if cluster.insecure_skip_tls_verify {
        tls.insert("insecure_skip_verify".into(), true.into());
    }
    set_one(&mut tls, "cert", &user.client_certificate, &user.client_certificate_data)?;
    set_one(&mut tls, "key", &user.client_key, &user.client_key_data)?;

    let mut keys = Mapping::new();
    if !tls.is_empty() {
        keys.insert("tls_config".into(), tls.into());
    }
    set(&mut keys, "proxy_url", &cluster.proxy_url);
    let mut authorization = Mapping::new();
    if user.token_file.is_empty() {
        set(&mut authorization, "credentials", &user.token);
    } else {
        set(&mut authorization, "credentials_file", &user.token_file);
    }
    if !authorization.is_empty() {
        keys.insert("authorization".into(), authorization.into());
    } else if !user.username.is_empty() {
        let mut basic = Mapping::new();
        set(&mut basic, "username", &user.username);
        set(&mut basic, "password", &user.password);
        keys.insert("basic_auth".into(), basic.into());
    }
    Ok(keys)
}

fn set(keys: &mut Mapping, key: &str, value: &str) {
    if !value.is_empty() {
        keys.insert(key.into(), value.into());
    }
}

/// Sets what is in the kubeconfig itself, or else the file that it names.
fn set_one(
    keys: &mut Mapping,
    key: &'static str,
    file: &str,
    data: &str,
) -> Result<(), KubeconfigError> {
    if data.is_empty() {
        set(keys, &format!("{key}_file"), file);
        return Ok(());
    }
    let decoded = BASE64_STANDARD.decode(data.trim()).ok();
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    set(keys, key, &text.ok_or(KubeconfigError::Data(key))?);
    Ok(())
}

#[cfg(test)]
mod tests;
