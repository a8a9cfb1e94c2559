//! How we say to an Alertmanager who we are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Sent with each request. Files are read for each one, so that a changed secret needs no reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Basic { username: String, password: Secret },
    Authorization { scheme: String, credentials: Secret },
}

#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Inline(String),
    File(PathBuf),
}

impl Credentials {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        let (Self::Basic { password: secret, .. }
        | Self::Authorization { credentials: secret, .. }) = self;
        if let Secret::File(path) = secret {
            *path = directory.join(&*path);
        }
    }

    pub(crate) fn apply(
        &self,
        request: reqwest::RequestBuilder,
    ) -> io::Result<reqwest::RequestBuilder> {
        Ok(match self {
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.read()?))
            }
            Self::Authorization { scheme, credentials } => {
                let value = format!("{scheme} {}", credentials.read()?);
                request.header(reqwest::header::AUTHORIZATION, value)
            }
        })
    }
}

impl Secret {
    fn new(name: &str, inline: Option<String>, file: Option<PathBuf>) -> Result<Self, String> {
        match (inline, file) {
            (Some(_), Some(_)) => {
                Err(format!("at most one of {name} and {name}_file must be configured"))
            }
            (Some(inline), None) => Ok(Self::Inline(inline)),
            (None, Some(file)) => Ok(Self::File(file)),
            (None, None) => Ok(Self::Inline(String::new())),
        }
    }

    fn read(&self) -> io::Result<String> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => Ok(std::fs::read_to_string(path)?.trim().to_owned()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("<secret>"),
            Self::File(path) => path.fmt(f),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuthYaml {
    #[serde(default)]
    username: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

impl TryFrom<BasicAuthYaml> for Credentials {
    type Error = String;

    fn try_from(yaml: BasicAuthYaml) -> Result<Self, String> {
        let password = Secret::new("password", yaml.password, yaml.password_file)
            .map_err(|reason| format!("basic_auth: {reason}"))?;
        Ok(Self::Basic { username: yaml.username, password })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationYaml {
    #[serde(rename = "type")]
    scheme: Option<String>,
    credentials: Option<String>,
    credentials_file: Option<PathBuf>,
}

impl TryFrom<AuthorizationYaml> for Credentials {
    type Error = String;

    fn try_from(yaml: AuthorizationYaml) -> Result<Self, String> {
        let scheme = yaml.scheme.map(|scheme| scheme.trim().to_owned());
        let scheme = scheme.filter(|scheme| !scheme.is_empty()).unwrap_or("Bearer".to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            let reason = r#"authorization type cannot be set to "basic", use "basic_auth" instead"#;
            return Err(reason.to_owned());
        }
        let credentials = Secret::new("credentials", yaml.credentials, yaml.credentials_file)
            .map_err(|reason| format!("authorization: {reason}"))?;
        Ok(Self::Authorization { scheme, credentials })
    }
}

impl fmt::Debug for BasicAuthYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuthYaml").field("username", &self.username).finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthorizationYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationYaml").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
