//! How a provider talks to its server.

use std::error::Error as _;
use std::io;
use std::path::Path;

use client::Credentials;
use reqwest::{Client, RequestBuilder, Response, redirect};

const PRODUCT: &str = concat!("Watershed/", env!("CARGO_PKG_VERSION"));
/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;

/// What a configuration says of the requests to a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Access {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) follow_redirects: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("credentials: {0}")]
    Credentials(io::Error),
    #[error("{0}")]
    Http(String),
    #[error("the answer is larger than {0} bytes")]
    Size(usize),
}

impl From<reqwest::Error> for AccessError {
    /// Without the URL, which the caller names, and with the innermost cause.
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut innermost = None;
        let mut next = error.source();
        while let Some(cause) = next {
            innermost = Some(cause.to_string());
            next = cause.source();
        }
        Self::Http(match innermost {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    }
}

impl Access {
    pub(crate) fn set_directory(&mut self, directory: &Path) {
        if let Some(credentials) = &mut self.credentials {
            credentials.set_directory(directory);
        }
    }

    pub(crate) fn client(&self) -> Client {
        let redirects = if self.follow_redirects {
            redirect::Policy::limited(REDIRECTS_MAX)
        } else {
            redirect::Policy::none()
        };
        Client::builder()
            .user_agent(PRODUCT)
            .redirect(redirects)
            .build()
            .expect("a client without TLS needs nothing that could be missing")
    }

    pub(crate) async fn send(&self, mut request: RequestBuilder) -> Result<Response, AccessError> {
        if let Some(credentials) = &self.credentials {
            request = credentials.apply(request).map_err(AccessError::Credentials)?;
        }
        Ok(request.send().await?)
    }
}

/// All of an answer's body, of at most `bytes_max`.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, AccessError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > bytes_max as u64 {
        return Err(AccessError::Size(bytes_max));
    }
    let mut body = Vec::with_capacity(announced as usize);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(AccessError::Size(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
