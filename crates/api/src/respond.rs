//! The envelope around every answer, and its way to the client.
//!
//! ```text
//! {"status":"success","data":…,"warnings":[…],"infos":[…]}      (the last two only where not empty)
//! {"status":"error","errorType":"…","error":"…"}
//! ```
//! - RESPOND-1: data from storage is rendered in chunks as the client takes them, so that no more
//!   than a few chunks of JSON are held at once, however large the answer is.
//! - RESPOND-2: an answer that fits one chunk goes out whole, with its length.
//! - Source: Prometheus `web/api/v1/api.go` (`Response`).

use std::convert::Infallible;
use std::io::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::error::{ApiError, ErrorType};
use crate::json;

const CHUNK_BYTES: usize = 64 << 10;
/// Room for an answer of a panel's query.
const ANSWER_BYTES_USUAL: usize = 4 << 10;
/// Below this, compression costs more than it saves.
const GZIP_BYTES_MIN: usize = 1 << 10;

/// An answer's data: JSON that is written piece by piece.
pub(crate) trait Pieces: Send {
    /// Appends the next piece; false when it was the last. Pieces are small beside a chunk.
    fn write_next(&mut self, out: &mut Vec<u8>) -> bool;
}

/// What a successful request is answered with.
pub(crate) struct Reply {
    /// `None` where success is all there is to say.
    data: Option<Box<dyn Pieces>>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Reply {
    pub(crate) fn new(data: impl Pieces + 'static) -> Self {
        Self { data: Some(Box::new(data)), warnings: Vec::new(), infos: Vec::new() }
    }

    /// Success, answered without a body.
    pub(crate) fn nothing() -> Self {
        Self { data: None, warnings: Vec::new(), infos: Vec::new() }
    }

    /// Data about the process, small enough to be rendered at once.
    pub(crate) fn value(data: &impl Serialize) -> Result<Self, ApiError> {
        let rendered = serde_json::to_vec(data)
            .map_err(|error| ApiError::new(ErrorType::Internal, error.to_string()))?;
        Ok(Self::new(Rendered(rendered)))
    }

    /// A JSON array of what `items` gives, each written by `write`.
    pub(crate) fn list<I>(items: I, write: fn(&mut Vec<u8>, &I::Item)) -> Self
    where
        I: Iterator + Send + 'static,
    {
        Self::new(List { items, write, separator: b'[' })
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    pub(crate) fn with_infos(mut self, infos: Vec<String>) -> Self {
        self.infos = infos;
        self
    }

    /// Renders the first chunk, and leaves the others to whoever reads the response's body.
    pub(crate) fn into_response(self, gzip: Gzip) -> Response {
        if self.data.is_none() {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        let mut chunks = Chunks { reply: self, part: Part::Opening };
        let first = chunks.next().unwrap_or_default();
        let whole = chunks.part == Part::Done;
        if gzip == Gzip::No || (whole && first.len() < GZIP_BYTES_MIN) {
            let body = match whole {
                true => Body::from(first),
                false => stream(std::iter::once(first).chain(chunks)),
            };
            return json_response(StatusCode::OK, body);
        }
        let compressed = Gzipped::new(std::iter::once(first).chain(chunks));
        gzipped(json_response(StatusCode::OK, stream(compressed)))
    }
}

impl ApiError {
    pub(crate) fn into_response(self) -> Response {
        let mut body = b"{\"status\":\"error\",\"errorType\":".to_vec();
        json::string(&mut body, self.error_type.as_str());
        body.extend_from_slice(b",\"error\":");
        json::string(&mut body, &self.message);
        body.push(b'}');
        json_response(self.error_type.status(), Body::from(body))
    }
}

/// Whether the client reads gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gzip {
    Yes,
    No,
}

impl Gzip {
    pub(crate) fn accepted_by(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
        let mut codings =
            accepted.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        let wanted = codings.any(|coding| {
            let (name, quality) = coding.split_once(";q=").unwrap_or((coding, "1"));
            name.trim() == "gzip" && quality.trim().parse().is_ok_and(|quality: f32| quality > 0.0)
        });
        if wanted { Self::Yes } else { Self::No }
    }
}

/// Text such as the lifecycle endpoints answer with.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    response(status, "text/plain; charset=utf-8", text.into())
}

/// The text exposition of this process' own metrics.
pub(crate) fn metrics_page(page: String, gzip: Gzip) -> Response {
    const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
    match gzip {
        Gzip::No => response(StatusCode::OK, TYPE, Body::from(page)),
        Gzip::Yes => {
            let compressed = Gzipped::new(std::iter::once(Bytes::from(page)));
            gzipped(response(StatusCode::OK, TYPE, stream(compressed)))
        }
    }
}

fn gzipped(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn json_response(status: StatusCode, body: Body) -> Response {
    let mut response = response(status, "application/json", body);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Origin"));
    response
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn stream(chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(futures_util::stream::iter(chunks.map(Ok::<_, Infallible>)))
}

struct Rendered(Vec<u8>);

impl Pieces for Rendered {
    fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        out.append(&mut self.0);
        false
    }
}

struct List<I: Iterator> {
    items: I,
    write: fn(&mut Vec<u8>, &I::Item),
    separator: u8,
}

impl<I: Iterator + Send> Pieces for List<I> {
    fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.items.next() else {
            out.extend_from_slice(if self.separator == b'[' { b"[]" } else { b"]" });
            return false;
        };
        out.push(self.separator);
        self.separator = b',';
        (self.write)(out, &item);
        true
    }
}

/// The envelope as an iterator over its chunks.
struct Chunks {
    reply: Reply,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Opening,
    Data,
    Closing,
    Done,
}

impl Chunks {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        self.part = match self.part {
            Part::Opening => {
                out.extend_from_slice(b"{\"status\":\"success\",\"data\":");
                Part::Data
            }
            Part::Data => {
                let data = self.reply.data.as_mut();
                let is_more = data.is_some_and(|data| data.write_next(out));
                if is_more { Part::Data } else { Part::Closing }
            }
            Part::Closing => {
                let notices = [("warnings", &self.reply.warnings), ("infos", &self.reply.infos)];
                for (name, texts) in notices.into_iter().filter(|(_, texts)| !texts.is_empty()) {
                    out.push(b',');
                    json::string(out, name);
                    out.push(b':');
                    json::strings(out, texts);
                }
                out.push(b'}');
                Part::Done
            }
            Part::Done => Part::Done,
        }
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.part == Part::Done {
            return None;
        }
        let mut chunk = Vec::with_capacity(match self.part {
            Part::Opening => ANSWER_BYTES_USUAL,
            _ => CHUNK_BYTES + CHUNK_BYTES / 16,
        });
        while self.part != Part::Done && chunk.len() < CHUNK_BYTES {
            self.write_next(&mut chunk);
        }
        Some(chunk.into())
    }
}

