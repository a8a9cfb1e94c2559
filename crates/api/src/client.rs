//! Who sent a request.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

use axum::serve::{IncomingStream, Listener};
use axum::{Extension, Router};
use tower::Service;

/// The other end of a connection, as an extension of each request that comes from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Serves a router to each connection, and tells it who the client is.
#[derive(Clone, Debug)]
pub struct WithClient(pub Router);

impl<L: Listener<Addr = SocketAddr>> Service<IncomingStream<'_, L>> for WithClient {
    type Response = Router;
    type Error = Infallible;
    type Future = Ready<Result<Router, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        let client = Client(stream.remote_addr().ip());
        ready(Ok(self.0.clone().layer(Extension(client))))
    }
}
