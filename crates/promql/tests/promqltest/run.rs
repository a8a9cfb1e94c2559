//! Evaluates the commands of a script and compares.
//!
//! Every instant evaluation is also made as a range query around its time, and again at other times
//! with `@` put on its selectors: the answers must be the same.

use std::time::Duration;

use model::histogram::CounterReset;
use model::{FloatHistogram, Labels, Sample, Timestamp, is_stale};
use promql::ast::{At, Expr};
use promql::notation::{SeriesLine, Value, parse_starts, parse_values};
use promql::{
    Answer, Cancel, Engine, EngineOptions, Features, SampleValue, Value as Got, VectorSample,
    parse_with,
};
use storage::Memory;

use super::classic;
use super::script::{Annotations, Command, Eval, EvalTime, Expected, Pattern, parse_script};

/// How far floats may differ, relatively.
const EPSILON: f64 = 1e-6;
const MINUTE: i64 = 60_000;

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) evaluations: usize,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn run_script(name: &str, text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let commands = match parse_script(text) {
        Ok(commands) => commands,
        Err(message) => {
            outcome.failures.push(format!("{name}: {message}"));
            return outcome;
        }
    };
    let engine = Engine::new(EngineOptions {
        max_samples: 1_000_000,
        delayed_name_removal: true,
        type_and_unit_labels: name.starts_with("type_and_unit"),
        ..EngineOptions::default()
    });
    let mut memory = Memory::default();
    for command in commands {
        match command {
            Command::Clear => memory = Memory::default(),
            Command::Load { gap, with_custom_buckets, series } => {
                if let Err(error) = load(&memory, gap, with_custom_buckets, &series) {
                    outcome.failures.push(format!("{name}: {error}"));
                }
            }
            Command::Eval(eval) => {
                outcome.evaluations += 1;
                if let Err(message) = (Case { engine: &engine, memory: &memory, eval: &eval }).run()
                {
                    let place = format!("{name}:{}", eval.line);
                    outcome.failures.push(format!("{place}: {}: {message}", eval.query));
                }
            }
        }
    }
    outcome
}

fn load(
    memory: &Memory,
    gap: i64,
    with_custom_buckets: bool,
    lines: &[SeriesLine],
) -> Result<(), String> {
    let mut series: Vec<(Labels, Vec<Value>)> = Vec::new();
    for line in lines.iter().filter(|line| !line.is_start_timestamps) {
        series.retain(|(labels, _)| *labels != line.labels); // the last line of a series stands
        series.push((line.labels.clone(), parse_values(&line.values)?));
    }
    if with_custom_buckets {
        series.extend(classic::convert(&series));
    }
    for (labels, values) in &series {
        let about = |line: &&SeriesLine| line.is_start_timestamps && line.labels == *labels;
        let starts = match lines.iter().find(about) {
            Some(line) => parse_starts(&line.values)?,
            None => Vec::new(),
        };
        for (index, value) in values.iter().enumerate() {
            let timestamp = Timestamp::from_millis(gap * index as i64);
            let start = starts.get(index).copied().flatten();
            let start = start.map_or(Timestamp::EPOCH, |start| timestamp.plus_millis(start));
            match value {
                Value::Omitted => {}
                Value::Float(value) => {
                    let sample = Sample { timestamp, value: *value };
                    let pushed = memory.push_started(labels, start, sample);
                    pushed.map_err(|reason| reason.message())?;
                }
                Value::Histogram(histogram) => {
                    memory.push_started_histogram(labels, timestamp, start, histogram);
                }
            }
        }
    }
    Ok(())
}

struct Case<'a> {
    engine: &'a Engine,
    memory: &'a Memory,
    eval: &'a Eval,
}

