//! The parameters of a request: those of its form body first, then those of its URL.
//!
//! - FORM-1: a form that does not decode is refused as a whole; half a query is never answered.
//! - FORM-2: where a name is given more than once, the first value counts, and the body's come
//!   before the URL's (as Go's `Request.FormValue` has it).
//! - FORM-3: a body may have at most [`BODY_BYTES_MAX`] bytes.

use axum::body::{Body, to_bytes};
use axum::http::{Method, header, request::Parts};

use crate::error::ApiError;

/// As much as Go's `ParseForm` takes.
const BODY_BYTES_MAX: usize = 10 << 20;
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

#[derive(Debug, Default)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads the URL's parameters and, of a POST or PUT that brings a form, the body's.
    pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Self, ApiError> {
        let mut form = Self::default();
        if matches!(parts.method, Method::POST | Method::PUT) && brings_form(parts) {
            let body = to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
                form_error(match is_too_large(&error) {
                    true => "http: POST too large".to_owned(),
                    false => error.to_string(),
                })
            })?;
            form.decode(&body)?;
        }
        form.decode(parts.uri.query().unwrap_or_default().as_bytes())?;
        Ok(form)
    }

    /// The first value of `name`; `""` where there is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        let first = self.pairs.iter().find(|(found, _)| found == name);
        first.map_or("", |(_, value)| value)
    }

    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        self.pairs.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Adds the pairs of `name=value&name=value`.
    fn decode(&mut self, text: &[u8]) -> Result<(), ApiError> {
        for pair in text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|&b| b == b'=');
            let (name, value) = match equals {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            self.pairs.push((unescape(name)?, unescape(value)?));
        }
        Ok(())
    }
}

/// Undoes percent-encoding, and `+` for a space.
fn unescape(text: &[u8]) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let escape = tail.get(..2).unwrap_or(tail);
                let byte = hex_byte(escape).ok_or_else(|| {
                    let escape = String::from_utf8_lossy(escape);
                    form_error(format!("invalid URL escape \"%{escape}\""))
                })?;
                bytes.push(byte);
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| form_error("invalid UTF-8".to_owned()))
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

fn brings_form(parts: &Parts) -> bool {
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let text = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM_TYPE)
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn form_error(reason: String) -> ApiError {
    ApiError::bad_data(format!("error parsing form values: {reason}"))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn read(request: Request<Body>) -> Result<Vec<(String, String)>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (parts, body) = request.into_parts();
        let form = runtime.block_on(Form::read(&parts, body));
        form.map(|form| form.pairs).map_err(|error| error.message)
    }

    #[track_caller]
    fn check_query(query: &str, expect: Result<&[(&str, &str)], &str>) {
        let mut form = Form::default();
        let decoded = form.decode(query.as_bytes()).map_err(|error| error.message);
        let pairs: Vec<_> = form.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        match expect {
            Ok(expect) => assert_eq!((decoded, pairs.as_slice()), (Ok(()), expect), "{query}"),
            Err(expect) => assert_eq!(decoded, Err(expect.to_owned()), "{query}"),
        }
    }

    #[test]
    fn pairs_are_unescaped() {
        check_query("", Ok(&[]));
        check_query("a=1&&b", Ok(&[("a", "1"), ("b", "")]));
        check_query("q=up+%7Ba%3d%22%C3%A9%22%7D", Ok(&[("q", "up {a=\"é\"}")]));
        check_query("match%5B%5D=a&match[]=b", Ok(&[("match[]", "a"), ("match[]", "b")]));
        check_query("a=b=c;d", Ok(&[("a", "b=c;d")]));
    }

    #[test]
    fn a_form_that_does_not_decode_is_refused() {
        check_query("a=%zz", Err("error parsing form values: invalid URL escape \"%zz\""));
        check_query("a=1&b=%4", Err("error parsing form values: invalid URL escape \"%4\""));
        check_query("a=%", Err("error parsing form values: invalid URL escape \"%\""));
        check_query("a=%ff", Err("error parsing form values: invalid UTF-8"));
    }

    #[test]
    fn a_form_body_comes_before_the_url() {
        let request = |content_type: &str| {
            Request::post("/?a=url&b=url")
                .header("content-type", content_type)
                .body(Body::from("a=body"))
                .unwrap()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let url = [pair("a", "url"), pair("b", "url")];
        let both = [&[pair("a", "body")], &url[..]].concat();
        assert_eq!(read(request("application/x-www-form-urlencoded; charset=utf-8")), Ok(both));
        assert_eq!(read(request("text/plain")), Ok(url.to_vec()));
    }

    #[test]
    fn an_oversized_body_is_refused() {
        let request = Request::post("/")
            .header("content-type", FORM_TYPE)
            .body(Body::from(vec![b'a'; BODY_BYTES_MAX + 1]))
            .unwrap();
        let refused = "error parsing form values: http: POST too large";
        assert_eq!(read(request), Err(refused.to_owned()));
    }
}
