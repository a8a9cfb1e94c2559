//! Who we say that we are: the `Authorization` header.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde::Deserialize;

use crate::Error;
use crate::config::ConfigError;
use crate::oauth2::{OAuth2, OAuth2Yaml};
use crate::secret::{Secret, Source};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Credentials {
    Basic {
        username: Option<Source>,
        password: Option<Source>,
    },
    Authorization {
        scheme: String,
        credentials: Option<Source>,
    },
    /// A token stands for us, which is asked for first.
    OAuth2(Box<OAuth2>),
}

impl Credentials {
    /// The older keys `bearer_token` and `bearer_token_file`.
    pub(crate) fn bearer(
        inline: Option<Secret>,
        file: Option<PathBuf>,
    ) -> Result<Option<Self>, ConfigError> {
        let credentials = Source::one_of("bearer_token", inline, file)?;
        Ok(credentials.map(|credentials| Self::Authorization {
            scheme: "Bearer".to_owned(),
            credentials: Some(credentials),
        }))
    }

    pub(crate) fn set_directory(&mut self, directory: &Path) {
        match self {
            Self::OAuth2(oauth2) => oauth2.set_directory(directory),
            Self::Basic { username, password } => {
                for source in [username, password].into_iter().flatten() {
                    source.set_directory(directory);
                }
            }
            Self::Authorization { credentials, .. } => {
                if let Some(source) = credentials {
                    source.set_directory(directory);
                }
            }
        }
    }

    pub(crate) fn check_files(&self) -> Result<(), ConfigError> {
        match self {
            Self::Basic { username, password } => {
                read(username).and(read(password)).map_err(ConfigError::new)?;
            }
            Self::Authorization { credentials, .. } => {
                read(credentials).map_err(ConfigError::new)?;
            }
            Self::OAuth2(oauth2) => oauth2.check_files()?,
        }
        Ok(())
    }
}

/// The secret, or nothing where none is configured.
pub(crate) fn read(source: &Option<Source>) -> Result<Secret, Error> {
    let Some(source) = source else { return Ok(Secret::default()) };
    source.read().map_err(Error::Secret)
}

/// The value of an `Authorization` header, which logs do not show.
pub(crate) fn basic(username: &str, password: &str) -> Result<HeaderValue, Error> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

pub(crate) fn sensitive(value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(value).map_err(|_| Error::SecretIsNoHeader)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `basic_auth:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuthYaml {
    username: Option<String>,
    username_file: Option<PathBuf>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
}

/// `authorization:`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationYaml {
    #[serde(rename = "type")]
    scheme: Option<String>,
    credentials: Option<Secret>,
    credentials_file: Option<PathBuf>,
}

impl TryFrom<BasicAuthYaml> for Credentials {
    type Error = ConfigError;

    fn try_from(yaml: BasicAuthYaml) -> Result<Self, ConfigError> {
        let username = yaml.username.map(Secret::from);
        let username = Source::one_of("username", username, yaml.username_file);
        let password = Source::one_of("password", yaml.password, yaml.password_file);
        Ok(Self::Basic {
            username: username.map_err(|error| error.within("basic_auth"))?,
            password: password.map_err(|error| error.within("basic_auth"))?,
        })
    }
}

impl TryFrom<AuthorizationYaml> for Credentials {
    type Error = ConfigError;

    fn try_from(yaml: AuthorizationYaml) -> Result<Self, ConfigError> {
        let scheme = yaml.scheme.map(|scheme| scheme.trim().to_owned());
        let scheme = scheme.filter(|scheme| !scheme.is_empty()).unwrap_or("Bearer".to_owned());
        if scheme.eq_ignore_ascii_case("basic") {
            return Err(ConfigError::new(
                r#"authorization type cannot be set to "basic", use "basic_auth" instead"#,
            ));
        }
        let credentials = Source::one_of("credentials", yaml.credentials, yaml.credentials_file)
            .map_err(|error| error.within("authorization"))?;
        Ok(Self::Authorization { scheme, credentials })
    }
}

impl TryFrom<OAuth2Yaml> for Credentials {
    type Error = ConfigError;

    fn try_from(yaml: OAuth2Yaml) -> Result<Self, ConfigError> {
        let oauth2 = OAuth2::try_from(yaml).map_err(|error| error.within("oauth2"))?;
        Ok(Self::OAuth2(Box::new(oauth2)))
    }
}
