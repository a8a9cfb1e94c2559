//! The states of one rule's alerts, and how an evaluation changes them.
//!
//! ```text
//!            a series                held for `for`
//! (unknown) ──────────► pending ─────────────────────► firing
//!     ▲                    │                              │ no series for keep_firing_for
//!     │     no series      │                              ▼
//!     ├────────────────────┘                     inactive (resolved)
//!     │                  after 15 min                     │
//!     └───────────────────────────────────────────────────┘
//! ```
//! A series that comes back makes a resolved alert a new, pending one.
//!
//! - ALERTING-1: all that decides is the state before, the result and the evaluation's time.
//! - ALERTING-2: a resolved alert is kept, and sent again, for [`RESOLVED_RETENTION`], since whoever
//!   was told that it fires must learn that it ended, even across a restart of theirs.
//! - ALERTING-3: while an alert's past is not restored yet, no series says otherwise.
//! - Source: Prometheus `rules/alerting.go`, `rules/group.go` (`RestoreForState`).

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Alert, Labels, METRIC_NAME, Sample, Timestamp, is_stale};
use serde::Serialize;

/// How long a resolved alert is remembered.
pub const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

const ALERT_NAME_LABEL: &str = "alertname";
const ALERT_STATE_LABEL: &str = "alertstate";
const ALERTS_METRIC: &str = "ALERTS";
pub(crate) const ALERTS_FOR_STATE_METRIC: &str = "ALERTS_FOR_STATE";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Inactive,
    Pending,
    Firing,
}

impl AlertState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// What one series of a rule's result says.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub value: f64,
    pub annotations: Labels,
}

/// One alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveAlert {
    pub state: AlertState,
    pub value: f64,
    pub annotations: Labels,
    /// Since when its series is there.
    pub active_at: Timestamp,
    pub fired_at: Option<Timestamp>,
    /// Since when a firing alert has no series.
    pub keep_firing_since: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub last_sent_at: Option<Timestamp>,
}

/// The rule's durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    pub hold: Duration,
    pub keep_firing_for: Duration,
}

/// The alerts of one rule by their labels, `alertname` included.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    active: BTreeMap<Labels, ActiveAlert>,
    restored: bool,
}

impl Alerts {
    /// Without a past; `restored` says that there is none to wait for.
    pub fn new(restored: bool) -> Self {
        Self { active: BTreeMap::new(), restored }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &ActiveAlert)> {
        self.active.iter()
    }

    /// Whether there is no past left to wait for.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// The furthest that any alert has come.
    pub fn state(&self) -> AlertState {
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes in the result of the evaluation at `at`. With more alerts than `limit` (0: any number)
    /// all are forgotten, and how many there were is the error.
    pub fn update(
        &mut self,
        at: Timestamp,
        timing: Timing,
        limit: usize,
        result: BTreeMap<Labels, Observed>,
    ) -> Result<(), usize> {
        let mut before = std::mem::take(&mut self.active);
        for (labels, observed) in result {
            let alert = match before.remove(&labels) {
                Some(alert) if alert.state != AlertState::Inactive => alert.seen(observed),
                _ => ActiveAlert::new(at, observed),
            };
            self.active.insert(labels, alert.fire_when_held(at, timing));
        }
        for (labels, alert) in before {
            if let Some(alert) = alert.missed(at, timing) {
                self.active.insert(labels, alert);
            }
        }
        let active =
            self.active.values().filter(|alert| alert.state != AlertState::Inactive).count();
        if limit > 0 && active > limit {
            self.active.clear();
            return Err(active);
        }
        Ok(())
    }

    /// The series `ALERTS` and `ALERTS_FOR_STATE` of every pending and firing alert (ALERTING-3).
    pub fn series(&self) -> Vec<(Labels, f64)> {
        if !self.restored {
            return Vec::new();
        }
        let mut series = Vec::new();
        for (labels, alert) in &self.active {
            if alert.state == AlertState::Inactive {
                continue;
            }
            let mut builder = labels.to_builder();
            builder.set(METRIC_NAME, ALERTS_FOR_STATE_METRIC);
            let for_state = builder.build();
            builder.set(METRIC_NAME, ALERTS_METRIC).set(ALERT_STATE_LABEL, alert.state.as_str());
            series.push((builder.build(), 1.0));
            let since = alert.active_at.as_millis().div_euclid(1000);
            series.push((for_state, since as f64));
        }
        series
    }

    /// The alerts to send at `at`, which count as sent from now on: those that fire or ended and were
    /// not sent for `resend_delay`, and those that ended since. A firing alert is to stand for two
    /// evaluations that fail, and as many failures to send it.
    pub fn due(
        &mut self,
        at: Timestamp,
        resend_delay: Duration,
        interval: Duration,
        generator_url: &str,
    ) -> Vec<Alert> {
        let valid_until = at.plus(4 * interval.max(resend_delay));
        let mut due = Vec::new();
        for (labels, alert) in &mut self.active {
            if !alert.needs_sending(at, resend_delay) {
                continue;
            }
            alert.last_sent_at = Some(at);
            due.push(Alert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.fired_at.unwrap_or(alert.active_at),
                ends_at: alert.resolved_at.unwrap_or(valid_until),
                generator_url: generator_url.to_owned(),
            });
        }
        due
    }

