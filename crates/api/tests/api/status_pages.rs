//! The pages about the process, and their filters.

use serde_json::{Value, json};

use crate::server::{Pages, Server, Setup, encoded};

async fn server() -> Server {
    let target = |pool: &str| json!({"scrapePool": pool, "scrapeUrl": "http://a"});
    let targets = json!({
        "activeTargets": [target("node"), target("etcd")],
        "droppedTargets": [{"discoveredLabels": {}, "scrapePool": "node"}],
        "droppedTargetCounts": {"node": 1, "etcd": 0, "all-dropped": 0},
    });
    let alerting = |name: &str| {
        let labels = json!({"severity": name.to_lowercase()});
        json!({"type": "alerting", "name": name, "labels": labels, "alerts": [{"value": "1"}]})
    };
    let recording = |name: &str| json!({"type": "recording", "name": name});
    let rules = json!({"groups": [
        {"name": "g1", "file": "a.yml", "rules": [recording("r"), alerting("A")]},
        {"name": "g1", "file": "b.yml", "rules": [alerting("B")]},
        {"name": "g2", "file": "b.yml", "rules": [recording("r")]},
        {"name": "empty", "file": "b.yml", "rules": []},
    ]});
    Server::start_with(Setup { status: Pages { targets, rules }, ..Setup::default() }).await
}

#[tokio::test]
async fn targets_are_filtered_by_state_and_pool() {
    let server = server().await;
    let count = async |parameters: &[(&str, &str)]| {
        let data = server.get(&format!("/api/v1/targets?{}", encoded(parameters))).await.data();
        assert_eq!(data["droppedTargetCounts"], json!({"node": 1, "etcd": 0, "all-dropped": 0}));
        let length = |list: &str| data[list].as_array().unwrap().len();
        (length("activeTargets"), length("droppedTargets"))
    };
    assert_eq!(count(&[]).await, (2, 1));
    assert_eq!(count(&[("state", "any")]).await, (2, 1));
    assert_eq!(count(&[("state", "Active")]).await, (2, 0));
    assert_eq!(count(&[("state", "dropped")]).await, (0, 1));
    assert_eq!(count(&[("state", "nonsense")]).await, (0, 0));
    assert_eq!(count(&[("scrapePool", "etcd")]).await, (1, 0));
    let pools = server.get("/api/v1/scrape_pools").await.data();
    assert_eq!(pools, json!({"scrapePools": ["all-dropped", "etcd", "node"]}));
}

#[tokio::test]
async fn rules_are_filtered_and_empty_groups_left_out() {
    let server = server().await;
    let names = async |parameters: &[(&str, &str)]| -> Vec<String> {
        let data = server.get(&format!("/api/v1/rules?{}", encoded(parameters))).await.data();
        let groups = data["groups"].as_array().unwrap().clone();
        let rules = groups.iter().flat_map(|group| {
            let rules = group["rules"].as_array().unwrap();
            assert!(!rules.is_empty(), "{group}");
            rules.iter().map(|rule| format!("{}/{}", text(&group["name"]), text(&rule["name"])))
        });
        rules.collect()
    };
    assert_eq!(names(&[]).await, ["g1/r", "g1/A", "g1/B", "g2/r"]);
    assert_eq!(names(&[("type", "record")]).await, ["g1/r", "g2/r"]);
    assert_eq!(names(&[("type", "Alert"), ("rule_name[]", "B")]).await, ["g1/B"]);
    assert_eq!(names(&[("rule_group[]", "g2"), ("rule_group[]", "g3")]).await, ["g2/r"]);
    assert_eq!(names(&[("file[]", "a.yml")]).await, ["g1/r", "g1/A"]);
    assert_eq!(names(&[("rule_name[]", "none")]).await, [""; 0]);
    assert_eq!(names(&[("match[]", "{severity=\"a\"}")]).await, ["g1/A"]);
    assert_eq!(names(&[("match[]", "{severity!=\"a\",severity!=\"\"}")]).await, ["g1/B"]);
}

#[tokio::test]
async fn rules_come_in_pages_where_a_limit_is_given() {
    let server = server().await;
    let mut pages = Vec::new();
    let mut from = String::new();
    loop {
        let path = format!("/api/v1/rules?group_limit=2&group_next_token={from}");
        let data = server.get(&path).await.data();
        let groups = data["groups"].as_array().unwrap();
        let files = groups.iter().map(|group| text(&group["file"]).to_owned());
        pages.push(files.collect::<Vec<_>>());
        match data.get("groupNextToken") {
            Some(token) => from = text(token).to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, [vec!["a.yml", "b.yml"], vec!["b.yml"]]);
    for (query, error) in [
        ("group_limit=x", "needs to be a valid number"),
        ("group_limit=0", "needs to be greater than 0"),
        ("group_next_token=1", "group_limit needs to be present"),
        ("group_limit=1&group_next_token=1", "invalid group_next_token '1'. were rule groups"),
    ] {
        let refused = server.get(&format!("/api/v1/rules?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(text(&refused.json()["error"]).contains(error), "{query}: {refused:?}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn rules_alerts_can_be_left_out() {
    let server = server().await;
    let alerts = async |exclude: &str| {
        let path = format!("/api/v1/rules?rule_name[]=B&exclude_alerts={exclude}");
        let data = server.get(&path).await.data();
        data["groups"][0]["rules"][0]["alerts"].as_array().unwrap().len()
    };
    assert_eq!((alerts("").await, alerts("false").await, alerts("true").await), (1, 1, 0));
    let refused = server.get("/api/v1/rules?exclude_alerts=maybe").await;
    let error = "invalid parameter \"exclude_alerts\": error converting exclude_alerts: \
                 strconv.ParseBool: parsing \"maybe\": invalid syntax";
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!(error)));
}

#[tokio::test]
async fn status_pages_have_the_shape_of_prometheus() {
    let server = server().await;
    let page = async |name: &str| server.get(&format!("/api/v1/status/{name}")).await.data();
    assert_eq!(page("config").await, json!({"yaml": "global: {}\n"}));
    assert_eq!(page("flags").await, json!({"storage.path": "./data"}));
    assert_eq!(page("runtimeinfo").await["CWD"], "/work");
    assert_eq!(page("buildinfo").await["version"], "0.1.0");
    let tsdb = page("tsdb").await;
    assert_eq!(tsdb["headStats"]["numSeries"], 0);
    let rows = json!([{"name": "up", "value": 3}, {"name": "down", "value": 1}]);
    assert_eq!(tsdb["seriesCountByMetricName"], rows);
    assert_eq!(page("tsdb?limit=1").await["seriesCountByMetricName"], json!([rows[0]]));
}

/// Prometheus' names of fields, and none of them missing.
#[tokio::test]
async fn pages_have_every_field_of_prometheus() {
    let peer = crate::peer::Prometheus::start().await;
    let server = server().await;
    for page in ["buildinfo", "runtimeinfo", "tsdb"] {
        let path = format!("/api/v1/status/{page}");
        let (theirs, ours) = (peer.get(&path).await.data(), server.get(&path).await.data());
        for (name, value) in theirs.as_object().unwrap() {
            let got = ours.get(name).unwrap_or_else(|| panic!("{page} lacks {name}"));
            assert_eq!(kind(got), kind(value), "{page}: {name}");
        }
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}
