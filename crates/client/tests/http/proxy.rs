//! Through a proxy that hands on what it is sent.

use std::net::SocketAddr;
use std::sync::Arc;

use client::HttpClient;
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;
use crate::server::{Server, ok, showing};
use crate::{client, config, get};

/// Hands on what comes after CONNECT, and answers plain requests itself.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `refusal`: what it answers to CONNECT, if it does not hand on.
    async fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        tokio::spawn({
            let heads = Arc::clone(&heads);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(hand_on(connection, Arc::clone(&heads), refusal));
                }
            }
        });
        Self { address, heads }
    }

    fn head(&self) -> String {
        self.heads.lock().pop().unwrap()
    }
}

async fn hand_on(
    mut client: TcpStream,
    heads: Arc<Mutex<Vec<String>>>,
    refusal: Option<&'static str>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    heads.lock().push(head.clone());
    if let Some(refusal) = refusal {
        let _ = client.write_all(refusal.as_bytes()).await;
    } else if let Some(rest) = head.strip_prefix("connect ") {
        let place = rest.split(' ').next().unwrap();
        let mut server = TcpStream::connect(place).await.unwrap();
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await; // until either goes away
    } else {
        client.write_all(ok("by proxy").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn plain_requests_are_the_proxys_to_make() {
    let proxy = Proxy::start(None).await;
    let client = client(&format!(
        "{{proxy_url: 'http://me:hush@{}', authorization: {{credentials: mine}}}}",
        proxy.address
    ));
    assert_eq!(get(&client, "http://far.example/x?y#z").await.unwrap(), "by proxy");
    let head = proxy.head();
    assert!(head.starts_with("get http://far.example/x?y http/1.1\r\n"), "{head}");
    for line in ["host: far.example", "authorization: bearer mine"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(head.contains("proxy-authorization: basic bwu6ahvzaa=="), "{head}");
}

#[tokio::test]
async fn encrypted_connections_go_through_a_tunnel() {
    let ours = Authority::new();
    let server = Server::tls(showing(&ours.sign(&["127.0.0.1"]))).await;
    let proxy = Proxy::start(None).await;
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("ca.crt"), &ours.pem).unwrap();
    let yaml = format!(
        "{{proxy_url: 'http://me:hush@{}', proxy_connect_header: {{X-Pass: [please]}}, \
         tls_config: {{ca_file: ca.crt}}, authorization: {{credentials: mine}}}}",
        proxy.address
    );
    let client = HttpClient::new(config(&yaml, directory.path()));
    assert_eq!(get(&client, &server.url()).await.unwrap(), "secure");
    let head = proxy.head();
    assert!(head.starts_with(&format!("connect {} http/1.1\r\n", server.address)), "{head}");
    assert!(head.contains("x-pass: please\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6ahvzaa=="), "{head}");
    assert!(!head.contains("mine"), "{head}");
    let inner = &server.asked()[0].head;
    assert!(inner.contains("authorization: bearer mine") && !inner.contains("x-pass"), "{inner}");
}

#[tokio::test]
async fn what_no_proxy_names_is_asked_directly() {
    let (server, proxy) = (Server::plain(|_| ok("direct")).await, Proxy::start(None).await);
    let direct = format!("{{proxy_url: 'http://{}', no_proxy: 127.0.0.0/8}}", proxy.address);
    assert_eq!(get(&client(&direct), &server.url()).await.unwrap(), "direct");
    assert!(proxy.heads.lock().is_empty());
    let through = format!("proxy_url: 'http://{}'", proxy.address);
    assert_eq!(get(&client(&through), &server.url()).await.unwrap(), "by proxy");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_the_cause() {
    for (refusal, expect) in [
        ("HTTP/1.1 407 Who\r\n\r\n", "tunnel error: proxy authorization required"),
        ("HTTP/1.1 502 No\r\n\r\n", "tunnel error: unsuccessful"),
        ("", "tunnel error: unexpected end of file"),
    ] {
        let proxy = Proxy::start(Some(refusal)).await;
        let client = client(&format!(
            "{{proxy_url: 'http://{}', tls_config: {{insecure_skip_verify: true}}}}",
            proxy.address
        ));
        let error = get(&client, "https://far.example/").await.unwrap_err();
        assert!(error.contains(expect), "{refusal}: {error}");
    }
}
