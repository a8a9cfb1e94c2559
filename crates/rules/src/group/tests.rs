use model::Alert;

use super::*;
use crate::testing::{World, at};

fn world(test: impl FnOnce(&World, &Context)) {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(directory.path());
    test(&world, &world.context());
}

fn health(group: &Group, rule: usize) -> Health {
    group.rules().nth(rule).unwrap().1.health
}

fn told(alerts: &[Alert]) -> Vec<String> {
    let tell = |alert: &Alert| {
        let (start, end) = (alert.starts_at.as_seconds(), alert.ends_at.as_seconds());
        format!("{} {start}..{end}", alert.labels)
    };
    alerts.iter().map(tell).collect()
}

#[test]
fn results_are_recorded_under_the_rules_name_and_labels_at_the_evaluations_time() {
    world(|world, context| {
        world.write(&[("__name__", "up"), ("job", "a"), ("zone", "z")], 0, 2.0);
        let group = world.group(
            "groups: [{name: g, rules: [
                {record: 'up:copy', expr: up, labels: {tier: edge, zone: ''}},
                {record: 'up:scalar', expr: 1 + 1}]}]",
        );
        group.evaluate(context, at(30));
        assert_eq!(world.read("up:copy"), [r#"up:copy{job="a", tier="edge"} 30=2"#]);
        assert_eq!(world.read("up:scalar"), ["up:scalar 30=2"]);
        assert_eq!((health(&group, 0), health(&group, 1)), (Health::Good, Health::Good));
    });
}

#[test]
fn a_rule_sees_what_the_rules_before_it_recorded() {
    world(|world, context| {
        let group = world.group(
            "groups: [{name: g, rules: [
                {record: first, expr: vector(1)}, {record: second, expr: first + 1}]}]",
        );
        group.evaluate(context, at(30));
        assert_eq!(world.read("second"), ["second 30=2"]);
    });
}

#[test]
fn a_query_offset_moves_the_query_and_what_it_records() {
    world(|world, context| {
        world.write(&[("__name__", "up")], 0, 1.0);
        world.write(&[("__name__", "up")], 60, 2.0);
        let group =
            world.group("groups: [{name: g, query_offset: 1m, rules: [{record: r, expr: up}]}]");
        group.evaluate(context, at(90));
        assert_eq!(world.read("r"), ["r 30=1"]);
    });
}

/// RULES-3
#[test]
fn a_series_that_vanishes_from_the_result_ends() {
    world(|world, context| {
        let group = world.group("groups: [{name: g, rules: [{record: r, expr: up > 0}]}]");
        for (time, a, b) in [(0, 1.0, 1.0), (60, 1.0, 0.0), (120, 1.0, 0.0), (180, 1.0, 1.0)] {
            world.write(&[("__name__", "up"), ("i", "a")], time, a);
            world.write(&[("__name__", "up"), ("i", "b")], time, b);
            group.evaluate(context, at(time));
        }
        assert_eq!(
            world.read("r"),
            [r#"r{i="a"} 0=1 60=1 120=1 180=1"#, r#"r{i="b"} 0=1 60=stale 180=1"#]
        );
    });
}

/// RULES-2
#[test]
fn a_rule_that_fails_writes_nothing_and_says_so() {
    world(|world, context| {
        let group = world.group(
            "groups: [{name: g, rules: [
                {record: r, expr: 'a * on() b'}, {record: after, expr: vector(1)}]}]",
        );
        for (time, second) in [(0, false), (60, true)] {
            world.write(&[("__name__", "a")], time, 2.0);
            world.write(&[("__name__", "b"), ("i", "1")], time, 3.0);
            if second {
                world.write(&[("__name__", "b"), ("i", "2")], time, 3.0);
            }
            group.evaluate(context, at(time));
        }
        assert_eq!(world.read("r"), ["r 0=6"], "neither a value nor an end at 60");
        assert_eq!(
            world.read("after"),
            ["after 0=1 60=1"],
            "the next rule is evaluated all the same"
        );
        let Health::Bad(reason) = health(&group, 0) else { panic!("{:?}", health(&group, 0)) };
        assert!(reason.contains("many-to-many matching not allowed"), "{reason}");
        assert_eq!(group.metrics.evaluation_failures.get(), 1);
    });
}