impl Case<'_> {
    fn run(&self) -> Result<(), String> {
        let expr = match parse_with(&self.eval.query, Features::ALL) {
            Ok(expr) => expr,
            Err(error) => return self.check_failure(&error.to_string()),
        };
        match self.eval.time {
            EvalTime::Instant(at) => {
                self.instant(&self.eval.query, &expr, at)?;
                let Some(pinned) = pinned(&expr, at) else { return Ok(()) };
                let query = pinned.to_string();
                let pinned =
                    parse_with(&query, Features::ALL).map_err(|e| format!("{query}: {e}"))?;
                let times = match at {
                    0 => vec![-1000, 0, 1000],
                    at => vec![-10 * at, 0, at / 5, at, 10 * at],
                };
                for time in times {
                    self.instant(&query, &pinned, time)
                        .map_err(|message| format!("as {query} at {time}: {message}"))?;
                }
                Ok(())
            }
            EvalTime::Range { start, end, step } => match self.range(&expr, start, end, step) {
                Err(error) => self.check_failure(&error),
                Ok(_) if self.eval.fails => Err("did not fail".into()),
                Ok(answer) => {
                    self.check_annotations(&self.eval.query, &answer)?;
                    self.check_matrix(&answer.value, start, step)
                }
            },
        }
    }

    fn range(&self, expr: &Expr, start: i64, end: i64, step: i64) -> Result<Answer, String> {
        let [from, to] = [start, end].map(Timestamp::from_millis);
        let step = Duration::from_millis(step.unsigned_abs());
        let answer = self.engine.range(self.memory, expr, from, to, step, &Cancel::new());
        answer.map_err(|error| error.to_string())
    }

    fn instant(&self, query: &str, expr: &Expr, at: i64) -> Result<(), String> {
        let time = Timestamp::from_millis(at);
        let answer = match self.engine.instant(self.memory, expr, time, &Cancel::new()) {
            Err(error) => return self.check_failure(&error.to_string()),
            Ok(_) if self.eval.fails => return Err("did not fail".into()),
            Ok(answer) => answer,
        };
        self.check_annotations(query, &answer)?;
        self.check_instant(&answer.value)?;
        let is_value = matches!(answer.value, Got::Scalar(_) | Got::Vector(_));
        if self.eval.ordered || !is_value || depends_on_range(query) {
            return Ok(());
        }
        let around = self.range(expr, at - MINUTE, at + MINUTE, MINUTE)?;
        let Got::Matrix(matrix) = around.value else { return Err("no matrix".into()) };
        let mut vector = Vec::new();
        for series in matrix {
            let float = series.samples.iter().find(|s| s.timestamp == time);
            let histogram = series.histograms.iter().find(|h| h.0 == time);
            let value = match (float, histogram) {
                (Some(sample), _) => SampleValue::Float(sample.value),
                (None, Some((_, histogram))) => SampleValue::Histogram(histogram.clone()),
                (None, None) => continue,
            };
            vector.push(VectorSample { labels: series.labels, timestamp: time, value });
        }
        let value = match (&answer.value, vector.as_slice()) {
            (Got::Scalar(_), [VectorSample { value: SampleValue::Float(value), .. }]) => {
                Got::Scalar(Sample { timestamp: time, value: *value })
            }
            _ => Got::Vector(vector),
        };
        self.check_instant(&value).map_err(|message| format!("as a range query: {message}"))
    }

    fn check_failure(&self, error: &str) -> Result<(), String> {
        if !self.eval.fails {
            return Err(format!("fails: {error}"));
        }
        match self.eval.failure.iter().find(|pattern| !pattern.matches(error)) {
            Some(pattern) => Err(format!("fails with {error:?}, not {pattern:?}")),
            None => Ok(()),
        }
    }

    fn check_annotations(&self, query: &str, answer: &Answer) -> Result<(), String> {
        check_texts("warning", &self.eval.warnings, &answer.annotations.warnings(query))?;
        check_texts("info", &self.eval.infos, &answer.annotations.infos(query))
    }

    fn check_instant(&self, got: &Got) -> Result<(), String> {
        match (&self.eval.expected, got) {
            (Expected::Scalar(expected), Got::Scalar(got)) => {
                check(almost_equal(*expected, got.value), expected, &got.value)
            }
            (Expected::String(expected), Got::String(got)) => {
                check(*expected == got.value, expected, &got.value)
            }
            (Expected::Series(expected), Got::Vector(got)) => self.check_vector(expected, got),
            (Expected::RangeVector { start, step, series }, Got::Matrix(_)) => {
                check_series(series, got, *start, *step)
            }
            (expected, got) => Err(format!("expected {expected:?}, got {got:?}")),
        }
    }

    fn check_vector(
        &self,
        expected: &[(Labels, Vec<Value>)],
        got: &[VectorSample],
    ) -> Result<(), String> {
        if self.eval.ordered {
            let order: Vec<&Labels> = got.iter().map(|sample| &sample.labels).collect();
            let wanted: Vec<&Labels> = expected.iter().map(|(labels, _)| labels).collect();
            check(order == wanted, &wanted, &order)?;
        }
        for sample in got {
            let known = expected.iter().find(|(labels, _)| *labels == sample.labels);
            let Some((labels, values)) = known else {
                return Err(format!("unexpected {} {:?}", sample.labels, sample.value));
            };
            let same = matches(&values[0], &sample.value);
            check(same, &values[0], &Shown(&sample.value))
                .map_err(|text| format!("{labels}: {text}"))?;
        }
        for (labels, value) in expected {
            if !got.iter().any(|sample| sample.labels == *labels) {
                return Err(format!("missing {labels} {value:?}"));
            }
        }
        check(expected.len() == got.len(), &expected.len(), &got.len())
    }

    fn check_matrix(&self, got: &Got, start: i64, step: i64) -> Result<(), String> {
        match &self.eval.expected {
            Expected::Series(expected) => check_series(expected, got, start, step),
            Expected::Scalar(value) => {
                let expected = [(Labels::empty(), vec![Value::Float(*value)])];
                check_series(&expected, got, start, step)
            }
            other => Err(format!("cannot be expected of a range: {other:?}")),
        }
    }
}

