//! Sends requests as a configuration says.

use std::error::Error as _;
use std::fmt;

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Uri};
use http_body_util::Full;
use parking_lot::Mutex;
use url::Url;

use crate::connect::{PlainPool, TlsPool, plain_pool, tls_pool};
use crate::credentials::{Credentials, basic, read, sensitive};
use crate::message::url_user;
use crate::oauth2::TokenSource;
use crate::tls::Stamp;
use crate::{Error, HttpClientConfig, Request, Response, redirect};

/// As many as Go's client sends until it gives up following.
const REQUESTS_MAX: usize = 10;
const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("Watershed/", env!("CARGO_PKG_VERSION")));

/// Keeps connections; make one for each configuration and share it. It sets no time limit: that is the
/// caller's, around [`HttpClient::send`] and the reading of the body.
pub struct HttpClient {
    config: HttpClientConfig,
    /// Boxed, for it holds a client of its own.
    tokens: Option<Box<TokenSource>>,
    plain: PlainPool,
    /// Made when it is first needed: who does not encrypt needs no certificates.
    encrypted: Mutex<Option<Encrypted>>,
}

#[derive(Clone)]
struct Encrypted {
    pool: TlsPool,
    /// Of the files that it was made of.
    stamp: Stamp,
}

impl HttpClient {
    /// Opens nothing: what is wrong with a file is the error of the request that needs it.
    pub fn new(config: HttpClientConfig) -> Self {
        let tokens = match &config.credentials {
            Some(Credentials::OAuth2(oauth2)) => {
                Some(Box::new(TokenSource::new((**oauth2).clone())))
            }
            _ => None,
        };
        let plain = plain_pool(config.proxy.clone());
        Self { config, tokens, plain, encrypted: Mutex::new(None) }
    }

    /// The answer's head, after redirects where they are followed.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let (first, mut request) = (request.url.clone(), request);
        for _ in 0..REQUESTS_MAX {
            let response = self.exchange(&request, &first).await?;
            if !self.config.follow_redirects {
                return Ok(response);
            }
            match redirect::next(&request, &response)? {
                None => return Ok(response),
                Some(next) => request = next,
            }
            if !redirect::is_same_server(&first, &request.url) {
                request.headers.remove(AUTHORIZATION);
            }
        }
        Err(Error::Redirects(REQUESTS_MAX))
    }

    /// One request and its answer.
    async fn exchange(&self, request: &Request, first: &Url) -> Result<Response, Error> {
        let mut url = request.url.clone();
        let mut headers = request.headers.clone();
        headers.entry(USER_AGENT).or_insert(PRODUCT);
        if redirect::is_same_server(first, &url) {
            self.config.headers.apply(&mut headers)?;
            if !headers.contains_key(AUTHORIZATION)
                && let Some(authorization) = self.authorization(&url).await?
            {
                headers.insert(AUTHORIZATION, authorization);
            }
        }
        url.set_fragment(None);
        if url_user(&url).is_some() {
            url.set_username("").and(url.set_password(None)).expect("what has a user has a host");
        }
        let uri = Uri::try_from(url.as_str()).map_err(|error| Error::of_exchange(&error))?;
        let is_encrypted = url.scheme() == "https";
        if !is_encrypted
            && let Some(server) = self.config.proxy.as_ref().and_then(|proxy| proxy.of(&uri))
            && let Some(authorization) = &server.authorization
        {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let mut message = http::Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri;
        *message.headers_mut() = headers;
        let answer = if is_encrypted {
            self.encrypted()?.request(message).await
        } else {
            self.plain.request(message).await
        };
        match answer {
            Ok(inner) => Ok(Response { inner }),
            // The cause alone says that it is about connecting.
            Err(error) if error.is_connect() => {
                Err(Error::of_exchange(error.source().unwrap_or(&error)))
            }
            Err(error) => Err(Error::of_exchange(&error)),
        }
    }

    async fn authorization(&self, url: &Url) -> Result<Option<HeaderValue>, Error> {
        match (&self.config.credentials, &self.tokens) {
            (_, Some(tokens)) => tokens.header().await.map(Some),
            (Some(Credentials::Basic { username, password }), _) => {
                basic(read(username)?.expose(), read(password)?.expose()).map(Some)
            }
            (Some(Credentials::Authorization { scheme, credentials }), _) => {
                sensitive(&format!("{scheme} {}", read(credentials)?.expose())).map(Some)
            }
            (None | Some(Credentials::OAuth2(_)), None) => {
                url_user(url).map(|(user, password)| basic(&user, &password)).transpose()
            }
        }
    }

    /// The pool of encrypted connections, made anew if a file that it was made of has changed.
    fn encrypted(&self) -> Result<TlsPool, Error> {
        let stamp = self.config.tls.stamp();
        let mut encrypted = self.encrypted.lock();
        if let Some(encrypted) = &*encrypted
            && encrypted.stamp == stamp
        {
            return Ok(encrypted.pool.clone());
        }
        let pool = tls_pool(self.config.proxy.clone(), &self.config.tls)
            .map_err(|error| Error::Tls(Box::new(error)))?;
        *encrypted = Some(Encrypted { pool: pool.clone(), stamp });
        Ok(pool)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("config", &self.config).finish_non_exhaustive()
    }
}
