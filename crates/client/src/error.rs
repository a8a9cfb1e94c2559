//! Why there is no answer; no error shows a secret or a URL.

use std::error::Error as StdError;
use std::io;

use crate::oauth2::TokenError;
use crate::tls::TlsError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Secret(io::Error),
    #[error("a secret does not fit a header")]
    SecretIsNoHeader,
    #[error("oauth2: {0}")]
    Token(TokenError),
    #[error("tls_config: {0}")]
    Tls(Box<TlsError>),
    #[error("{0}")]
    Exchange(String),
    #[error("redirected to what is no URL")]
    Location,
    #[error("stopped after {0} redirects")]
    Redirects(usize),
    #[error("the answer is larger than {bytes_max} bytes")]
    BodySize { bytes_max: usize },
}

impl Error {
    /// The two innermost causes: what was being done, and what came of it.
    pub(crate) fn of_exchange(error: &(dyn StdError + 'static)) -> Self {
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self::Exchange(causes[causes.len().saturating_sub(2)..].join(": "))
    }
}
