use std::path::Path;

use super::*;

fn read(yaml: &str) -> Result<RemoteWriteConfig, String> {
    serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn a_url_alone_gives_prometheus_defaults() {
    let config = read("url: http://localhost:9090/api/v1/write").unwrap();
    assert_eq!(config.name, "4a5d18b3");
    assert_eq!(config.remote_timeout, Duration::from_secs(30));
    let queue = &config.queue;
    let sizes = [queue.capacity, queue.max_shards, queue.min_shards, queue.max_samples_per_send];
    assert_eq!(sizes.map(NonZeroUsize::get), [10_000, 50, 1, 2000]);
    assert_eq!(queue.batch_send_deadline, Duration::from_secs(5));
    assert_eq!((queue.min_backoff.as_millis(), queue.max_backoff.as_millis()), (30, 5000));
    let metadata = config.metadata.unwrap();
    assert_eq!(metadata.send_interval, Duration::from_secs(60));
    assert_eq!(config.protocol, Protocol::V1);
    assert!(!config.send_exemplars && !config.send_native_histograms);
}

#[test]
fn every_key_is_read() {
    let mut config = read(
        "url: http://h/w
name: parent
headers: {X-Scope-OrgID: eu}
remote_timeout: 5s
send_exemplars: true
send_native_histograms: true
protobuf_message: io.prometheus.write.v2.Request
authorization: {credentials_file: secrets/token}
write_relabel_configs: [{action: keep, source_labels: [__name__], regex: 'cluster:.*'}]
queue_config:
  {sample_age_limit: 0s, capacity: 5, max_shards: 4, min_shards: 2, max_samples_per_send: 3, batch_send_deadline: 1s,
   min_backoff: 10ms, max_backoff: 2s, retry_on_http_429: false}
metadata_config: {send: false}",
    )
    .unwrap();
    assert_eq!(config.protocol, Protocol::V2);
    assert_eq!(config.name, "parent");
    assert_eq!(config.headers[0].0, "x-scope-orgid");
    assert_eq!(config.write_relabel_configs.len(), 1);
    assert_eq!(config.queue.min_shards.get(), 2);
    assert!(!config.queue.retry_on_http_429);
    assert_eq!(config.metadata, None);
    assert!(config.send_exemplars && config.send_native_histograms);
    config.set_directory(Path::new("/etc/watershed"));
    assert!(format!("{:?}", config.http).contains("/etc/watershed/secrets/token"));
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let url = if yaml.contains("url:") { "" } else { "url: http://h/w\n" };
        let error = read(&format!("{url}{yaml}")).unwrap_err();
        assert!(error.contains(expect), "{yaml}: {error}");
    }
    check("name: a\nurl: ''", "remote_write.url: relative URL without a base");
    check("url: ftp://h", "remote_write.url: \"ftp\" is not http or https");
    check("colour: red", "unknown field `colour`");
    check("queue_config: {shards: 3}", "unknown field `shards`");
    check("queue_config: {capacity: 0}", "remote_write.queue_config.capacity: must be at least 1");
    check(
        "queue_config: {min_shards: 9, max_shards: 3}",
        "min_shards: must not be above max_shards",
    );
    check("queue_config: {min_backoff: 1m}", "min_backoff: must not be above max_backoff");
    check("queue_config: {sample_age_limit: 1h}", "sample_age_limit: not supported; samples wait");
    check("round_robin_dns: true", "round_robin_dns: true is not supported");
    check(
        "metadata_config: {send_interval: 0s}",
        "metadata_config.send_interval: must be at least",
    );
    check("sigv4: {}", "sigv4: not supported; use basic_auth");
    check("tls_config: {cert_file: a}", "remote_write.tls_config: cert or cert_file needs a key");
    check("protobuf_message: io.prometheus.write.v3.Request", "unknown variant");
    check("headers: {Authorization: x}", "\"Authorization\" is a reserved header");
    check("headers: {'a b': x}", "\"a b\" is not a valid header");
    check("basic_auth: {}\nauthorization: {credentials: x}", "at most one of basic_auth");
    check("write_relabel_configs: [{action: hashmod}]", "hashmod");
    check("remote_timeout: soon", "not a valid duration string");
}

#[test]
fn a_password_in_the_url_is_not_shown() {
    let config = read("url: http://me:hush@host/write").unwrap();
    assert_eq!(config.url.shown().as_str(), "http://me:xxxxx@host/write");
    assert_eq!(config.url.url().password(), Some("hush"));
}

#[test]
fn two_destinations_of_one_name_are_noticed() {
    let config = |url: &str| read(&format!("url: {url}")).unwrap();
    let (a, b) = (config("http://a/"), config("http://b/"));
    assert_eq!(shared_name(&[a.clone(), b.clone()]), None);
    assert_eq!(shared_name(&[a.clone(), b, a.clone()]), Some(a.name.as_str()));
}
