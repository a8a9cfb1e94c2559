//! The life of alerts, as Prometheus' alert compliance suite has it.

use std::fmt::Write as _;

use model::STALE_NAN;

use super::*;

const INTERVAL: Duration = Duration::from_secs(30);
const RESEND_DELAY: Duration = Duration::from_secs(60);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn labels() -> Labels {
    [("alertname", "Down"), ("instance", "a")].into_iter().collect()
}

/// One alert of a rule, evaluated now and then.
struct Story {
    alerts: Alerts,
    timing: Timing,
}

impl Story {
    fn new(hold: u64, keep_firing_for: u64) -> Self {
        let timing = Timing { hold: seconds(hold), keep_firing_for: seconds(keep_firing_for) };
        Self { alerts: Alerts::new(true), timing }
    }

    /// Evaluates at `time` with a series, or without. Tells the state and what is sent: since when it
    /// fires, and until when it stands.
    fn evaluate(&mut self, time: i64, present: bool) -> String {
        let observed = Observed { value: 1.0, annotations: Labels::empty() };
        let result = present.then(|| (labels(), observed)).into_iter().collect();
        self.alerts.update(at(time), self.timing, 0, result).unwrap();
        let mut told = match self.alerts.iter().next() {
            Some((_, alert)) => alert.state.as_str().to_owned(),
            None => "none".to_owned(),
        };
        for alert in self.alerts.due(at(time), RESEND_DELAY, INTERVAL, "url") {
            let (start, end) =
                (alert.starts_at.as_millis() / 1000, alert.ends_at.as_millis() / 1000);
            let _ = write!(told, ", sent {start}..{end}");
        }
        told
    }

    #[track_caller]
    fn check(&mut self, steps: &[(i64, bool, &str)]) {
        for &(time, present, expect) in steps {
            assert_eq!(self.evaluate(time, present), expect, "at {time} s");
        }
    }
}

#[test]
fn without_for_an_alert_fires_and_is_sent_at_once() {
    Story::new(0, 0).check(&[(0, false, "none"), (30, true, "firing, sent 30..270")]);
}

#[test]
fn with_for_it_is_pending_until_it_was_held_so_long() {
    Story::new(60, 0).check(&[
        (0, true, "pending"),
        (30, true, "pending"),
        (60, true, "firing, sent 60..300"),
    ]);
    Story::new(45, 0).check(&[
        (0, true, "pending"),
        (30, true, "pending"),
        (60, true, "firing, sent 60..300"), // the first evaluation after 45 s
    ]);
}

#[test]
fn a_pending_alert_that_vanishes_is_forgotten_and_was_never_sent() {
    Story::new(60, 0).check(&[
        (0, true, "pending"),
        (30, false, "none"),
        (60, true, "pending"), // and waits anew
        (90, true, "pending"),
        (120, true, "firing, sent 120..360"),
    ]);
}

#[test]
fn a_firing_alert_is_sent_again_after_more_than_the_resend_delay() {
    Story::new(0, 0).check(&[
        (0, true, "firing, sent 0..240"),
        (30, true, "firing"),
        (60, true, "firing"), // exactly the delay is not more
        (90, true, "firing, sent 0..330"),
        (120, true, "firing"),
    ]);
}

#[test]
fn a_resolved_alert_is_sent_at_once_and_again_for_fifteen_minutes() {
    let mut story = Story::new(0, 0);
    story.check(&[
        (0, true, "firing, sent 0..240"),
        (30, false, "inactive, sent 0..30"),
        (60, false, "inactive"),
        (90, false, "inactive"),
        (120, false, "inactive, sent 0..30"),
    ]);
    let last = 30 + 15 * 60;
    assert!(story.evaluate(last, false).starts_with("inactive"));
    assert_eq!(story.evaluate(last + 30, false), "none");
}

#[test]
fn an_alert_that_comes_back_is_a_new_one() {
    Story::new(60, 0).check(&[
        (0, true, "pending"),
        (60, true, "firing, sent 60..300"),
        (90, false, "inactive, sent 60..90"),
        (120, true, "pending"),
        (150, true, "pending"),
        (180, true, "firing, sent 180..420"),
    ]);
}

#[test]
fn keep_firing_for_bridges_gaps() {
    Story::new(0, 60).check(&[
        (0, true, "firing, sent 0..240"),
        (30, false, "firing"),
        (60, true, "firing"), // the gap is over, the next is a new one
        (90, false, "firing, sent 0..330"),
        (120, false, "firing"),
        (150, false, "inactive, sent 0..150"),
    ]);
    Story::new(60, 60).check(&[(0, true, "pending"), (30, false, "none")]); // pending is not kept
}

#[test]
fn a_firing_alert_stands_for_four_times_the_longer_of_interval_and_resend_delay() {
    #[track_caller]
    fn check(interval: u64, resend_delay: u64, expect: i64) {
        let mut alerts = Alerts::new(true);
        let observed = Observed { value: 1.0, annotations: Labels::empty() };
        alerts.update(at(0), Timing::default(), 0, [(labels(), observed)].into()).unwrap();
        let due = alerts.due(at(0), seconds(resend_delay), seconds(interval), "url");
        assert_eq!(due[0].ends_at, at(expect), "{interval} {resend_delay}");
    }
    check(30, 60, 240);
    check(300, 60, 1200);
}

