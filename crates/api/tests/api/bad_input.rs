//! What clients get wrong: each is refused with a status, a type and a sentence, and the server goes
//! on. Wrong parameters that Prometheus refuses in the same words are in `differential`.

use serde_json::json;

use crate::server::{FORM, Server, send};

#[tokio::test]
async fn forms_that_do_not_decode_are_refused() {
    let server = Server::start().await;
    let refused = |reason: &str| {
        let error = format!("error parsing form values: {reason}");
        json!({"status": "error", "errorType": "bad_data", "error": error})
    };
    for (query, reason) in [
        ("query=%zz", "invalid URL escape \"%zz\""),
        ("query=%ff", "invalid UTF-8"),
        ("query=1&other=%", "invalid URL escape \"%\""),
    ] {
        for endpoint in ["query", "query_range", "series", "labels", "label/job/values", "rules"] {
            let response = server.get(&format!("/api/v1/{endpoint}?{query}")).await;
            assert_eq!(response.status, 400, "{endpoint}?{query}");
            assert_eq!(response.json(), refused(reason), "{endpoint}?{query}");
        }
    }
    let response = server.post("/api/v1/query", "query=%zz").await;
    assert_eq!((response.status, response.json()), (400, refused("invalid URL escape \"%zz\"")));
}

#[tokio::test]
async fn an_oversized_form_is_refused() {
    let server = Server::start().await;
    let form = format!("query={}", "1".repeat(10 << 20));
    let response = server.post("/api/v1/query", &form).await;
    assert_eq!(response.status, 400);
    let error = "error parsing form values: http: POST too large";
    assert_eq!(response.json()["error"], error);
}

#[tokio::test]
async fn a_forms_parameters_come_before_the_urls() {
    let server = Server::start().await;
    let response = server.post("/api/v1/query?query=1&time=4", "query=2").await;
    assert_eq!(response.data()["result"], json!([4, "2"]));
    // What is not declared as a form is no form.
    let url = format!("{}/api/v1/query?query=1&time=4", server.base);
    let request = reqwest::Client::new().post(url).header("content-type", "application/json");
    assert_eq!(send(request.body("query=2")).await.data()["result"], json!([4, "1"]));
}

#[tokio::test]
async fn wrong_methods_and_paths_are_refused_as_prometheus_refuses_them() {
    let server = Server::start().await;
    let client = reqwest::Client::new();
    let ask = |method: &str, path: &str| {
        let method = method.parse().unwrap();
        send(client.request(method, format!("{}{path}", server.base)))
    };
    for (method, path) in [
        ("DELETE", "/api/v1/query"),
        ("PUT", "/api/v1/query_range"),
        ("POST", "/api/v1/label/job/values"),
        ("POST", "/api/v1/metadata"),
        ("POST", "/api/v1/targets"),
        ("POST", "/api/v1/status/buildinfo"),
        ("GET", "/api/v1/write"),
        ("POST", "/metrics"),
    ] {
        let response = ask(method, path).await;
        let got = (response.status, response.body.as_str());
        assert_eq!(got, (405, "Method Not Allowed\n"), "{method} {path}");
    }
    for path in ["/api/v1/nope", "/api/v1/", "/nope", "/api/v1/label/values", "/-/nope"] {
        let response = ask("GET", path).await;
        let got = (response.status, response.body.as_str());
        assert_eq!(got, (404, "404 page not found\n"), "{path}");
    }
}

#[tokio::test]
async fn label_names_in_the_path_are_checked() {
    let server = Server::start().await;
    for (name, status) in [("a%ff", 400), ("U__", 400), ("%c3%a9", 200), ("U__a_2e_b", 200)] {
        let response = server.get(&format!("/api/v1/label/{name}/values")).await;
        assert_eq!(response.status, status, "{name}: {response:?}");
        assert_eq!(response.content_type, "application/json");
    }
}

#[tokio::test]
async fn limits_that_are_none_are_refused() {
    let server = Server::start().await;
    for (limit, reason) in [
        ("x", "strconv.Atoi: parsing \"x\": invalid syntax"),
        ("1.5", "strconv.Atoi: parsing \"1.5\": invalid syntax"),
        ("-1", "limit must be non-negative"),
        (
            "99999999999999999999",
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
    ] {
        for path in ["query?query=up&", "labels?", "label/job/values?", "series?match[]=up&"] {
            let response = server.get(&format!("/api/v1/{path}limit={limit}")).await;
            assert_eq!(response.status, 400, "{path} {limit}");
            assert_eq!(response.json()["error"], format!("invalid parameter \"limit\": {reason}"));
        }
    }
    for limit in ["0", "-1", "x"] {
        let response = server.get(&format!("/api/v1/status/tsdb?limit={limit}")).await;
        assert_eq!(response.json()["error"], "limit must be a positive number", "{limit}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_ignored() {
    let server = Server::start().await;
    let response = server.get("/api/v1/query?query=1&time=4&partial_response=true&nonce=1").await;
    assert_eq!(response.data()["result"], json!([4, "1"]));
}

#[tokio::test]
async fn a_deep_or_long_query_does_not_bring_the_server_down() {
    let server = Server::start().await;
    let deep = format!("query={}1{}", "(".repeat(100_000), ")".repeat(100_000));
    let long = format!("query=1{}", "%2B1".repeat(100_000));
    for form in [deep, long] {
        let response = server.post("/api/v1/query", &form).await;
        assert!([200, 400, 422].contains(&response.status), "{response:?}");
    }
    let request = reqwest::Client::new().get(format!("{}/-/healthy", server.base));
    assert_eq!(send(request.header("content-type", FORM)).await.status, 200);
}
