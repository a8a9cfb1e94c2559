//! A group while it runs: evaluating its rules, one after the other, at one time.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use model::{Labels, METRIC_NAME, STALE_NAN, Sample, Timestamp};
use parking_lot::Mutex;
use promql::{EvalError, SampleValue};

use crate::alerting::{Alerts, Observed, Timing, alert_labels};
use crate::context::{Context, Element, ExternalUrl, Settings};
use crate::expand::Expander;
use crate::functions::{World, functions, graph_link};
use crate::metrics::GroupMetrics;
use crate::restore::saved_states;
use crate::rule::{AlertingRule, RecordingRule, Rule, RuleGroup};
use crate::schedule::Schedule;

const SAME_LABELS: &str = "vector contains metrics with the same labelset after applying";

/// Rules and their states. Evaluations are one at a time; others may look on.
pub(crate) struct Group {
    pub(crate) config: RuleGroup,
    pub(crate) interval: Duration,
    pub(crate) query_offset: Duration,
    pub(crate) schedule: Schedule,
    pub(crate) metrics: GroupMetrics,
    states: Vec<Mutex<RuleState>>,
    progress: Mutex<Progress>,
    /// Series of rules that this group had in an earlier configuration, to be ended.
    orphans: Mutex<Vec<Labels>>,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleState {
    pub(crate) health: Health,
    pub(crate) evaluated: Progress,
    /// For alerting rules; empty for others.
    pub(crate) alerts: Alerts,
    /// What the last evaluation that succeeded wrote (RULES-3).
    series: HashSet<Labels>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Unknown,
    Good,
    Bad(String),
}

/// The last evaluation: for when, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) at: Option<Timestamp>,
    pub(crate) took: Duration,
}

/// Why a rule's evaluation did not succeed.
enum Failure {
    /// We are shutting down.
    Canceled,
    Failed(String),
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Canceled => Self::Canceled,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// How metrics name a group.
pub(crate) fn group_key(file: &str, name: &str) -> String {
    format!("{file};{name}")
}

impl Group {
    /// `restored`: there is no alert state from before a restart to wait for.
    pub(crate) fn new(
        config: RuleGroup,
        settings: &Settings,
        metrics: GroupMetrics,
        restored: bool,
    ) -> Self {
        let interval = config.interval.unwrap_or(settings.evaluation_interval);
        metrics.interval_seconds.set(interval.as_secs_f64());
        metrics.rules.set(config.rules.len() as f64);
        let state = |_: &Rule| {
            Mutex::new(RuleState {
                health: Health::Unknown,
                evaluated: Progress::default(),
                alerts: Alerts::new(restored),
                series: HashSet::new(),
            })
        };
        Self {
            interval,
            query_offset: config.query_offset.unwrap_or(settings.query_offset),
            schedule: Schedule::new(&config.file, &config.name, interval),
            metrics,
            states: config.rules.iter().map(state).collect(),
            progress: Mutex::default(),
            orphans: Mutex::default(),
            config,
        }
    }

    pub(crate) fn key(&self) -> String {
        group_key(&self.config.file, &self.config.name)
    }