#[test]
fn value_and_annotations_are_those_of_the_last_evaluation() {
    let mut alerts = Alerts::new(true);
    for value in [1.0, 2.0] {
        let annotations: Labels = [("summary", format!("is {value}"))].into_iter().collect();
        let result = [(labels(), Observed { value, annotations })].into();
        alerts.update(at(value as i64), Timing::default(), 0, result).unwrap();
    }
    let (_, alert) = alerts.iter().next().unwrap();
    assert_eq!((alert.value, alert.active_at), (2.0, at(1)));
    let due = alerts.due(at(2), RESEND_DELAY, INTERVAL, "http://here/graph");
    assert_eq!(due[0].annotations.get("summary"), Some("is 2"));
    assert_eq!(due[0].labels, labels());
    assert_eq!(due[0].generator_url, "http://here/graph");
}

#[test]
fn more_alerts_than_the_limit_are_none() {
    let observed = || Observed { value: 1.0, annotations: Labels::empty() };
    let result = |count: usize| -> BTreeMap<Labels, Observed> {
        (0..count)
            .map(|n| ([("n", n.to_string())].into_iter().collect::<Labels>(), observed()))
            .collect()
    };
    let mut alerts = Alerts::new(true);
    assert_eq!(alerts.update(at(0), Timing::default(), 2, result(2)), Ok(()));
    assert_eq!(alerts.state(), AlertState::Firing);
    assert_eq!(alerts.update(at(30), Timing::default(), 2, result(3)), Err(3));
    assert_eq!(alerts, Alerts::new(true));
}

#[test]
fn pending_and_firing_alerts_show_as_series() {
    let mut story = Story::new(60, 0);
    let show = |story: &Story| -> Vec<String> {
        story.alerts.series().iter().map(|(labels, value)| format!("{labels} {value}")).collect()
    };
    assert_eq!(show(&story), [] as [&str; 0]);
    story.evaluate(30, true);
    let pending = r#"ALERTS{alertname="Down", alertstate="pending", instance="a"} 1"#;
    let since = r#"ALERTS_FOR_STATE{alertname="Down", instance="a"} 30"#;
    assert_eq!(show(&story), [pending, since]);
    story.evaluate(90, true);
    let firing = r#"ALERTS{alertname="Down", alertstate="firing", instance="a"} 1"#;
    assert_eq!(show(&story), [firing, since]);
    story.evaluate(120, false);
    assert_eq!(show(&story), [] as [&str; 0]);
}

/// ALERTING-3
#[test]
fn before_the_past_is_restored_alerts_show_no_series() {
    let mut story = Story { alerts: Alerts::new(false), ..Story::new(0, 0) };
    assert_eq!(story.evaluate(0, true), "firing, sent 0..240");
    assert_eq!(story.alerts.series(), []);
    story.alerts.restore(&BTreeMap::new(), at(1), Duration::ZERO, seconds(600));
    assert_eq!(story.alerts.series().len(), 2);
}

#[test]
fn alert_labels_are_the_series_then_the_rules_then_the_name() {
    let series: Labels =
        [("__name__", "up"), ("alertname", "x"), ("job", "a"), ("zone", "z")].into_iter().collect();
    let rule = [("job", "b".to_owned()), ("zone", String::new())];
    assert_eq!(alert_labels(&series, &rule, "Down").to_string(), r#"{alertname="Down", job="b"}"#);
}

/// An alert of `for: 1h`, pending since 0 s, seen last at `down_at`, restored at `now` with 10 min of
/// grace: since when it counts as active.
#[test]
fn the_time_before_a_restart_counts() {
    #[track_caller]
    fn check(down_at: i64, now: i64, expect: i64) {
        let mut story = Story { alerts: Alerts::new(false), ..Story::new(3600, 0) };
        story.evaluate(now, true);
        let saved = Sample { timestamp: at(down_at), value: 0.0 };
        story.alerts.restore(&[(labels(), saved)].into(), at(now), seconds(3600), seconds(600));
        let (_, alert) = story.alerts.iter().next().unwrap();
        assert_eq!(alert.active_at, at(expect), "down at {down_at}, back at {now}");
    }
    check(1800, 2000, 200); // 30 min were held, the outage of 200 s does not count
    check(3300, 3400, 3400 + 600 - 3600); // 5 min were left: it gets the grace period
    check(3600, 4000, 0); // it fired: it fires again
    check(3000, 3500, 500); // exactly the grace period is left
}

#[test]
fn what_was_not_pending_before_a_restart_waits_anew() {
    let restored = |saved: Option<f64>, hold: u64| {
        let mut story = Story { alerts: Alerts::new(false), ..Story::new(hold, 0) };
        story.evaluate(1000, true);
        let saved = saved.map(|value| (labels(), Sample { timestamp: at(900), value }));
        let saved = saved.into_iter().collect();
        story.alerts.restore(&saved, at(1000), seconds(hold), seconds(600));
        story.alerts.iter().next().unwrap().1.active_at
    };
    assert_eq!(restored(None, 3600), at(1000), "it was not there");
    assert_eq!(restored(Some(STALE_NAN), 3600), at(1000), "it had ended");
    assert_eq!(restored(Some(0.0), 300), at(1000), "for is shorter than the grace period");
    assert_eq!(restored(Some(0.0), 3600), at(100));
}
