//! Targets that misbehave: each scrape fails with an error that says how, and `up` is 0.

use super::bench::Bench;
use super::server::{Answer, Server, gzip};

const TEXT: &str = "Content-Type: text/plain\r\n";

/// Scrapes a target that answers so, and one good scrape before it. `{url}` stands for its URL.
async fn check_with(config: &str, answer: Answer, expect: &str) {
    let server = Server::start(Answer::text("a 1\n")).await;
    let mut bench = Bench::of_target(&server.address.to_string(), config);
    assert_eq!(bench.fetch().await, "");
    server.answer(answer);
    let url = format!("http://{}/metrics", server.address);
    assert_eq!(bench.fetch().await, expect.replace("{url}", &url));
    assert_eq!(bench.report("up"), 0.0);
    let stored = bench.store.dump();
    assert!(stored.len() == 1 && stored[0].ends_with(": 1@10000 stale@20000"), "{stored:?}");
    bench.check_books();
}

async fn check(answer: Answer, expect: &str) {
    check_with("", answer, expect).await;
}

#[tokio::test]
async fn a_target_that_hangs_or_drips_runs_into_its_timeout() {
    async fn check(answer: Answer) {
        let expect = r#"Get "{url}": context deadline exceeded"#;
        check_with("scrape_timeout: 1s", answer, expect).await;
    }
    check(Answer::silence()).await;
    let Answer::Bytes(bytes) = Answer::text("a 1\n") else { unreachable!() };
    check(Answer::Drip(bytes)).await;
    let half = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\na 1";
    check(Answer::Stalling(half.to_vec())).await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_an_error_with_its_cause() {
    let server = Server::start(Answer::silence()).await;
    let address = server.address.to_string();
    drop(server);
    tokio::task::yield_now().await; // the listener goes with its task
    let mut bench = Bench::of_target(&address, "");
    let expect = format!(
        "Get \"http://{address}/metrics\": tcp connect error: Connection refused (os error 111)"
    );
    assert_eq!(bench.fetch().await, expect);
    assert_eq!(bench.report("up"), 0.0);
}

#[tokio::test]
async fn only_status_200_is_good() {
    #[track_caller]
    fn answer(status: &str) -> Answer {
        let head = format!("HTTP/1.1 {status}\r\n{TEXT}Content-Length: 4\r\n\r\na 1\n");
        Answer::Bytes(head.into_bytes())
    }
    check(answer("404 Not Found"), "server returned HTTP status 404 Not Found").await;
    check(answer("500 Whatever"), "server returned HTTP status 500 Internal Server Error").await;
    check(answer("204 No Content"), "server returned HTTP status 204 No Content").await;
    check(answer("302 Found"), "server returned HTTP status 302 Found").await; // leads nowhere
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let redirect = |to: &str| {
        Answer::Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n").into_bytes())
    };
    check(redirect("/metrics"), r#"Get "{url}": stopped after 10 redirects"#).await;
    check_with("follow_redirects: false", redirect("/"), "server returned HTTP status 302 Found")
        .await;

    let end = Server::start(Answer::text("a 1\n")).await;
    let start = Server::start(redirect(&format!("http://{}/x", end.address))).await;
    let mut bench = Bench::of_target(&start.address.to_string(), "");
    assert_eq!(bench.fetch().await, "");
}

#[tokio::test]
async fn bodies_above_the_limit_are_cut_off() {
    let limit = "body_size_limit: 1MB";
    let expect = "body size limit exceeded (limit: 1048576 bytes)";
    let head = format!("HTTP/1.1 200 OK\r\n{TEXT}");
    let endless = |head: String| Answer::Endless(head.into_bytes(), vec![b'#'; 100_000]);
    check_with(limit, endless(format!("{head}\r\n")), expect).await;
    check_with(limit, endless(format!("{head}Content-Length: 999999999999\r\n\r\n")), expect).await;
    check_with(limit, Answer::gzip(&gzip(&vec![b'\n'; 50 << 20])), expect).await;
}

#[tokio::test]
async fn damaged_transfers_are_errors() {
    let short = format!("HTTP/1.1 200 OK\r\n{TEXT}Content-Length: 9\r\n\r\na 1\n");
    check(
        Answer::Bytes(short.into_bytes()),
        r#"Get "{url}": error reading a body from connection: end of file before message length reached"#,
    )
    .await;
    check(
        Answer::Bytes(b"no HTTP at all\r\n\r\n".to_vec()),
        r#"Get "{url}": client error (SendRequest): invalid HTTP version parsed"#,
    )
    .await;
    let whole = gzip(b"a 1\nb 2\n");
    check(Answer::gzip(&whole[..whole.len() - 3]), "decompress the body: unexpected end of file")
        .await;
    check(Answer::gzip(b"a 1\nb 1\nc 1\n"), "decompress the body: invalid gzip header").await;
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    check(
        Answer::gzip(&wrong_sum),
        "decompress the body: corrupt gzip stream does not have a matching checksum",
    )
    .await;
    check(
        Answer::with_head(&format!("{TEXT}Content-Encoding: br\r\n"), b"a 1\n"),
        r#"unsupported Content-Encoding "br""#,
    )
    .await;
}

#[tokio::test]
async fn a_wrong_content_type_is_an_error_unless_there_is_a_fallback() {
    let html = Answer::typed("text/html; charset=utf-8", b"a 1\n");
    check(
        html.clone(),
        "received unsupported Content-Type \"text/html; charset=utf-8\" and no \
         fallback_scrape_protocol specified for target",
    )
    .await;
    let blank = Answer::with_head("", b"a 1\n");
    check(
        blank.clone(),
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol \
         specified for target",
    )
    .await;
    for answer in [html, blank] {
        let server = Server::start(answer).await;
        let config = "fallback_scrape_protocol: PrometheusText0.0.4";
        let mut bench = Bench::of_target(&server.address.to_string(), config);
        assert_eq!(bench.fetch().await, "");
    }
}

#[tokio::test]
async fn malformed_bodies_are_errors_with_their_line() {
    let expect = "line 2: invalid UTF-8";
    check(Answer::typed("text/plain", b"a 1\nb{c=\"\xff\"} 1\n"), expect).await;
    check(Answer::text("a 1\nb\n"), "line 2: expected a value, got the end of the line").await;
    check(
        Answer::typed("application/openmetrics-text; version=1.0.0", b"a 1\n"),
        "line 2: data does not end with # EOF",
    )
    .await;
    let repeated = Answer::text("a{b=\"1\",b=\"2\"} 1\n");
    check(repeated, "line 1: label name \"b\" is not unique").await;
}

#[tokio::test]
async fn a_series_of_very_many_labels_meets_its_limit_soon() {
    let labels: Vec<String> = (0..300_000).rev().map(|n| format!("l{n}=\"x\"")).collect();
    let body = format!("a{{{},m=\"x\"}} 1\n", labels.join(","));
    let config = "label_limit: 3";
    let server = Server::start(Answer::text(&body)).await;
    let mut bench = Bench::of_target(&server.address.to_string(), config);
    let expect = "label_limit exceeded (metric: a, number of labels: 300004, limit: 3)";
    let begun = std::time::Instant::now();
    assert_eq!(bench.fetch().await, expect);
    let seconds = begun.elapsed().as_secs();
    assert!(seconds < 60, "{seconds} s"); // were it quadratic, it would be minutes
}

#[tokio::test]
async fn a_request_says_what_it_takes_and_who_asks() {
    #[track_caller]
    fn check(request: &str, expect: &[&str]) {
        for line in expect {
            let found = request.lines().any(|header| header.eq_ignore_ascii_case(line));
            assert!(found, "{line:?} in\n{request}");
        }
    }
    async fn request(config: &str) -> String {
        let server = Server::start(Answer::text("a 1\n")).await;
        Bench::of_target(&server.address.to_string(), config).fetch().await;
        server.requests().remove(0)
    }
    check(
        &request("params: {x: ['a b']}").await,
        &[
            "GET /metrics?x=a+b HTTP/1.1",
            "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
         application/openmetrics-text;version=0.0.1;q=0.4,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "accept-encoding: gzip",
            "x-prometheus-scrape-timeout-seconds: 10",
            concat!("user-agent: Watershed/", env!("CARGO_PKG_VERSION")),
        ],
    );
    check(
        &request("enable_compression: false\nscrape_protocols: [PrometheusText0.0.4]").await,
        &["accept: text/plain;version=0.0.4;q=0.2,*/*;q=0.1", "accept-encoding: identity"],
    );
    let basic = "basic_auth: {username: me, password: hush}";
    check(&request(basic).await, &["authorization: Basic bWU6aHVzaA=="]);
    check(&request("bearer_token: hush").await, &["authorization: Bearer hush"]);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_fails_the_scrape() {
    let server = Server::start(Answer::text("a 1\n")).await;
    let config = "authorization: {credentials_file: /nowhere/token}";
    let mut bench = Bench::of_target(&server.address.to_string(), config);
    let expect = "/metrics\": read /nowhere/token: No such file or directory (os error 2)";
    let error = bench.fetch().await;
    assert!(error.ends_with(expect), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn compressed_bodies_are_unpacked() {
    let server = Server::start(Answer::gzip(&gzip(b"a 1\n"))).await;
    let mut bench = Bench::of_target(&server.address.to_string(), "");
    assert_eq!(bench.fetch().await, "");
    assert_eq!(bench.store.dump().len(), 1);
}