    /// Whether a group of `config` would do the same at the same times.
    pub(crate) fn is(&self, config: &RuleGroup, settings: &Settings) -> bool {
        self.config == *config
            && self.interval == config.interval.unwrap_or(settings.evaluation_interval)
            && self.query_offset == config.query_offset.unwrap_or(settings.query_offset)
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Each rule with a copy of its state.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (&Rule, RuleState)> {
        self.config.rules.iter().zip(&self.states).map(|(rule, state)| (rule, state.lock().clone()))
    }

    /// Takes over the state of the rules that `old` has too (RULES-4); the series of its others are
    /// ended at the next evaluation. Rules of one name and labels are matched in order.
    pub(crate) fn adopt(&self, old: &Self) {
        let mut left: Vec<_> = old.config.rules.iter().zip(&old.states).collect();
        for (rule, state) in self.config.rules.iter().zip(&self.states) {
            let same = left.iter().position(|(other, _)| other.identity() == rule.identity());
            if let Some(position) = same {
                let (_, old_state) = left.remove(position);
                *state.lock() = old_state.lock().clone();
            }
        }
        *self.progress.lock() = old.progress();
        let mut orphans = self.orphans.lock();
        orphans.append(&mut old.orphans.lock());
        for (_, state) in left {
            orphans.extend(state.lock().series.drain());
        }
    }

    /// Evaluates every rule for `at`. Blocks.
    pub(crate) fn evaluate(&self, context: &Context, at: Timestamp) {
        let started = Instant::now();
        let settings = context.settings();
        let mut samples = 0;
        for (rule, state) in self.config.rules.iter().zip(&self.states) {
            let rule_started = Instant::now();
            let outcome = self.evaluate_rule(context, &settings, rule, state, at);
            let took = rule_started.elapsed();
            context.metrics.evaluation_duration_seconds.observe(took.as_secs_f64());
            self.metrics.evaluations.inc();
            let health = match outcome {
                Err(Failure::Canceled) => return,
                Ok(written) => {
                    samples += written;
                    Health::Good
                }
                Err(Failure::Failed(reason)) => {
                    self.metrics.evaluation_failures.inc();
                    tracing::warn!(
                        file = self.config.file,
                        group = self.config.name,
                        rule = rule.name(),
                        reason,
                        "evaluating rule"
                    );
                    Health::Bad(reason)
                }
            };
            let mut state = state.lock();
            state.health = health;
            state.evaluated = Progress { at: Some(at), took };
        }
        self.end_orphans(context, at);

        let took = started.elapsed();
        *self.progress.lock() = Progress { at: Some(at), took };
        self.metrics.iterations.inc();
        self.metrics.last_evaluation_timestamp_seconds.set(at.as_seconds());
        self.metrics.last_duration_seconds.set(took.as_secs_f64());
        self.metrics.last_evaluation_samples.set(samples as f64);
    }

    /// Gives how many samples the rule yielded.
    fn evaluate_rule(
        &self,
        context: &Context,
        settings: &Settings,
        rule: &Rule,
        state: &Mutex<RuleState>,
        at: Timestamp,
    ) -> Result<usize, Failure> {
        let stored_at = at.minus(self.query_offset);
        let query = rule.query();
        let result = context.rule_vector(&self.config, (&query.expr, &query.text), stored_at)?;
        let series = match rule {
            Rule::Recording(rule) => self.record(rule, result).map_err(Failure::Failed)?,
            Rule::Alerting(rule) => {
                let observed = observe(context, (&self.config, settings), rule, result, at)
                    .map_err(Failure::Failed)?;
                self.alert(context, settings, rule, state, observed, at).map_err(Failure::Failed)?
            }
        };
        let mut written = std::mem::take(&mut state.lock().series); // no lock while it is stored
        let outcome = write(context, stored_at, &series, &mut written);
        state.lock().series = written;
        outcome.map_err(Failure::Failed)?;
        Ok(series.len())
    }

    fn record(
        &self,
        rule: &RecordingRule,
        result: Vec<Element>,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let mut seen = HashSet::with_capacity(result.len());
        let mut series = Vec::with_capacity(result.len());
        for Element { labels, value } in result {
            let SampleValue::Float(value) = value else {
                return Err("the result has native histograms, which cannot be recorded yet".into());
            };
            let mut builder = labels.to_builder();
            builder.set(METRIC_NAME, &rule.name);
            for (name, value) in &rule.labels {
                builder.set(name, value);
            }
            let labels = builder.build();
            if !seen.insert(labels.clone()) {
                return Err(format!("{SAME_LABELS} rule labels"));
            }
            series.push((labels, value));
        }
        let (limit, count) = (self.config.limit, series.len());
        if limit > 0 && count > limit {
            return Err(format!("exceeded limit of {limit} with {count} series"));
        }
        Ok(series)
    }

    /// Updates the rule's alerts and sends those that are due.
    fn alert(
        &self,
        context: &Context,
        settings: &Settings,
        rule: &AlertingRule,
        state: &Mutex<RuleState>,
        observed: BTreeMap<Labels, Observed>,
        at: Timestamp,
    ) -> Result<Vec<(Labels, f64)>, String> {
        let timing = Timing { hold: rule.hold, keep_firing_for: rule.keep_firing_for };
        let limit = self.config.limit;
        let external_url = ExternalUrl::new(&settings.external_url);
        let generator_url = format!("{}{}", external_url.as_str(), graph_link(&rule.query.text, 1));
        let (series, due) = {
            let mut state = state.lock();
            let alerts = &mut state.alerts;
            alerts
                .update(at, timing, limit, observed)
                .map_err(|count| format!("exceeded limit of {limit} with {count} alerts"))?;
            let due = alerts.due(at, context.resend_delay, self.interval, &generator_url);
            (alerts.series(), due)
        };
        if !due.is_empty() {
            context.metrics.alerts_notified.inc_by(due.len() as u64);
            context.notify.notify(due);
        }
        Ok(series)
    }

    /// Ends every series of the group: it is gone from the configuration.
    pub(crate) fn end_all(&self, context: &Context, at: Timestamp) {
        for state in &self.states {
            self.orphans.lock().extend(state.lock().series.drain());
        }
        self.end_orphans(context, at);
    }

    fn end_orphans(&self, context: &Context, at: Timestamp) {
        let mut orphans: HashSet<Labels> = self.orphans.lock().drain(..).collect();
        if orphans.is_empty() {
            return;
        }
        for state in &self.states {
            let state = state.lock();
            orphans.retain(|labels| !state.series.contains(labels)); // another rule writes it now
        }
        let stored_at = at.minus(self.query_offset);
        if let Err(reason) = write(context, stored_at, &[], &mut orphans) {
            let group = &self.config.name;
            tracing::warn!(group, reason, "ending series of rules that are gone");
        }
    }

    /// Whether some alerts have a past that was not restored yet.
    pub(crate) fn awaits_restore(&self) -> bool {
        self.states.iter().any(|state| !state.lock().alerts.is_restored())
    }

    /// Restores what alerts were doing before a restart. Blocks.
    pub(crate) fn restore(&self, context: &Context, now: Timestamp) {
        for (rule, state) in self.config.rules.iter().zip(&self.states) {
            let Rule::Alerting(rule) = rule else { continue };
            let from = now.minus(context.outage_tolerance);
            match saved_states(&*context.query, &rule.name, from, now) {
                Ok(saved) => {
                    state.lock().alerts.restore(&saved, now, rule.hold, context.grace_period);
                }
                Err(error) => {
                    // There is no second chance to ask; the alert fires once it has been held anew.
                    tracing::error!(rule = rule.name, %error, "restoring alert state");
                    state.lock().alerts.skip_restore();
                }
            }
        }
    }
}

/// The alerts that a result raises, labels and annotations expanded.
fn observe(
    context: &Context,
    (group, settings): (&RuleGroup, &Settings),
    rule: &AlertingRule,
    result: Vec<Element>,
    at: Timestamp,
) -> Result<BTreeMap<Labels, Observed>, String> {
    let query = |text: &str| {
        let expr = context.engine.parse(text).map_err(|error| error.to_string())?;
        let vector =
            context.rule_vector(group, (&expr, text), at).map_err(|error| error.to_string())?;
        let element = |element: Element| (element.labels, element.value.as_float().unwrap_or(0.0));
        Ok(vector.into_iter().map(element).collect())
    };
    let external_url = ExternalUrl::new(&settings.external_url);
    let world = World { external_url: &external_url, now: at, query: &query };
    let expander = Expander {
        functions: functions(&world),
        external_labels: &settings.external_labels,
        external_url: &external_url,
    };
    let mut observed = BTreeMap::new();
    for element in result {
        let value = element.value.as_float().unwrap_or(0.0);
        let labels = expander.expand(&element.labels, value, rule.labels.iter());
        let annotations = expander.expand(&element.labels, value, rule.annotations.iter());
        let labels = alert_labels(&element.labels, &labels, &rule.name);
        let annotations = annotations.into_iter().collect();
        if observed.insert(labels, Observed { value, annotations }).is_some() {
            return Err(format!("{SAME_LABELS} alert labels"));
        }
    }
    Ok(observed)
}

/// Writes `series` at `at`, and staleness markers for what is in `before` and not in `series`. Once
/// that is done, `before` holds the names of `series`.
fn write(
    context: &Context,
    at: Timestamp,
    series: &[(Labels, f64)],
    before: &mut HashSet<Labels>,
) -> Result<(), String> {
    let now: HashSet<Labels> = series.iter().map(|(labels, _)| labels.clone()).collect();
    let ended = before.difference(&now).map(|labels| (labels, STALE_NAN));
    let samples = series.iter().map(|(labels, value)| (labels, *value)).chain(ended);
    let mut appender = context.append.appender();
    for (labels, value) in samples {
        appender
            .series(labels, None)
            .and_then(|series| appender.sample(series, Sample { timestamp: at, value }))
            .map_err(|error| format!("{labels}: {error}"))?;
    }
    let appended = appender.commit().map_err(|error| error.to_string())?;
    *before = now;
    let Some(first) = appended.rejected.first() else { return Ok(()) };
    for rejected in &appended.rejected {
        context.metrics.count_rejected(rejected.reason);
    }
    let mut reason = first.reason.message().to_owned();
    if appended.rejected.len() > 1 {
        let _ = write!(reason, " ({} samples)", appended.rejected.len());
    }
    Err(reason)
}

#[cfg(test)]
mod tests;
