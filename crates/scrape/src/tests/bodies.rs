//! What bodies, one after the other, leave in storage.

use model::MetricType;

use super::bench::{Bench, DOWN};
use super::job;

/// Scrapes `bodies` in turn; `expect` is what storage holds then.
#[track_caller]
fn check(config: &str, bodies: &[&str], expect: &[&str]) {
    let mut bench = Bench::new(config);
    for body in bodies {
        bench.scrape(body);
    }
    assert_eq!(bench.store.dump(), expect);
    bench.check_books();
}

#[test]
fn samples_get_the_targets_labels_and_the_scrapes_time() {
    check(
        "",
        &["a 1\nb{c=\"d\"} 2\n"],
        &[
            r#"a{instance="host:1", job="test"}: 1@10000"#,
            r#"b{c="d", instance="host:1", job="test"}: 2@10000"#,
        ],
    );
}

#[test]
fn a_series_that_vanishes_gets_one_staleness_marker() {
    check(
        "",
        &["a 1\nb 1\n", "a 2\n", "a 3\n", "a 4\nb 4\n"],
        &[
            r#"a{instance="host:1", job="test"}: 1@10000 2@20000 3@30000 4@40000"#,
            r#"b{instance="host:1", job="test"}: 1@10000 stale@20000 4@40000"#,
        ],
    );
}

