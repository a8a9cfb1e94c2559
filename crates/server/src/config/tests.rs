use super::*;

fn parse(text: &str) -> anyhow::Result<Config> {
    Config::parse(text, Path::new("/nowhere"))
}

#[test]
fn an_empty_file_is_a_configuration_with_prometheus_defaults() {
    for text in ["", "\n# nothing\n", "global: {}"] {
        let config = parse(text).unwrap();
        assert_eq!(config.global.scrape_interval, Duration::from_secs(60), "{text:?}");
        assert_eq!(config.global.scrape_timeout, Duration::from_secs(10), "{text:?}");
        assert_eq!(config.global.evaluation_interval, Duration::from_secs(60), "{text:?}");
    }
}

#[test]
fn every_section_is_read() {
    let config = parse(
        "
global:
  scrape_interval: 5s
  evaluation_interval: 2s
  external_labels: {region: cn-hangzhou}
scrape_configs:
- job_name: node
  static_configs: [{targets: ['127.0.0.1:9100']}]
remote_write:
- url: http://127.0.0.1:9322/api/v1/write
alerting:
  alertmanagers:
  - static_configs: [{targets: ['127.0.0.1:9093']}]
storage:
  tsdb: {out_of_order_time_window: 30m}
  exemplars: {max_exemplars: 7}
",
    )
    .unwrap();
    assert_eq!(config.global.scrape_timeout, Duration::from_secs(5), "no longer than the interval");
    assert_eq!(config.global.external_labels.value("region"), "cn-hangzhou");
    assert_eq!(config.scrape_jobs.len(), 1);
    assert_eq!(config.remote_write.len(), 1);
    assert_eq!(config.alerting.alertmanagers.len(), 1);
    assert_eq!(config.out_of_order_window, Some(Duration::from_secs(1800)));
    assert_eq!(config.exemplars_max, Some(7));
}

#[test]
fn a_negative_number_of_exemplars_is_none() {
    let config = parse("storage: {exemplars: {max_exemplars: -1}}").unwrap();
    assert_eq!(config.exemplars_max, Some(0));
    assert_eq!(parse("storage: {exemplars: {}}").unwrap().exemplars_max, None);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let error = format!("{:#}", parse(text).unwrap_err());
        for part in expect {
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
    check("global:\n  scrape_intervall: 5s", &["unknown field `scrape_intervall`", "line 2"]);
    check("global: {}\nglobals: {}", &["unknown field `globals`", "line 2"]);
    check("global:\n  scrape_interval: 5", &["scrape_interval", "line 2"]);
    check("global: {scrape_interval: 0s}", &["global.scrape_interval: must not be zero"]);
    check(
        "global: {scrape_interval: 5s, scrape_timeout: 6s}",
        &["global.scrape_timeout: greater than the scrape interval"],
    );
    check(
        "scrape_configs:\n- job_name: a\n  metric_path: /x",
        &["scrape_configs[0]", "metric_path"],
    );
    check(
        "scrape_configs:\n- job_name: a\n  relabel_configs: [{action: keep, regex: '('}]",
        &["scrape_configs[0]", "regex"],
    );
    check("remote_write:\n- name: x", &["remote_write[0]", "url"]);
    check("global: {}\ntracing:\n  endpoint: x", &["tracing: not supported yet", "line 3"]);
    check("global: [", &["line 1"]);
    check("just text", &["expected the sections of a configuration"]);
    check("rule_files: ['[']", &["rule_files: \"[\""]);
}

#[test]
fn rule_files_are_found_once_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("a.yml", "groups: [{name: a, rules: [{record: 'a:b', expr: up}]}]");
    let config =
        Config::parse("rule_files: [a.yml, '*.yml', gone.yml, 'gone*.yml']", directory.path())
            .unwrap();
    assert_eq!(config.rule_groups.len(), 1);
    assert_eq!(config.missing_rule_files, ["gone.yml"]);

    write("b.yml", "groups: [{name: a, rules: [{record: 'a:b', expr: 'up +'}]}]");
    let error = Config::parse("rule_files: ['*.yml']", directory.path()).unwrap_err().to_string();
    assert!(error.contains("b.yml") && error.contains("parse error"), "{error}");
}