/// Compresses chunks as they pass.
struct Gzipped<I> {
    chunks: I,
    encoder: Option<GzEncoder<Vec<u8>>>, // gone when its last bytes are
}

impl<I> Gzipped<I> {
    fn new(chunks: I) -> Self {
        Self { chunks, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl<I: Iterator<Item = Bytes>> Iterator for Gzipped<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        const IN_MEMORY: &str = "compressing in memory does not fail";
        let encoder = self.encoder.as_mut()?;
        for chunk in self.chunks.by_ref() {
            encoder.write_all(&chunk).expect(IN_MEMORY);
            if !encoder.get_ref().is_empty() {
                return Some(std::mem::take(encoder.get_mut()).into());
            }
        }
        Some(self.encoder.take()?.finish().expect(IN_MEMORY).into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;

    use super::*;

    fn body(response: Response) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(to_bytes(response.into_body(), usize::MAX)).unwrap().to_vec()
    }

    fn words(count: usize) -> Reply {
        let words = (0..count).map(|index| format!("word{index}"));
        Reply::list(words, |out, word| json::string(out, word))
    }

    #[test]
    fn the_envelope_is_prometheus() {
        #[track_caller]
        fn check(reply: Reply, expect: &str) {
            let body = body(reply.into_response(Gzip::No));
            assert_eq!(String::from_utf8(body).unwrap(), expect);
        }
        check(words(0), r#"{"status":"success","data":[]}"#);
        check(words(2), r#"{"status":"success","data":["word0","word1"]}"#);
        check(
            words(1).with_infos(vec!["b".into()]).with_warnings(vec!["a".into()]),
            r#"{"status":"success","data":["word0"],"warnings":["a"],"infos":["b"]}"#,
        );
        let value = Reply::value(&serde_json::json!({"z": 1, "a": 2})).unwrap();
        check(value, r#"{"status":"success","data":{"z":1,"a":2}}"#);
    }

    #[test]
    fn errors_name_their_type() {
        let response = ApiError::bad_data("a \"quoted\" word").into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "application/json");
        let expect = r#"{"status":"error","errorType":"bad_data","error":"a \"quoted\" word"}"#;
        assert_eq!(body(response), expect.as_bytes());
    }

    #[test]
    fn a_small_answer_has_a_length_and_a_large_one_is_streamed() {
        let length = |reply: Reply, gzip| {
            use axum::body::HttpBody;
            reply.into_response(gzip).body().size_hint().exact()
        };
        assert_eq!(length(words(1), Gzip::No), Some(37));
        assert_eq!(length(words(1), Gzip::Yes), Some(37)); // not worth compressing
        assert_eq!(length(words(100_000), Gzip::No), None);
    }

    #[test]
    fn compressed_answers_decompress_to_the_plain_ones() {
        for count in [1, 1_000, 100_000] {
            let plain = body(words(count).into_response(Gzip::No));
            let response = words(count).into_response(Gzip::Yes);
            let compressed = response.headers().contains_key("content-encoding");
            assert_eq!(compressed, count > 1);
            let mut decompressed = body(response);
            if compressed {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(&decompressed[..]).read_to_end(&mut text).unwrap();
                decompressed = text;
            }
            assert!(decompressed == plain, "{count} words");
        }
    }

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        #[track_caller]
        fn check(accept: &str, expect: Gzip) {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(Gzip::accepted_by(&headers), expect, "{accept}");
        }
        check("gzip", Gzip::Yes);
        check("deflate, gzip;q=0.5", Gzip::Yes);
        check("gzip;q=0", Gzip::No);
        check("zstd", Gzip::No);
        assert_eq!(Gzip::accepted_by(&HeaderMap::new()), Gzip::No);
    }
}
