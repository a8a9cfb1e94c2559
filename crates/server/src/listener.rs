//! A TCP listener that holds no more than a set number of connections at a time; further ones wait
//! in the kernel's backlog until one ends. One on which nothing moves for long is ended, so that
//! clients that vanished do not keep others out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

pub(crate) struct BoundedListener {
    tcp: TcpListener,
    free: Arc<Semaphore>,
    idle_max: Duration,
}

/// A connection that gives its place back when it is dropped. Reading fails once no byte was
/// taken or given for `idle_max`.
pub(crate) struct BoundedStream {
    tcp: TcpStream,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl BoundedListener {
    /// `idle_max` must be longer than an answer may take to begin.
    pub(crate) fn new(tcp: TcpListener, connections_max: usize, idle_max: Duration) -> Self {
        Self { tcp, free: Arc::new(Semaphore::new(connections_max)), idle_max }
    }
}

impl BoundedStream {
    /// Passes on what became of a read or a write; anything but waiting starts the time anew.
    fn moved<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.idle_max);
        }
        outcome
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.expect("nobody closes the semaphore");
        // axum's own listener waits and tries again on errors such as "too many open files".
        let (tcp, address) = Listener::accept(&mut self.tcp).await;
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "set TCP_NODELAY");
        }
        let (idle_max, idle) = (self.idle_max, Box::pin(tokio::time::sleep(self.idle_max)));
        (BoundedStream { tcp, idle_max, idle, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if outcome.is_pending() && self.idle.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.moved(outcome)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.moved(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.moved(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const IDLE_MAX: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_connection_above_the_limit_waits_until_one_ends() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = BoundedListener::new(tcp, 1, IDLE_MAX);
        let address = listener.local_addr().unwrap();
        let _clients = (
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        );

        let (first, _) = listener.accept().await;
        let waiting = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(waiting.is_err(), "the second connection has to wait");
        drop(first);
        listener.accept().await;
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_ends() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = BoundedListener::new(tcp, 1, IDLE_MAX);
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();

        let (mut stream, _) = listener.accept().await;
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await;
        assert_eq!(read.expect("ends by itself").unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
