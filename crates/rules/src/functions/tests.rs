//! Expected texts are those of Prometheus' own tests (`template/template_test.go`); a real promtool
//! expands the same templates below.

use std::process::Command;

use template::Template;

use super::*;

const VALUE: f64 = 1_234_567.0;

/// What `query` answers: out of order, on purpose.
fn answer(query: &str) -> Result<Vec<(Labels, f64)>, String> {
    let series = |instance: &str, value: f64| {
        let labels = [("__name__", "metric"), ("instance", instance), ("__value__", "text")];
        (labels.into_iter().collect(), value)
    };
    match query {
        "metric" => Ok(vec![series("b", 21.0), series("a", 11.0)]),
        "none" => Ok(Vec::new()),
        _ => Err("parse error".to_owned()),
    }
}

/// `text` as an annotation of an alert with the labels `instance` and `job`.
fn expand(text: &str) -> Result<String, String> {
    let labels: Labels =
        [("__name__", "metric"), ("instance", "host.example.com:9100"), ("job", "node")]
            .into_iter()
            .collect();
    let external_labels: Labels = [("region", "eu")].into_iter().collect();
    let external_url = ExternalUrl::new("http://testhost:9090/path/prefix");
    let world =
        World { external_url: &external_url, now: Timestamp::from_millis(1500), query: &answer };
    let functions = functions(&world);
    let (variables, data) = alert_data(&labels, VALUE, &external_labels, &external_url);
    let names = variables.each_ref().map(|(name, _)| *name);
    let template =
        Template::parse("test", text, &functions, &names).map_err(|error| error.to_string())?;
    template.execute(&functions, &variables, &data).map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(expand(text).as_deref(), Ok(expect), "{text}");
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = expand(text).expect_err(text);
    assert!(error.contains(expect), "{text}\n{error}");
}

