//! An API server for tests: lists and watches as those of Kubernetes do, and misbehaves when told to.
//!
//! ```text
//! put, delete ─► objects, and a log of changes by resource version
//! GET …/pods           ─► objects that the selectors choose, in pages
//! GET …/pods?watch=true ─► the log from a version on, for as long as nobody cuts it
//! ```
//! - A version from before [`ApiServer::forget_versions`] is answered with 410 Gone, in a watch that is
//!   open too.
//! - Source: the Kubernetes documentation, `reference/using-api/api-concepts.md`.

mod answer;
mod selector;
mod store;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch as channel;
use tokio::task::JoinHandle;

use crate::store::Store;

/// How open watches end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As if their time were over.
    Cleanly,
    /// In the middle of an event.
    InTheMiddle,
    /// Not at all, but nothing more comes.
    Silently,
}

#[derive(Debug)]
pub struct ApiServer {
    address: SocketAddr,
    state: Arc<State>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Mutex<Store>,
    pub(crate) manners: Mutex<Manners>,
    /// Wakes open watches.
    pub(crate) news: channel::Sender<()>,
}

/// How the server behaves.
#[derive(Debug, Default)]
pub(crate) struct Manners {
    pub(crate) token: Option<String>,
    pub(crate) refusal: Option<StatusCode>,
    /// The next page that is not the first is refused as expired.
    pub(crate) expire_next_page: bool,
    /// How many bytes of an event leave at once, and the pause after them.
    pub(crate) drip: Option<(usize, Duration)>,
    /// How often watches were cut, and how the last time.
    pub(crate) cuts: u64,
    pub(crate) cut: Option<Cut>,
    /// Asks every open watch for a bookmark.
    pub(crate) bookmarks: u64,
    pub(crate) requests: Vec<String>,
    pub(crate) open_watches: usize,
}

impl ApiServer {
    /// Listens on a free port of this machine.
    pub async fn start() -> std::io::Result<Self> {
        let state = Arc::new(State {
            store: Mutex::default(),
            manners: Mutex::default(),
            news: channel::Sender::new(()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = Some(tokio::spawn(answer::serve(listener, Arc::clone(&state))));
        Ok(Self { address, state, serving })
    }

    /// Goes away, with all connections. What it stores stays.
    pub fn stop(&mut self) {
        self.cut(Cut::InTheMiddle);
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// Is back where it was.
    pub async fn resume(&mut self) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(64)?;
        self.serving = Some(tokio::spawn(answer::serve(listener, Arc::clone(&self.state))));
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds or replaces an object of the kind that paths call `plural`.
    pub fn put(&self, plural: &str, object: Value) {
        self.state.store.lock().put(plural, object);
        self.state.news.send_replace(());
    }

    /// `namespace`: empty for what has none.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.state.store.lock().delete(plural, namespace, name);
        self.state.news.send_replace(());
    }

    /// From here on only what happens next can be watched for.
    pub fn forget_versions(&self) {
        self.state.store.lock().forget_versions();
        self.state.news.send_replace(());
    }

    pub fn bookmark(&self) {
        self.change(|manners| manners.bookmarks += 1);
    }

    pub fn cut(&self, cut: Cut) {
        self.change(|manners| {
            manners.cuts += 1;
            manners.cut = Some(cut);
        });
    }

    /// Asks everybody for this bearer token.
    pub fn require_token(&self, token: &str) {
        self.change(|manners| manners.token = Some(token.to_owned()));
    }

    /// Answers every request with this status, or as it should again.
    pub fn refuse(&self, refusal: Option<StatusCode>) {
        self.change(|manners| manners.refusal = refusal);
    }

    pub fn expire_next_page(&self) {
        self.change(|manners| manners.expire_next_page = true);
    }

    /// Sends events in pieces of so many bytes, with a pause after each.
    pub fn drip(&self, bytes: usize, pause: Duration) {
        self.change(|manners| manners.drip = Some((bytes, pause)));
    }

    /// All requests so far: path and query.
    pub fn requests(&self) -> Vec<String> {
        self.state.manners.lock().requests.clone()
    }

    /// How many watches are open now.
    pub fn open_watches(&self) -> usize {
        self.state.manners.lock().open_watches
    }

    fn change(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.state.manners.lock());
        self.state.news.send_replace(());
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop();
    }
}
