use model::Labels;

use super::*;

#[track_caller]
fn steps(yaml: &str) -> Vec<RelabelStep> {
    serde_yaml_ng::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

fn builder(pairs: &[(&str, &str)]) -> LabelsBuilder {
    pairs.iter().copied().collect::<Labels>().to_builder()
}

/// Relabels `pairs` by one step, written as a YAML flow mapping without its braces.
fn relabel_text(step: &str, pairs: &[(&str, &str)]) -> String {
    let mut labels = builder(pairs);
    match relabel(&steps(&format!("[{{{step}}}]")), &mut labels) {
        Verdict::Keep => labels.build().to_string(),
        Verdict::Drop => "dropped".to_owned(),
    }
}

#[test]
fn each_action_does_what_prometheus_does() {
    const ABC: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
    #[track_caller]
    fn check(step: &str, expect: &str) {
        assert_eq!(relabel_text(step, ABC), expect, "step: {step}");
    }
    let all = r#"{a="foo", b="bar", c="baz"}"#;
    let with_d = |value: &str| format!(r#"{{a="foo", b="bar", c="baz", d="{value}"}}"#);

    // replace, whose source, regex and replacement have defaults
    check("source_labels: [a], target_label: d", &with_d("foo"));
    check("source_labels: [a, b], target_label: d", &with_d("foo;bar"));
    check("source_labels: [a, b], separator: '', target_label: d", &with_d("foobar"));
    check("target_label: d, replacement: x", &with_d("x"));
    check("source_labels: [a], target_label: a, replacement: ''", r#"{b="bar", c="baz"}"#);
    check("source_labels: [absent], target_label: a", r#"{b="bar", c="baz"}"#);
    check("source_labels: [a], regex: f(.*), target_label: d, replacement: ch$1-ch$1", &{
        with_d("choo-choo")
    });
    check("source_labels: [a], regex: o+, target_label: d", all); // must match all of foo
    check("source_labels: [a], regex: '(f).*', target_label: 'x$1', replacement: y", &{
        r#"{a="foo", b="bar", c="baz", xf="y"}"#.to_owned()
    });
    check("source_labels: [a], regex: (x)?.*, target_label: '$1', replacement: y", all);
    check("source_labels: [a], target_label: 'my.label'", &{
        r#"{a="foo", b="bar", c="baz", "my.label"="foo"}"#.to_owned()
    });

    check("action: keep, source_labels: [a], regex: f.*", all);
    check("action: keep, source_labels: [a], regex: f", "dropped");
    check("action: keep, source_labels: [absent], regex: ''", all);
    check("action: drop, source_labels: [a], regex: .*o.*", "dropped");
    check("action: drop, source_labels: [a, b], regex: foo;bar", "dropped");
    check("action: DROP, source_labels: [b], regex: .*o.*", all);

    check("action: keepequal, source_labels: [a], target_label: b", "dropped");
    check("action: keepequal, source_labels: [a], target_label: a", all);
    check("action: dropequal, source_labels: [a], target_label: b", all);
    check("action: dropequal, source_labels: [x], target_label: y", "dropped"); // both absent

    check("action: hashmod, source_labels: [c], target_label: d, modulus: 1000", &with_d("976"));

    check("action: labelmap, regex: '(b.*|c)', replacement: bar_$1", &{
        r#"{a="foo", b="bar", bar_b="bar", bar_c="baz", c="baz"}"#.to_owned()
    });
    check("action: labelmap, regex: a()", all); // maps to no name
    check("action: labeldrop, regex: '[ab]'", r#"{c="baz"}"#);
    check("action: labelkeep, regex: '[ab]'", r#"{a="foo", b="bar"}"#);
    check("action: uppercase, source_labels: [a, b], target_label: d", &with_d("FOO;BAR"));
    check("action: lowercase, source_labels: [a], target_label: d", &with_d("foo"));
}

/// Values from Prometheus' `relabel_test.go`.
#[test]
fn hashmod_agrees_with_prometheus() {
    #[track_caller]
    fn check(source: &str, pairs: &[(&str, &str)], expect: &str) {
        let step =
            format!("action: hashmod, source_labels: [{source}], target_label: d, modulus: 1000");
        let relabelled = relabel_text(&step, pairs);
        assert!(relabelled.contains(&format!("d=\"{expect}\"")), "{relabelled}");
    }
    check("c", &[("a", "foo"), ("b", "bar"), ("c", "baz")], "976");
    check("a", &[("a", "foo\nbar")], "734");
}

#[test]
fn a_dot_matches_newlines() {
    let step = "source_labels: [a], regex: 'x.y', target_label: a, replacement: joined";
    assert_eq!(relabel_text(step, &[("a", "x\ny")]), r#"{a="joined"}"#);
}

#[test]
fn cases_are_mapped_letter_by_letter() {
    let upper = "action: uppercase, source_labels: [a], target_label: a";
    assert_eq!(relabel_text(upper, &[("a", "straße é")]), r#"{a="STRAßE É"}"#);
    let lower = "action: lowercase, source_labels: [a], target_label: a";
    assert_eq!(relabel_text(lower, &[("a", "ΟΔΟΣ")]), r#"{a="οδοσ"}"#); // no final sigma
}

#[test]
fn references_in_replacements_read_as_in_go() {
    #[track_caller]
    fn check(replacement: &str, expect: &str) {
        let regex = Anchored::new("(?P<first>[a-z]+)-(?P<_2nd>[0-9]+)(x)?").unwrap();
        let captures = regex.captures("ab-12").unwrap();
        let expanded = Template::new(replacement, &regex).expand(&captures);
        assert_eq!(expanded, expect, "{replacement}");
    }
    check("$1", "ab");
    check("${1}x$2", "abx12");
    check("$1x", ""); // the group "1x"
    check("$0", "ab-12");
    check("$first/${_2nd}", "ab/12");
    check("$3|$4|$none|$01", "|||");
    check("$$1", "$1");
    check("a$", "a$");
    check("$-$", "$-$");
    check("${1", "${1");
    check("${a-b}", "${a-b}");
    check("", "");
}

#[test]
fn steps_apply_in_order_until_one_drops() {
    let list = steps(
        "- {source_labels: [a], target_label: b}\n\
         - {action: labeldrop, regex: a}\n\
         - {action: drop, source_labels: [b], regex: gone}\n\
         - {target_label: c, replacement: late}\n",
    );
    let mut labels = builder(&[("a", "1")]);
    assert_eq!(relabel(&list, &mut labels), Verdict::Keep);
    assert_eq!(labels.build().to_string(), r#"{b="1", c="late"}"#);
    let mut labels = builder(&[("a", "gone")]);
    assert_eq!(relabel(&list, &mut labels), Verdict::Drop);
}

#[test]
fn entries_that_cannot_work_are_refused_in_prometheus_words() {
    #[track_caller]
    fn check(step: &str, expect: &str) {
        let error = serde_yaml_ng::from_str::<RelabelStep>(&format!("{{{step}}}")).unwrap_err();
        let message = error.to_string();
        let message = message.split(" at line").next().unwrap_or(&message);
        assert_eq!(message, expect, "step: {step}");
    }
    check("action: rename", r#"unknown relabel action "rename""#);
    check("target_label: a, regex: '('", r#"error parsing regexp "(": unclosed group"#);
    check(
        "source_labels: ['']",
        "relabel configuration for replace action requires 'target_label' value",
    );
    check("source_labels: [''], target_label: a", r#""" is not a valid label name"#);
    check(
        "action: hashmod, target_label: a",
        "relabel configuration for hashmod requires non-zero modulus",
    );
    check(
        "action: hashmod, modulus: 8",
        "relabel configuration for hashmod action requires 'target_label' value",
    );
    for action in ["lowercase", "uppercase", "keepequal", "dropequal"] {
        check(&format!("action: {action}"), &{
            format!("relabel configuration for {action} action requires 'target_label' value")
        });
        check(&format!("action: {action}, target_label: a, replacement: x"), &{
            format!("'replacement' can not be set for {action} action")
        });
    }
    for extra in ["regex: x", "modulus: 3", "separator: ','"] {
        check(&format!("action: keepequal, target_label: a, {extra}"), &{
            "keepequal action requires only 'source_labels' and `target_label`, and no other fields"
                .to_owned()
        });
    }
    for extra in
        ["source_labels: [a]", "target_label: a", "modulus: 3", "separator: ','", "replacement: x"]
    {
        check(&format!("action: labelkeep, regex: x, {extra}"), &{
            "labelkeep action requires only 'regex', and no other fields".to_owned()
        });
    }
    check(
        "action: labelmap, regex: x, replacement: ''",
        r#""" is invalid 'replacement' for labelmap action"#,
    );
    let unknown = serde_yaml_ng::from_str::<RelabelStep>("{target: a}").unwrap_err().to_string();
    assert!(unknown.contains("unknown field `target`"), "{unknown}");
}
