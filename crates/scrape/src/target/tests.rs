use super::*;
use crate::tests::job;

/// A group of one target.
fn found(address: &str, labels: &[(&str, &str)]) -> Arc<TargetGroup> {
    Arc::new(TargetGroup {
        source: "test".into(),
        targets: vec![Labels::from_iter([(ADDRESS, address)])],
        labels: labels.iter().copied().collect(),
    })
}

fn discover(yaml: &str, address: &str, group: &[(&str, &str)]) -> String {
    let (job, group) = (job(yaml), found(address, group));
    match Target::discover(&job, &group, 0) {
        Ok(Discovered::Target(target)) => {
            let times = (target.interval.as_millis(), target.timeout.as_millis());
            format!("{} {} {times:?}", target.url, target.labels)
        }
        Ok(Discovered::Dropped) => format!("dropped {}", discovered_labels(&job, &group, 0)),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn targets_are_made_of_configuration_group_and_relabelling() {
    #[track_caller]
    fn check(yaml: &str, group: &[(&str, &str)], expect: &str) {
        assert_eq!(discover(yaml, "host:9100", group), expect, "{yaml}");
    }
    check("", &[], r#"http://host:9100/metrics {instance="host:9100", job="test"} (60000, 10000)"#);
    check(
        "scrape_interval: 5s\nmetrics_path: /a b\nparams: {x: ['1', '2'], y: ['a&b']}",
        &[("zone", "z"), ("job", "own"), ("instance", "i"), ("__meta_x", "m")],
        r#"http://host:9100/a%20b?x=1&x=2&y=a%26b {instance="i", job="own", zone="z"} (5000, 5000)"#,
    );
    check(
        "params: {x: ['1', '2']}\nrelabel_configs:\n\
         - {target_label: __param_x, replacement: new}\n\
         - {target_label: __param_z, replacement: added}\n\
         - {target_label: __address__, replacement: 'other:1'}\n\
         - {target_label: __metrics_path__, replacement: /m}\n\
         - {target_label: __scrape_interval__, replacement: 2s}\n\
         - {target_label: __scrape_timeout__, replacement: 500ms}\n\
         - {source_labels: [__meta_x], target_label: x}",
        &[("__meta_x", "m")],
        r#"http://other:1/m?x=new&x=2&z=added {instance="other:1", job="test", x="m"} (2000, 500)"#,
    );
    check(
        "",
        &[(ADDRESS, "group:1"), ("__scheme__", "http"), ("__metrics_path__", "/own")],
        r#"http://host:9100/own {instance="host:9100", job="test"} (60000, 10000)"#,
    );
    check(
        "relabel_configs: [{action: drop, source_labels: [zone], regex: z}]",
        &[("zone", "z")],
        r#"dropped {__address__="host:9100", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_timeout__="10s", job="test", zone="z"}"#,
    );
}

#[test]
fn targets_that_cannot_be_scraped_are_errors() {
    #[track_caller]
    fn check(label: &str, value: &str, expect: &str) {
        let yaml = format!("relabel_configs: [{{target_label: {label}, replacement: '{value}'}}]");
        assert_eq!(discover(&yaml, "host:1", &[]), format!("error: {expect}"), "{label}={value}");
    }
    check("__address__", "", "no address");
    check("__address__", "a/b", r#""a/b" is not a valid hostname"#);
    check("__address__", "a:b:c", r#"invalid URL "http://a:b:c""#);
    check("__scheme__", "ftp", r#"scheme "ftp" is neither "http" nor "https""#);
    check(
        "__scrape_interval__",
        "x",
        r#"error parsing scrape interval: not a valid duration string: "x""#,
    );
    check("__scrape_interval__", "0s", "scrape interval cannot be 0");
    check("__scrape_timeout__", "", "error parsing scrape timeout: empty duration string");
    check("__scrape_timeout__", "0s", "scrape timeout cannot be 0");
    check(
        "__scrape_timeout__",
        "2m",
        r#"scrape timeout cannot be greater than scrape interval ("2m" > "1m")"#,
    );
}

#[test]
fn offsets_differ_between_targets_and_between_seeds() {
    let target = |address: &str| match Target::discover(&job(""), &found(address, &[]), 0) {
        Ok(Discovered::Target(target)) => *target,
        other => panic!("{other:?}"),
    };
    let (a, b) = (target("a:1"), target("b:1"));
    assert_eq!(a.offset(1), a.offset(1));
    assert_ne!(a.offset(1), b.offset(1));
    assert_ne!(a.offset(1), a.offset(2));
}
