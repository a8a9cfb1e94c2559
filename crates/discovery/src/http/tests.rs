//! Against a server that answers as a test wants it to.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;

/// Answers each request with what it is told to; without anything to say it never answers.
struct Answering {
    address: SocketAddr,
    answer: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Answering {
    async fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, requests) = (Arc::new(Mutex::new(answer.to_owned())), Arc::default());
        tokio::spawn({
            let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, Arc::clone(&answer), Arc::clone(&requests)));
                }
            }
        });
        Self { address, answer, requests }
    }

    fn config(&self, more: &str) -> HttpConfig {
        let yaml = format!("url: 'http://{}/list?of=targets'\n{more}", self.address);
        serde_yaml_ng::from_str(&yaml).unwrap()
    }
}

async fn serve(
    mut connection: TcpStream,
    answer: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = connection.read_u8().await else { return };
        request.push(byte);
    }
    requests.lock().push(String::from_utf8(request).unwrap());
    let answer = answer.lock().clone();
    if answer.is_empty() {
        std::future::pending::<()>().await;
    }
    let _ = connection.write_all(answer.as_bytes()).await; // the client may have seen enough
}

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn ask(config: HttpConfig) -> Result<Vec<TargetGroup>, String> {
    let client = HttpClient::new(config.http.clone());
    let mut server = Server { config, client };
    server.ask().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_the_server_lists_becomes_groups() {
    let server = Answering::start(&json(r#"[{"targets": ["a:1"], "labels": {"x": "y"}}]"#)).await;
    let auth = "basic_auth: {username: me, password: hush}\nrefresh_interval: 90s";
    let groups = ask(server.config(auth)).await.unwrap();
    let url = format!("http://{}/list?of=targets", server.address);
    assert_eq!(&*groups[0].source, format!("{url}:0"));
    assert_eq!(groups[0].labels.to_string(), format!(r#"{{__meta_url="{url}", x="y"}}"#));
    let request = server.requests.lock()[0].to_ascii_lowercase();
    for line in [
        "get /list?of=targets http/1.1",
        "accept: application/json",
        "x-prometheus-refresh-interval-seconds: 90",
        "authorization: basic bwu6ahvzaa==",
    ] {
        assert!(request.contains(line), "{line}: {request}");
    }
}

#[tokio::test]
async fn answers_that_cannot_be_right_are_errors_that_name_the_server() {
    async fn check(answer: &str, expect: &str) {
        let server = Answering::start(answer).await;
        let error = ask(server.config("refresh_interval: 300ms")).await.unwrap_err();
        let url = format!("http://{}/list?of=targets: ", server.address);
        let reason = error.strip_prefix(&url).unwrap_or_else(|| panic!("{error}"));
        assert!(reason.contains(expect), "{answer}: {error}");
    }
    check("", "no answer within 300ms").await;
    check("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "HTTP status 500").await;
    check(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n[]",
        r#"unsupported content type "text/html""#,
    )
    .await;
    check(&json("[{}"), "EOF while parsing").await;
    check(&json("[null]"), "nil target group item found").await;
    let announces =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n[";
    check(announces, "larger than 67108864 bytes").await;
    let breaks_off =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n[]";
    check(breaks_off, "end of file before message length reached").await;
}

#[tokio::test]
async fn a_server_that_fails_costs_no_target() {
    let server = Answering::start(&json(r#"[{"targets": ["a:1"]}, {"targets": ["b:1"]}]"#)).await;
    let feed = Feed::new(watch::Sender::new(()));
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let config = server.config("refresh_interval: 20ms");
    let running = tokio::spawn(run(config, feed.clone(), metrics.clone()));
    let wait_for = async |groups: usize| {
        while feed.groups().0.len() != groups {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    wait_for(2).await;
    *server.answer.lock() = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_owned();
    while metrics.failures.with_label_values(&["http"]).get() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(feed.groups().0.len(), 2);
    *server.answer.lock() = json(r#"[{"targets": ["b:1"]}]"#);
    wait_for(1).await;
    running.abort();
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let error = serde_yaml_ng::from_str::<HttpConfig>(yaml).unwrap_err().to_string();
        assert!(error.contains(expect), "{yaml}: {error}");
    }
    check("refresh_interval: 5s", "URL is missing");
    check("url: ftp://host/", r#"url: "ftp" is not http or https"#);
    check("url: /list", "relative URL without a base");
    check("url: 'http://'", "empty host");
    check("url: http://host/\nrefresh_interval: 0s", "must be more than 0");
    check("url: http://host/\nurls: []", "unknown field `urls`");
}
