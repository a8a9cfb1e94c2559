//! A target that answers as a test wants it to, byte by byte.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone)]
pub(super) enum Answer {
    /// These bytes, head and all, and the connection's end.
    Bytes(Vec<u8>),
    /// These bytes, then this piece again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and nothing more, for ever.
    Stalling(Vec<u8>),
    /// A byte at a time, with a pause after each.
    Drip(Vec<u8>),
}

impl Answer {
    pub(super) fn silence() -> Self {
        Self::Stalling(Vec::new())
    }

    pub(super) fn text(body: &str) -> Self {
        Self::typed("text/plain; version=0.0.4", body.as_bytes())
    }

    pub(super) fn typed(content_type: &str, body: &[u8]) -> Self {
        Self::with_head(&format!("Content-Type: {content_type}\r\n"), body)
    }

    pub(super) fn gzip(body: &[u8]) -> Self {
        Self::with_head("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", body)
    }

    pub(super) fn with_head(headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n");
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    answer: Answer,
    requests: Vec<String>,
}

impl Server {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { answer, requests: Vec::new() }));
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(serve(connection, Arc::clone(&state)));
                }
            }
        });
        Self { address, state, task }
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.state.lock().answer = answer;
    }

    /// The heads of all requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request and closes. A client that goes away meanwhile is no concern of ours.
async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = connection.read_u8().await else { return };
        request.push(byte);
    }
    let answer = {
        let mut state = state.lock();
        state.requests.push(String::from_utf8(request).unwrap());
        state.answer.clone()
    };
    let _ = match answer {
        Answer::Bytes(bytes) => connection.write_all(&bytes).await,
        Answer::Endless(head, piece) => {
            let mut sent = connection.write_all(&head).await;
            while sent.is_ok() {
                sent = connection.write_all(&piece).await;
            }
            sent
        }
        Answer::Drip(bytes) => {
            for byte in bytes {
                if connection.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
        Answer::Stalling(bytes) => {
            let _ = connection.write_all(&bytes).await;
            std::future::pending().await
        }
    };
}