/// Templates that need nothing of the world, and what Prometheus makes of them.
const PLAIN: &[(&str, &str)] = &[
    (
        r#"{{ $labels.instance }} of {{ .Labels.job }} {{ $labels.missing }}|"#,
        "host.example.com:9100 of node |",
    ),
    (r#"{{ $value }} {{ .Value | printf "%.1f" }}"#, "1.234567e+06 1234567.0"),
    (r#"{{ if gt $value 1.0 }}high{{ else }}low{{ end }}"#, "high"),
    (
        r#"{{ range $name, $text := .Labels }}{{ $name }}={{ $text }};{{ end }}"#,
        "__name__=metric;instance=host.example.com:9100;job=node;",
    ),
    (
        r#"{{define "x"}}{{.arg0}} {{.arg1}} {{.arg2}}{{end}}{{template "x" (args 1 "2")}}"#,
        "1 2 <no value>",
    ),
    // Numbers.
    (
        "{{humanize 0.0}}:{{humanize 1.0}}:{{humanize 1234567.0}}:{{humanize .12}}",
        "0:1:1.235M:120m",
    ),
    (
        r#"{{humanize "0.0"}}:{{humanize "1234567.0"}}:{{humanize ".12"}}:{{humanize -1}}"#,
        "0:1.235M:120m:-1",
    ),
    ("{{humanize 9223372036854775807}}", "9.223E"),
    (
        "{{humanize1024 0.0}}:{{humanize1024 1048576.0}}:{{humanize1024 .12}}:{{humanize1024 1234567}}",
        "0:1Mi:0.12:1.177Mi",
    ),
    ("{{humanize1024 9223372036854775807}}", "8Ei"),
    (
        "{{humanizeDuration 0.0}}:{{humanizeDuration 1}}:{{humanizeDuration 60}}:{{humanizeDuration 3600}}",
        "0s:1s:1m 0s:1h 0m 0s",
    ),
    (
        "{{humanizeDuration 86400}}:{{humanizeDuration 90000}}:{{humanizeDuration -183845}}:{{humanizeDuration 899.99}}",
        "1d 0h 0m 0s:1d 1h 0m 0s:-2d 3h 4m 5s:14m 59s",
    ),
    (
        "{{humanizeDuration .1}}:{{humanizeDuration .0001}}:{{humanizeDuration .12345}}:{{humanizeDuration 1.2345}}:{{humanizeDuration 12.345}}",
        "100ms:100us:123.5ms:1.234s:12.35s",
    ),
    (r#"{{humanizeDuration "1234567"}}"#, "14d 6h 56m 7s"),
    (
        r#"{{ -0.22222 | humanizePercentage }}:{{ 0.0 | humanizePercentage }}:{{ "0.1234567" | humanizePercentage }}:{{ 1.23456 | humanizePercentage }}"#,
        "-22.22%:0%:12.35%:123.5%",
    ),
    ("{{humanizePercentage 1234567}}", "1.235e+08%"),
    (
        r#"{{ humanize "+Inf" }}:{{ humanize1024 "-Inf" }}:{{ humanizeDuration "NaN" }}:{{ humanizeTimestamp "Inf" }}"#,
        "+Inf:-Inf:NaN:+Inf",
    ),
    ("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC"),
    (
        "{{ humanizeTimestamp 0 }}|{{ humanizeTimestamp -1 }}|{{ humanizeTimestamp 9223372036 }}",
        "1970-01-01 00:00:00 +0000 UTC|1969-12-31 23:59:59 +0000 UTC|2262-04-11 23:47:16 +0000 UTC",
    ),
    (
        r#"{{ (1435065584.128 | toTime).Format "2006-01-02 Mon 15:04:05.000" }}"#,
        "2015-06-23 Tue 13:19:44.128",
    ),
    (r#"{{ printf "%0.2f" (parseDuration "1h2m10ms") }}"#, "3720.01"),
    // Texts.
    (r#"{{ "aa bb CC" | title }} {{ "aa" | toUpper }} {{ "aA" | toLower }}"#, "Aa Bb CC AA aa"),
    (r#"{{ match "a+" "aa" }} {{ match "a+" "b" }} {{ match "^b" "ab" }}"#, "true false false"),
    (
        r#"{{ reReplaceAll "(a)b" "x$1" "ab" }} {{ reReplaceAll "(?P<y>a)" "${y}${y}-" "bab" }} {{ reReplaceAll "b*" "-" "abc" }}"#,
        "xa baa-b -a-c-",
    ),
    (
        r#"{{ graphLink "up == 0" }} {{ tableLink "up" }}"#,
        "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
    ),
    (
        r#"{{ "foo.example.com" | stripPort }} {{ "foo.example.com:12345" | stripPort }} {{ "192.0.2.1:12345" | stripPort }}"#,
        "foo.example.com foo.example.com 192.0.2.1",
    ),
    (
        r#"{{ "2001:0DB8::1" | stripPort }} {{ "[2001:0DB8::1]:12345" | stripPort }} {{ "[2001:0DB8::1]::12345" | stripPort }}"#,
        "2001:0DB8::1 2001:0DB8::1 [2001:0DB8::1]::12345",
    ),
    (
        r#"{{ "foo.example.com" | stripDomain }} {{ "foo.example.com:12345" | stripDomain }} {{ "192.0.2.1:12345" | stripDomain }}"#,
        "foo foo:12345 192.0.2.1:12345",
    ),
    (
        r#"{{ "2001:0DB8::1" | stripDomain }} {{ "[2001:0DB8::1]:12345" | stripDomain }} {{ "[2001:0DB8::1]::12345" | stripDomain }}"#,
        "2001:0DB8::1 [2001:0DB8::1]:12345 [2001:0DB8::1]::12345",
    ),
    // Go's own functions, escapes and formats.
    (
        r#"{{ html "<a>" }} {{ js "it's" }} {{ urlquery "a b" }} {{ len "abc" }} {{ index .Labels "job" }} {{ slice "abc" 1 2 }}"#,
        r"&lt;a&gt; it\'s a+b 3 node b",
    ),
    (
        r#"{{ printf "%5d|%-5s|%05.1f|%q|%x|%v|%t|%e|%g" 42 "a" 2.25 "b" 255 1.5 true 12345.678 1e21 }}"#,
        r#"   42|a    |002.2|"b"|ff|1.5|true|1.234568e+04|1e+21"#,
    ),
    (
        r#"{{ printf "%d" "x" }}{{ printf "%s" 1.5 }}{{ printf "%d" }}{{ printf "a" 1 }}{{ printf "%!" }}"#,
        "%!d(string=x)%!s(float64=1.5)%!d(MISSING)a%!(EXTRA int=1)%!!(MISSING)",
    ),
    (
        r#"{{ print 1 2 "a" 3.0 true nil }} {{ 1e6 }} {{ 1e20 }} {{ 0.00001 }} {{ 100000.0 }}"#,
        "1 2a3 true <nil> 1e+06 1e+20 1e-05 100000",
    ),
    (
        r#"{{ and 1 0 "x" }} {{ or 0 "" "y" }} {{ not true }} {{ eq 1 2 1 }} {{ le "a" "b" }}"#,
        "0 y false true true",
    ),
    ("a  {{- /* comment */ -}}  b {{- 1 -}} c", "ab1c"),
    (
        "{{ range $i, $_ := args 1 2 3 }}{{ if eq $i \"arg1\" }}{{ continue }}{{ end }}{{ $i }} {{ end }}",
        "arg0 arg2 ",
    ),
];

#[test]
fn functions_answer_as_prometheus_do() {
    for (text, expect) in PLAIN {
        check(text, expect);
    }
    check("{{ urlQueryEscape \"a b\" }} {{ now }} {{ safeHtml \"<b>\" }}", "a+b 1.5 <b>");
    check("{{ externalURL }} {{ pathPrefix }}", "http://testhost:9090/path/prefix /path/prefix");
    check("{{ $externalLabels.region }} {{ $externalURL }}", "eu http://testhost:9090/path/prefix");
    check("{{ .ExternalLabels.region }} {{ .ExternalURL }}", "eu http://testhost:9090/path/prefix");
}

#[test]
fn results_of_queries_are_taken_apart() {
    check("{{ query \"metric\" | first | value }}", "21");
    check("{{ query \"metric\" | first | label \"instance\" }}", "b");
    check("{{ query \"metric\" | first | label \"missing\" }}|", "|");
    check("{{ query \"metric\" | first | strvalue }}", "text");
    check("{{ $x := query \"metric\" | first }}{{ $x.Labels.foo }}{{ $x.Value }}", "21");
    check(
        "{{ range query \"metric\" | sortByLabel \"instance\" }}{{.Labels.instance}}:{{.Value}}: {{end}}",
        "a:11: b:21: ",
    );
    check("{{ with query \"none\" }}some{{ else }}nothing{{ end }}", "nothing");
    check_error(
        "{{ query \"none\" | first }}",
        "test:1:18: executing \"test\" at <first>: error calling first: first() called on vector with no elements",
    );
    check_error("{{ query \"(\" }}", "error calling query: parse error");
    check_error("{{ (query \"metric\").banana }}", "can't evaluate field banana");
}

#[test]
fn wrong_arguments_are_errors() {
    check_error(
        "{{ humanize \"one\" }}",
        "test:1:3: executing \"test\" at <humanize \"one\">: error calling humanize: strconv.ParseFloat: parsing \"one\": invalid syntax",
    );
    check_error("{{ humanize .Labels }}", "can't convert map[string]string to float");
    check_error(
        "{{ humanizeTimestamp -9223372036854775808 }}",
        "-9.223372036854776e+18 cannot be represented as a nanoseconds timestamp since it overflows int64",
    );
    check_error("{{ toTime \"NaN\" }}", "value is NaN or Inf");
    check_error(
        "{{ $x := printf \"%999999d\" 1 }}{{ reReplaceAll \" \" $x $x }}",
        "the result is larger than",
    );
    check_error("{{ match \"(\" \"a\" }}", "error calling match");
    check_error("{{ parseDuration \"1\" }}", "not a valid duration string");
    check_error("{{ value 1 }}", "expected sample; got int");
    check_error("{{ toUpper 1 }}", "expected string; got int");
}

/// Prometheus' promtool runs a rule with every template of [`PLAIN`] and finds the same texts.
#[test]
fn a_real_prometheus_expands_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let annotations: Vec<String> =
        PLAIN.iter().enumerate().map(|(n, (text, _))| format!("t{n}: {}", quoted(text))).collect();
    let expected: Vec<String> =
        PLAIN.iter().enumerate().map(|(n, (_, text))| format!("t{n}: {}", quoted(text))).collect();
    let rules = format!(
        "groups: [{{name: g, rules: [{{alert: A, expr: metric, annotations: {{{}}}}}]}}]",
        annotations.join(", ")
    );
    let series = r#"metric{job="node",instance="host.example.com:9100"}"#;
    let test = format!(
        "rule_files: [rules.yml]\ntests:\n- interval: 1m\n  input_series:\n  - series: '{series}'\n    \
         values: {VALUE}\n  alert_rule_test:\n  - eval_time: 0m\n    alertname: A\n    exp_alerts:\n    \
         - exp_labels: {{job: node, instance: 'host.example.com:9100'}}\n      \
         exp_annotations: {{{}}}\n",
        expected.join(", ")
    );
    std::fs::write(directory.path().join("rules.yml"), rules).unwrap();
    let test_file = directory.path().join("test.yml");
    std::fs::write(&test_file, test).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&test_file)
        .output()
        .expect("needs promtool: apt-get install prometheus");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
