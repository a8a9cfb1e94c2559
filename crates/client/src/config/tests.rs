use model::Split;
use serde::Deserialize;

use super::*;

/// The keys of a section that has none of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn read(yaml: &str) -> Result<HttpClientConfig, String> {
    let split: Result<Split<HttpClientYaml, Nothing>, _> = serde_yaml_ng::from_str(yaml);
    let split = split.map_err(|error| error.to_string())?;
    HttpClientConfig::try_from(split.part).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_written_is_as_in_prometheus() {
    assert_eq!(read("{}").unwrap(), HttpClientConfig::default());
    assert!(HttpClientConfig::default().follow_redirects);
}

#[test]
fn every_key_is_read_and_no_secret_is_shown() {
    #[track_caller]
    fn check(yaml: &str, shows: &[&str]) {
        let shown = format!("{:?}", read(yaml).unwrap());
        assert!(!shown.contains("hush"), "{yaml}: {shown}");
        for part in shows {
            assert!(shown.contains(part), "{yaml}: {shown}");
        }
    }
    check("basic_auth: {username: me, password: hush}", &["Basic", "<secret>"]);
    check("basic_auth: {username_file: u, password_file: p}", &["\"u\"", "\"p\""]);
    check("authorization: {type: ' Token ', credentials: hush}", &["\"Token\"", "<secret>"]);
    check("bearer_token: hush", &["\"Bearer\"", "<secret>"]);
    check("bearer_token_file: t", &["\"Bearer\"", "\"t\""]);
    check(
        "oauth2: {client_id: me, client_secret: hush, scopes: [a], token_url: 'http://t/', \
         endpoint_params: {audience: x}, tls_config: {key: hush, cert: hush, ca_file: c}, \
         proxy_url: 'http://u:hush@p'}",
        &["\"me\"", "\"audience\"", "http://p/"],
    );
    check(
        "tls_config: {ca_file: ca, cert_file: c, key: hush, server_name: s, \
         insecure_skip_verify: true, min_version: TLS12, max_version: TLS13}",
        &["\"ca\"", "\"c\"", "<secret>", "Tls12", "Tls13"],
    );
    check(
        "{proxy_url: 'http://me:hush@p:1', no_proxy: a, proxy_connect_header: {X-A: [hush]}}",
        &["http://p:1/", "\".a\""],
    );
    check(
        "http_headers: {X-A: {values: [x], secrets: [hush], files: [f]}}",
        &["x-a", "<secret>", "\"f\""],
    );
    check("{follow_redirects: false, enable_http2: false}", &["follow_redirects: false"]);
}

#[test]
fn files_are_looked_for_where_the_configuration_is() {
    let mut config = read(
        "{basic_auth: {username_file: f1, password_file: f2}, http_headers: {X-A: {files: [f3]}}, \
         tls_config: {ca_file: f4, cert_file: f5, key_file: /f6}}",
    )
    .unwrap();
    config.set_directory(Path::new("/etc/w"));
    let shown = format!("{config:?}");
    for file in ["/etc/w/f1", "/etc/w/f2", "/etc/w/f3", "/etc/w/f4", "/etc/w/f5", "\"/f6"] {
        assert!(shown.contains(file), "{file}: {shown}");
    }
    let mut config = read(
        "oauth2: {client_id: a, client_secret_file: f1, token_url: 'http://t', tls_config: \
         {ca_file: f2}}",
    )
    .unwrap();
    config.set_directory(Path::new("/etc/w"));
    let shown = format!("{config:?}");
    assert!(shown.contains("/etc/w/f1") && shown.contains("/etc/w/f2"), "{shown}");
}

#[test]
fn what_contradicts_itself_is_refused_and_no_secret_quoted() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expect), "{yaml}: {error}");
        assert!(!error.contains("hush"), "{yaml}: {error}");
    }
    check(
        "{basic_auth: {}, authorization: {}}",
        "at most one of basic_auth, authorization, oauth2",
    );
    check("{basic_auth: {}, bearer_token: hush}", "at most one of basic_auth");
    check("{bearer_token: hush, bearer_token_file: b}", "at most one of bearer_token and");
    check(
        "basic_auth: {password: hush, password_file: b}",
        "basic_auth: at most one of password and password_file",
    );
    check(
        "basic_auth: {username: a, username_file: b}",
        "basic_auth: at most one of username and username_file",
    );
    check("authorization: {type: Basic}", r#"use "basic_auth" instead"#);
    check("basic_auth: {user: hush}", "basic_auth: unknown field `user`");
    check("authorization: hush", "authorization: expected a mapping at line 1");
    check("http_headers: hush", "http_headers: expected a mapping");
    check("proxy_connect_header: hush", "proxy_connect_header: expected a mapping");
    check("http_headers: {X-A: hush}", "http_headers.X-A: expected a mapping");
    check("http_headers: {X-A: {secrets: hush}}", "X-A: expected a list of texts");
    check("proxy_connect_header: {X-A: hush}", "proxy_connect_header: expected a list of texts");
    check("oauth2: {tls_config: hush}", "oauth2.tls_config: expected a mapping");
    check("basic_auth: 5", "basic_auth: expected a mapping");
    check("oauth2: {client_id: a}", "oauth2: token_url must be configured");
    check("oauth2: {token_url: a}", "oauth2: client_id must be configured");
    check(
        "oauth2: {client_id: a, token_url: 'ftp://t'}",
        "token_url: \"ftp\" is not http or https",
    );
    check("tls_config: {ca: a, ca_file: b}", "tls_config: at most one of ca and ca_file");
    check("tls_config: {cert_file: b}", "tls_config: cert or cert_file needs a key");
    check("tls_config: {key: hush}", "tls_config: key or key_file needs a cert");
    check("tls_config: {min_version: TLS14}", "unknown variant `TLS14`");
    check("tls_config: {max_version: TLS11}", "versions before TLS12 are not supported");
    check(
        "tls_config: {min_version: TLS13, max_version: TLS12}",
        "tls_config: max_version must not be below min_version",
    );
    check("tls_config: {server_name: 'a b'}", "tls_config: server_name: ");
    check(
        "proxy_url: 'https://u:hush@p'",
        r#"proxy_url: "https" is not supported, only "http" is"#,
    );
    check("proxy_url: 'http://u:hush@'", "proxy_url: empty host");
    check("no_proxy: a", "if no_proxy is configured, proxy_url must");
    check("proxy_connect_header: {X-A: [hush]}", "if proxy_connect_header is configured");
    check("{proxy_from_environment: true, proxy_url: 'http://p'}", "proxy_url must not be");
    check("{proxy_from_environment: true, no_proxy: a}", "no_proxy must not be");
    check("http_headers: {Authorization: {secrets: [hush]}}", "setting header \"Authorization\"");
    check("http_headers: {'a b': {values: [x]}}", "\"a b\" is not a valid header name");
    check("http_headers: {X-A: {secrets: [\"hush\\n\"]}}", "a value of \"X-A\" fits no header");
}
