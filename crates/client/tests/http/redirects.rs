//! REDIRECT-1, and how far we follow.

use client::Request;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::server::{Server, answer, ok};
use crate::{client, get, text};

fn to(place: &str) -> String {
    answer("302 Found", &format!("Location: {place}\r\n"), "")
}

const SECRETS: &str = "{basic_auth: {username: me, password: hush}, \
                       http_headers: {X-Secret: {secrets: [hush]}}}";

#[tokio::test]
async fn the_same_server_is_told_who_we_are_and_another_is_not() {
    let other = Server::plain(|_| ok("other")).await;
    let place = other.url();
    let server = Server::plain(move |asked| match asked.head.split(' ').nth(1).unwrap() {
        "/" => to("/near?x=1"),
        "/near?x=1" => to(&place),
        path => panic!("{path}"),
    })
    .await;
    assert_eq!(get(&client(SECRETS), &server.url()).await.unwrap(), "other");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        assert!(asked.head.contains("authorization: basic bwu6ahvzaa=="), "{}", asked.head);
        assert!(asked.head.contains("x-secret: hush"), "{}", asked.head);
    }
    // Nor where the caller brings its own.
    let own = HeaderValue::from_static("Token hush");
    let request = Request::get(server.url().parse().unwrap()).header(AUTHORIZATION, own);
    client("{}").send(request).await.unwrap();
    assert!(server.asked()[3].head.contains("authorization: token hush"));
    for asked in other.asked() {
        assert!(!asked.head.contains("authorization"), "{}", asked.head);
        assert!(!asked.head.contains("hush"), "{}", asked.head);
    }
}

#[tokio::test]
async fn endless_redirects_end() {
    let server = Server::plain(|_| to("/again")).await;
    let error = get(&client("{}"), &server.url()).await.unwrap_err();
    assert_eq!(error, "stopped after 10 redirects");
    assert_eq!(server.asked().len(), 10);
}

#[tokio::test]
async fn redirects_may_be_refused_or_lead_nowhere() {
    let server = Server::plain(|_| to("/again")).await;
    let client_that_stays = client("follow_redirects: false");
    let response = client_that_stays.send(Request::get(server.url().parse().unwrap())).await;
    assert_eq!(response.unwrap().status(), 302);
    for place in ["ftp://a/", "http://", "file:///etc/passwd"] {
        let server = Server::plain(move |_| to(place)).await;
        let error = get(&client("{}"), &server.url()).await.unwrap_err();
        assert_eq!(error, "redirected to what is no URL", "{place}");
    }
}

#[tokio::test]
async fn what_was_posted_is_posted_again_only_where_the_answer_says_so() {
    let check = async |status: &'static str, expect: &str| {
        let server = Server::plain(move |asked| {
            if asked.head.contains(" /end ") {
                ok(&format!("{} {}", asked.head.split(' ').next().unwrap(), asked.body))
            } else {
                answer(status, "Location: /end\r\n", "")
            }
        })
        .await;
        let request = Request::post(server.url().parse().unwrap(), "samples");
        let response = client("{}").send(request).await.unwrap();
        assert_eq!(text(response).await.unwrap(), expect, "{status}");
    };
    check("301 Moved Permanently", "get ").await;
    check("303 See Other", "get ").await;
    check("307 Temporary Redirect", "post samples").await;
    check("308 Permanent Redirect", "post samples").await;
}
