//! OAUTH-1 and -2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use client::HttpClient;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::server::{Asked, Server, answer, demanding, ok};
use crate::{client, config, get};

/// `id:hush` in a header.
const IN_HEADER: &str = "authorization: basic awq6ahvzaa==";

fn yaml(token_url: &str, more: &str) -> String {
    format!("oauth2: {{client_id: id, client_secret: hush, token_url: '{token_url}', {more}}}")
}

/// Gives the tokens `t1`, `t2`, …, each with this said of it.
async fn endpoint(said: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    Server::plain(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        ok(&format!(r#"{{"access_token": "t{number}"{said}}}"#))
    })
    .await
}

fn tokens(target: &Server) -> Vec<String> {
    let token = |asked: Asked| {
        let mut lines = asked.head.lines();
        lines.find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned)).unwrap()
    };
    target.asked().into_iter().map(token).collect()
}

#[tokio::test]
async fn a_token_is_asked_for_and_sent() {
    let (endpoint, target) = (endpoint(r#", "token_type": "bearer""#).await, plain().await);
    let more = "scopes: [read, all], endpoint_params: {audience: a b}";
    let client = client(&yaml(&endpoint.url(), more));
    assert_eq!(get(&client, &target.url()).await.unwrap(), "target");
    assert_eq!(tokens(&target), ["bearer t1"]);
    let asked = &endpoint.asked()[0];
    assert!(asked.head.starts_with("post / http/1.1") && asked.head.contains(IN_HEADER));
    assert!(asked.head.contains("content-type: application/x-www-form-urlencoded"));
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read+all&audience=a+b");
}

async fn plain() -> Server {
    Server::plain(|_| ok("target")).await
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_expires() {
    let check = async |said: &'static str, expect: [&str; 3]| {
        let (endpoint, target) = (endpoint(said).await, plain().await);
        let client = client(&yaml(&endpoint.url(), ""));
        for _ in 0..3 {
            get(&client, &target.url()).await.unwrap();
        }
        assert_eq!(tokens(&target), expect, "{said}");
    };
    check(r#", "expires_in": 3600"#, ["bearer t1"; 3]).await;
    check("", ["bearer t1"; 3]).await;
    check(r#", "expires_in": 10"#, ["bearer t1", "bearer t2", "bearer t3"]).await;
    check(r#", "expires_in": "5""#, ["bearer t1", "bearer t2", "bearer t3"]).await;
    check(r#", "token_type": "mac", "expires_in": null"#, ["mac t1"; 3]).await;
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_token() {
    let (endpoint, target) = (endpoint(r#", "expires_in": 3600"#).await, plain().await);
    let client = Arc::new(client(&yaml(&endpoint.url(), "")));
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (client, url) = (Arc::clone(&client), target.url());
            tokio::spawn(async move { get(&client, &url).await.unwrap() })
        })
        .collect();
    for request in requests {
        request.await.unwrap();
    }
    assert_eq!((endpoint.asked().len(), target.asked().len()), (1, 20));
}

#[tokio::test]
async fn an_endpoint_that_wants_the_secret_in_the_body_is_told_it_there() {
    let endpoint = Server::plain(|asked| {
        if asked.body.ends_with("&client_id=id&client_secret=hush") {
            ok(r#"{"access_token": "t", "expires_in": 1}"#)
        } else {
            answer("401 Unauthorized", "", "")
        }
    })
    .await;
    let target = plain().await;
    let client = client(&yaml(&endpoint.url(), ""));
    for _ in 0..2 {
        get(&client, &target.url()).await.unwrap();
    }
    assert_eq!(tokens(&target), ["bearer t"; 2]);
    assert_eq!(endpoint.asked().len(), 3, "once the way is known it is taken at once");
}

#[tokio::test]
async fn a_new_secret_is_worth_a_new_token() {
    let (endpoint, target) = (endpoint("").await, plain().await);
    let directory = TempDir::new().unwrap();
    let url = endpoint.url();
    let yaml = format!("oauth2: {{client_id: id, client_secret_file: s, token_url: '{url}'}}");
    let client = HttpClient::new(config(&yaml, directory.path()));
    for secret in ["one", "one", "two"] {
        std::fs::write(directory.path().join("s"), secret).unwrap();
        get(&client, &target.url()).await.unwrap();
    }
    assert_eq!(tokens(&target), ["bearer t1", "bearer t1", "bearer t2"]);
}

#[tokio::test]
async fn an_error_says_what_happened_and_not_the_secret() {
    let check = async |endpoint: Server, expect: &str| {
        let target = plain().await;
        let error = get(&client(&yaml(&endpoint.url(), "")), &target.url()).await.unwrap_err();
        assert_eq!(error, expect);
        assert!(target.asked().is_empty());
    };
    let refuses = |body: &'static str| Server::plain(move |_| answer("400 Bad Request", "", body));
    let refusal = "oauth2: the token endpoint answered 400 Bad Request";
    let known = r#"{"error": "invalid_client", "error_description": "hush is wrong"}"#;
    check(refuses(known).await, &format!("{refusal}: invalid_client")).await;
    check(refuses(r#"{"error": "hush is wrong"}"#).await, refusal).await;
    check(refuses("hush").await, refusal).await;
    let no_token = "oauth2: the token endpoint's answer is no token";
    for body in ["hush", "{}", r#"{"access_token": ""}"#, r#"{"access_token": ["hush"]}"#] {
        check(Server::plain(move |_| ok(body)).await, no_token).await;
    }
    let unfit = Server::plain(|_| ok("{\"access_token\": \"hush\\n\"}")).await;
    check(unfit, "a secret does not fit a header").await;
    let large = Server::plain(|_| ok(&"x".repeat(2 << 20))).await;
    check(large, "oauth2: the answer is larger than 1048576 bytes").await;
}

#[tokio::test]
async fn a_secret_follows_no_redirect() {
    let other = Server::plain(|_| ok("")).await;
    let location = format!("Location: {}\r\n", other.url());
    let endpoint = Server::plain(move |_| answer("307 Temporary Redirect", &location, "")).await;
    let error = get(&client(&yaml(&endpoint.url(), "")), &plain().await.url()).await;
    assert_eq!(error.unwrap_err(), "oauth2: the token endpoint answered 307 Temporary Redirect");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn the_endpoint_is_asked_over_tls_of_its_own() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let config_of_endpoint = demanding(&servers.sign(&["127.0.0.1"]), &clients);
    let endpoint = Server::tls(config_of_endpoint).await; // says "secure", which is no token
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("ca.crt"), &servers.pem).unwrap();
    clients.sign(&["me.example"]).write(directory.path(), "me");
    let tls = "tls_config: {ca_file: ca.crt, cert_file: me.crt, key_file: me.key}";
    let yaml = yaml(&endpoint.url(), tls);
    let target = plain().await;
    let error = get(&HttpClient::new(config(&yaml, directory.path())), &target.url()).await;
    assert_eq!(error.unwrap_err(), "oauth2: the token endpoint's answer is no token");
    assert_eq!(endpoint.asked()[0].certificates, 1);
}
