//! Connections: direct ones, through a proxy, and encrypted ones on top of either.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::proxy::Proxy;
use crate::tls::{Tls, TlsError};

/// Longer than any sane scrape interval, as in Prometheus: connections are kept between scrapes.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
const IDLE_CONNECTIONS_PER_HOST_MAX: usize = 1000;
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(crate) type PlainPool = Client<Connector, Full<Bytes>>;
pub(crate) type TlsPool = Client<HttpsConnector<Connector>, Full<Bytes>>;

pub(crate) fn plain_pool(proxy: Option<Arc<Proxy>>) -> PlainPool {
    builder().build(Connector::new(proxy))
}

/// Reads the files that `tls` names.
pub(crate) fn tls_pool(proxy: Option<Arc<Proxy>>, tls: &Tls) -> Result<TlsPool, TlsError> {
    let (connector, config) = (Connector::new(proxy), tls.load()?);
    let connector = match tls.server_name.clone() {
        Some(name) => {
            let resolver = FixedServerNameResolver::new(name);
            HttpsConnector::new(connector, config, true, Arc::new(resolver))
        }
        None => {
            let resolver = DefaultServerNameResolver::default();
            HttpsConnector::new(connector, config, true, Arc::new(resolver))
        }
    };
    Ok(builder().build(connector))
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST_MAX);
    builder
}

type BoxError = Box<dyn StdError + Send + Sync>;

/// Connects to a URI's host, or to its proxy.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    proxy: Option<Arc<Proxy>>,
}

impl Connector {
    fn new(proxy: Option<Arc<Proxy>>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        Self { tcp, proxy }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = self.proxy.clone();
        let server = proxy.as_ref().and_then(|proxy| Some((proxy, proxy.of(&uri)?)));
        let Some((proxy, server)) = server else {
            let connecting = self.tcp.call(uri);
            return Box::pin(async { Ok(Stream { tcp: connecting.await?, to_proxy: false }) });
        };
        if uri.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(server.uri.clone(), self.tcp.clone())
                .with_headers(proxy.headers_for(server));
            let connecting = tunnel.call(uri);
            Box::pin(async { Ok(Stream { tcp: connecting.await?, to_proxy: false }) })
        } else {
            let connecting = self.tcp.call(server.uri.clone());
            Box::pin(async { Ok(Stream { tcp: connecting.await?, to_proxy: true }) })
        }
    }
}

/// A TCP stream that knows whether a proxy reads what is sent.
#[derive(Debug)]
pub(crate) struct Stream {
    tcp: TokioIo<TcpStream>,
    to_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.tcp.connected().proxy(self.to_proxy)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
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
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}
