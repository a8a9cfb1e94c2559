//! What a client says it understands.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub(super) gzip: bool,
    /// Names beyond `[a-zA-Z0-9_:]` are understood, in quotes: text format 1.0.0.
    pub(super) any_names: bool,
}

impl Negotiated {
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        Self {
            gzip: offers(headers, ACCEPT_ENCODING, |coding, _| matches!(coding, "gzip" | "*")),
            any_names: offers(headers, ACCEPT, |kind, parameters| {
                kind == "text/plain" && parameters.contains(&"escaping=allow-utf-8")
            }),
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(if self.any_names {
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        })
    }
}

/// Whether an element of the header, given with its parameters, is `wanted` and not ruled out by
/// `q=0`. All in lower case.
fn offers(headers: &HeaderMap, name: HeaderName, wanted: impl Fn(&str, &[&str]) -> bool) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.to_ascii_lowercase().split(',').any(|element| {
            let mut parts = element.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("");
            let parameters: Vec<&str> = parts.collect();
            let refused = parameters.iter().any(|parameter| {
                let quality = parameter.strip_prefix("q=");
                quality.is_some_and(|quality| quality.parse::<f64>().is_ok_and(|q| q <= 0.0))
            });
            !refused && wanted(kind, &parameters)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_a_client_understands() {
        #[track_caller]
        fn check(accept: &str, accept_encoding: &str, any_names: bool, gzip: bool) {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            headers.insert(ACCEPT_ENCODING, accept_encoding.parse().unwrap());
            let expect = Negotiated { gzip, any_names };
            assert_eq!(Negotiated::from_headers(&headers), expect, "{accept} {accept_encoding}");
        }
        check("", "", false, false);
        check("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "gzip", false, true);
        check("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6", "br, GZIP;q=0.8", true, true);
        check("application/openmetrics-text;escaping=allow-utf-8", "gzip;q=0", false, false);
        check("*/*", "deflate, *;q=0.1", false, true);
    }
}
