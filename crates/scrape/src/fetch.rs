//! The HTTP side of one scrape. Whatever the target sends, no more than the limit is kept.

use std::error::Error;
use std::io::Read as _;

use exposition::Format;
use flate2::bufread::MultiGzDecoder;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, USER_AGENT,
};
use reqwest::{Client, Response, redirect};

use crate::ScrapeError;
use crate::job::Job;
use crate::target::Target;

/// What a body may hold, unpacked, where no `body_size_limit` is set.
const BODY_BYTES_MAX: u64 = 256 << 20;
/// As many as Go's client follows.
const REDIRECTS_MAX: usize = 10;
const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";
const PRODUCT: &str = concat!("Watershed/", env!("CARGO_PKG_VERSION"));

/// A body as it came; [`Body::unpack`] is for a blocking thread.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    gzip: bool,
    limit: u64,
    pub(crate) format: Format,
}

/// The client of one job's targets.
pub(crate) fn client(job: &Job) -> Client {
    let redirects = if job.config.follow_redirects {
        redirect::Policy::limited(REDIRECTS_MAX)
    } else {
        redirect::Policy::none()
    };
    Client::builder()
        .redirect(redirects)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(1)
        .build()
        .expect("a client without TLS needs nothing that could be missing")
}

/// Asks a target for its metrics, within its timeout.
pub(crate) async fn fetch(
    client: &Client,
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
        Ok(Err(Failure::Http(error))) => {
            Err(ScrapeError::Http { url: url(), reason: reason(&error) })
        }
        Ok(Err(Failure::Scrape(error))) => Err(error),
        Ok(Ok(body)) => Ok(body),
    }
}

/// An error, with or without the URL that it is to name.
enum Failure {
    Http(reqwest::Error),
    Scrape(ScrapeError),
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

impl From<ScrapeError> for Failure {
    fn from(error: ScrapeError) -> Self {
        Self::Scrape(error)
    }
}

async fn send(client: &Client, job: &Job, target: &Target) -> Result<Response, Failure> {
    let encoding = if job.config.enable_compression { "gzip" } else { "identity" };
    let mut request = client
        .get(target.url.clone())
        .header(ACCEPT, &job.accept)
        .header(ACCEPT_ENCODING, encoding)
        .header(USER_AGENT, PRODUCT)
        .header(TIMEOUT_HEADER, target.timeout.as_secs_f64().to_string());
    if let Some(credentials) = &job.config.credentials {
        request = credentials.apply(request).map_err(ScrapeError::Credentials)?;
    }
    let response = request.send().await?;
    if response.status() == reqwest::StatusCode::OK {
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

/// The two innermost causes: what was being done, and what came of it.
fn reason(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes[causes.len().saturating_sub(2)..].join(": ")
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
