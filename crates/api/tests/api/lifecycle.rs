//! Readiness, reload, quit, `/metrics`, CORS.

use std::sync::Arc;

use api::{Command, CorsOrigin, Lifecycle, Metrics, Options, Readiness};

use crate::server::{Server, Setup, send};

#[tokio::test]
async fn until_ready_everything_but_the_lifecycle_is_refused_with_the_reason() {
    let server = Server::start_with(Setup { ready: false, ..Setup::default() }).await;
    for path in ["/api/v1/query?query=1", "/api/v1/labels", "/api/v1/rules"] {
        let response = server.get(path).await;
        assert_eq!(response.status, 503, "{path}");
        let expect = r#"{"status":"error","errorType":"unavailable","error":"replaying the log"}"#;
        assert_eq!(response.body, expect, "{path}");
    }
    assert_eq!(server.post("/api/v1/write", "").await.status, 503);
    let ready = server.get("/-/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "replaying the log\n"));
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.get("/metrics").await.status, 200);
    server.readiness.set_ready();
    assert_eq!(server.get("/-/ready").await.body, "Watershed is ready.\n");
    assert_eq!(server.get("/api/v1/labels").await.status, 200);
    assert_eq!(server.post("/api/v1/write", "").await.body, "written");
    server.readiness.set_not_ready("shutting down");
    assert_eq!(server.get("/-/ready").await.body, "shutting down\n");
}

#[tokio::test]
async fn a_process_that_has_nothing_yet_answers_what_it_can() {
    let registry = prometheus::Registry::new();
    let readiness = Arc::new(Readiness::not_ready("opening the storage"));
    let lifecycle = Lifecycle {
        readiness,
        commands: None,
        metrics: Metrics::register(&registry).unwrap(),
        registry,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, api::starting(lifecycle)).await });
    let get = async |path: &str| send(reqwest::Client::new().get(format!("{base}{path}"))).await;
    assert_eq!(get("/-/healthy").await.status, 200);
    let ready = get("/-/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "opening the storage\n"));
    let query = get("/api/v1/query?query=1").await;
    assert_eq!((query.status, query.json()["error"].as_str()), (503, Some("opening the storage")));
    let metrics = get("/metrics").await.body;
    let expect = r#"watershed_http_requests_total{code="503",handler="/-/ready"} 1"#;
    assert!(metrics.contains(expect), "{metrics}");
}

#[tokio::test]
async fn reload_answers_with_its_outcome() {
    let mut server = Server::start().await;
    let url = format!("{}/-/reload", server.base);
    for (outcome, status, body) in [
        (Ok(()), 200, ""),
        (Err("line 3: unknown key"), 500, "failed to reload config: line 3: unknown key\n"),
    ] {
        let asked = tokio::spawn(send(reqwest::Client::new().post(&url)));
        let Some(Command::Reload { done }) = server.commands.recv().await else {
            panic!("no reload");
        };
        done.send(outcome.map_err(str::to_owned)).unwrap();
        let response = asked.await.unwrap();
        assert_eq!((response.status, response.body.as_str()), (status, body));
    }
    let response = send(reqwest::Client::new().get(&url)).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (405, "Only POST or PUT requests allowed")
    );
}

#[tokio::test]
async fn quit_is_passed_on() {
    let mut server = Server::start().await;
    let response = send(reqwest::Client::new().put(format!("{}/-/quit", server.base))).await;
    assert_eq!(response.body, "Requesting termination... Goodbye!");
    assert!(matches!(server.commands.recv().await, Some(Command::Quit)));
    server.commands.close();
    assert_eq!(server.post("/-/quit", "").await.status, 503);
}

#[tokio::test]
async fn without_the_lifecycle_api_reload_and_quit_are_forbidden() {
    let server = Server::start_with(Setup { lifecycle: false, ..Setup::default() }).await;
    for path in ["/-/reload", "/-/quit"] {
        let response = server.post(path, "").await;
        let got = (response.status, response.body.as_str());
        assert_eq!(got, (403, "Lifecycle API is not enabled."), "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let server = Server::start().await;
    server.get("/api/v1/label/job/values").await;
    server.get("/api/v1/label/other/values?limit=x").await;
    server.get("/nope/1").await;
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        r#"watershed_http_requests_total{code="200",handler="/api/v1/label/{name}/values"} 1"#,
        r#"watershed_http_requests_total{code="400",handler="/api/v1/label/{name}/values"} 1"#,
        r#"watershed_http_requests_total{code="404",handler="none"} 1"#,
        r#"watershed_http_request_duration_seconds_count{handler="/api/v1/label/{name}/values"} 2"#,
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}\n{}", metrics.body);
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_answers() {
    let cors_origin = CorsOrigin::parse("https://grafana\\.example").unwrap();
    let options = Options { cors_origin, ..Options::default() };
    let server = Server::start_with(Setup { options, ..Setup::default() }).await;
    let client = reqwest::Client::new();
    let allowed = async |method: &str, origin: &str| {
        let url = format!("{}/api/v1/query?query=1", server.base);
        let request = client.request(method.parse().unwrap(), url).header("origin", origin);
        let response = request.send().await.unwrap();
        let allowed = response.headers().get("access-control-allow-origin");
        let allowed = allowed.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), allowed)
    };
    let origin = "https://grafana.example";
    assert_eq!(allowed("GET", origin).await, (200, Some(origin.to_owned())));
    assert_eq!(allowed("OPTIONS", origin).await, (204, Some(origin.to_owned())));
    assert_eq!(allowed("GET", "https://evil.example").await, (200, None));
}