#[test]
fn series_that_the_rules_labels_make_equal_are_an_error() {
    world(|world, context| {
        world.write(&[("__name__", "up"), ("i", "a")], 0, 1.0);
        world.write(&[("__name__", "up"), ("i", "b")], 0, 1.0);
        let group = world.group(
            "groups: [{name: g, rules: [
                {record: r, expr: up, labels: {i: x}},
                {alert: A, expr: up, labels: {i: '{{ 1 }}'}}]}]",
        );
        group.evaluate(context, at(0));
        let same = "vector contains metrics with the same labelset after applying";
        assert_eq!(health(&group, 0), Health::Bad(format!("{same} rule labels")));
        assert_eq!(health(&group, 1), Health::Bad(format!("{same} alert labels")));
        assert_eq!((world.read("r").len(), world.read("ALERTS").len()), (0, 0));
    });
}

#[test]
fn more_series_or_alerts_than_the_limit_are_an_error() {
    world(|world, context| {
        for instance in ["a", "b", "c"] {
            world.write(&[("__name__", "up"), ("i", instance)], 0, 1.0);
        }
        let group = world.group(
            "groups: [{name: g, limit: 2, rules: [{record: r, expr: up}, {alert: A, expr: up},
                {record: two, expr: 'up{i!=\"a\"}'}]}]",
        );
        group.evaluate(context, at(0));
        assert_eq!(health(&group, 0), Health::Bad("exceeded limit of 2 with 3 series".to_owned()));
        assert_eq!(health(&group, 1), Health::Bad("exceeded limit of 2 with 3 alerts".to_owned()));
        assert_eq!(health(&group, 2), Health::Good);
        assert_eq!(world.inbox.take(), []);
    });
}

#[test]
fn samples_that_storage_refuses_are_an_error_and_counted() {
    world(|world, context| {
        let group = world.group("groups: [{name: g, rules: [{record: r, expr: up}]}]");
        world.write(&[("__name__", "up")], 0, 1.0);
        group.evaluate(context, at(60));
        world.write(&[("__name__", "up")], 30, 2.0);
        group.evaluate(context, at(60));
        assert_eq!(health(&group, 0), Health::Bad("duplicate sample for timestamp".to_owned()));
        assert_eq!(world.read("r"), ["r 60=1"]);
    });
}

#[test]
fn an_alert_is_expanded_recorded_and_notified() {
    world(|world, context| {
        world.write(&[("__name__", "up"), ("instance", "a:1"), ("job", "node")], 0, 0.0);
        let group = world.group(
            "groups:
- name: g
  interval: 30s
  rules:
  - alert: Down
    expr: up{job=\"node\"}  == 0
    labels:
      severity: '{{ if eq $value 0.0 }}page{{ else }}ticket{{ end }}'
      job: ''
    annotations:
      summary: '{{ $labels.instance }} in {{ $externalLabels.region }}: {{ query \"up + 5\" | first | value }}'
      broken: '{{ $labels.instance | humanize }}'",
        );
        group.evaluate(context, at(30));
        let alerts = world.inbox.take();
        assert_eq!(
            told(&alerts),
            [r#"{alertname="Down", instance="a:1", severity="page"} 30..270"#]
        );
        assert_eq!(alerts[0].annotations.get("summary"), Some("a:1 in eu: 5"));
        let broken = alerts[0].annotations.get("broken").unwrap();
        assert!(broken.starts_with("<error expanding template: error executing template __alert_Down: template: __alert_Down:1:22: executing"), "{broken}");
        assert_eq!(
            alerts[0].generator_url,
            "http://central:9303/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3D%3D+0&g0.tab=1"
        );
        assert_eq!(
            world.read("ALERTS"),
            [
                r#"ALERTS{alertname="Down", alertstate="firing", instance="a:1", severity="page"} 30=1"#
            ]
        );

        world.write(&[("__name__", "up"), ("instance", "a:1"), ("job", "node")], 60, 1.0);
        group.evaluate(context, at(60));
        let ended = r#"{alertname="Down", instance="a:1", severity="page"} 30..60"#;
        assert_eq!(told(&world.inbox.take()), [ended]);
        assert!(world.read("ALERTS")[0].ends_with(" 30=1 60=stale"));
        assert!(world.read("ALERTS_FOR_STATE")[0].ends_with(" 30=30 60=stale"));
    });
}

/// RULES-4
#[test]
fn a_changed_group_keeps_the_state_of_its_rules_and_ends_the_series_of_others() {
    world(|world, context| {
        world.write(&[("__name__", "up")], 0, 0.0);
        let old = world.group(
            "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1m},
                {record: gone, expr: up}, {record: kept, expr: up}]}]",
        );
        old.evaluate(context, at(0));
        let new = world.group(
            "groups: [{name: g, rules: [{record: kept, expr: up}, {record: renamed, expr: up},
                {alert: Down, expr: up < 1, for: 1m}]}]",
        );
        new.adopt(&old);
        new.evaluate(context, at(60));
        assert_eq!(told(&world.inbox.take()), [r#"{alertname="Down"} 60..300"#], "pending since 0");
        assert_eq!(world.read("gone"), ["gone 0=0 60=stale"]);
        assert_eq!(world.read("kept"), ["kept 0=0 60=0"]);
        assert_eq!(world.read("renamed"), ["renamed 60=0"]);
    });
}