    /// Gives pending alerts the time that they were pending before a restart. `saved` holds the last
    /// `ALERTS_FOR_STATE` sample of each alert, by the labels of the alert. An alert that would fire
    /// within `grace_period` waits that long, so that its end could show first.
    pub fn restore(
        &mut self,
        saved: &BTreeMap<Labels, Sample>,
        now: Timestamp,
        hold: Duration,
        grace_period: Duration,
    ) {
        if std::mem::replace(&mut self.restored, true) {
            return; // what is saved is its own
        }
        if hold < grace_period {
            return; // waiting anew costs no more than the grace period
        }
        for (labels, alert) in &mut self.active {
            let Some(saved) = saved.get(labels).filter(|saved| !is_stale(saved.value)) else {
                continue;
            };
            let down_at = saved.timestamp;
            let active_at = Timestamp::from_millis((saved.value as i64).saturating_mul(1000));
            let hold = model::time::millis(hold);
            let remaining = hold.saturating_sub(down_at.millis_since(active_at));
            alert.active_at = if remaining <= 0 {
                active_at // it fired: it fires again at the next evaluation
            } else if remaining < model::time::millis(grace_period) {
                now.plus(grace_period).minus_millis(hold)
            } else {
                active_at.plus_millis(now.millis_since(down_at)) // the outage does not count
            };
        }
    }

    /// There is no past to restore, or no way to.
    pub fn skip_restore(&mut self) {
        self.restored = true;
    }
}

impl ActiveAlert {
    fn new(at: Timestamp, observed: Observed) -> Self {
        Self {
            state: AlertState::Pending,
            value: observed.value,
            annotations: observed.annotations,
            active_at: at,
            fired_at: None,
            keep_firing_since: None,
            resolved_at: None,
            last_sent_at: None,
        }
    }

    /// Its series is there again.
    fn seen(self, observed: Observed) -> Self {
        let Observed { value, annotations } = observed;
        Self { value, annotations, keep_firing_since: None, ..self }
    }

    fn fire_when_held(mut self, at: Timestamp, timing: Timing) -> Self {
        let held = at.millis_since(self.active_at);
        if self.state == AlertState::Pending && held >= model::time::millis(timing.hold) {
            self.state = AlertState::Firing;
            self.fired_at = Some(at);
        }
        self
    }

    /// Its series is not in the result. `None`: there is nothing left to remember.
    fn missed(mut self, at: Timestamp, timing: Timing) -> Option<Self> {
        match self.state {
            AlertState::Pending => None,
            AlertState::Firing => {
                let since = *self.keep_firing_since.get_or_insert(at);
                let over = at.millis_since(since) >= model::time::millis(timing.keep_firing_for);
                if over {
                    self.state = AlertState::Inactive;
                    self.resolved_at = Some(at);
                }
                Some(self)
            }
            AlertState::Inactive => {
                let resolved_at = self.resolved_at.unwrap_or(at);
                let kept = at.millis_since(resolved_at) <= model::time::millis(RESOLVED_RETENTION);
                kept.then_some(self)
            }
        }
    }

    fn needs_sending(&self, at: Timestamp, resend_delay: Duration) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        match self.last_sent_at {
            None => true,
            Some(sent) if self.resolved_at.is_some_and(|resolved| resolved > sent) => true,
            Some(sent) => sent.plus(resend_delay) < at,
        }
    }
}

/// The labels of the alert that a series of the result raises: the series' without its name, the
/// rule's, and the rule's name.
pub(crate) fn alert_labels(
    series: &Labels,
    rule_labels: &[(&str, String)],
    alert_name: &str,
) -> Labels {
    let mut labels = series.to_builder();
    labels.remove(METRIC_NAME);
    for (name, value) in rule_labels {
        labels.set(*name, value);
    }
    labels.set(ALERT_NAME_LABEL, alert_name).build()
}

#[cfg(test)]
mod tests;
