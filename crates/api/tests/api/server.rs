//! The API on a loopback port, and a client that sees what came over the wire.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use api::{
    BuildInfo, Command, Lifecycle, Metrics, Options, Readiness, RuntimeInfo, State, Status,
    TsdbStatus, WithClient,
};
use promql::{Engine, EngineOptions};
use querylog::QueryLog;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::fixture;
use crate::store::Store;

/// A server for one test; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) base: String,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) commands: mpsc::Receiver<Command>,
    store: Store,
}

/// How a test's server differs from the usual one.
pub(crate) struct Setup {
    /// Where data is asked for; otherwise the fixture's series.
    pub(crate) query: Option<Arc<dyn storage::Query>>,
    pub(crate) status: Pages,
    pub(crate) lifecycle: bool,
    pub(crate) admin: bool,
    pub(crate) ready: bool,
    pub(crate) options: Options,
    pub(crate) query_log: Arc<QueryLog>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            query: None,
            status: Pages::default(),
            lifecycle: true,
            admin: true,
            ready: true,
            options: Options::default(),
            query_log: QueryLog::disabled(),
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let (sender, commands) = mpsc::channel(1);
        let readiness = Arc::new(Readiness::not_ready("replaying the log"));
        if setup.ready {
            readiness.set_ready();
        }
        let store = fixture::store();
        let registry = prometheus::Registry::new();
        let state = State {
            admin: setup.admin.then(|| store.db.clone() as _),
            query: setup.query.unwrap_or_else(|| store.db.clone()),
            engine: Engine::new(EngineOptions::default()),
            query_log: setup.query_log,
            status: Arc::new(setup.status),
            build_info: BuildInfo { version: "0.1.0".to_owned(), ..BuildInfo::default() },
            lifecycle: Lifecycle {
                readiness: Arc::clone(&readiness),
                commands: setup.lifecycle.then_some(sender),
                metrics: Metrics::register(&registry).unwrap(),
                registry,
            },
            options: setup.options,
            now: || fixture::START.plus_millis(300_500),
        };
        let others =
            axum::Router::new().route("/api/v1/write", axum::routing::post(async || "written"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = WithClient(api::router(state, others));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { base, readiness, commands, store }
    }

    /// Where its database is.
    pub(crate) fn data(&self) -> &Path {
        self.store.directory.path()
    }

    pub(crate) async fn get(&self, path_and_query: &str) -> Response {
        send(reqwest::Client::new().get(format!("{}{path_and_query}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Response {
        let request = reqwest::Client::new().post(format!("{}{path}", self.base));
        send(request.header("content-type", FORM).body(form.to_owned())).await
    }
}

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The data of a success.
    pub(crate) fn data(&self) -> Value {
        let mut envelope = self.json();
        assert_eq!((self.status, &envelope["status"]), (200, &json!("success")), "{self:?}");
        envelope["data"].take()
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Response {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map_or("", |value| value.to_str().unwrap()).to_owned();
    Response { status, content_type, body: response.text().await.unwrap() }
}

/// What the process around the API would say of itself.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) targets: Value,
    pub(crate) rules: Value,
}

impl Default for Pages {
    fn default() -> Self {
        let targets = json!({"activeTargets": [], "droppedTargets": []});
        Self { targets, rules: json!({"groups": []}) }
    }
}

impl Status for Pages {
    fn targets(&self) -> Value {
        self.targets.clone()
    }

    fn rules(&self) -> Value {
        self.rules.clone()
    }

    fn alerts(&self) -> Value {
        json!({"alerts": []})
    }

    fn alertmanagers(&self) -> Value {
        json!({"activeAlertmanagers": [], "droppedAlertmanagers": []})
    }

    fn config(&self) -> String {
        "global: {}\n".to_owned()
    }

    fn flags(&self) -> BTreeMap<String, String> {
        [("storage.path".to_owned(), "./data".to_owned())].into()
    }

    fn runtime_info(&self) -> RuntimeInfo {
        RuntimeInfo { cwd: "/work".to_owned(), ..RuntimeInfo::default() }
    }

    fn tsdb(&self, limit: usize) -> TsdbStatus {
        let rows = [("up", 3), ("down", 1)].map(|(name, count)| (name.to_owned(), count));
        let table = api::Table(rows.into_iter().take(limit).collect());
        TsdbStatus { series_count_by_metric_name: table, ..TsdbStatus::default() }
    }
}

/// Percent-encodes what a URL's query cannot hold.
pub(crate) fn encoded(parameters: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}
