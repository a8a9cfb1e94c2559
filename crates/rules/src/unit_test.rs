//! `watershed rules test`: Prometheus' unit tests of rules.
//!
//! A test file names rule files and gives made-up series; its rules are evaluated as the samples
//! come, and what they yield is compared with what the file expects. One difference to running:
//! every group is evaluated at the file's `evaluation_interval`, from time 0 on.
//!
//! Source: Prometheus `docs/configuration/unit_testing_rules.md`, `cmd/promtool/unittest.go`.

mod compare;
mod input;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Alert, Labels, Sample, Timestamp};
use parking_lot::RwLock;
use promql::notation::{Value, parse_line, parse_values};
use promql::{Cancel, Engine, EngineOptions};
use querylog::QueryLog;
use storage::Memory;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::alerting::AlertState;
use crate::context::{Context, Element, Notify, Settings};
use crate::group::{Group, Health};
use crate::rule::{Rule, RuleGroup};
use crate::unit_test::compare::{
    ExpectedAlert, ExpectedSample, differing_alerts, differing_samples,
};
use crate::unit_test::input::{AlertTestYaml, ExprTestYaml, FileYaml, TestYaml};
use crate::{Metrics, Options};

/// A test file's outcome.
#[derive(Debug)]
pub struct TestedFile {
    pub path: PathBuf,
    /// How many tests the file has.
    pub tests: usize,
    /// What did not go as the file says, or why the file cannot be tested; empty if all is well.
    pub failures: Vec<String>,
}

/// Runs the unit tests of each file, queries as `options` say. Blocks.
pub fn test_files(paths: &[PathBuf], options: &EngineOptions) -> Vec<TestedFile> {
    paths.iter().map(|path| test_file(path, options)).collect()
}

fn test_file(path: &Path, options: &EngineOptions) -> TestedFile {
    match run_file(path, options) {
        Ok((tests, failures)) => TestedFile { path: path.to_owned(), tests, failures },
        Err(failures) => TestedFile { path: path.to_owned(), tests: 0, failures },
    }
}

/// The number of tests and what failed in them; an error if there is nothing to run.
fn run_file(path: &Path, options: &EngineOptions) -> Result<(usize, Vec<String>), Vec<String>> {
    let text = fs::read_to_string(path).map_err(|error| vec![error.to_string()])?;
    let yaml: FileYaml = serde_yaml_ng::from_str(&text).map_err(|error| vec![error.to_string()])?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let groups = yaml.groups(directory, options.features)?;
    let mut failures = Vec::new();
    for test in &yaml.tests {
        let run = Run::new(&yaml, test, &groups, options).and_then(Run::finish);
        let name = test.name.as_ref().map_or(String::new(), |name| format!("name: {name}, "));
        let found = run.unwrap_or_else(|reason| vec![reason]);
        failures.extend(found.into_iter().map(|failure| format!("{name}{failure}")));
    }
    Ok((yaml.tests.len(), failures))
}

/// One test while it runs.
struct Run<'a> {
    test: &'a TestYaml,
    fuzzy: bool,
    step: Duration,
    memory: Arc<Memory>,
    context: Context,
    groups: Vec<Group>,
    input: Vec<InputSeries>,
}

struct InputSeries {
    labels: Labels,
    gap: Duration,
    values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    /// Parsed, but not due yet.
    next: Option<(usize, Value)>,
}

/// Alerts of a test go nowhere.
struct Nobody;

impl Notify for Nobody {
    fn notify(&self, _: Vec<Alert>) {}
}

impl<'a> Run<'a> {
    fn new(
        yaml: &FileYaml,
        test: &'a TestYaml,
        groups: &[RuleGroup],
        options: &EngineOptions,
    ) -> Result<Self, String> {
        let step = yaml.evaluation_interval();
        let interval = test.interval.filter(|interval| !interval.is_zero()).unwrap_or(step);
        let settings = Settings {
            evaluation_interval: interval,
            query_offset: Duration::ZERO,
            external_labels: test.external_labels.iter().collect(),
            external_url: test.external_url.clone(),
        };
        let metrics = Metrics::register(&prometheus::Registry::new())
            .map_err(|error| format!("register metrics: {error}"))?;
        let group = |config: &RuleGroup| {
            Group::new(config.clone(), &settings, metrics.group(&config.name), true)
        };
        let groups = groups.iter().map(group).collect();
        let memory = Arc::new(Memory::default());
        let options = EngineOptions { subquery_step: step, ..options.clone() };
        let context = context(&memory, options, settings, metrics);
        let input = test.input_series.iter().map(|series| {
            let labels = parse_line(&series.series)?.labels;
            let values = parse_values(&series.values)
                .map_err(|reason| format!("series {}: {reason}", series.series))?;
            let values = values.into_iter().enumerate();
            Ok(InputSeries { labels, gap: interval, values, next: None })
        });
        let input = input.collect::<Result<_, String>>()?;
        Ok(Self { test, fuzzy: yaml.fuzzy_compare, step, memory, context, groups, input })
    }

