use url::Url;

use super::*;

fn parse(yaml: &str) -> Result<AlertingConfig, String> {
    serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn alertmanagers_are_found_where_static_configs_put_them() {
    #[track_caller]
    fn check(alertmanager: &str, endpoints: &[&str], dropped: &[&str]) {
        let config = parse(&format!("alertmanagers: [{alertmanager}]")).unwrap();
        let urls = |urls: &[Url]| urls.iter().map(Url::to_string).collect::<Vec<_>>();
        let found = config.alertmanagers[0].places.endpoints(&[]);
        assert_eq!(urls(&found.active), endpoints, "{alertmanager}");
        assert_eq!(urls(&found.dropped), dropped, "{alertmanager}");
    }
    check("{}", &[], &[]);
    check(
        "{static_configs: [{targets: ['a:9093', 'b:9093']}]}",
        &["http://a:9093/api/v2/alerts", "http://b:9093/api/v2/alerts"],
        &[],
    );
    check(
        "{scheme: https, api_version: v2, path_prefix: /am/, static_configs: [{targets: [a]}]}",
        &["https://a/am/api/v2/alerts"],
        &[],
    );
    check(
        "{static_configs: [{targets: [a, b], labels: {zone: z1}}, {targets: [c]}],
          relabel_configs: [{source_labels: [zone], regex: z1, action: drop},
                            {target_label: __address__, replacement: 'relabelled:1'}]}",
        &["http://relabelled:1/api/v2/alerts"],
        &["http://a/api/v2/alerts", "http://b/api/v2/alerts"],
    );
}

#[test]
fn timeout_and_credentials_have_prometheus_defaults() {
    let config = parse("alertmanagers: [{}, {timeout: 2s, authorization: {credentials: x}}]");
    let [plain, full] = &config.unwrap().alertmanagers[..] else { panic!("two alertmanagers") };
    assert_eq!(
        (plain.timeout, &plain.http),
        (Duration::from_secs(10), &HttpClientConfig::default())
    );
    assert_eq!(full.timeout, Duration::from_secs(2));
    let debug = format!("{:?}", full.http);
    assert!(debug.contains("Bearer") && debug.contains("<secret>"), "{debug}");
}

#[test]
fn password_files_are_relative_to_the_configuration() {
    let mut config =
        parse("alertmanagers: [{basic_auth: {username: u, password_file: p}}]").unwrap();
    config.set_directory(Path::new("/etc/watershed"));
    let debug = format!("{:?}", config.alertmanagers[0].http);
    assert!(debug.contains("\"/etc/watershed/p\""), "{debug}");
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    #[track_caller]
    fn check(yaml: &str, expect: &str) {
        let error = parse(yaml).expect_err(yaml);
        assert!(error.contains(expect), "{yaml}\n{error}");
    }
    check("alertmanager: []", "unknown field `alertmanager`");
    check("alertmanagers: [{schema: http}]", "unknown field `schema`");
    check("alertmanagers: [{scheme: ftp, static_configs: [{targets: [a]}]}]", "scheme: \"ftp\"");
    check("alertmanagers: [{api_version: v1}]", "expected Alertmanager api version to be one of");
    check("alertmanagers: [{timeout: 0s}]", "timeout: must be more than 0");
    check("alertmanagers: [{timeout: soon}]", "not a valid duration string: \"soon\"");
    check(
        "alertmanagers: [{static_configs: [{targets: ['http://a']}]}]",
        "is not a valid hostname",
    );
    check("alertmanagers: [{static_configs: [{targets: ['a:x']}]}]", "invalid port number");
    check("alertmanagers: [{basic_auth: {}, authorization: {}}]", "at most one of basic_auth");
    check(
        "alertmanagers: [{basic_auth: {password: a, password_file: b}}]",
        "at most one of password and password_file",
    );
    check("alertmanagers: [{authorization: {type: Basic}}]", "use \"basic_auth\" instead");
    check("alert_relabel_configs: [{action: nothing}]", "unknown relabel action");

    let error = parse("alertmanagers:\n- path_prefix: /\n  dns_sd_configs: []\n").unwrap_err();
    assert!(
        error.contains("alertmanagers[0].dns_sd_configs: not supported yet at line 3"),
        "{error}"
    );
}
