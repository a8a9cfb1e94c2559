use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct File {
    scrape_configs: Vec<ScrapeConfig>,
}

/// Reads one entry, written with its keys at the beginning of the line.
fn read(yaml: &str) -> Result<ScrapeConfig, String> {
    let entry = yaml.replace('\n', "\n    ");
    let file = format!("scrape_configs:\n  - job_name: test\n    {entry}\n");
    let file: Result<File, _> = serde_yaml_ng::from_str(&file);
    file.map(|mut file| file.scrape_configs.remove(0)).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_written_is_as_in_prometheus() {
    let config = read("").unwrap();
    assert_eq!(
        config,
        ScrapeConfig {
            job_name: "test".into(),
            scrape_interval: None,
            scrape_timeout: None,
            scrape_protocols: None,
            fallback_scrape_protocol: None,
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            params: BTreeMap::new(),
            metrics_path: "/metrics".into(),
            scheme: "http".into(),
            enable_compression: true,
            http: HttpClientConfig::default(),
            limits: Limits::default(),
            static_configs: vec![],
            discoveries: vec![],
            relabel_configs: vec![],
            metric_relabel_configs: vec![],
        }
    );
}

#[test]
fn everything_that_is_written_is_read() {
    let config = read(
        "scrape_interval: 15s\nscrape_timeout: 1500ms\n\
         scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]\n\
         fallback_scrape_protocol: PrometheusText1.0.0\n\
         honor_labels: true\nhonor_timestamps: false\ntrack_timestamps_staleness: true\n\
         params: {'match[]': [up]}\nmetrics_path: /federate\nscheme: https\n\
         enable_compression: false\nenable_http2: true\nfollow_redirects: false\n\
         body_size_limit: 1.5KB\nsample_limit: 1\nlabel_limit: 2\nlabel_name_length_limit: 3\n\
         label_value_length_limit: 4\ntarget_limit: 5\nkeep_dropped_targets: 0\n\
         scrape_native_histograms: false\nmetric_name_validation_scheme: utf8\n\
         static_configs:\n- targets: ['a:1', 'b:2']\n  labels: {zone: z, none: ''}\n- targets: []\n\
         file_sd_configs: [{files: [a.json]}]\nhttp_sd_configs: [{url: http://host/}]\n\
         kubernetes_sd_configs: [{role: pod}]\n\
         relabel_configs: [{action: keep}]\nmetric_relabel_configs: [{action: drop}, {action: keep}]",
    );
    let config = config.unwrap();
    assert_eq!(config.scrape_interval, Some(Duration::from_secs(15)));
    assert_eq!(config.scrape_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(config.scrape_protocols, Some(vec![Protocol::Text004, Protocol::OpenMetrics100]));
    assert_eq!(config.fallback_scrape_protocol, Some(Protocol::Text100));
    assert!(config.honor_labels && !config.honor_timestamps && config.track_timestamps_staleness);
    assert_eq!(config.params["match[]"], ["up"]);
    assert_eq!(config.metrics_path, "/federate");
    assert!(!config.enable_compression && config.scheme == "https");
    assert_ne!(config.http, HttpClientConfig::default());
    assert_eq!(
        config.limits,
        Limits {
            body_bytes: Some(1536),
            samples: Some(1),
            labels: Some(2),
            label_name_length: Some(3),
            label_value_length: Some(4),
            targets: Some(5),
            kept_dropped_targets: None,
        }
    );
    assert_eq!(config.static_configs[0].targets, ["a:1", "b:2"]);
    assert_eq!(config.static_configs[0].labels.to_string(), r#"{zone="z"}"#);
    use discovery::Config::{File, Http, Kubernetes};
    let [File(_), Http(_), Kubernetes(_)] = &config.discoveries[..] else {
        panic!("{:?}", config.discoveries);
    };
    assert_eq!((config.relabel_configs.len(), config.metric_relabel_configs.len()), (1, 2));
}

#[test]
fn entries_that_cannot_work_are_errors_that_name_key_and_line() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expect), "{yaml}: {error}");
    }
    check("job_names: x", "scrape_configs[0]: unknown field `job_names`");
    check("job_names: x", "at line 3 column 5");
    check(
        "honor_labels: true\nconsul_sd_configs: [{server: host}]",
        "scrape_configs[0]: consul_sd_configs: not supported; use dns_sd_configs",
    );
    check("honor_labels: true\nec2_sd_configs: []", "ec2_sd_configs: not supported; use http_sd");
    check("honor_labels: true\nec2_sd_configs: []", "at line 4 column 5");
    check("tls_config: {ca: a, ca_file: b}", "tls_config: at most one of ca and ca_file");
    check("scheme: ftp", r#"scheme: "ftp" is neither "http" nor "https""#);
    check("scrape_interval: 15", r#"scrape_interval: not a valid duration string: "15""#);
    check("scrape_protocols: []", "scrape_protocols cannot be empty");
    check("scrape_protocols: [PrometheusProto]", "unknown variant `PrometheusProto`");
    check(
        "scrape_protocols: [PrometheusText0.0.4, PrometheusText0.0.4]",
        "duplicated protocol in scrape_protocols",
    );
    check("scrape_native_histograms: true", "scrape_native_histograms: true is not supported yet");
    check("metric_name_validation_scheme: legacy", r#"metric_name_validation_scheme: "legacy""#);
    check("body_size_limit: 10", r#"body_size_limit: "10" is not a size such as 10MB"#);
    check("body_size_limit: 10XB", "is not a size such as 10MB");
    check("sample_limit: -1", "sample_limit: invalid type: integer `-1`");
    check("static_configs: [{targets: ['http://a']}]", r#""http://a" is not a valid hostname"#);
    check("static_configs: [{labels: {'': x}}]", "a label name is empty");
    check("file_sd_configs: [{files: [a.txt]}]", r#"path name "a.txt" is not valid"#);
    check("http_sd_configs: [{url: ''}]", "http_sd_configs: URL is missing at line 3");
    check("kubernetes_sd_configs: [{role: x}]", r#"unknown Kubernetes SD role "x""#);
    check("static_configs: [{target: a}]", "static_configs[0]: unknown field `target`");
    check("relabel_configs: [{action: x}]", r#"relabel_configs: unknown relabel action "x""#);
    check("relabel_configs: [{regex: '('}]", "requires 'target_label' value");
    let nameless: Result<ScrapeConfig, _> = serde_yaml_ng::from_str("{}");
    assert!(nameless.unwrap_err().to_string().contains("job_name is empty"));
}

#[test]
fn files_are_looked_for_where_the_configuration_is() {
    let mut config =
        read("bearer_token_file: token\nfile_sd_configs: [{files: [x.json]}]").unwrap();
    config.set_directory(Path::new("/etc/watershed"));
    assert!(format!("{:?}", config.http).contains("/etc/watershed/token"));
    assert!(format!("{:?}", config.discoveries).contains("/etc/watershed/x.json"));
}
