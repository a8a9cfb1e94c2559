//! TLS-1, and whom we trust.

use client::HttpClient;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::authority::{Authority, Signed, self_signed};
use crate::server::{Server, demanding, showing, speaking};
use crate::{config, get};

/// A directory with `ca.crt` in it, and a client that has `tls` for its `tls_config`.
fn client_of(authority: &Authority, tls: &str) -> (HttpClient, TempDir) {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("ca.crt"), &authority.pem).unwrap();
    let config = config(&format!("tls_config: {{{tls}}}"), directory.path());
    (HttpClient::new(config), directory)
}

async fn get_with(authority: &Authority, tls: &str, server: &Server) -> Result<String, String> {
    let (client, _directory) = client_of(authority, tls);
    get(&client, &server.url()).await
}

#[track_caller]
fn refused(answer: Result<String, String>, expect: &str) {
    let error = answer.unwrap_err();
    assert!(error.contains(expect), "{error}");
}

#[tokio::test]
async fn a_server_must_be_signed_for_its_name_by_whom_we_trust() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let by_address = Server::tls(showing(&ours.sign(&["127.0.0.1"]))).await;
    let ca = "ca_file: ca.crt";
    assert_eq!(get_with(&ours, ca, &by_address).await.unwrap(), "secure");
    let inline = format!("ca: {:?}", ours.pem);
    assert_eq!(get_with(&theirs, &inline, &by_address).await.unwrap(), "secure");
    refused(get_with(&theirs, ca, &by_address).await, "invalid peer certificate: UnknownIssuer");
    refused(get_with(&ours, "", &by_address).await, "UnknownIssuer");

    let by_name = Server::tls(showing(&ours.sign(&["tenant.example"]))).await;
    refused(get_with(&ours, ca, &by_name).await, "certificate not valid for name \"127.0.0.1\"");
    let expired = Server::tls(showing(&ours.sign_until(&["127.0.0.1"], 2001))).await;
    refused(get_with(&ours, ca, &expired).await, "certificate expired");
    for server in [&by_name, &expired] {
        let answer = get_with(&ours, "insecure_skip_verify: true", server).await;
        assert_eq!(answer.unwrap(), "secure");
    }
}

/// The `server_name` goes into the handshake: some servers choose by it what they are.
#[tokio::test]
async fn the_server_name_is_asked_for_and_verified() {
    let ours = Authority::new();
    let server = Server::tls(showing(&ours.sign(&["tenant.example"]))).await;
    let named = "ca_file: ca.crt, server_name: tenant.example";
    assert_eq!(get_with(&ours, named, &server).await.unwrap(), "secure");
    assert_eq!(server.asked()[0].server_name.as_deref(), Some("tenant.example"));
    let other = "ca_file: ca.crt, server_name: other.example";
    refused(get_with(&ours, other, &server).await, "not valid for name \"other.example\"");
}

/// `openssl req -x509` makes such a certificate, and so says many an exporter's manual.
#[tokio::test]
async fn a_certificate_that_is_trusted_itself_may_be_the_servers() {
    let ours = Authority::new();
    let check = async |signed: &Signed| {
        let server = Server::tls(showing(signed)).await;
        let directory = TempDir::new().unwrap();
        signed.write(directory.path(), "self");
        let config = config("tls_config: {ca_file: self.crt}", directory.path());
        let trusting = get(&HttpClient::new(config), &server.url()).await;
        (trusting, get_with(&ours, "ca_file: ca.crt", &server).await)
    };
    let (trusting, other) = check(&self_signed(&["127.0.0.1"], 2100)).await;
    assert_eq!(trusting.unwrap(), "secure");
    refused(other, "invalid peer certificate");
    refused(check(&self_signed(&["a.example"], 2100)).await.0, "not valid for name");
    refused(check(&self_signed(&["127.0.0.1"], 2001)).await.0, "certificate expired");
}

