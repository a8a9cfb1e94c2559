//! Credentials and headers as servers see them.

use client::HttpClient;
use tempfile::TempDir;

use crate::server::{Server, ok};
use crate::{client, config, get};

#[tokio::test]
async fn requests_carry_what_is_configured() {
    let server = Server::plain(|_| ok("")).await;
    let check = async |yaml: &str, url: &str, lines: &[&str]| {
        get(&client(yaml), url).await.unwrap();
        let head = server.asked().pop().unwrap().head;
        for line in lines {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{yaml}: {head}");
        }
    };
    let url = server.url();
    check("{}", &url, &[concat!("user-agent: watershed/", env!("CARGO_PKG_VERSION"))]).await;
    let basic = "basic_auth: {username: me, password: hush}";
    check(basic, &url, &["authorization: basic bwu6ahvzaa=="]).await;
    check("basic_auth: {username: me}", &url, &["authorization: basic bwu6"]).await;
    check("authorization: {credentials: hush}", &url, &["authorization: bearer hush"]).await;
    check("authorization: {type: T, credentials: x}", &url, &["authorization: t x"]).await;
    check("bearer_token: hush", &url, &["authorization: bearer hush"]).await;
    let in_url = url.replace("//", "//me:h%75sh@");
    check("{}", &in_url, &["authorization: basic bwu6ahvzaa=="]).await;
    check(
        "http_headers: {X-A: {values: [one], secrets: [two]}, X-B: {values: [three]}}",
        &url,
        &["x-a: one", "x-a: two", "x-b: three"],
    )
    .await;
}

#[tokio::test]
async fn secrets_in_files_are_read_for_each_request() {
    let server = Server::plain(|_| ok("")).await;
    let directory = TempDir::new().unwrap();
    let config = config(
        "{authorization: {credentials_file: token}, http_headers: {X-A: {files: [header]}}}",
        directory.path(),
    );
    let client = HttpClient::new(config);
    for round in ["one", "two"] {
        std::fs::write(directory.path().join("token"), format!("{round}\n")).unwrap();
        std::fs::write(directory.path().join("header"), format!(" {round}")).unwrap();
        get(&client, &server.url()).await.unwrap();
        let head = server.asked().pop().unwrap().head;
        assert!(head.contains(&format!("authorization: bearer {round}\r\n")), "{head}");
        assert!(head.contains(&format!("x-a: {round}\r\n")), "{head}");
    }
    std::fs::write(directory.path().join("token"), "hu\u{7f}sh").unwrap();
    let error = get(&client, &server.url()).await.unwrap_err();
    assert_eq!(error, "a secret does not fit a header");
    std::fs::remove_file(directory.path().join("token")).unwrap();
    let error = get(&client, &server.url()).await.unwrap_err();
    assert!(error.contains("/token: No such file"), "{error}");
}

#[tokio::test]
async fn a_body_above_its_bound_is_not_kept() {
    let announces =
        Server::plain(|_| "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned())
            .await;
    let chunked = Server::plain(|_| {
        let chunk = format!("20000\r\n{}\r\n", "x".repeat(0x20000));
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(9))
    })
    .await;
    for server in [announces, chunked] {
        let error = get(&client("{}"), &server.url()).await.unwrap_err();
        assert_eq!(error, "the answer is larger than 1048576 bytes");
    }
}
