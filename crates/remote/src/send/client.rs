//! Posts one request to a destination and says what its answer means.
//!
//! - CLIENT-1: 5xx, 408, no answer, and 429 (unless configured otherwise) are sent again; every other
//!   refusal is final. Source: Prometheus' remote write specification 1.0, "Retries & Backoff".
//! - CLIENT-2: who answers a 2.0 message with 415, or takes it and does not say how much of it was
//!   written, as 2.0 demands, knows 1.0 only, and has nothing of that message.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use client::{HttpClient, Request, Response};

use model::duration;

use crate::clock;
use crate::receive::{EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, SAMPLES_WRITTEN};
use crate::send::backoff::retry_after;
use crate::send::config::{Protocol, RemoteWriteConfig};
use crate::send::kind::{Counts, Kind};

/// This much of an answer's text is kept for the log.
const TEXT_BYTES_MAX: usize = 512;
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");

#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient,
    config: RemoteWriteConfig,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Delivered {
        written: Written,
    },
    /// Some or all samples will never be taken.
    Refused {
        written: Written,
        why: String,
    },
    Retry {
        after: Option<Duration>,
        why: String,
    },
    /// The destination does not speak remote write 2.0.
    Unsupported {
        why: String,
    },
}

/// How many of each kind the destination says that it has stored, where it does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written([Option<u64>; Kind::ALL.len()]);

impl Written {
    fn read(headers: &HeaderMap) -> Self {
        Self(Kind::ALL.map(|kind| {
            let name = match kind {
                Kind::Sample => SAMPLES_WRITTEN,
                Kind::Histogram => HISTOGRAMS_WRITTEN,
                Kind::Exemplar => EXEMPLARS_WRITTEN,
            };
            headers.get(name)?.to_str().ok()?.parse().ok()
        }))
    }

    /// Whether the destination speaks of any kind.
    fn is_said(self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// What is delivered of `sent`; `unsaid` is, of what the destination does not speak of.
    pub(super) fn delivered(self, sent: Counts, unsaid: Counts) -> Counts {
        let said = |kind| self.0[kind as usize].unwrap_or_else(|| unsaid.get(kind));
        Counts::by(|kind| said(kind).min(sent.get(kind)))
    }
}

impl Client {
    pub(super) fn new(config: RemoteWriteConfig) -> Self {
        Self { http: HttpClient::new(config.http.clone()), config }
    }

    pub(super) async fn post(&self, protocol: Protocol, body: Bytes) -> Reply {
        let reply = async {
            match self.send(protocol, body).await {
                Ok(response) => self.judge(protocol, response).await,
                Err(error) => Reply::Retry { after: None, why: error.to_string() },
            }
        };
        match tokio::time::timeout(self.config.remote_timeout, reply).await {
            Ok(reply) => reply,
            Err(_) => {
                let timeout = duration::format(self.config.remote_timeout);
                Reply::Retry { after: None, why: format!("no answer within {timeout}") }
            }
        }
    }

    async fn send(&self, protocol: Protocol, body: Bytes) -> Result<Response, client::Error> {
        let (content_type, version) = match protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => {
                ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
            }
        };
        let mut request = Request::post(self.config.url.url().clone(), body)
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
            .header(CONTENT_ENCODING, HeaderValue::from_static("snappy"))
            .header(VERSION_HEADER, HeaderValue::from_static(version));
        for (name, value) in &self.config.headers {
            request = request.header(name.clone(), value.clone());
        }
        self.http.send(request).await
    }

    async fn judge(&self, protocol: Protocol, mut response: Response) -> Reply {
        let status = response.status();
        let written = Written::read(response.headers());
        if status.is_success() {
            return match protocol {
                Protocol::V2 if !written.is_said() => Reply::Unsupported {
                    why: format!("{status} without a word on what was written"),
                },
                _ => Reply::Delivered { written },
            };
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
        let after = after.and_then(|text| retry_after(text, clock::now()));
        let why = format!("{status}: {}", text(&mut response).await);
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE && protocol == Protocol::V2 {
            return Reply::Unsupported { why };
        }
        let again = match status {
            StatusCode::TOO_MANY_REQUESTS => self.config.queue.retry_on_http_429,
            StatusCode::REQUEST_TIMEOUT => true,
            status => status.is_server_error(),
        };
        if again { Reply::Retry { after, why } } else { Reply::Refused { written, why } }
    }
}

/// The start of an answer's body, in one line.
async fn text(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= TEXT_BYTES_MAX {
            bytes.truncate(TEXT_BYTES_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
}
