//! Where an answer sends us next, as Go's client does it.
//!
//! - REDIRECT-1: what proves who we are goes to the server that was asked, and to no other.
//! - Source: Go's `net/http/client.go`.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use url::Url;

use crate::{Error, Request, Response};

/// The request that follows `response` to `request`; `None` if that is the answer.
pub(crate) fn next(request: &Request, response: &Response) -> Result<Option<Request>, Error> {
    let keeps_body = match response.status() {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let url = location.to_str().ok().and_then(|location| request.url.join(location).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let mut next = Request { url: url.ok_or(Error::Location)?, ..request.clone() };
    if !keeps_body {
        next.method = Method::GET;
        next.body = Bytes::new();
        next.headers.remove(CONTENT_TYPE);
        next.headers.remove(CONTENT_ENCODING);
    }
    Ok(Some(next))
}

/// Whether what may be told `from` may be told `to`: the same server, or the one that it moved to when
/// it began to encrypt.
pub(crate) fn is_same_server(from: &Url, to: &Url) -> bool {
    let place = |url: &Url| (url.scheme() == "https", url.port_or_known_default());
    let (from_place, to_place) = (place(from), place(to));
    let encrypts = from_place == (false, Some(80)) && to_place == (true, Some(443));
    from.host() == to.host() && (from_place == to_place || encrypts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_is_one_with_another_name_port_or_scheme() {
        #[track_caller]
        fn check(from: &str, to: &str, is_same: bool) {
            let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            assert_eq!(is_same_server(&from, &to), is_same, "{from} {to}");
        }
        check("http://a/x", "http://A:80/y?z", true);
        check("http://a/", "https://a/", true);
        check("https://a/", "http://a/", false);
        check("http://a:81/", "https://a/", false);
        check("http://a/", "http://a:81/", false);
        check("http://a/", "http://b/", false);
        check("http://a.b/", "http://b/", false);
    }
}