#[test]
fn rules_of_one_name_and_labels_are_matched_in_order() {
    world(|world, context| {
        world.write(&[("__name__", "up"), ("i", "a")], 0, 0.0);
        world.write(&[("__name__", "up"), ("i", "b")], 0, 0.0);
        let old = world.group(
            "groups: [{name: g, rules: [{record: r, expr: 'up{i=\"a\"}'}, {record: r, expr: 'up{i=\"b\"}'}]}]",
        );
        old.evaluate(context, at(0));
        let new = world.group("groups: [{name: g, rules: [{record: r, expr: 'up{i=\"a\"}'}]}]");
        new.adopt(&old);
        new.evaluate(context, at(60));
        assert_eq!(world.read("r"), [r#"r{i="a"} 0=0 60=0"#, r#"r{i="b"} 0=0 60=stale"#]);
    });
}

#[test]
fn a_series_that_another_rule_took_over_is_not_ended() {
    world(|world, context| {
        let old = world.group("groups: [{name: g, rules: [{record: r, expr: vector(1)}]}]");
        old.evaluate(context, at(0));
        let new = world.group(
            "groups: [{name: g, rules: [{record: r, expr: 'label_replace(vector(2), \"l\", \"\", \"\", \"\")', labels: {x: ''}}]}]",
        );
        new.adopt(&old);
        new.evaluate(context, at(60));
        assert_eq!(world.read("r"), ["r 0=1 60=2"]);
    });
}

#[test]
fn a_group_that_is_gone_ends_all_its_series() {
    world(|world, context| {
        let group = world.group("groups: [{name: g, rules: [{record: r, expr: vector(1)}]}]");
        group.evaluate(context, at(0));
        group.end_all(context, at(60));
        group.end_all(context, at(90));
        assert_eq!(world.read("r"), ["r 0=1 60=stale"]);
    });
}

#[test]
fn pending_time_is_restored_from_the_series_of_an_earlier_run() {
    world(|world, context| {
        let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1h}]}]";
        world.write(&[("__name__", "up")], 0, 0.0);
        let before = world.group(yaml);
        for minute in 0..=30 {
            world.write(&[("__name__", "up")], minute * 60 + 1, 0.0);
            before.evaluate(context, at(minute * 60 + 1));
        }

        let config = crate::testing::groups(yaml).remove(0);
        let settings = context.settings();
        let after = Group::new(config, &settings, world.metrics.group("test"), false);
        for minute in [40, 41] {
            world.write(&[("__name__", "up")], minute * 60, 0.0);
            after.evaluate(context, at(minute * 60));
        }
        assert_eq!(world.read("ALERTS_FOR_STATE").len(), 1);
        after.restore(context, at(41 * 60));
        // 30 of 60 minutes were over; the outage of 10 min 59 s does not count.
        let (_, state) = after.rules().next().unwrap();
        let (_, alert) = state.alerts.iter().next().unwrap();
        assert_eq!(alert.active_at, at(1 + 10 * 60 + 59));
        after.evaluate(context, at(42 * 60));
        assert!(world.read("ALERTS_FOR_STATE")[0].ends_with(" 1801=1 2520=660"));
    });
}

#[test]
fn a_state_older_than_the_outage_tolerance_is_not_restored() {
    world(|world, context| {
        let yaml = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, for: 1h}]}]";
        world.write(&[("__name__", "up")], 0, 0.0);
        world.group(yaml).evaluate(context, at(0));
        let config = crate::testing::groups(yaml).remove(0);
        let settings = context.settings();
        let after = Group::new(config, &settings, world.metrics.group("test"), false);
        world.write(&[("__name__", "up")], 3601, 0.0);
        after.evaluate(context, at(3601));
        after.restore(context, at(3601));
        let (_, state) = after.rules().next().unwrap();
        assert_eq!(state.alerts.iter().next().unwrap().1.active_at, at(3601));
    });
}
