//! Grafana's Prometheus data source: its calls in its order, and what it relies on in the answers.
//!
//! Source: the data source's code as of 2026-08 (`/work/shared/wire.md` in the workplace, section 1).

use serde_json::{Value, json};

use crate::fixture;
use crate::server::{Server, encoded};

#[tokio::test]
async fn a_data_source_can_be_saved_loaded_browsed_and_queried() {
    let server = Server::start().await;
    save_and_test(&server).await;
    load(&server).await;
    browse(&server).await;
    query(&server).await;
}

/// "Save & test": a query at the Unix time 4, then the build info.
async fn save_and_test(server: &Server) {
    let health = server.post("/api/v1/query", &encoded(&[("query", "1+1"), ("time", "4")])).await;
    assert_eq!(health.data(), json!({"resultType": "scalar", "result": [4, "2"]}));
    let build = server.get("/api/v1/status/buildinfo").await.data();
    assert!(build["version"].is_string());
    // With `features` Grafana would take us for Mimir and use its ruler.
    assert_eq!(build.get("features"), None);
}

/// Opening the editor: all rules, and whether there are exemplars, with times in milliseconds.
async fn load(server: &Server) {
    assert!(server.get("/api/v1/rules").await.data()["groups"].is_array());
    let times = [("query", "test"), ("start", "1724414400000"), ("end", "1724418000000")];
    for exemplars in [
        server.get(&format!("/api/v1/query_exemplars?{}", encoded(&times))).await,
        server.post("/api/v1/query_exemplars", &encoded(&times)).await,
    ] {
        assert_eq!(exemplars.data(), json!([]));
    }
}

/// Completion and variables: metadata, names, values and series, with a limit.
async fn browse(server: &Server) {
    let metadata = server.get("/api/v1/metadata?limit=40000").await.data();
    assert_eq!(metadata["up"][0]["type"], "gauge");
    let metadata = server.get("/api/v1/metadata?limit=1000&metric=up").await.data();
    assert_eq!(metadata.as_object().unwrap().len(), 1);

    let (start, end) = (fixture::at(0.0), fixture::at(600.0));
    let window = [("start", start.as_str()), ("end", end.as_str()), ("limit", "40000")];
    let labels = server.post("/api/v1/labels", &encoded(&window)).await.data();
    assert!(labels.as_array().unwrap().contains(&json!("instance")), "{labels}");

    let with = |selector| [&window[..], &[("match[]", selector)]].concat();
    let values = |name: &str, selector| {
        let path = format!("/api/v1/label/{name}/values?{}", encoded(&with(selector)));
        async move { server.get(&path).await.data() }
    };
    assert_eq!(values("job", "{__name__=\"up\"}").await, json!(["node"]));
    assert_eq!(values("U__job", "up").await, json!(["node"])); // escaped although it need not be
    let metrics = values("__name__", "{instance=~\"a.*\"}").await;
    assert_eq!(metrics, json!(["requests_total", "up"]));

    let all = server.post("/api/v1/series", &encoded(&with("{__name__!=\"\"}"))).await.data();
    assert_eq!(all.as_array().unwrap().len(), fixture::series().len());
    let first = [&with("up")[..2], &[("limit", "1"), ("match[]", "up")]].concat();
    let first = server.post("/api/v1/series", &encoded(&first)).await;
    assert_eq!(first.data().as_array().unwrap().len(), 1);
    assert_eq!(first.json()["warnings"], json!(["results truncated due to limit"]));
}

/// A panel: instant and range, the times as decimal seconds.
async fn query(server: &Server) {
    let (start, end) = (fixture::at(60.0), fixture::at(120.0));
    let panel = [
        ("query", "rate(requests_total[1m])"),
        ("start", start.as_str()),
        ("end", end.as_str()),
        ("step", "15"),
    ];
    let data = server.post("/api/v1/query_range", &encoded(&panel)).await.data();
    assert_eq!(data["resultType"], "matrix");
    let series = data["result"].as_array().unwrap();
    assert_eq!(series.len(), 2);
    for one in series {
        assert!(one["metric"].is_object());
        let points = one["values"].as_array().unwrap();
        assert_eq!(points.len(), 5);
        let is_point = |point: &Value| point[0].is_number() && point[1].is_string();
        assert!(points.iter().all(is_point), "{points:?}");
    }
    let table = [("query", "up"), ("time", end.as_str()), ("timeout", "30s"), ("stats", "all")];
    let data = server.post("/api/v1/query", &encoded(&table)).await.data();
    assert_eq!(
        (&data["resultType"], data["result"].as_array().unwrap().len()),
        (&json!("vector"), 2)
    );
    // What a panel's author should know becomes a notice on the panel.
    let odd = [("query", "histogram_quantile(2, up)"), ("time", end.as_str())];
    let answer = server.post("/api/v1/query", &encoded(&odd)).await.json();
    assert!(answer["warnings"][0].as_str().unwrap().starts_with("PromQL warning: "), "{answer}");
    let odd = [("query", "rate(up[1m])"), ("time", end.as_str())];
    let answer = server.post("/api/v1/query", &encoded(&odd)).await.json();
    assert!(answer["infos"][0].as_str().unwrap().starts_with("PromQL info: "), "{answer}");
}
