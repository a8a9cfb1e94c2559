//! A scrape target of the test's own, which says what it is told to.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use axum::extract::State;
use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Served at any path until dropped.
#[derive(Debug)]
pub struct Page {
    pub port: u16,
    text: Arc<Mutex<String>>,
    server: JoinHandle<()>,
}

impl Page {
    pub async fn serve(text: &str) -> anyhow::Result<Self> {
        let text = Arc::new(Mutex::new(text.to_owned()));
        let router = Router::new().fallback(get(answer)).with_state(Arc::clone(&text));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen")?;
        let port = listener.local_addr()?.port();
        let server = tokio::spawn(async move {
            // Ends only with the task: an accept that fails is tried again inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, text, server })
    }

    pub fn set(&self, text: &str) {
        text.clone_into(&mut self.text.lock().expect("nobody panics with it"));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(text): State<Arc<Mutex<String>>>) -> String {
    text.lock().expect("nobody panics with it").clone()
}
