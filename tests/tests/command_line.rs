//! The `watershed` command, as a shell sees it: what it prints, and its exit code.

use std::io::Write;
use std::process::{Command, Stdio};

use system_tests::Lab;

/// Runs `watershed` on `input`: whether it succeeded, and all that it said.
fn watershed(lab: &Lab, arguments: &[&str], input: &str) -> anyhow::Result<(bool, String)> {
    let mut child = Command::new(lab.binary("watershed"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

#[test]
fn check_says_what_is_in_a_file_or_what_is_wrong_with_it_and_where() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = lab.directory().path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    #[track_caller]
    fn check(got: (bool, String), succeeds: bool, parts: &[&str]) {
        assert_eq!(got.0, succeeds, "{}", got.1);
        for part in parts {
            assert!(got.1.contains(part), "expected {part:?} in {}", got.1);
        }
    }

    let rules = "groups:\n- name: g\n  rules:\n  - {record: 'a:b', expr: sum(up)}\n";
    let good_rules = file("good-rules.yml", rules)?;
    let bad_rules = file("bad-rules.yml", &rules.replace("sum(up)", "sum(up"))?;
    check(
        watershed(&lab, &["check", "rules", &good_rules, &bad_rules], "")?,
        false,
        &["good-rules.yml: 1 groups, 1 rules", "bad-rules.yml: 4:"],
    );

    let experimental =
        file("experimental.yml", &rules.replace("sum(up)", "'mad_over_time(up[5m])'"))?;
    check(watershed(&lab, &["check", "rules", &experimental], "")?, false, &["is not enabled"]);
    let enabled = "--enable-feature=promql-experimental-functions";
    check(watershed(&lab, &["check", "rules", enabled, &experimental], "")?, true, &["1 rules"]);
    check(
        watershed(&lab, &["check", "rules", "--enable-feature=x", &experimental], "")?,
        false,
        &["queries have no feature \"x\""],
    );

    let good = file("good.yml", "rule_files: [good-rules.yml]\nscrape_configs: [{job_name: a}]\n")?;
    check(
        watershed(&lab, &["check", "config", &good], "")?,
        true,
        &["1 scrape jobs, 1 rule groups"],
    );
    let bad = file("bad.yml", "rule_files: [bad-rules.yml]\n")?;
    check(watershed(&lab, &["check", "config", &bad], "")?, false, &["bad-rules.yml: 4:"]);
    let gone = file("gone.yml", "rule_files: [no-such.yml]\n")?;
    check(
        watershed(&lab, &["check", "config", &gone], "")?,
        false,
        &["rule_files: \"no-such.yml\" does not exist"],
    );
    let needs = file(
        "needs.yml",
        "scrape_configs: [{job_name: a, tls_config: {ca_file: gone.crt}}]\n\
         remote_write: [{url: 'http://a/', basic_auth: {password_file: gone.txt}}]\n",
    )?;
    check(
        watershed(&lab, &["check", "config", &needs], "")?,
        false,
        &["needs.yml: job \"a\": tls_config: read ", "gone.crt", "remote_write: read ", "gone.txt"],
    );
    let foreign = file("foreign.yml", "scrape_configs:\n- job_name: a\n  ec2_sd_configs: []\n")?;
    check(
        watershed(&lab, &["check", "config", &foreign], "")?,
        false,
        &["foreign.yml: scrape_configs[0]: ec2_sd_configs: not supported; use http_sd", "line 3"],
    );
    let typo = file("typo.yml", "globl: {}\n")?;
    check(
        watershed(&lab, &["check", "config", &typo], "")?,
        false,
        &["typo.yml", "globl", "line 1"],
    );

    check(watershed(&lab, &["check", "metrics"], "a 1\n")?, true, &["1 samples of 1 metrics"]);
    check(watershed(&lab, &["check", "metrics"], "a 1\nb{\n")?, false, &["line 2"]);
    Ok(())
}

#[test]
fn rules_test_says_which_tests_passed_and_what_differed() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let directory = lab.directory().path();
    let test = |value: u32| {
        format!(
            "rule_files: [rules.yml]\ntests:\n- input_series: [{{series: up, values: 1}}]\n  \
             promql_expr_test: [{{expr: r, exp_samples: [{{labels: r, value: {value}}}]}}]\n"
        )
    };
    let rules = "groups: [{name: g, rules: [{record: r, expr: up * 2}]}]";
    std::fs::write(directory.join("rules.yml"), rules)?;
    for (name, value, succeeds, expect) in [
        ("right.yml", 2, true, "right.yml: 1 tests passed"),
        (
            "wrong.yml",
            3,
            false,
            "wrong.yml: expr: \"r\", time: 0s, exp: [\n    r 3], got: [\n    r 2]",
        ),
    ] {
        let path = directory.join(name);
        std::fs::write(&path, test(value))?;
        let got = watershed(&lab, &["rules", "test", &path.display().to_string()], "")?;
        assert_eq!(got.0, succeeds, "{}", got.1);
        assert!(got.1.contains(expect), "expected {expect:?} in {}", got.1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn query_asks_a_real_prometheus() -> anyhow::Result<()> {
    let lab = Lab::new()?;
    let prometheus = lab.prometheus("prometheus", "").await?;
    let url = prometheus.url("");
    #[track_caller]
    fn check(got: (bool, String), succeeds: bool, expect: &str) {
        assert_eq!((got.0, got.1.as_str()), (succeeds, expect));
    }
    let ask =
        |arguments: &[&str]| watershed(&lab, &[&["query", "--url", &url], arguments].concat(), "");
    check(ask(&["instant", "vector(7)", "--time", "5"])?, true, "{} => 7 @ 5\n");
    check(
        ask(&["range", "1 + 1", "--start", "10", "--end", "20", "--step", "10s"])?,
        true,
        "{} =>\n  2 @ 10\n  2 @ 20\n",
    );
    check(ask(&["labels"])?, true, "");
    let (succeeds, said) = ask(&["instant", "sum("])?;
    assert!(!succeeds && said.contains("bad_data"), "{said}");
    Ok(())
}
