//! With tokio's paused clock, on which the time of day runs too.

use tokio::time::{Instant, sleep};

use super::*;
use crate::testing::{World, at, groups, settings};

/// A manager whose time of day starts at `start` seconds.
fn manager(world: &World, start: i64) -> Manager {
    let origin = Instant::now();
    Manager::new(Options {
        engine: World::engine(),
        query: Arc::clone(&world.db) as Arc<dyn Query>,
        query_log: QueryLog::disabled(),
        append: Arc::clone(&world.db) as Arc<dyn Append>,
        notify: Arc::clone(&world.inbox) as Arc<dyn Notify>,
        metrics: world.metrics.clone(),
        clock: Arc::new(move || at(start).plus(origin.elapsed())),
        resend_delay: Options::RESEND_DELAY,
        outage_tolerance: Options::OUTAGE_TOLERANCE,
        grace_period: Options::GRACE_PERIOD,
        concurrency: NonZeroUsize::MIN,
    })
}

fn world() -> (tempfile::TempDir, World) {
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(directory.path());
    (directory, world)
}

const RECORD: &str = "groups: [{name: g, interval: 10s, rules: [{record: r, expr: vector(1)}]}]";

/// RULES-1
#[tokio::test(start_paused = true)]
async fn a_group_evaluates_once_per_interval_at_its_own_times() {
    let (_directory, world) = world();
    let manager = manager(&world, 1_000_000);
    manager.apply(groups(RECORD), settings());
    sleep(Duration::from_secs(35)).await;
    manager.shutdown().await;
    let schedule = crate::schedule::Schedule::new("rules.yml", "g", Duration::from_secs(10));
    let first = schedule.first(at(1_000_000));
    let seconds = |n: i64| first.plus_millis(n * 10_000).as_seconds();
    let mut expect: String = (0..3).map(|n| format!(" {}=1", seconds(n))).collect();
    if first.plus_millis(30_000) <= at(1_000_035) {
        expect += &format!(" {}=1", seconds(3));
    }
    assert_eq!(world.read("r"), [format!("r{expect}")]);
}

/// RULES-4
#[tokio::test(start_paused = true)]
async fn a_group_that_stays_as_it_was_runs_on_undisturbed() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    manager.apply(groups(RECORD), settings());
    let group = |manager: &Manager| {
        Arc::clone(&manager.groups.lock().running.values().next().unwrap().group)
    };
    let before = group(&manager);
    manager.apply(groups(RECORD), settings());
    assert!(Arc::ptr_eq(&before, &group(&manager)));
    let slower = Settings { evaluation_interval: Duration::from_secs(7), ..settings() };
    manager.apply(groups(RECORD), slower);
    assert!(Arc::ptr_eq(&before, &group(&manager)), "it names its interval itself");
    manager.apply(groups(&RECORD.replace("10s", "20s")), settings());
    assert!(!Arc::ptr_eq(&before, &group(&manager)));
    manager.shutdown().await;
}

/// RULES-4
#[tokio::test(start_paused = true)]
async fn a_changed_group_takes_over_pending_alerts() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    let alert = "groups: [{name: g, interval: 10s, rules: [{alert: A, expr: vector(1), for: 1m}]}]";
    manager.apply(groups(alert), settings());
    sleep(Duration::from_secs(40)).await;
    let active_at = manager.alerts().alerts[0].active_at.clone();
    manager.apply(groups(&alert.replace("for: 1m", "for: 30s")), settings());
    sleep(Duration::from_secs(20)).await;
    let alerts = manager.alerts().alerts;
    assert_eq!(alerts[0].active_at, active_at);
    assert_eq!(alerts[0].state, crate::alerting::AlertState::Firing);
    manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_series_of_a_group_that_is_gone_end_after_two_intervals() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    manager.apply(groups(RECORD), settings());
    sleep(Duration::from_secs(15)).await;
    manager.apply(Vec::new(), settings());
    assert_eq!(manager.rules().groups, []);
    sleep(Duration::from_secs(19)).await;
    assert!(!world.read("r")[0].contains("stale"));
    sleep(Duration::from_secs(2)).await;
    assert!(world.read("r")[0].ends_with("15=stale"), "{:?}", world.read("r"));
    manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_groups_metrics_go_with_it() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    manager.apply(groups(RECORD), settings());
    sleep(Duration::from_secs(15)).await;
    let shown = |world: &World| {
        let families = world.registry.gather();
        let rules = families.iter().filter(|family| family.name().starts_with("watershed_rules_"));
        rules
            .flat_map(|family| family.get_metric())
            .any(|metric| metric.get_label().iter().any(|label| label.value() == "rules.yml;g"))
    };
    assert!(shown(&world));
    manager.apply(Vec::new(), settings());
    manager.shutdown().await;
    assert!(!shown(&world));
}