/// Whether every expected sample is in the matrix at its time, and no other.
fn check_series(
    expected: &[(Labels, Vec<Value>)],
    got: &Got,
    start: i64,
    step: i64,
) -> Result<(), String> {
    let Got::Matrix(matrix) = got else { return Err(format!("no matrix: {got:?}")) };
    for series in matrix {
        let known = expected.iter().find(|(labels, _)| *labels == series.labels);
        let Some((labels, values)) = known else {
            return Err(format!("unexpected {} {:?}", series.labels, series.samples));
        };
        let mut wanted: Vec<(i64, &Value)> = (0..)
            .map(|index| start + index * step)
            .zip(values)
            .filter(|(_, value)| !matches!(value, Value::Omitted))
            .collect();
        let floats = series.samples.iter();
        let floats = floats.map(|s| (s.timestamp.as_millis(), SampleValue::Float(s.value)));
        let histograms = series.histograms.iter();
        let histograms =
            histograms.map(|(t, h)| (t.as_millis(), SampleValue::Histogram(h.clone())));
        for (time, value) in floats.chain(histograms) {
            let Some(at) = wanted.iter().position(|(wanted, _)| *wanted == time) else {
                return Err(format!("{labels}: unexpected {value:?} at {time}"));
            };
            let (_, expected) = wanted.remove(at);
            check(matches(expected, &value), expected, &Shown(&value))
                .map_err(|message| format!("{labels} at {time}: {message}"))?;
        }
        if let Some((time, value)) = wanted.first() {
            return Err(format!("{labels}: missing {value:?} at {time}"));
        }
    }
    let missing = expected.iter().find(|(labels, values)| {
        values.iter().any(|value| !matches!(value, Value::Omitted))
            && !matrix.iter().any(|series| series.labels == *labels)
    });
    match missing {
        Some((labels, _)) => Err(format!("missing {labels}; got {matrix:?}")),
        None => Ok(()),
    }
}

fn check_texts(kind: &str, expected: &Annotations, got: &[String]) -> Result<(), String> {
    if expected.none && !got.is_empty() {
        return Err(format!("unexpected {kind}: {got:?}"));
    }
    if expected.some && got.is_empty() {
        return Err(format!("no {kind}"));
    }
    if expected.patterns.is_empty() {
        return Ok(());
    }
    let meets = |p: &Pattern, text: &str| p.matches(text) || p.matches(without_position(text));
    let unmet = expected.patterns.iter().find(|p| !got.iter().any(|text| meets(p, text)));
    let surplus = got.iter().find(|text| !expected.patterns.iter().any(|p| meets(p, text)));
    match (unmet, surplus) {
        (None, None) => Ok(()),
        _ => Err(format!("{kind}s are {got:?}, not {:?}", expected.patterns)),
    }
}

