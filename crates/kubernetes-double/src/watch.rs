//! An open watch.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::watch as channel;

use crate::selector::Selection;
use crate::{Cut, State, answer, store};

struct Watch {
    state: Arc<State>,
    news: channel::Receiver<()>,
    selection: Selection,
    version: u64,
    wants_bookmarks: bool,
    /// How often watches had been cut, and bookmarks asked for, when this one began.
    cuts: u64,
    bookmarks: u64,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

type Piece = Result<Bytes, io::Error>;

pub(crate) fn stream(
    state: Arc<State>,
    selection: Selection,
    version: u64,
    wants_bookmarks: bool,
) -> impl Stream<Item = Piece> {
    let news = state.news.subscribe();
    let (cuts, bookmarks) = {
        let mut manners = state.manners.lock();
        manners.open_watches += 1;
        (manners.cuts, manners.bookmarks)
    };
    let watch = Watch {
        state,
        news,
        selection,
        version,
        wants_bookmarks,
        cuts,
        bookmarks,
        ready: VecDeque::new(),
        is_over: false,
    };
    stream::unfold(watch, async |mut watch| Some((watch.next().await?, watch)))
}

impl Watch {
    async fn next(&mut self) -> Option<Piece> {
        loop {
            self.news.borrow_and_update();
            match self.cut() {
                None => {}
                Some(Cut::Cleanly) => return None,
                Some(Cut::Silently) => std::future::pending().await,
                Some(Cut::InTheMiddle) if self.is_over => {
                    return Some(Err(io::Error::other("cut")));
                }
                Some(Cut::InTheMiddle) => {
                    self.is_over = true;
                    return Some(Ok(Bytes::from_static(b"{\"type\":\"ADDED\",\"obj")));
                }
            }
            let drip = self.state.manners.lock().drip;
            if let Some(mut piece) = self.ready.pop_front() {
                if let Some((bytes, pause)) = drip
                    && piece.len() > bytes
                {
                    self.ready.push_front(piece.split_off(bytes));
                    tokio::time::sleep(pause).await;
                }
                return Some(Ok(piece));
            }
            if self.is_over {
                return None;
            }
            self.look();
            if self.ready.is_empty() && self.news.changed().await.is_err() {
                return None; // the server is gone
            }
        }
    }

    /// How this watch is to end, if it is.
    fn cut(&self) -> Option<Cut> {
        let manners = self.state.manners.lock();
        if manners.cuts > self.cuts { manners.cut } else { None }
    }

    /// Makes ready what there is to tell.
    fn look(&mut self) {
        let store = self.state.store.lock();
        if store.is_forgotten(self.version) {
            let status = answer::status(StatusCode::GONE, "too old resource version");
            self.ready.push_back(line(&json!({"type": "ERROR", "object": status})));
            self.is_over = true;
            return;
        }
        let events = store.events(&self.selection, self.version);
        self.ready.extend(events.iter().map(line));
        self.version = store.version();
        let bookmarks = self.state.manners.lock().bookmarks;
        if self.wants_bookmarks && bookmarks > self.bookmarks {
            let (kind, api_version) = store::kind(&self.selection.plural);
            let metadata = json!({"resourceVersion": self.version.to_string()});
            let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
            self.ready.push_back(line(&json!({"type": "BOOKMARK", "object": object})));
        }
        self.bookmarks = bookmarks;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.manners.lock().open_watches -= 1;
    }
}

fn line(event: &serde_json::Value) -> Bytes {
    format!("{event}\n").into()
}
