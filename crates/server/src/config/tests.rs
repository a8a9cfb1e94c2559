use super::*;

fn parse(text: &str) -> anyhow::Result<Config> {
    Config::parse(text, Path::new("/nowhere"), Features::NONE)
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
    check(
        "global: {}\ntracing:\n  endpoint: x",
        &["tracing: not supported; leave it out", "line 2"],
    );
    check("global: [", &["line 1"]);
    check("just text", &["expected a mapping"]);
    check("rule_files: ['[']", &["rule_files: \"[\""]);
}

#[test]
fn rule_files_are_found_once_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("a.yml", "groups: [{name: a, rules: [{record: 'a:b', expr: up}]}]");
    let config = Config::parse(
        "rule_files: [a.yml, '*.yml', gone.yml, 'gone*.yml']",
        directory.path(),
        Features::NONE,
    )
    .unwrap();
    assert_eq!(config.rule_groups.len(), 1);
    let missing: Vec<String> = config.missing_files.iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["rule_files: \"gone.yml\" does not exist"]);

    write("b.yml", "groups: [{name: a, rules: [{record: 'a:b', expr: 'up +'}]}]");
    let error = Config::parse("rule_files: ['*.yml']", directory.path(), Features::NONE)
        .unwrap_err()
        .to_string();
    assert!(error.contains("b.yml") && error.contains("parse error"), "{error}");
}

/// As in the file that comes with Prometheus, where what is not needed is commented out.
#[test]
fn keys_with_nothing_after_them_are_as_if_they_were_not_there() {
    let config = parse(
        "
global:
alerting:
  alertmanagers:
  - static_configs:
    - targets:
rule_files:
  # - first_rules.yml
scrape_config_files:
remote_write:
- url: http://a/
  write_relabel_configs:
  headers:
storage:
scrape_configs:
- job_name: prometheus
  tls_config:
  basic_auth:
  relabel_configs:
  static_configs:
  - targets: [localhost:9090]
    labels:
",
    )
    .unwrap();
    assert_eq!(config.scrape_jobs.len(), 1);
    assert_eq!(config.alerting.alertmanagers.len(), 1);
}

#[test]
fn what_we_do_not_have_is_named_with_what_to_use_instead() {
    #[track_caller]
    fn check(text: &str, expect: &str, line: usize) {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(expect) && error.contains(&format!(" at line {line} ")), "{error}");
    }
    let job = "scrape_configs:\n- job_name: a\n  honor_labels: true\n  ";
    for provider in [
        "aws",
        "azure",
        "consul",
        "digitalocean",
        "docker",
        "dockerswarm",
        "ec2",
        "eureka",
        "gce",
        "hetzner",
        "ionos",
        "kuma",
        "lightsail",
        "linode",
        "marathon",
        "nerve",
        "nomad",
        "openstack",
        "outscale",
        "ovhcloud",
        "puppetdb",
        "scaleway",
        "serverset",
        "stackit",
        "triton",
        "uyuni",
        "vultr",
    ] {
        let key = format!("{provider}_sd_configs");
        let expect = format!("{key}: not supported; use ");
        check(&format!("{job}{key}: [{{}}]"), &format!("scrape_configs[0]: {expect}"), 4);
        let alerting = format!("alerting:\n  alertmanagers:\n  - {key}: [{{}}]");
        check(&alerting, &format!("alerting.alertmanagers[0]: {expect}"), 3);
    }
    check("remote_read:\n- url: http://a", "remote_read: not supported; let that server write", 1);
    check("\notlp: {}", "otlp: not supported; send with remote write", 2);
    check("runtime:\n  gogc: 50", "runtime: not supported; leave it out", 1);
    check("global:\n  scrape_failure_log_file: x", "scrape_failure_log_file: not supported", 2);
    check("remote_write:\n- url: http://a\n  sigv4: {}", "sigv4: not supported; use basic_auth", 3);
}