    /// Evaluates up to the last time that the test asks about. Gives what differs.
    fn finish(mut self) -> Result<Vec<String>, String> {
        let last = self.test.last_time();
        let mut failures = Vec::new();
        let mut time = Duration::ZERO;
        while time <= last {
            self.load_until(time)?;
            self.evaluate(time)?;
            let due = |alert: &&AlertTestYaml| (time..time + self.step).contains(&alert.eval_time);
            for alert in self.test.alert_rule_test.iter().filter(due) {
                failures.extend(self.check_alert(alert));
            }
            time += self.step;
        }
        for expr in &self.test.promql_expr_test {
            let outcome = self.check_expr(expr);
            let place =
                format!("expr: {:?}, time: {}", expr.expr, model::duration::format(expr.eval_time));
            failures.extend(outcome.err().map(|reason| format!("{place}, {reason}")));
        }
        Ok(failures)
    }

    /// Stores the samples up to `time`: rules are not to see the future.
    fn load_until(&mut self, time: Duration) -> Result<(), String> {
        for series in &mut self.input {
            while let Some((index, value)) = series.next.take().or_else(|| series.values.next()) {
                let due = series.gap * u32::try_from(index).unwrap_or(u32::MAX);
                if due > time {
                    series.next = Some((index, value));
                    break;
                }
                let timestamp = at(due);
                let labels = &series.labels;
                match value {
                    Value::Omitted => {}
                    Value::Float(value) => {
                        let pushed = self.memory.push(labels, Sample { timestamp, value });
                        pushed
                            .map_err(|reason| format!("series {labels}: {}", reason.message()))?;
                    }
                    Value::Histogram(histogram) => {
                        self.memory.push_histogram(labels, timestamp, &histogram);
                    }
                }
            }
        }
        Ok(())
    }

    /// A rule that fails ends the test.
    fn evaluate(&self, time: Duration) -> Result<(), String> {
        for group in &self.groups {
            group.evaluate(&self.context, at(time));
            for (rule, state) in group.rules() {
                if let Health::Bad(reason) = state.health {
                    let time = model::duration::format(time);
                    return Err(format!("rule: {}, time: {time}, err: {reason}", rule.name()));
                }
            }
        }
        Ok(())
    }

    fn check_alert(&self, test: &AlertTestYaml) -> Option<String> {
        let expected =
            test.exp_alerts.iter().flatten().map(|alert| alert.expected(&test.alertname));
        let mut firing = Vec::new();
        for (rule, state) in self.groups.iter().flat_map(Group::rules) {
            if !matches!(rule, Rule::Alerting(rule) if rule.name == test.alertname) {
                continue;
            }
            let alerts = state.alerts.iter().filter(|(_, a)| a.state == AlertState::Firing);
            firing.extend(alerts.map(|(labels, alert)| ExpectedAlert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
            }));
        }
        let differing = differing_alerts(expected.collect(), firing)?;
        let time = model::duration::format(test.eval_time);
        Some(format!("alertname: {}, time: {time}, {differing}", test.alertname))
    }

    fn check_expr(&self, test: &ExprTestYaml) -> Result<(), String> {
        let expr =
            self.context.engine.parse(&test.expr).map_err(|error| format!("err: {error}"))?;
        let vector = self.context.vector(&self.context.engine, &expr, at(test.eval_time));
        let vector = vector.map_err(|error| format!("err: {error}"))?;
        let got = vector
            .into_iter()
            .map(|Element { labels, value }| ExpectedSample { labels, value })
            .collect();
        let expected = test.exp_samples.iter().flatten().map(|sample| sample.expected());
        let expected = expected.collect::<Result<_, String>>()?;
        differing_samples(expected, got, self.fuzzy).map_or(Ok(()), Err)
    }
}

fn at(time: Duration) -> Timestamp {
    Timestamp::EPOCH.plus(time)
}

fn context(
    memory: &Arc<Memory>,
    options: EngineOptions,
    settings: Settings,
    metrics: Metrics,
) -> Context {
    Context {
        engine: Arc::new(Engine::new(options)),
        query: Arc::clone(memory) as _,
        query_log: QueryLog::disabled(),
        append: Arc::clone(memory) as _,
        notify: Arc::new(Nobody),
        metrics,
        clock: Arc::new(|| Timestamp::EPOCH),
        resend_delay: Options::RESEND_DELAY,
        outage_tolerance: Options::OUTAGE_TOLERANCE,
        grace_period: Options::GRACE_PERIOD,
        slots: Semaphore::new(1),
        cancel: Cancel::new(),
        exit: CancellationToken::new(),
        settings: RwLock::new(Arc::new(settings)),
    }
}

#[cfg(test)]
mod tests;
