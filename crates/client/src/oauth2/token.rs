//! Asks for tokens, and keeps the last one.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::credentials::{basic, read, sensitive};
use crate::oauth2::OAuth2;
use crate::secret::Secret;
use crate::{Error, HttpClient, Request};

const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A token is not used in the last moments before it expires.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// One that does not say when it expires, or in more than this, is taken to live so long.
const LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a token endpoint may give as the reason of a refusal: RFC 6749 section 5.2.
const REASONS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    Http(Box<Error>),
    #[error("the token endpoint answered {status}{}", reason.map(|r| format!(": {r}")).unwrap_or_default())]
    Status { status: StatusCode, reason: Option<&'static str> },
    #[error("the token endpoint's answer is no token")]
    Answer,
}

#[derive(Debug)]
pub(crate) struct TokenSource {
    config: OAuth2,
    http: HttpClient,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// How the endpoint wants to be told the secret, once it is known.
    way: Option<Way>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    good_until: Instant,
    /// What it was given for: another secret needs another token.
    secret: Secret,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Header,
    Body,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl TokenSource {
    pub(crate) fn new(config: OAuth2) -> Self {
        let http = HttpClient::new(config.http.clone());
        Self { config, http, state: Mutex::default() }
    }

    /// The value of an `Authorization` header.
    pub(crate) async fn header(&self) -> Result<HeaderValue, Error> {
        let secret = read(&self.config.client_secret)?;
        let mut state = self.state.lock().await;
        if let Some(token) = &state.token
            && token.good_until > Instant::now()
            && token.secret == secret
        {
            return Ok(token.header.clone());
        }
        state.token = None;
        let answer = self.ask(&mut state, &secret).await.map_err(Error::Token)?;
        let life = match answer.expires_in {
            0 => LIFE_MAX,
            seconds => Duration::from_secs(seconds).min(LIFE_MAX),
        };
        let scheme = match answer.token_type.to_ascii_lowercase().as_str() {
            "" | "bearer" => "Bearer",
            "mac" => "MAC",
            "basic" => "Basic",
            _ => &answer.token_type,
        };
        let header = sensitive(&format!("{scheme} {}", answer.access_token))?;
        let good_until = Instant::now() + life.saturating_sub(EXPIRY_MARGIN);
        state.token = Some(Token { header: header.clone(), good_until, secret });
        Ok(header)
    }

    /// Tells the secret in a header, as it should be, and in the body to an endpoint that refuses that.
    async fn ask(&self, state: &mut State, secret: &Secret) -> Result<Answer, TokenError> {
        if let Some(way) = state.way {
            return self.ask_in(way, secret).await;
        }
        let (way, answer) = match self.ask_in(Way::Header, secret).await {
            Err(TokenError::Status { .. }) => (Way::Body, self.ask_in(Way::Body, secret).await?),
            answer => (Way::Header, answer?),
        };
        state.way = Some(way);
        Ok(answer)
    }

    async fn ask_in(&self, way: Way, secret: &Secret) -> Result<Answer, TokenError> {
        let http = |error: Error| TokenError::Http(Box::new(error));
        let request = self.request(way, secret).map_err(http)?;
        // Boxed, for a client that asks for a token holds another client.
        let mut response = Box::pin(self.http.send(request)).await.map_err(http)?;
        let body = response.bytes(ANSWER_BYTES_MAX).await.map_err(http)?;
        if !response.status().is_success() {
            let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
            let reason =
                refusal.and_then(|refusal| REASONS.iter().find(|r| **r == refusal.error).copied());
            return Err(TokenError::Status { status: response.status(), reason });
        }
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) if !answer.access_token.is_empty() => Ok(answer),
            _ => Err(TokenError::Answer), // serde's error would quote what it found
        }
    }

    fn request(&self, way: Way, secret: &Secret) -> Result<Request, Error> {
        let config = &self.config;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !config.scopes.is_empty() {
            form.append_pair("scope", &config.scopes.join(" "));
        }
        form.extend_pairs(&config.endpoint_params);
        if let Way::Body = way {
            form.append_pair("client_id", &config.client_id);
            form.append_pair("client_secret", secret.expose());
        }
        let request = Request::post(config.token_url.url().clone(), form.finish())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(match way {
            Way::Body => request,
            Way::Header => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let user = basic(&encoded(&config.client_id), &encoded(secret.expose()))?;
                request.header(AUTHORIZATION, user)
            }
        })
    }
}

/// A number, or one in quotes, as some endpoints have it.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
        None,
    }
    Ok(match Seconds::deserialize(from)? {
        Seconds::Number(seconds) => seconds,
        Seconds::Text(text) => text.parse().unwrap_or(0),
        Seconds::None => 0,
    })
}