#[test]
fn scrape_configs_may_stand_in_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let parse = |text: &str| {
        Config::parse(text, directory.path(), Features::NONE).map_err(|error| format!("{error:#}"))
    };
    write("jobs/a.yml", "scrape_configs:\n- {job_name: a, bearer_token_file: token}");
    write("jobs/b.yml", "scrape_configs:\n- {job_name: b}\n- {job_name: c}");
    write("jobs/empty.yml", "# nothing yet");
    let text = "global: {scrape_interval: 7s}\nscrape_config_files: ['jobs/*.yml', gone.yml]\n\
                scrape_configs: [{job_name: main}]";
    let config = parse(text).unwrap();
    let names: Vec<&str> = config.scrape_jobs.iter().map(scrape::Job::name).collect();
    assert_eq!(names, ["main", "a", "b", "c"]);
    let missing: Vec<String> = config.missing_files.iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["scrape_config_files: \"gone.yml\" does not exist"]);
    let job = format!("{:?}", config.scrape_jobs[1]);
    assert!(job.contains("interval: 7s"), "the global section holds for them too: {job}");
    assert!(job.contains("jobs/token"), "files are looked for where they are named: {job}");

    #[track_caller]
    fn check(parsed: Result<Config, String>, expect: &[&str]) {
        let error = parsed.unwrap_err();
        for part in expect {
            assert!(error.contains(part), "{error}");
        }
    }
    write("jobs/b.yml", "scrape_configs:\n- {job_name: a}");
    let twice = "b.yml: found multiple scrape configs with job name \"a\", first found in \"";
    check(parse(text), &[twice, "jobs/a.yml\""]);
    write("jobs/b.yml", "scrape_configs:\n- {job_name: main}");
    check(parse(text), &["b.yml: found multiple", "first found in the main file"]);
    write("jobs/b.yml", "scrape_configs:\n- job_name: b\n  job_nam: b");
    check(parse(text), &["jobs/b.yml: ", "unknown field `job_nam`", "at line 3"]);
    write("jobs/b.yml", "global: {}");
    check(parse(text), &["jobs/b.yml: ", "unknown field `global`"]);
}

#[test]
fn external_labels_name_variables_of_the_environment() {
    let config = parse(
        "global: {external_labels: {home: 'x${HOME}', price: '5$$', none: '$NO_SUCH_VARIABLE'}}",
    )
    .unwrap();
    let labels = config.global.external_labels;
    assert_eq!(labels.value("home"), format!("x{}", std::env::var("HOME").unwrap()));
    assert_eq!(labels.value("price"), "5$");
    assert_eq!(labels.get("none"), None);
    assert_eq!(config.unset_variables, ["NO_SUCH_VARIABLE"]);
}

#[test]
fn a_check_reads_the_files_that_requests_need() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::parse(
        "
scrape_configs:
- {job_name: a, tls_config: {ca_file: gone-1}}
- {job_name: b, file_sd_configs: [{files: [gone-2.json]}]}
- {job_name: c, file_sd_configs: [{files: ['*.json']}]}
- {job_name: d, http_sd_configs: [{url: 'http://a/', bearer_token_file: gone-3}]}
- {job_name: e, file_sd_configs: [{files: [good.json]}]}
remote_write: [{url: 'http://a/', basic_auth: {password_file: gone-4}}]
alerting: {alertmanagers: [{authorization: {credentials_file: gone-5}}]}
",
        directory.path(),
        Features::NONE,
    );
    let config = config.unwrap();
    fs::write(directory.path().join("bad.json"), "[{}").unwrap();
    fs::write(directory.path().join("good.json"), "[]").unwrap();
    let checked = config.check_files();
    let place = directory.path().display();
    assert_eq!(checked.missing, [format!("job \"b\": {place}/gone-2.json does not exist")]);
    let starts = [
        format!("job \"a\": tls_config: read {place}/gone-1: No such file"),
        format!("job \"c\": file_sd_configs: {place}/bad.json: "),
        format!("job \"d\": http_sd_configs: read {place}/gone-3: "),
        format!("remote_write: read {place}/gone-4: "),
        format!("alertmanagers: read {place}/gone-5: "),
    ];
    assert_eq!(checked.errors.len(), starts.len(), "{:?}", checked.errors);
    for (error, start) in checked.errors.iter().zip(&starts) {
        assert!(error.starts_with(start.as_str()), "{error}");
    }
}

/// Wherever a secret may stand, it is in neither what is shown nor what `Debug` prints.
#[test]
fn no_secret_is_shown() {
    let http = "basic_auth: {username: me, password: hush-1}
  proxy_url: http://me:hush-2@proxy
  proxy_connect_header: {X-A: [hush-3]}
  http_headers: {X-B: {secrets: [hush-4]}}
  tls_config: {cert: visible, key: hush-5}";
    let oauth2 = "oauth2: {client_id: me, token_url: 'http://t', client_secret: hush-6, \
                  proxy_url: 'http://me:hush-7@proxy', tls_config: {cert: visible, key: hush-8}}";
    let config = parse(&format!(
        "
scrape_configs:
- job_name: a
  {http}
- job_name: b
  {oauth2}
- {{job_name: c, authorization: {{credentials: hush-9}}}}
- {{job_name: d, bearer_token: hush-10}}
remote_write:
- url: http://me:hush-11@a/
  {http}
alerting:
  alertmanagers:
  - path_prefix: /
    {}
",
        http.replace('\n', "\n  ")
    ));
    let config = config.unwrap();
    assert!(config.shown.contains("<secret>"));
    for shown in [config.shown.clone(), format!("{:?}", Config { shown: String::new(), ..config })]
    {
        assert!(!shown.contains("hush"), "{shown}");
    }
}