#[tokio::test(start_paused = true)]
async fn alert_state_survives_a_restart() {
    let (_directory, world) = world();
    let alert =
        "groups: [{name: g, interval: 10s, rules: [{alert: A, expr: vector(1), for: 20m}]}]";
    let before = manager(&world, 0);
    before.apply(groups(alert), settings());
    sleep(Duration::from_secs(301)).await;
    let active_at = before.alerts().alerts[0].active_at.clone();
    let pending_since: jiff::Timestamp = active_at.parse().unwrap();
    before.shutdown().await;

    let after = manager(&world, 601);
    after.apply(groups(alert), settings());
    sleep(Duration::from_secs(30)).await;
    let restored: jiff::Timestamp = after.alerts().alerts[0].active_at.parse().unwrap();
    let moved = restored.as_second() - pending_since.as_second();
    assert!((300..330).contains(&moved), "the outage of 300 s does not count: {moved}");
    assert_eq!(world.read("ALERTS_FOR_STATE").len(), 1);
    after.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_before_the_past_is_restored_does_not_lose_it() {
    let (_directory, world) = world();
    world.write(&[("__name__", "ALERTS_FOR_STATE"), ("alertname", "A")], 1900, 100.0);
    let manager = manager(&world, 2000);
    let alert = "groups: [{name: g, interval: 10s, rules: [{alert: A, expr: vector(1), for: 1h}]}]";
    manager.apply(groups(alert), settings());
    sleep(Duration::from_secs(11)).await;
    assert_eq!(world.read("ALERTS"), [""; 0]);
    manager.apply(groups(&alert.replace("1h", "2h")), settings());
    sleep(Duration::from_secs(31)).await;
    assert_eq!(world.read("ALERTS").len(), 1);
    let since: jiff::Timestamp = manager.alerts().alerts[0].active_at.parse().unwrap();
    assert!((200..300).contains(&since.as_second()), "100 s and an outage of some 120 s: {since}");
    manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn rules_that_a_reload_adds_have_no_past_to_wait_for() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    manager.apply(Vec::new(), settings());
    let alert = "groups: [{name: g, interval: 10s, rules: [{alert: A, expr: vector(1)}]}]";
    manager.apply(groups(alert), settings());
    sleep(Duration::from_secs(11)).await;
    assert_eq!(world.read("ALERTS").len(), 1, "it shows before a second evaluation");
    manager.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn evaluations_that_come_too_late_are_counted_as_missed() {
    let (_directory, world) = world();
    let origin = Instant::now();
    let jump = Arc::new(Mutex::new(Duration::ZERO));
    let ahead = Arc::clone(&jump);
    let mut manager = manager(&world, 0);
    let context = Arc::get_mut(&mut manager.context).unwrap();
    context.clock = Arc::new(move || at(0).plus(origin.elapsed() + *ahead.lock()));
    manager.apply(groups(RECORD), settings());
    sleep(Duration::from_secs(11)).await;
    *jump.lock() = Duration::from_secs(60); // as if the evaluation had taken a minute
    sleep(Duration::from_secs(15)).await;
    let missed = world.metrics.group("rules.yml;g").iterations_missed.get();
    assert!((5..=6).contains(&missed), "{missed}");
    manager.shutdown().await;
}

/// The shapes are those of Prometheus' `web/api/v1/api.go`.
#[tokio::test(start_paused = true)]
async fn the_status_has_prometheus_json() {
    let (_directory, world) = world();
    let manager = manager(&world, 0);
    manager.apply(
        groups(
            "groups:
- name: g
  interval: 1500ms
  limit: 7
  rules:
  - {alert: A, expr: vector(1), for: 1m, labels: {severity: page}, annotations: {a: '{{ $value }}'}}
  - {record: r, expr: 'up  * 2'}",
        ),
        settings(),
    );
    let json = serde_json::to_value(manager.rules()).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"groups": [{
            "name": "g", "file": "rules.yml", "interval": 1.5, "limit": 7,
            "evaluationTime": 0, "lastEvaluation": "0001-01-01T00:00:00Z",
            "rules": [
                {"state": "inactive", "name": "A", "query": "vector(1)", "duration": 60,
                 "keepFiringFor": 0, "labels": {"severity": "page"},
                 "annotations": {"a": "{{ $value }}"}, "alerts": [], "health": "unknown",
                 "evaluationTime": 0, "lastEvaluation": "0001-01-01T00:00:00Z", "type": "alerting"},
                {"name": "r", "query": "up * 2", "health": "unknown", "evaluationTime": 0,
                 "lastEvaluation": "0001-01-01T00:00:00Z", "type": "recording"},
            ],
        }]})
    );
    sleep(Duration::from_secs(4)).await;
    let json = serde_json::to_value(manager.alerts()).unwrap();
    let active_at = json["alerts"][0]["activeAt"].clone();
    assert!(active_at.as_str().unwrap().starts_with("1970-01-01T00:00:0"), "{active_at}");
    assert_eq!(
        json,
        serde_json::json!({"alerts": [{
            "labels": {"alertname": "A", "severity": "page"}, "annotations": {"a": "1"},
            "state": "pending", "activeAt": active_at, "value": "1e+00",
        }]})
    );
    let rule = &serde_json::to_value(manager.rules()).unwrap()["groups"][0]["rules"][0];
    assert_eq!((&rule["state"], &rule["health"]), (&"pending".into(), &"ok".into()));
    assert_eq!(rule["alerts"], json["alerts"]);
    manager.shutdown().await;
}