/// Scripts from before annotations had positions do not name them.
fn without_position(text: &str) -> &str {
    let is_position = |end: &str| end.chars().all(|c| c.is_ascii_digit() || c == ':');
    match text.strip_suffix(')').and_then(|text| text.rsplit_once(" (")) {
        Some((message, position)) if is_position(position) => message,
        _ => text,
    }
}

/// A value in the notation of scripts, for messages.
struct Shown<'a>(&'a SampleValue);

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            SampleValue::Float(value) => write!(f, "{value}"),
            SampleValue::Histogram(h) => write!(f, "schema:{} {h}", h.schema),
        }
    }
}

fn check<T: std::fmt::Debug, U: std::fmt::Debug>(
    holds: bool,
    expected: &T,
    got: &U,
) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("expected {expected:?}, got {got:?}")) }
}

fn matches(expected: &Value, got: &SampleValue) -> bool {
    match (expected, got) {
        (Value::Float(expected), SampleValue::Float(got)) => almost_equal(*expected, *got),
        (Value::Histogram(expected), SampleValue::Histogram(got)) => same_histogram(expected, got),
        _ => false,
    }
}

fn same_histogram(expected: &FloatHistogram, got: &FloatHistogram) -> bool {
    let buckets = |h: &FloatHistogram| {
        let all =
            h.positive.iter().map(|b| (true, *b)).chain(h.negative.iter().map(|b| (false, *b)));
        all.filter(|(_, bucket)| bucket.count != 0.0).collect::<Vec<_>>()
    };
    let (wanted, found) = (buckets(expected), buckets(got));
    let hint = expected.counter_reset;
    (hint == CounterReset::Unknown || hint == got.counter_reset)
        && expected.schema == got.schema
        && expected.custom_bounds == got.custom_bounds
        && almost_equal(expected.zero_threshold, got.zero_threshold)
        && almost_equal(expected.zero_count, got.zero_count)
        && almost_equal(expected.count, got.count)
        && almost_equal(expected.sum, got.sum)
        && wanted.len() == found.len()
        && wanted.iter().zip(&found).all(|((side, a), (other, b))| {
            side == other && a.index == b.index && almost_equal(a.count, b.count)
        })
}

fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (difference, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// `expr` with `@ at` on everything that can have it; nothing if it depends on the time otherwise.
fn pinned(expr: &Expr, at: i64) -> Option<Expr> {
    let mut expr = expr.clone();
    pin(&mut expr, at).then_some(expr)
}

fn pin(expr: &mut Expr, at: i64) -> bool {
    const TIME_DEPENDENT: [&str; 13] = [
        "start",
        "end",
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "month",
        "year",
        "predict_linear",
        "time",
        "timestamp",
    ];
    let time = At::Millis(at);
    match expr {
        Expr::Vector(selector) => {
            selector.time.at.get_or_insert(time);
            true
        }
        Expr::Matrix(selector) => {
            selector.vector.time.at.get_or_insert(time);
            true
        }
        Expr::Subquery(subquery) => {
            subquery.time.at.get_or_insert(time);
            !uses(&subquery.inner, &TIME_DEPENDENT)
        }
        Expr::Paren(paren) => pin(&mut paren.inner, at),
        Expr::Unary(unary) => pin(&mut unary.inner, at),
        Expr::Binary(binary) => pin(&mut binary.lhs, at) & pin(&mut binary.rhs, at),
        Expr::Aggregate(aggregate) => {
            aggregate.parameter.as_mut().is_none_or(|parameter| pin(parameter, at))
                & pin(&mut aggregate.inner, at)
        }
        Expr::Call(call) => {
            let args = call.args.iter_mut().fold(true, |all, arg| pin(arg, at) & all);
            args && !TIME_DEPENDENT.contains(&call.function.name)
        }
        Expr::Number(_) | Expr::String(_) => true,
    }
}

fn uses(expr: &Expr, functions: &[&str]) -> bool {
    let here = matches!(expr, Expr::Call(call) if functions.contains(&call.function.name));
    here || expr.children().into_iter().any(|child| uses(child, functions))
}

/// Whether a query means something else when it is asked over a range.
fn depends_on_range(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    ["step()", "range()", "start()", "end()"].iter().any(|function| query.contains(function))
}
