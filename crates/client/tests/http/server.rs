//! An HTTP/1.1 server that answers as a test wants it to, in the clear or over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, Signed};

/// One request as it came: the head in lower case, and the body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
    /// The name that the client gave in the TLS handshake.
    pub(crate) server_name: Option<String>,
    /// How many certificates the client showed.
    pub(crate) certificates: usize,
}

/// Gives the whole answer, head and all.
type Answer = Arc<dyn Fn(&Asked) -> String + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    tls: Option<Arc<Mutex<Arc<ServerConfig>>>>,
    task: JoinHandle<()>,
}

/// `200 OK` with this body.
pub(crate) fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

/// `headers` end with a line break each.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

impl Server {
    pub(crate) async fn plain(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(answer), None).await
    }

    /// Answers "secure" to all.
    pub(crate) async fn tls(config: ServerConfig) -> Self {
        Self::start(Arc::new(|_| ok("secure")), Some(config)).await
    }

    async fn start(answer: Answer, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let tls = tls.map(|config| Arc::new(Mutex::new(Arc::new(config))));
        let task = tokio::spawn({
            let (asked, tls) = (Arc::clone(&asked), tls.clone());
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                    let config = tls.as_ref().map(|tls| Arc::clone(&tls.lock()));
                    tokio::spawn(async move {
                        let Some(config) = config else {
                            return serve(connection, &answer, &asked, (None, 0)).await;
                        };
                        // A client that does not like the certificate goes away.
                        let accepted = TlsAcceptor::from(config).accept(connection).await;
                        let Ok(stream) = accepted else { return };
                        let session = stream.get_ref().1;
                        let name = session.server_name().map(str::to_owned);
                        let certificates = session.peer_certificates().map_or(0, <[_]>::len);
                        serve(stream, &answer, &asked, (name, certificates)).await;
                    });
                }
            }
        });
        Self { address, asked, tls, task }
    }

    /// New connections find this.
    pub(crate) fn change_tls(&self, config: ServerConfig) {
        *self.tls.as_ref().unwrap().lock() = Arc::new(config);
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answer,
    asked: &Mutex<Vec<Asked>>,
    (server_name, certificates): (Option<String>, usize),
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = connection.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        connection.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        let request = Asked { head, body, server_name: server_name.clone(), certificates };
        let text = answer(&request);
        asked.lock().push(request);
        if connection.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Shows `certificate`, speaks TLS 1.2 and 1.3.
pub(crate) fn showing(certificate: &Signed) -> ServerConfig {
    speaking(&[&TLS12, &TLS13], certificate)
}

pub(crate) fn speaking(
    versions: &[&'static SupportedProtocolVersion],
    certificate: &Signed,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
    builder.with_single_cert(certificate.chain(), certificate.private_key()).unwrap()
}

/// Demands a certificate of `of` from its clients, too.
pub(crate) fn demanding(certificate: &Signed, of: &Authority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        Signed { certificate: of.pem.clone(), key: String::new() }.chain(),
    );
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(certificate.chain(), certificate.private_key())
        .unwrap()
}