#[tokio::test]
async fn versions_are_spoken_within_their_bounds() {
    let ours = Authority::new();
    let certificate = ours.sign(&["127.0.0.1"]);
    let old = Server::tls(speaking(&[&TLS12], &certificate)).await;
    let new = Server::tls(speaking(&[&TLS13], &certificate)).await;
    let check = async |versions: &str, old_answers: bool, new_answers: bool| {
        let tls = format!("ca_file: ca.crt{versions}");
        for (server, answers) in [(&old, old_answers), (&new, new_answers)] {
            let answer = get_with(&ours, &tls, server).await;
            assert_eq!(answer.is_ok(), answers, "{versions}: {answer:?}");
        }
    };
    check("", true, true).await;
    check(", min_version: TLS13", false, true).await;
    check(", max_version: TLS12", true, false).await;
    check(", min_version: TLS10, max_version: TLS13", true, true).await;
    refused(get_with(&ours, "ca_file: ca.crt, min_version: TLS13", &old).await, "ProtocolVersion");
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_demanded() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = Server::tls(demanding(&ours.sign(&["127.0.0.1"]), &theirs)).await;
    let (client, directory) =
        client_of(&ours, "ca_file: ca.crt, cert_file: me.crt, key_file: me.key");
    theirs.sign(&["me.example"]).write(directory.path(), "me");
    assert_eq!(get(&client, &server.url()).await.unwrap(), "secure");
    assert_eq!(server.asked()[0].certificates, 1);
    // TLS 1.3: the server's refusal arrives where its answer would.
    refused(get_with(&ours, "ca_file: ca.crt", &server).await, "CertificateRequired");
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (first, second, clients) = (Authority::new(), Authority::new(), Authority::new());
    let server = Server::tls(demanding(&first.sign(&["127.0.0.1"]), &clients)).await;
    let (client, directory) =
        client_of(&first, "ca_file: ca.crt, cert_file: me.crt, key_file: me.key");
    let error = get(&client, &server.url()).await;
    refused(error, &format!("read {}/me.crt: No such file", directory.path().display()));
    clients.sign(&["me.example"]).write(directory.path(), "me");
    assert_eq!(get(&client, &server.url()).await.unwrap(), "secure");

    // A new certificate of our own: a new connection, while the other would still do.
    let other = clients.sign(&["me.example"]);
    other.write(directory.path(), "me");
    assert_eq!(get(&client, &server.url()).await.unwrap(), "secure");
    std::fs::write(directory.path().join("me.key"), clients.sign(&["me.example"]).key).unwrap();
    refused(get(&client, &server.url()).await, "KeyMismatch");
    other.write(directory.path(), "me");

    // Another authority, for new connections.
    server.change_tls(demanding(&second.sign(&["127.0.0.1"]), &clients));
    std::fs::write(directory.path().join("ca.crt"), &second.pem).unwrap();
    assert_eq!(get(&client, &server.url()).await.unwrap(), "secure");
    std::fs::write(directory.path().join("ca.crt"), "nothing").unwrap();
    refused(get(&client, &server.url()).await, "ca.crt: no certificate in it");
}

#[tokio::test]
async fn a_check_reads_the_files() {
    let ours = Authority::new();
    let directory = TempDir::new().unwrap();
    let check = |yaml: &str| {
        config(yaml, directory.path()).check_files().map_err(|error| error.to_string())
    };
    let tls = "tls_config: {ca_file: ca.crt, cert_file: me.crt, key_file: me.key}";
    let place = directory.path().display().to_string();
    let missing = check(tls).unwrap_err();
    assert!(missing.starts_with(&format!("tls_config: read {place}/ca.crt: ")), "{missing}");
    std::fs::write(directory.path().join("ca.crt"), &ours.pem).unwrap();
    ours.sign(&["me.example"]).write(directory.path(), "me");
    check(tls).unwrap();
    ours.sign(&["me.example"]).write(directory.path(), "other");
    let mixed = check("tls_config: {cert_file: me.crt, key_file: other.key}").unwrap_err();
    assert!(mixed.contains("me.crt") && mixed.contains("other.key"), "{mixed}");
    for (yaml, file) in [
        ("basic_auth: {username_file: ca.crt, password_file: gone}", "gone"),
        ("authorization: {credentials_file: gone}", "gone"),
        ("http_headers: {X-A: {files: [gone]}}", "gone"),
        ("oauth2: {client_id: a, client_secret_file: gone, token_url: 'http://t'}", "gone"),
    ] {
        let error = check(yaml).unwrap_err();
        assert!(error.contains(&format!("read {place}/{file}: ")), "{yaml}: {error}");
    }
}
