//! The webhook receiver at the end of an alert's way: says what arrives, in the order of arrival.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Router, routing::post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

/// Alerts that arrived and were not looked at; the sender waits when there are more.
const WAITING_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertState {
    Firing,
    Resolved,
}

/// One alert as Alertmanager's webhook payload (version 4) carries it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Notification {
    pub(crate) status: AlertState,
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Notification {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// `FIRING   EtcdNoLeader continent="asia" …: its summary`
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.status {
            AlertState::Firing => "FIRING  ",
            AlertState::Resolved => "RESOLVED",
        };
        write!(f, "{state} {}", self.label("alertname"))?;
        for (name, value) in self.labels.iter().filter(|(name, _)| *name != "alertname") {
            write!(f, " {name}={value:?}")?;
        }
        match self.annotations.get("summary") {
            Some(summary) => write!(f, ": {summary}"),
            None => Ok(()),
        }
    }
}

/// Listens until dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    arrived: Receiver<Notification>,
    server: JoinHandle<()>,
}

#[derive(Deserialize)]
struct Payload {
    alerts: Vec<Notification>,
}

impl Sink {
    pub(crate) async fn listen(port: u16) -> anyhow::Result<Self> {
        let (sender, arrived) = mpsc::channel(WAITING_MAX);
        let router = Router::new().route("/", post(receive)).with_state(sender);
        let listener = TcpListener::bind(("127.0.0.1", port));
        let listener = listener.await.with_context(|| format!("listen on port {port}"))?;
        let server = tokio::spawn(async move {
            // Ends only with the task: an accept that fails is tried again inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { arrived, server })
    }

    /// The next alert to arrive. May be dropped and called again without losing any.
    pub(crate) async fn next(&mut self) -> Notification {
        self.arrived.recv().await.expect("the server holds a sender as long as we live")
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(sender): State<Sender<Notification>>, body: Bytes) -> StatusCode {
    let Ok(payload) = serde_json::from_slice::<Payload>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    for alert in payload.alerts {
        if sender.send(alert).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    StatusCode::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn alerts_come_out_in_order_and_what_is_no_payload_is_refused() {
        let port = crate::ports::free().unwrap();
        let mut sink = Sink::listen(port).await.unwrap();
        let post = async |body: &'static str| {
            let request = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/"));
            request.body(body).send().await.unwrap().status()
        };
        let firing = r#"{"version":"4","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"Down","job":"a"},
             "annotations":{"summary":"a is down"},"fingerprint":"0"},
            {"status":"resolved","labels":{"alertname":"Up"}}]}"#;
        assert_eq!(post(firing).await, 200);
        assert_eq!(post("alert!").await, 400);
        assert_eq!(sink.next().await.to_string(), r#"FIRING   Down job="a": a is down"#);
        assert_eq!(sink.next().await.to_string(), "RESOLVED Up");
    }
}
