//! The URL of a server that a configuration names; it may hold a password.

use std::fmt;

use url::Url;

use crate::config::ConfigError;

/// Shown with `xxxxx` in the password's place, as Prometheus shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// The error does not quote the text.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let url = Url::parse(text).map_err(ConfigError::new)?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            other => Err(ConfigError::new(format!("{other:?} is not http or https"))),
        }
    }

    /// To send requests to: with the password.
    pub fn url(&self) -> &Url {
        &self.0
    }

    pub fn shown(&self) -> Url {
        let mut url = self.0.clone();
        if url.password().is_some() {
            url.set_password(Some("xxxxx")).expect("what has a password can have another");
        }
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_sent_and_not_shown() {
        let url = ServerUrl::parse("https://me:hush@a.example/x").unwrap();
        assert_eq!(url.url().password(), Some("hush"));
        assert_eq!(url.to_string(), "https://me:xxxxx@a.example/x");
        assert_eq!(format!("{url:?}"), "https://me:xxxxx@a.example/x");
        for text in ["ftp://me:hush@a", "http://me:hush@", "me:hush@a", "http://me:hush@a:b/"] {
            let error = ServerUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
