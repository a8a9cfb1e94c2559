use super::*;

fn errors(text: &str) -> Vec<String> {
    parse("rules.yml", text).expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn a_rule_file_is_read_with_all_its_fields() {
    let text = r#"
groups:
- name: nodes
  interval: 15s
  query_offset: 1m
  limit: 10
  labels: {team: infra, tier: edge}
  rules:
  - record: job:up:sum
    expr: sum  by(job) (up)
    labels: {tier: cascade}
  - alert: Down
    expr: up == 0
    for: 5m
    keep_firing_for: 10m
    labels: {severity: 1, where: "{{ $labels.instance }}"}
    annotations: {summary: "{{ $value }}"}
- name: empty
"#;
    let groups = parse("rules.yml", text).unwrap();
    let [nodes, empty] = &groups[..] else { panic!("two groups: {groups:?}") };
    assert_eq!((nodes.name.as_str(), nodes.file.as_str(), nodes.limit), ("nodes", "rules.yml", 10));
    assert_eq!(nodes.interval, Some(Duration::from_secs(15)));
    assert_eq!(nodes.query_offset, Some(Duration::from_secs(60)));
    let [Rule::Recording(recording), Rule::Alerting(alerting)] = &nodes.rules[..] else {
        panic!("a recording and an alerting rule: {:?}", nodes.rules)
    };
    assert_eq!(recording.name, "job:up:sum");
    assert_eq!(recording.query.text, "sum by (job) (up)");
    let expect: BTreeMap<_, _> = [("team", "infra"), ("tier", "cascade")].into();
    assert_eq!(nodes.rules[0].labels(), expect, "the rule's labels stand over the group's");
    assert_eq!(alerting.hold, Duration::from_secs(300));
    assert_eq!(alerting.keep_firing_for, Duration::from_secs(600));
    assert_eq!(nodes.rules[1].labels()["severity"], "1");
    assert_eq!(alerting.annotations["summary"].as_str(), "{{ $value }}");
    assert_eq!((empty.interval, empty.limit, empty.rules.len()), (None, 0, 0));
}

#[test]
fn a_file_may_be_empty() {
    for text in ["", "# nothing\n", "groups:\n", "groups: []\n"] {
        assert_eq!(parse("rules.yml", text), Ok(Vec::new()), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(errors(text), [expect], "{text}");
    }
    check(
        "groups:\n- name: g\n  rules:\n  - record: r\n    expr: sum(up\n",
        "rules.yml: 5:11: group \"g\", rule 1, \"r\": could not parse expression: 1:7: parse error: unclosed left parenthesis",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n",
        "rules.yml: 4:5: group \"g\", rule 1, \"A\": field 'expr' must be set in rule",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - expr: up\n",
        "rules.yml: 4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, alert: b, expr: up}\n",
        "rules.yml: 4:14: group \"g\", rule 1, \"b\": only one of 'record' and 'alert' must be set",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, for: 1m}\n",
        "rules.yml: 4:14: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, keep_firing_for: 1m}\n",
        "rules.yml: 4:14: group \"g\", rule 1, \"a\": invalid field 'keep_firing_for' in recording rule",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: up, annotations: {x: y}}\n",
        "rules.yml: 4:14: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - {record: 'sum(up{})', expr: up}\n",
        "rules.yml: 4:14: group \"g\", rule 1, \"sum(up{})\": braces present in the recording rule name; should it be in expr?: sum(up{})",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    labels: {__name__: b}\n",
        "rules.yml: 6:24: group \"g\", rule 1, \"a\": invalid label name: __name__",
    );
    check("groups:\n- name: g\n  labels: {'': x}\n", "rules.yml: 3:16: invalid label name: ");
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n      summary: '{{ $lables.x }}'\n",
        "rules.yml: 7:16: group \"g\", rule 1, \"A\": annotation \"summary\": template: __alert_A:1:3: undefined variable \"$lables\"",
    );
    check(
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    labels: {x: '{{ nofunction }}'}\n",
        "rules.yml: 6:17: group \"g\", rule 1, \"A\": label \"x\": template: __alert_A:1:3: function \"nofunction\" not defined",
    );
    check("groups:\n- rules: []\n", "rules.yml: 2:3: Groupname must not be empty");
    check(
        "groups:\n- limit: many\n",
        "rules.yml: 2:10: groups[0].limit: invalid type: string \"many\", expected i64",
    );
    check(
        "groups:\n- name: g\n- name: g\n",
        "rules.yml: 3:3: groupname: \"g\" is repeated in the same file",
    );
}

#[test]
fn all_wrong_rules_of_a_file_are_named() {
    let text =
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: '('}\n  - {alert: b, expr: ')'}\n";
    let errors = errors(text);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("4:23: group \"g\", rule 1, \"a\""), "{errors:?}");
    assert!(errors[1].contains("5:22: group \"g\", rule 2, \"b\""), "{errors:?}");
}

#[test]
fn unknown_keys_and_wrong_types_are_refused_where_they_stand() {
    #[track_caller]
    fn check(text: &str, line: usize, expect: &str) {
        let found = parse("rules.yml", text).expect_err(text);
        assert_eq!(found[0].at.map(|(line, _)| line), Some(line), "{found:?}");
        assert!(found[0].message.contains(expect), "{found:?}");
    }
    check("group: []\n", 1, "unknown field `group`");
    check("groups:\n- name: g\n  intervall: 1m\n", 3, "unknown field `intervall`");
    check("groups:\n- name: g\n  rules:\n  - record: a\n    exp: up\n", 5, "unknown field `exp`");
    check("groups:\n- name: g\n  interval: soon\n", 3, "not a valid duration string: \"soon\"");
    check("groups:\n- name: g\n  rules: up\n", 3, "invalid type");
    check("groups: [\n", 2, "");
    check("groups:\n- name: a\n  name: b\n", 2, "duplicate field `name`");
}

#[test]
fn a_file_that_is_not_there_is_an_error_that_names_it() {
    let errors = load(Path::new("/nowhere/rules.yml"), Features::NONE).unwrap_err();
    assert_eq!(errors[0].to_string(), "/nowhere/rules.yml: No such file or directory (os error 2)");
}