#[test]
fn a_failed_scrape_marks_every_open_series_once() {
    check(
        "",
        &["a 1\n", DOWN, DOWN, "a 4\n"],
        &[r#"a{instance="host:1", job="test"}: 1@10000 stale@20000 4@40000"#],
    );
    // a malformed line fails the scrape: nothing of it is stored
    check(
        "",
        &["a 1\n", "a 2\nb 2\n{} 2\n", "b 3\n"],
        &[
            r#"a{instance="host:1", job="test"}: 1@10000 stale@20000"#,
            r#"b{instance="host:1", job="test"}: 3@30000"#,
        ],
    );
}

#[test]
fn an_empty_body_is_a_good_scrape_without_series() {
    let mut bench = Bench::new("");
    bench.scrape("a 1\n");
    assert_eq!(bench.scrape(""), "");
    assert_eq!(bench.store.dump(), [r#"a{instance="host:1", job="test"}: 1@10000 stale@20000"#]);
    assert_eq!(bench.report("up"), 1.0);
}

#[test]
fn a_series_written_in_another_way_lives_on() {
    check(
        "",
        &["a{b=\"1\",c=\"2\"} 1\n", "a{c=\"2\",b=\"1\"} 2\n", "a{c=\"2\",b=\"1\"} 3\n"],
        &[r#"a{b="1", c="2", instance="host:1", job="test"}: 1@10000 2@20000 3@30000"#],
    );
}

#[test]
fn a_line_that_comes_twice_counts_once() {
    let mut bench = Bench::new("");
    assert_eq!(bench.scrape("a 1\na 2\nb 1\n"), "");
    assert_eq!(bench.scrape("a 1\nb 2\na 2\n"), "");
    assert_eq!(
        bench.store.dump(),
        [
            r#"a{instance="host:1", job="test"}: 1@10000 1@20000"#,
            r#"b{instance="host:1", job="test"}: 1@10000 2@20000"#,
        ]
    );
    assert_eq!(bench.dropped("duplicate"), 2.0);
    assert_eq!(bench.report("scrape_samples_post_metric_relabeling"), 3.0);
    // the same series in other words is for storage to reject
    bench.scrape("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n");
    assert_eq!(bench.dropped("duplicate_timestamp"), 1.0);
    bench.check_books();
}

#[test]
fn timestamps_are_honoured_unless_told_otherwise() {
    let timed = "a 1 5000\nb 1 15000\n";
    check(
        "",
        &[timed, ""],
        &[
            r#"a{instance="host:1", job="test"}: 1@5000"#, // no marker: its end is its own affair
            r#"b{instance="host:1", job="test"}: 1@15000"#,
        ],
    );
    check(
        "honor_timestamps: false",
        &[timed, ""],
        &[
            r#"a{instance="host:1", job="test"}: 1@10000 stale@20000"#,
            r#"b{instance="host:1", job="test"}: 1@10000 stale@20000"#,
        ],
    );
    check(
        "track_timestamps_staleness: true",
        &[timed, ""],
        &[
            r#"a{instance="host:1", job="test"}: 1@5000 stale@20000"#,
            r#"b{instance="host:1", job="test"}: 1@15000 stale@20000"#,
        ],
    );
    // one series at several times, and one that starts and ends to carry times
    check("", &["a 1 5000\na 2 6000\n"], &[r#"a{instance="host:1", job="test"}: 1@5000 2@6000"#]);
    check(
        "",
        &["a 1\n", "a 2 19000\n", ""],
        &[r#"a{instance="host:1", job="test"}: 1@10000 2@19000"#],
    );
    check(
        "",
        &["a 1 9000\n", "a 2\n", ""],
        &[r#"a{instance="host:1", job="test"}: 1@9000 2@20000 stale@30000"#],
    );
}

#[test]
fn samples_from_the_far_future_are_dropped() {
    check("", &["a 1 610000\nb 1 610001\n"], &[r#"a{instance="host:1", job="test"}: 1@610000"#]);
}

#[test]
fn conflicting_labels_are_exported_or_honoured() {
    let group = "static_configs: [{labels: {zone: z, exported_zone: e}}]";
    let body = "a{zone=\"x\",exported_zone=\"y\",job=\"\"} 1\n";
    check(
        group,
        &[body],
        &[
            r#"a{exported_exported_exported_zone="y", exported_exported_zone="x", exported_zone="e", instance="host:1", job="test", zone="z"}: 1@10000"#,
        ],
    );
    check(
        &format!("{group}\nhonor_labels: true"),
        &[body],
        &[r#"a{exported_zone="y", instance="host:1", job="test", zone="x"}: 1@10000"#],
    );
}

#[test]
fn metric_relabelling_rewrites_and_drops() {
    let config = "metric_relabel_configs:\n\
        - {action: drop, source_labels: [__name__], regex: go_.*}\n\
        - {action: labeldrop, regex: pod}\n\
        - {source_labels: [__name__], regex: old_(.*), target_label: __name__, replacement: new_$1}";
    let body = "go_a 1\nold_b{pod=\"x\"} 2\nc 3\n";
    let mut bench = Bench::new(config);
    bench.scrape(body);
    bench.scrape(body);
    assert_eq!(
        bench.store.dump(),
        [
            r#"c{instance="host:1", job="test"}: 3@10000 3@20000"#,
            r#"new_b{instance="host:1", job="test"}: 2@10000 2@20000"#,
        ]
    );
    assert_eq!(bench.report("scrape_samples_scraped"), 3.0);
    assert_eq!(bench.report("scrape_samples_post_metric_relabeling"), 2.0);
    bench.check_books();

    let mut nameless =
        Bench::new("metric_relabel_configs: [{target_label: __name__, replacement: ''}]");
    assert_eq!(nameless.scrape("a 1\n"), "missing metric name (__name__ label)");
}

#[test]
fn a_scrape_reports_on_itself() {
    let mut bench = Bench::new("");
    let values = |bench: &Bench| {
        let names = ["up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"];
        let values = names.map(|name| bench.report(name));
        (values, bench.report("scrape_series_added"))
    };
    bench.scrape("a 1\nb 1\n");
    assert_eq!(values(&bench), ([1.0, 2.0, 2.0], 2.0));
    bench.scrape("a 1\nb 1\nc 1\n");
    assert_eq!(values(&bench), ([1.0, 3.0, 3.0], 1.0));
    bench.scrape(DOWN);
    assert_eq!(values(&bench), ([0.0, 0.0, 0.0], 0.0));
    bench.scrape("a 1\nb x\n");
    assert_eq!(values(&bench), ([0.0, 1.0, 1.0], 0.0));
    assert_eq!(
        bench.store.dump_metric("up"),
        [r#"up{instance="host:1", job="test"}: 1@10000 1@20000 0@30000 0@40000"#,]
    );
    assert!(bench.report("scrape_duration_seconds") < 10.0);
    bench.check_books();
}

#[test]
fn errors_say_what_is_wrong_where() {
    #[track_caller]
    fn check(config: &str, body: &str, expect: &str) {
        let mut bench = Bench::new(config);
        assert_eq!(bench.scrape(body), expect, "{config} {body:?}");
        assert_eq!(bench.store.dump(), [""; 0]);
        assert_eq!(bench.report("up"), 0.0);
        bench.check_books();
    }
    check("", "a 1\nb{c=\"d} 2\n", "line 2: expected a closing quote, got \"\\\"d} 2\"");
    check("", "a 1\nb\n", "line 2: expected a value, got the end of the line");
    check(
        "sample_limit: 2",
        "a 1\nb 1\nc 1\nd 1\n",
        "sample limit exceeded (number of samples: 4, limit: 2)",
    );
    check(
        "label_limit: 3",
        "a{b=\"c\"} 1\n",
        "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
    );
    check(
        "label_name_length_limit: 8",
        "a{long_name=\"c\"} 1\n",
        "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: 8)",
    );
    check(
        "label_value_length_limit: 6",
        "a{b=\"1234567\"} 1\n",
        "label_value_length_limit exceeded (metric: a, label name: b, length: 7, limit: 6)",
    );
}

#[test]
fn limits_hold_for_what_is_left_after_relabelling() {
    let config = "sample_limit: 1\nmetric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]";
    check(config, &["a 1\nb 1\nb{c=\"d\"} 1\n"], &[r#"a{instance="host:1", job="test"}: 1@10000"#]);
}

#[test]
fn a_known_series_is_not_looked_up_again() {
    let mut bench = Bench::new("");
    bench.scrape("a 1\nb 1\n");
    let lookups = bench.store.lookups();
    bench.scrape("a 2\nb 2\n");
    bench.scrape("b 3\na 3\n");
    assert_eq!(bench.store.lookups(), lookups);
}

#[test]
fn a_series_that_left_storage_is_made_anew() {
    let mut bench = Bench::new("");
    bench.scrape("a 1\nb 1\n");
    bench.store.forget_series();
    assert_eq!(bench.scrape("a 2\n"), "");
    assert_eq!(
        bench.store.dump(),
        [
            r#"a{instance="host:1", job="test"}: 1@10000"#,
            r#"a{instance="host:1", job="test"}: 2@20000"#,
            r#"b{instance="host:1", job="test"}: 1@10000"#, // gone already: no marker needed
        ]
    );
    bench.check_books();
}

#[test]
fn series_that_change_their_labels_with_the_configuration_end_under_the_old_ones() {
    let mut bench = Bench::new("");
    bench.scrape("a 1\nb 1\n");
    let relabelled = job(
        "metric_relabel_configs: [{source_labels: [__name__], regex: a, target_label: x, replacement: y}]",
    );
    assert!(!relabelled.names_series_as(&bench.job));
    bench.job = relabelled;
    bench.memory.forget_texts();
    bench.scrape("a 2\nb 2\n");
    assert_eq!(
        bench.store.dump(),
        [
            r#"a{instance="host:1", job="test", x="y"}: 2@20000"#,
            r#"a{instance="host:1", job="test"}: 1@10000 stale@20000"#,
            r#"b{instance="host:1", job="test"}: 1@10000 2@20000"#,
        ]
    );
}

#[test]
fn metadata_is_handed_on_when_it_changes() {
    let mut bench = Bench::new("");
    let body = "# HELP a Help.\n# TYPE a counter\na 1\n# TYPE b untyped\nb 1\n";
    bench.scrape(body);
    bench.scrape(body);
    let metadata = bench.store.metadata();
    assert_eq!(metadata.len(), 1, "{metadata:?}"); // nothing is known of b
    assert_eq!(metadata[0].0, "a");
    assert_eq!(metadata[0].1.metric_type, MetricType::Counter);
    assert_eq!(metadata[0].1.help, "Help.");
    bench.scrape("# HELP a Other help.\n# TYPE a counter\na 1\n");
    assert_eq!(bench.store.metadata().len(), 2);
    // what a failed scrape said was lost with it
    bench.scrape("# TYPE c gauge\nc 1\nd\n");
    bench.scrape("# TYPE c gauge\nc 1\n");
    assert_eq!(bench.store.metadata().last().unwrap().0, "c");
}

#[test]
fn open_metrics_are_stored_like_text() {
    check(
        "",
        &["# TYPE a counter\na_total 1 5.5 # {id=\"x\"} 1\na_created 4\n# EOF\n"],
        &[
            r#"a_created{instance="host:1", job="test"}: 4@10000"#,
            r#"a_total{instance="host:1", job="test"}: 1@5500"#,
        ],
    );
}

#[test]
fn the_books_balance_when_storage_fails() {
    let mut bench = Bench::new("");
    bench.scrape("a 1\n");
    bench.store.fail_commits(true);
    bench.scrape("a 2\nb 2\n");
    bench.scrape(DOWN);
    bench.store.fail_commits(false);
    bench.scrape("a 4\n");
    bench.check_books();
}
