//! What is asked, and what is answered.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::Error;

#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub fn post(url: Url, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: body.into(), ..Self::get(url) }
    }

    /// Sets a header in place of an earlier one of its name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// An answer whose body is still to come. Nothing reads ahead: it takes no more than it is asked for.
#[derive(Debug)]
pub struct Response {
    pub(crate) inner: http::Response<Incoming>,
}

impl Response {
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// How long the body will be, where the server says so.
    pub fn content_length(&self) -> Option<u64> {
        self.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The next piece of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.inner.body_mut().frame().await {
            // What is no data are trailers, which nobody asks for.
            if let Ok(data) = frame.map_err(|error| Error::of_exchange(&error))?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All of the body, of at most `bytes_max`.
    pub async fn bytes(&mut self, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let announced = self.content_length().unwrap_or(0);
        if announced > bytes_max as u64 {
            return Err(Error::BodySize { bytes_max });
        }
        let mut bytes = Vec::with_capacity(announced as usize);
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(Error::BodySize { bytes_max });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The user and password that a URL may hold.
pub(crate) fn url_user(url: &Url) -> Option<(String, String)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(url.username()), decoded(url.password().unwrap_or_default())))
}
