//! Every case is also given to Debian's promtool, which must come to the same end.

use std::process::Command;

use super::*;

const RULES: &str = "groups:
- name: second
  rules:
  - record: doubled
    expr: summed * 2
- name: first
  rules:
  - record: summed
    expr: sum(x)
  - alert: High
    expr: sum by (job) (x) > 10
    for: 2m
    keep_firing_for: 1m
    labels: {severity: '{{ if gt $value 20.0 }}page{{ else }}ticket{{ end }}'}
    annotations: {summary: '{{ $labels.job }} is {{ $value }} in {{ $externalLabels.region }}'}
";

fn promtool_passes(path: &Path) -> (bool, String) {
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(path)
        .output()
        .expect("needs promtool: apt-get install prometheus");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

/// Runs `test` in a file of the rules above; `expect` is in the failures, or empty.
#[track_caller]
fn check(test: &str, expect: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.yml");
    let head =
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ngroup_eval_order: [first, second]\n";
    fs::write(directory.path().join("rules.yml"), RULES).unwrap();
    fs::write(&path, format!("{head}tests:\n- interval: 1m\n  external_labels: {{region: eu}}\n  input_series:\n  - {{series: 'x{{job=\"a\"}}', values: '0 11x5 30 30 0 0 0'}}\n  - {{series: 'x{{job=\"b\"}}', values: '1+1x3 _ stale'}}\n{test}")).unwrap();
    let tested = test_file(&path, &EngineOptions::default());
    let (passes, said) = promtool_passes(&path);
    assert_eq!(tested.failures.is_empty(), expect.is_empty(), "{:?}", tested.failures);
    assert_eq!(passes, expect.is_empty(), "promtool: {said}");
    let failures = tested.failures.join("\n");
    assert!(failures.contains(expect), "{failures}");
}

#[test]
fn recorded_series_are_compared() {
    check(
        "  promql_expr_test:\n  - {expr: summed, eval_time: 2m, exp_samples: [{labels: summed, value: 14}]}",
        "",
    );
    check(
        "  promql_expr_test:\n  - {expr: doubled, eval_time: 2m, exp_samples: [{labels: doubled, value: 28}]}",
        "",
    );
    check("  promql_expr_test:\n  - {expr: 'x > 100', eval_time: 2m}", "");
    check("  promql_expr_test:\n  - {expr: 'x{job=\"b\"}', eval_time: 5m}", "");
    check("  promql_expr_test:\n  - {expr: '1 + 1', eval_time: 2m, exp_samples: [{value: 2}]}", "");
    check(
        "  promql_expr_test:\n  - {expr: summed, eval_time: 2m, exp_samples: [{labels: summed, value: 15}]}",
        "expr: \"summed\", time: 2m, exp: [\n    summed 15], got: [\n    summed 14]",
    );
    check(
        "  promql_expr_test:\n  - {expr: summed, eval_time: 2m}",
        "exp: [], got: [\n    summed 14]",
    );
    check("  promql_expr_test:\n  - {expr: 'sum(', eval_time: 2m}", "parse error");
    check(
        "  promql_expr_test:\n  - {expr: up, eval_time: 2m, exp_samples: [{labels: 'a{', value: 1}]}",
        "labels \"a{\"",
    );
}

#[test]
fn firing_alerts_are_compared() {
    let high = |time: &str, alerts: &str| {
        format!(
            "  alert_rule_test:\n  - {{eval_time: {time}, alertname: High, exp_alerts: [{alerts}]}}"
        )
    };
    let alert = |severity: &str, value: &str| {
        format!(
            "{{exp_labels: {{job: a, severity: {severity}}}, exp_annotations: {{summary: a is {value} in eu}}}}"
        )
    };
    check(&high("2m", ""), ""); // pending
    check(&high("3m", &alert("ticket", "11")), "");
    check(&high("3m30s", &alert("ticket", "11")), ""); // as of 3m
    // At 7 min its series has another severity: another alert, and this one is kept firing.
    check(&high("7m", &alert("ticket", "11")), "");
    check(&high("8m", ""), "");
    check(&high("3m", ""), "alertname: High, time: 3m, exp: [], got: [\n    labels");
    check(
        &high("3m", &alert("page", "11")),
        "got: [\n    labels {alertname=\"High\", job=\"a\", severity=\"ticket\"}",
    );
}

#[test]
fn alerts_show_as_series() {
    check(
        "  promql_expr_test:
  - expr: ALERTS
    eval_time: 1m
    exp_samples:
    - {labels: 'ALERTS{alertname=\"High\", alertstate=\"pending\", job=\"a\", severity=\"ticket\"}', value: 1}",
        "",
    );
    check(
        "  promql_expr_test:
  - expr: ALERTS_FOR_STATE
    eval_time: 3m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname=\"High\", job=\"a\", severity=\"ticket\"}', value: 60}",
        "",
    );
}

#[test]
fn a_file_that_cannot_be_tested_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, expect: &str| {
        let path = directory.path().join("test.yml");
        fs::write(&path, text).unwrap();
        let failures = test_file(&path, &EngineOptions::default()).failures.join("\n");
        assert!(failures.contains(expect), "{text}\n{failures}");
    };
    fs::write(directory.path().join("bad.yml"), "groups: [{name: g, rules: [{}]}]").unwrap();
    fs::write(
        directory.path().join("fails.yml"),
        "groups: [{name: g, rules: [{record: r, expr: x * on() y}]}]",
    )
    .unwrap();
    check("tests: [{intervall: 1m}]", "unknown field `intervall`");
    check("rule_files: [missing.yml]", "rule_files: no file matches missing.yml");
    check("rule_files: [bad.yml]", "bad.yml: 1:28: group \"g\", rule 1, \"\": one of 'record' or");
    check("group_eval_order: [a, a]", "group name repeated in evaluation order: a");
    check("tests: [{input_series: [{series: x, values: 1 2 q}]}]", "series x: bad value \"q\"");
    check(
        "rule_files: [fails.yml]
tests:
- name: both
  input_series:
  - {series: 'x', values: '1'}
  - {series: 'y{a=\"1\"}', values: '1'}
  - {series: 'y{a=\"2\"}', values: '1'}
",
        "name: both, rule: r, time: 0s, err: ",
    );
    let missing = test_file(&directory.path().join("nothing.yml"), &EngineOptions::default());
    assert_eq!(missing.failures, ["No such file or directory (os error 2)"]);
}

/// The packs of this repository pass their tests here as they do in promtool.
#[test]
fn the_rule_packs_pass_their_tests() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/tests");
    let mut tested = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let outcome = test_file(&path, &EngineOptions::default());
        assert_eq!(outcome.failures, [""; 0], "{}", path.display());
        tested += outcome.tests;
    }
    assert!(tested > 0);
}
