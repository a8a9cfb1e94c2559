//! Rule files that we take or refuse, and what Debian's promtool says of the same files.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::path::Path;
use std::process::Command;

use promql::Features;
use rules::check_files;

/// Whether `promtool check rules` takes the file.
fn promtool_takes(path: &Path) -> bool {
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(path)
        .output()
        .expect("needs promtool: apt-get install prometheus");
    output.status.success()
}

#[test]
fn rule_files_are_taken_and_refused_as_by_promtool() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yml");
    let check = |yaml: &str, good: bool| {
        std::fs::write(&path, yaml).unwrap();
        assert_eq!(promtool_takes(&path), good, "promtool of\n{yaml}");
        let checked = &check_files(std::slice::from_ref(&path), Features::NONE)[0];
        assert_eq!(checked.errors.is_empty(), good, "{:?} of\n{yaml}", checked.errors);
    };
    let rule = |rule: &str| format!("groups: [{{name: g, rules: [{rule}]}}]");

    check("", true);
    check("groups:\n", true);
    check("groups: [{name: g}]", true);
    check("groups: [{name: g, interval: 1m, limit: 3, rules: []}]", true);
    check("groups: [{name: g, interval: 1m30s, rules: null}]", true);
    check(&rule("{record: 'a:b', expr: 1, labels: {x: 1, y: true}}"), true);
    check(&rule("{record: a, expr: sum(up) by (job), labels: {x: ''}}"), true);
    check(&rule("{record: a, expr: up, labels: null}"), true);
    check(&rule("{alert: A b, expr: up == 0, for: 5m, keep_firing_for: 5m}"), true);
    check(
        &rule(
            "{alert: A, expr: up, annotations: {a: '{{ range query `up` }}{{ .Value }}{{ end }}'}}",
        ),
        true,
    );
    check(
        &rule(
            "{alert: A, expr: up, annotations: {a: '{{ define `x` }}{{ .arg0 }}{{ end }}{{ template `x` (args 1) }}'}}",
        ),
        true,
    );
    check(&rule("{record: a, expr: up, labels: {x: '{{ not a template here'}}"), true);
    check(&rule("{record: a, expr: up}, {record: a, expr: up}"), true); // only linted

    check("group: []", false);
    check("groups: [{name: ''}]", false);
    check("groups: [{name: g}, {name: g}]", false);
    check("groups: [{name: g, intervall: 1m}]", false);
    check("groups: [{name: g, interval: 1}]", false);
    check("groups: [{name: g, interval: 1m1m}]", false);
    check("groups: [{name: g, limit: many}]", false);
    check("groups: {name: g}", false);
    check("groups: [", false);
    check(&rule("{expr: up}"), false);
    check(&rule("{record: a}"), false);
    check(&rule("{record: a, alert: b, expr: up}"), false);
    check(&rule("{record: 'a b{}', expr: up}"), false);
    check(&rule("{record: a, expr: up, for: 1m}"), false);
    check(&rule("{record: a, expr: up, keep_firing_for: 1m}"), false);
    check(&rule("{record: a, expr: up, annotations: {a: b}}"), false);
    check(&rule("{record: a, expr: up, labels: {__name__: b}}"), false);
    check(&rule("{record: a, expr: up, labels: {'': b}}"), false);
    check(&rule("{alert: A, expr: 'up =='}"), false);
    check(&rule("{alert: A, expr: rate(up)}"), false);
    check(&rule("{alert: A, expr: up, for: -1m}"), false);
    check(&rule("{alert: A, expr: up, labels: {x: '{{ $nothing }}'}}"), false);
    check(&rule("{alert: A, expr: up, annotations: {x: '{{ nothing }}'}}"), false);
    check(&rule("{alert: A, expr: up, annotations: {x: '{{ if }}'}}"), false);
    check(&rule("{alert: A, expr: up, annotations: {x: '{{ .Labels'}}"), false);
    check(&rule("{alert: A, expr: up, severity: page}"), false);
}

#[test]
fn a_check_counts_rules_and_finds_duplicates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yml");
    let yaml = "groups:
- {name: a, rules: [{record: r, expr: up}, {alert: r, expr: up, labels: {x: y}}]}
- {name: b, rules: [{record: r, expr: up * 2}, {record: s, expr: up}]}";
    std::fs::write(&path, yaml).unwrap();
    let missing = directory.path().join("missing.yml");
    let [checked, absent] = &check_files(&[path, missing], Features::NONE)[..] else {
        panic!("two files")
    };
    assert_eq!((checked.groups, checked.rules), (2, 4));
    let duplicates: Vec<&str> = checked.duplicates.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(duplicates, ["r"]);
    assert_eq!(absent.errors.len(), 1);
}
