//! How our own HTTP requests say who they are: the keys that Prometheus' configuration has for it in
//! every section that sends requests (scraping, remote write, alerting).
//!
//! A section's configuration has the fields `basic_auth:` and `authorization:` of the two types here
//! and makes [`Credentials`] of them with [`Credentials::from_yaml`].
//!
//! Source: Prometheus `common/config/http_config.go`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

/// Sent with each request. Files are read for each one, so that a changed secret needs no reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Basic { username: String, password: Secret },
    Authorization { scheme: String, credentials: Secret },
}

/// Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Inline(String),
    File(PathBuf),
}

impl Credentials {
    /// At most one of the two may be configured.
    pub fn from_yaml(
        basic_auth: Option<BasicAuthYaml>,
        authorization: Option<AuthorizationYaml>,
    ) -> Result<Option<Self>, String> {
        match (basic_auth, authorization) {
            (Some(_), Some(_)) => {
                Err("at most one of basic_auth and authorization must be configured".to_owned())
            }
            (Some(basic), None) => Self::try_from(basic).map(Some),
            (None, Some(authorization)) => Self::try_from(authorization).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The older keys `bearer_token:` and `bearer_token_file:`, of which at most one may be set.
    pub fn bearer(inline: Option<String>, file: Option<PathBuf>) -> Result<Option<Self>, String> {
        if inline.is_none() && file.is_none() {
            return Ok(None);
        }
        let credentials = Secret::new("bearer_token", inline, file)?;
        Ok(Some(Self::Authorization { scheme: "Bearer".to_owned(), credentials }))
    }

    /// Makes a relative file name start at `directory`, the configuration file's.
    pub fn set_directory(&mut self, directory: &Path) {
        let (Self::Basic { password: secret, .. }
        | Self::Authorization { credentials: secret, .. }) = self;
        if let Secret::File(path) = secret {
            *path = directory.join(&*path);
        }
    }

    /// Reads the secret and puts it into `request`, in a header that logs do not show.
    pub fn apply(&self, request: RequestBuilder) -> io::Result<RequestBuilder> {
        Ok(match self {
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.read()?))
            }
            Self::Authorization { scheme, credentials } => {
                let value = format!("{scheme} {}", credentials.read()?);
                let mut value = HeaderValue::try_from(value).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "credentials do not fit a header")
                })?;
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
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
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => {
                    let place = format!("read {}: {error}", path.display());
                    Err(io::Error::new(error.kind(), place))
                }
            },
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

/// `basic_auth:`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthYaml {
    #[serde(default)]
    username: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

/// `authorization:`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationYaml {
    #[serde(rename = "type")]
    scheme: Option<String>,
    credentials: Option<String>,
    credentials_file: Option<PathBuf>,
}

impl TryFrom<BasicAuthYaml> for Credentials {
    type Error = String;

    fn try_from(yaml: BasicAuthYaml) -> Result<Self, String> {
        let password = Secret::new("password", yaml.password, yaml.password_file)
            .map_err(|reason| format!("basic_auth: {reason}"))?;
        Ok(Self::Basic { username: yaml.username, password })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Option<Credentials>, String> {
        #[derive(Deserialize)]
        struct Section {
            basic_auth: Option<BasicAuthYaml>,
            authorization: Option<AuthorizationYaml>,
        }
        let section: Section = serde_yaml_ng::from_str(yaml).map_err(|e| e.to_string())?;
        Credentials::from_yaml(section.basic_auth, section.authorization)
    }

    fn header(credentials: &Credentials) -> String {
        let request = reqwest::Client::new().get("http://127.0.0.1/");
        let request = credentials.apply(request).unwrap().build().unwrap();
        request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn credentials_become_the_header_that_they_stand_for() {
        #[track_caller]
        fn check(yaml: &str, expect: &str) {
            let credentials = read(yaml).unwrap().unwrap();
            assert_eq!(header(&credentials), expect, "{yaml}");
            assert!(!format!("{credentials:?}").contains("hush"), "{credentials:?}");
        }
        check("basic_auth: {username: me, password: hush}", "Basic bWU6aHVzaA==");
        check("authorization: {credentials: hush}", "Bearer hush");
        check("authorization: {type: ' Token ', credentials: hush}", "Token hush");
    }

    #[test]
    fn credentials_that_contradict_themselves_are_refused() {
        #[track_caller]
        fn check(yaml: &str, expect: &str) {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(expect), "{yaml}: {error}");
        }
        check("basic_auth: {}\nauthorization: {}", "at most one of basic_auth and authorization");
        check(
            "basic_auth: {password: a, password_file: b}",
            "basic_auth: at most one of password and password_file",
        );
        check("authorization: {type: Basic}", r#"use "basic_auth" instead"#);
        check("basic_auth: {user: me}", "unknown field `user`");
    }

    #[test]
    fn a_secret_file_is_read_again_for_each_request() {
        let directory =
            std::env::temp_dir().join(format!("watershed-client-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mut credentials = read("authorization: {credentials_file: token}").unwrap().unwrap();
        credentials.set_directory(&directory);
        for token in ["one", "two"] {
            std::fs::write(directory.join("token"), format!("{token}\n")).unwrap();
            assert_eq!(header(&credentials), format!("Bearer {token}"));
        }
        std::fs::remove_dir_all(&directory).unwrap();
        let request = reqwest::Client::new().get("http://127.0.0.1/");
        let error = credentials.apply(request).unwrap_err().to_string();
        assert!(error.contains("/token: "), "{error}");
    }
}
