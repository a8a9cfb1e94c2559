//! Which configurations are good: Debian's `promtool` and we say the same.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use promql::Features;
use server::config::Config;
use tempfile::TempDir;

/// What each has to say: nothing, if it is good.
struct Verdicts {
    ours: String,
    theirs: String,
}

fn judge(file: &Path) -> Verdicts {
    let ours = Config::load(file, Features::NONE)
        .map_or_else(|error| format!("{error:#}"), |_| String::new());
    let promtool = Command::new("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(file)
        .output()
        .unwrap_or_else(|error| panic!("promtool: {error}; apt-get install prometheus"));
    let theirs = if promtool.status.success() {
        String::new()
    } else {
        String::from_utf8_lossy(&promtool.stderr).into_owned()
    };
    Verdicts { ours, theirs }
}

fn judge_text(text: &str) -> Verdicts {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, text).unwrap();
    judge(&file)
}

/// Debian's promtool knows no Kubernetes, so that we are alone with this one.
#[test]
fn a_configuration_of_a_kubernetes_cluster_is_good() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata");
    let config = Config::load(&testdata.join("kubernetes.yml"), Features::NONE).unwrap();
    assert_eq!(config.scrape_jobs.len(), 7);
    assert_eq!(config.alerting.alertmanagers[0].discoveries.len(), 1);
    assert_eq!(config.remote_write[0].name, "cascade");
    // The files that it names are those of a cluster, and not here.
    assert_eq!(config.check_files().errors.len(), 5);
}

#[test]
fn what_is_good_there_is_good_here_and_what_is_bad_is_bad() {
    #[track_caller]
    fn check(is_good: bool, text: &str) {
        let Verdicts { ours, theirs } = judge_text(text);
        assert_eq!(theirs.is_empty(), is_good, "{text}\npromtool: {theirs}");
        assert_eq!(ours.is_empty(), is_good, "{text}\nours: {ours}");
    }
    let in_job = |keys: &str| format!("scrape_configs:\n- job_name: a\n  {keys}\n");
    for keys in [
        "scheme: https",
        "static_configs: [{targets: [a, 'b:1']}]",
        "static_configs:\n  - targets:\n    # - a:1",
        "static_configs: [{targets: ['a:1'], labels: }]",
        "relabel_configs:",
        "basic_auth: {}",
        "basic_auth: {username: a}",
        "basic_auth: {password: 12345}",
        "basic_auth: {password: '', password_file: b}",
        "authorization: {}",
        "authorization: {credentials: a}",
        "authorization: {type: ' Token ', credentials_file: a}",
        "bearer_token: a",
        "oauth2: {client_id: a, client_secret_file: b, token_url: 'http://a'}",
        "oauth2: {client_id: a, client_secret: b, token_url: 'http://a', scopes: [c], \
         endpoint_params: {d: e}, tls_config: {ca_file: f}, proxy_url: 'http://g'}",
        "tls_config: {}",
        "tls_config:",
        "tls_config: {server_name: a, insecure_skip_verify: true, min_version: TLS10}",
        "proxy_url: http://a:3128",
        "proxy_url: http://user:password@a",
        "proxy_url: ''",
        "follow_redirects: false",
        "enable_http2: false",
        "honor_labels: true\n  honor_timestamps: false",
        "params: {a: [b, c]}",
        "scrape_interval: 1m30s\n  scrape_timeout: 1m",
    ] {
        check(true, &in_job(keys));
    }
    for keys in [
        "scheme: [https]",
        "bearer_token: a\n  bearer_token_file: b",
        "bearer_token: a\n  basic_auth: {}",
        "bearer_token: a\n  authorization: {}",
        "basic_auth: {}\n  authorization: {}",
        "basic_auth: {}\n  oauth2: {client_id: a, token_url: 'http://a'}",
        "basic_auth: {password: a, password_file: b}",
        "basic_auth: {user: a}",
        "authorization: {type: basic}",
        "authorization: {credentials: a, credentials_file: b}",
        "oauth2: {token_url: 'http://a'}",
        "oauth2: {client_id: a}",
        "oauth2: {client_id: a, token_url: 'http://a', client_secret: b, client_secret_file: c}",
        "tls_config: {min_version: TLS9}",
        "tls_config: {cert_file: a}",
        "tls_config: {key_file: a}",
        "tls_config: {certificate: a}",
        "tls_config: hush",
        "proxy_urls: http://a",
        "static_configs: [{targets: ['http://a']}]",
        "scrape_interval: 1m\n  scrape_timeout: 2m",
        "bearer_token: a\n  bearer_token: b",
    ] {
        check(false, &in_job(keys));
    }
    let all = [
        (true, "global:\nrule_files:\nscrape_configs:\nalerting:\nremote_write:\n"),
        (true, "alerting:\n  alertmanagers:\n  - static_configs:\n    - targets:\n"),
        (true, "alerting: {alertmanagers: [{scheme: https, tls_config: {ca_file: a}}]}"),
        (true, "remote_write: [{url: 'https://a/', bearer_token_file: b}]"),
        (true, "remote_write: [{url: 'http://me:hush@a/', write_relabel_configs: , name: b}]"),
        (true, "global: {external_labels: {a: $HOME, b: '${HOME}', c: '$$'}}"),
        (false, "global: {external_labels: {a: [b]}}"),
        (false, "remote_write: [{name: a}]"),
        (false, "remote_write: [{url: 'http://a', name: a}, {url: 'http://b', name: a}]"),
        (false, "remote_write: [{url: 'http://a', headers: {Authorization: b}}]"),
        (false, "alerting: {alertmanagers: [{api_version: v3}]}"),
        (false, "alerting: {alertmanagers: [{timeout: 1}]}"),
        (false, "scrape_configs: [{job_name: a}, {job_name: a}]"),
        (false, "scrape_configs: [{}]"),
        (false, "global: [}"),
        (false, "globals: {}"),
    ];
    for (is_good, text) in all {
        check(is_good, text);
    }
}
