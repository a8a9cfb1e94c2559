//! The HTTP side of one scrape. Whatever the target sends, no more than the limit is kept.

use std::io::Read as _;

use client::{HttpClient, Request, Response};
use exposition::Format;
use flate2::bufread::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::ScrapeError;
use crate::job::Job;
use crate::target::Target;

/// What a body may hold, unpacked, where no `body_size_limit` is set.
const BODY_BYTES_MAX: u64 = 256 << 20;
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A body as it came; [`Body::unpack`] is for a blocking thread.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    gzip: bool,
    limit: u64,
    pub(crate) format: Format,
}

/// Asks a target for its metrics, within its timeout.
pub(crate) async fn fetch(
    client: &HttpClient,
    job: &Job,
    target: &Target,
) -> Result<Body, ScrapeError> {
    let url = || target.url.to_string();
    let answer = async {
        let response = send(client, job, target).await?;
        read(response, job).await
    };
    match tokio::time::timeout(target.timeout, answer).await {
        Err(_) => Err(ScrapeError::Timeout { url: url() }),
        Ok(Err(Failure::Http(reason))) => Err(ScrapeError::Http { url: url(), reason }),
        Ok(Err(Failure::Scrape(error))) => Err(error),
        Ok(Ok(body)) => Ok(body),
    }
}

/// An error, with or without the URL that it is to name.
enum Failure {
    Http(client::Error),
    Scrape(ScrapeError),
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        Self::Http(error)
    }
}

impl From<ScrapeError> for Failure {
    fn from(error: ScrapeError) -> Self {
        Self::Scrape(error)
    }
}

async fn send(client: &HttpClient, job: &Job, target: &Target) -> Result<Response, Failure> {
    let encoding = if job.config.enable_compression { "gzip" } else { "identity" };
    let timeout = HeaderValue::try_from(target.timeout.as_secs_f64().to_string());
    let request = Request::get(target.url.clone())
        .header(ACCEPT, job.accept.clone())
        .header(ACCEPT_ENCODING, HeaderValue::from_static(encoding))
        .header(TIMEOUT_HEADER, timeout.expect("digits fit a header"));
    let response = client.send(request).await?;
    if response.status() == StatusCode::OK {
        Ok(response)
    } else {
        Err(ScrapeError::Status(response.status().to_string()).into())
    }
}

async fn read(mut response: Response, job: &Job) -> Result<Body, Failure> {
    let headers = response.headers();
    let (gzip, format) = (is_gzip(headers)?, format(headers, job)?);
    let limit = job.limits.body_bytes.unwrap_or(BODY_BYTES_MAX);
    let announced = response.content_length().unwrap_or(0);
    if announced > limit {
        return Err(ScrapeError::BodySize { limit }.into());
    }
    let mut bytes = Vec::with_capacity(announced as usize);
    while let Some(chunk) = response.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(ScrapeError::BodySize { limit }.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, gzip, limit, format })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ScrapeError> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(other) => Err(ScrapeError::Encoding(String::from_utf8_lossy(other).into_owned())),
    }
}

fn format(headers: &HeaderMap, job: &Job) -> Result<Format, ScrapeError> {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let content_type = String::from_utf8_lossy(content_type);
    let fallback = job.config.fallback_scrape_protocol.map(|protocol| protocol.format());
    match Format::from_content_type(&content_type).or(fallback) {
        Some(format) => Ok(format),
        None if content_type.is_empty() => Err(ScrapeError::NoContentType),
        None => Err(ScrapeError::ContentType(content_type.into_owned())),
    }
}

impl Body {
    #[cfg(test)]
    pub(crate) fn plain(text: &str, format: Format) -> Self {
        Self { bytes: text.into(), gzip: false, limit: BODY_BYTES_MAX, format }
    }

    pub(crate) fn unpack(self) -> Result<Vec<u8>, ScrapeError> {
        if !self.gzip {
            return Ok(self.bytes);
        }
        let mut unpacked = Vec::with_capacity(self.bytes.len().saturating_mul(4));
        MultiGzDecoder::new(self.bytes.as_slice())
            .take(self.limit + 1)
            .read_to_end(&mut unpacked)
            .map_err(ScrapeError::Gzip)?;
        if unpacked.len() as u64 > self.limit {
            return Err(ScrapeError::BodySize { limit: self.limit });
        }
        Ok(unpacked)
    }
}
