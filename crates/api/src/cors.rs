//! Whose web pages may read answers. Source: Prometheus `util/httputil/cors.go`.

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use regex::Regex;

/// The origins allowed: a regex that must match the whole of `Origin`. By default `.*`.
#[derive(Clone, Debug, Default)]
pub struct CorsOrigin(Option<Regex>); // none: any origin, and the answer need not name it

#[derive(Debug, thiserror::Error)]
#[error("could not compile CORS regex string '{pattern}'")]
pub struct CorsOriginError {
    pattern: String,
    source: regex::Error,
}

impl CorsOrigin {
    pub fn parse(pattern: &str) -> Result<Self, CorsOriginError> {
        if pattern == ".*" {
            return Ok(Self(None));
        }
        let anchored = Regex::new(&format!("^(?:{pattern})$"));
        let regex =
            anchored.map_err(|source| CorsOriginError { pattern: pattern.to_owned(), source })?;
        Ok(Self(Some(regex)))
    }

    fn write_headers(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        let fixed = [
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let allowed = match &self.0 {
            None => HeaderValue::from_static("*"),
            Some(regex) if origin.to_str().is_ok_and(|text| regex.is_match(text)) => origin.clone(),
            Some(_) => return,
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

/// Answers `OPTIONS`, and tells browsers who may read the other answers.
pub(crate) async fn allow(
    Shared(allowed): Shared<CorsOrigin>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if let Some(origin) = origin {
        allowed.write_headers(&origin, response.headers_mut());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_allowed_by_regex() {
        #[track_caller]
        fn check(pattern: &str, origin: &str, expect: Option<&str>) {
            let mut headers = HeaderMap::new();
            let origin = HeaderValue::from_str(origin).unwrap();
            CorsOrigin::parse(pattern).unwrap().write_headers(&origin, &mut headers);
            let allowed = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed.map(|value| value.to_str().unwrap()), expect, "{pattern}");
        }
        check(".*", "https://a.example", Some("*"));
        check("https://a\\.example|https://b", "https://a.example", Some("https://a.example"));
        check("https://a\\.example", "https://a.example.org", None);
    }

    #[test]
    fn a_bad_regex_is_named() {
        let error = CorsOrigin::parse("(").unwrap_err();
        assert_eq!(error.to_string(), "could not compile CORS regex string '('");
    }
}
