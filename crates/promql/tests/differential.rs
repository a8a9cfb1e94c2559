//! Asks a real Prometheus and our engine the same questions about the same data.
//!
//! ```text
//!   generated series ──┬─ remote write ─► prometheus (Debian's, 2.42) ─ HTTP API ─┐
//!                      └─ memory ───────► Engine ────────────────────────────────┴─► compare
//! ```
//! Times are chosen so that no sample and no subquery step falls on the start of a range: there,
//! version 2 and version 3 (and we) differ by design. That and all other differences that are by
//! design are in [`DIFFERENCES`], and asserted to be there.

mod differential {
    pub(crate) mod data;
    pub(crate) mod generate;
    pub(crate) mod peer;
}
use std::collections::BTreeMap;
use std::time::Duration;

use differential::data::{self, END, START};
use differential::generate::Generator;
use differential::peer::{Asked, Peer};
use model::{Sample, Timestamp};
use promql::{Cancel, Engine, EngineOptions, SampleValue, Value, format_value, parse};
use storage::Memory;

const GENERATED: usize = 6000;
/// Mostly no queries at all: it is their errors that must be equal.
const DAMAGED: usize = 1500;
const TOLERANCE: f64 = 1e-9;

/// By labels, by time.
type Series = BTreeMap<String, BTreeMap<i64, f64>>;
type Answer = Result<Series, String>;

/// Questions whose answers differ by design, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("count_over_time(aligned[1m])", "ranges do not contain their start since 3.0"),
    ("count_over_time(gauge[1m:20s])", "the same for the steps of subqueries"),
    ("gauge atan2 3", "atan2 drops the metric name since 3.0"),
    ("stddev by (case) (huge * 10)", "the deviation of an infinite value is NaN since 3.0"),
    ("topk(NaN, gauge)", "the wording of the error"),
    ("gauge{job=~\"(\"}", "regexes: what is wrong is said by another engine"),
    ("up > ignoring (job, instance) (up{instance=\"a\"} + 5)", "filtered samples match too (3.9)"),
    ("metric[5m] offset", "the wording of parse errors: offsets can be expressions"),
    ("metric[", "the same for ranges"),
    ("sum_over_time(gauge[300])", "durations can be numbers"),
    ("sum(gauge @ 5m)", "numbers can be durations"),
    ("sum by (\"job\") (gauge)", "labels can be quoted"),
    ("gauge @ @", "the name of a token"),
    ("timestamp(sparse @ 1700002453 offset 1m)", "the offset beside an @ is lost in there"),
];

/// What errors say, theirs or ours, where a damaged query meets one of these differences.
const CHANGED: &[&str] = &[
    "<Item ",
    "colon",
    "duration",
    "grouping opts",
    "in @",
    "in offset",
    "label matching",
    "number",
];

/// Questions picked by hand, where generated ones may not come.
const PICKED: &[&str] = &[
    "requests_total",
    "requests_total{code=~\"5..\"}",
    "requests_total{instance!=\"a\",code!~\"2.*\"}",
    "{__name__=~\"requests.*|gauge\"}",
    "nothing",
    "nothing{job=\"x\"}",
    "absent(nothing{job=\"x\",instance=~\".+\"})",
    "absent(requests_total)",
    "absent_over_time(nothing{job=\"x\"}[5m])",
    "absent_over_time(gone[2m])",
    "requests_total offset 7m",
    "requests_total offset -3m",
    "gauge @ 1700001000",
    "gauge @ start()",
    "gauge @ end() offset 2m",
    "rate(requests_total[5m] @ 1700001000)",
    "sum_over_time(gauge[5m] @ end())",
    "rate(requests_total[5m])",
    "increase(requests_total[1h])",
    "irate(requests_total[1m])",
    "delta(gauge[10m])",
    "idelta(gauge[10m])",
    "deriv(gauge[10m])",
    "predict_linear(gauge[10m], 3600)",
    "resets(requests_total[30m])",
    "changes(gauge[30m])",
    "quantile_over_time(0.9, gauge[15m])",
    "quantile_over_time(-1, gauge[15m])",
    "stddev_over_time(gauge[15m])",
    "stdvar_over_time(gauge[15m])",
    "max_over_time(rate(requests_total[2m])[20m:30s])",
    "avg_over_time((gauge * 2)[10m:20s] offset 5m)",
    "sum by (instance) (rate(requests_total[5m]))",
    "sum without (code) (rate(requests_total[5m]))",
    "sum(gauge) by ()",
    "avg by (job) (gauge)",
    "min(gauge)",
    "max by (instance) (requests_total)",
    "count by (code) (requests_total)",
    "group by (job) (requests_total)",
    "stddev(gauge)",
    "stdvar by (job) (requests_total)",
    "topk(2, requests_total)",
    "topk by (instance) (1, requests_total)",
    "bottomk(3, gauge)",
    "quantile(0.5, gauge)",
    "quantile by (job) (2, gauge)",
    "count_values(\"value\", round(gauge / 20))",
    "count_values by (job) (\"value\", up)",
    "histogram_quantile(0.9, latency_seconds_bucket)",
    "histogram_quantile(0.5, rate(latency_seconds_bucket[5m]))",
    "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(1.5, latency_seconds_bucket)",
    "histogram_quantile(0, latency_seconds_bucket)",
    "histogram_quantile(scalar(up{instance=\"a\"}) / 2, latency_seconds_bucket)",
    "requests_total + 1",
    "2 ^ 3 ^ 2",
    "-2 ^ 2",
    "-gauge ^ 2",
    "1 + 2 * 3 % 4 - 5 / 6",
    "gauge % 7",
    "1 > bool 2",
    "gauge > 50",
    "50 < gauge",
    "gauge > bool 50",
    "gauge == gauge",
    "gauge != bool 3",
    "requests_total / on (instance, code) group_left gauge",
    "requests_total * on (instance) group_left (version) build_info",
    "build_info * on (instance) group_right (version) requests_total",
    "requests_total / ignoring (code) group_left sum without (code) (requests_total)",
    "gauge + on (instance) up",
    "gauge + ignoring (job) up",
    "requests_total + on (instance) gauge",
    "gauge + on (instance) requests_total",
    "gauge and up == 1",
    "gauge or up",
    "gauge unless on (instance) up{instance=\"a\"}",
    "gauge and on () vector(1)",
    "requests_total or on (instance) gauge",
    "label_replace(gauge, \"shard\", \"s-$1\", \"instance\", \"(.)\")",
    "label_replace(gauge, \"instance\", \"\", \"\", \"\")",
    "label_replace(requests_total, \"code\", \"x\", \"\", \"\")",
    "label_replace(gauge, \"~bad~\", \"x\", \"job\", \"(\")",
    "label_join(gauge, \"both\", \"-\", \"job\", \"instance\")",
    "label_join(gauge, \"__name__\", \"_\", \"job\", \"instance\")",
    "sort(gauge)",
    "sort_desc(requests_total)",
    "scalar(gauge)",
    "scalar(gauge{instance=\"a\"})",
    "vector(scalar(up{instance=\"b\"}))",
    "time()",
    "timestamp(gauge)",
    "timestamp(gauge * 1)",
    "timestamp(gauge offset 2m)",
    "day_of_month()",
    "day_of_week(vector(1700000000))",
    "day_of_year()",
    "days_in_month()",
    "hour(timestamp(up))",
    "minute()",
    "month()",
    "year()",
    "abs(-gauge)",
    "ceil(gauge / 3)",
    "floor(gauge / 3)",
    "round(gauge, 5)",
    "exp(gauge / 50)",
    "ln(gauge)",
    "log2(gauge)",
    "log10(gauge)",
    "sqrt(gauge)",
    "sgn(gauge - 50)",
    "clamp(gauge, 20, 60)",
    "clamp(gauge, 60, 20)",
    "clamp_min(gauge, 40)",
    "clamp_max(gauge, scalar(up{instance=\"a\"}) * 10)",
    "sin(gauge) + cos(gauge) + tan(gauge)",
    "deg(gauge) + rad(gauge)",
    "pi()",
    "gone",
    "rate(gone[5m])",
    "last_over_time(gone[10m])",
    "present_over_time(gone[3m])",
    "nans",
    "avg(nans)",
    "max(nans)",
    "topk(1, nans)",
    "sum(huge)",
    "avg(huge)",
    "avg_over_time(huge[5m])",
    "abs({__name__=~\"requests_total|gauge\"})",
    "rate({__name__=~\"requests_total|other_total\"}[5m])",
    "-{job=\"x\"}",
    "\"a string\"",
    "gauge[2m]",
    "gauge[2m:30s]",
    "sum(rate(requests_total[5m])",
    "sum(rate(requests_total[5m]) by (x)",
    "rate(requests_total)",
    "sum(1)",
    "gauge offset 5m offset 5m",
    "unknown_function(gauge)",
    "1 and 2",
    "1 == 2",
    "gauge and on (job) group_left up",
    "{}",
    "{job=~\".*\"}",
    "gauge{job=\"x\"",
    "gauge +",
    "time(1)",
    "round(gauge, 1, 2)",
    "sum by (job (gauge)",
    "foo{__name__=\"bar\"}",
    "gauge + bool 1",
    "gauge @ foo",
    "",
    "1x",
    "'unterminated",
];

#[test]
fn our_answers_are_those_of_prometheus() {
    let data = data::series();
    let memory = Memory::default();
    for (labels, samples) in &data {
        for (time, value) in samples {
            let sample = Sample { timestamp: Timestamp::from_millis(*time), value: *value };
            memory.push(labels, sample).expect("samples are in order");
        }
    }
    let peer = Peer::start();
    peer.write(&data);
    let ours = Ours { engine: Engine::new(EngineOptions::default()), memory };

    let mut questions: Vec<Asked> = Vec::new();
    for query in PICKED {
        questions.push(Asked::instant(query, START + 2_413_000));
        questions.push(Asked::instant(query, END + 203_000));
        questions.push(Asked::range(query, START + 1_213_000, END + 433_000, 60_000));
    }
    let mut generator = Generator::new(20_260_801);
    for index in 0..GENERATED {
        let query = generator.query();
        let at = START + 1_513_000 + generator.below(30) as i64 * 60_000;
        questions.push(match index % 3 {
            0 => Asked::range(&query, at, at + 900_000, 60_000),
            _ => Asked::instant(&query, at),
        });
    }
    for _ in 0..DAMAGED {
        questions.push(Asked::instant(&generator.damaged(), START + 2_413_000));
    }
    let mut failures = Vec::new();
    let mut changed = 0;
    for asked in &questions {
        let (theirs, ours) = (peer.ask(asked), ours.ask(asked));
        match difference(&theirs, &ours) {
            Some(_) if is_changed(asked, &theirs, &ours) => changed += 1,
            Some(difference) => failures.push(format!("{asked:?}: {difference}")),
            None => {}
        }
    }
    assert!(changed < DAMAGED / 6, "{changed} of {DAMAGED} damaged queries are not compared");
    for (query, why) in DIFFERENCES {
        let asked = Asked::instant(query, START + 2_400_000);
        let (theirs, ours) = (peer.ask(&asked), ours.ask(&asked));
        let same = difference(&theirs, &ours).is_none() && theirs.is_ok() == ours.is_ok();
        if same {
            failures.push(format!("{query}: no difference, but there should be one: {why}"));
        }
    }
    println!("{} questions", questions.len() + DIFFERENCES.len());
    let shown: Vec<_> = failures.iter().take(400).cloned().collect();
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), shown.join("\n"));
}

/// Whether the difference is one that is written down.
fn is_changed(asked: &Asked, theirs: &Answer, ours: &Answer) -> bool {
    let says = |answer: &Answer| {
        let error = answer.as_ref().err();
        error.is_some_and(|error| CHANGED.iter().any(|words| error.contains(words)))
    };
    let loses_offset = ["timestamp(", "@", "offset"].iter().all(|part| asked.query.contains(part));
    let is_parsed = theirs.is_ok() && ours.is_ok();
    says(theirs) || (theirs.is_err() && says(ours)) || (is_parsed && loses_offset)
}

struct Ours {
    engine: Engine,
    memory: Memory,
}

impl Ours {
    fn ask(&self, asked: &Asked) -> Answer {
        let expr = parse(&asked.query).map_err(|error| error.to_string())?;
        let [start, end] = [asked.start, asked.end].map(Timestamp::from_millis);
        let cancel = Cancel::new();
        let answer = match asked.step {
            None => self.engine.instant(&self.memory, &expr, start, &cancel),
            Some(step) => {
                let step = Duration::from_millis(step.unsigned_abs());
                self.engine.range(&self.memory, &expr, start, end, step, &cancel)
            }
        };
        let mut series = Series::new();
        let mut put = |labels: String, time: i64, value: f64| {
            series.entry(labels).or_default().insert(time, value);
        };
        match answer.map_err(|error| error.to_string())?.value {
            Value::Scalar(sample) => put("scalar".into(), asked.start, sample.value),
            Value::String(string) => put(format!("string {}", string.value), asked.start, 0.0),
            Value::Vector(vector) => {
                for sample in vector {
                    let SampleValue::Float(value) = sample.value else { unreachable!() };
                    put(sample.labels.to_string(), sample.timestamp.as_millis(), value);
                }
            }
            Value::Matrix(matrix) => {
                for series in matrix {
                    for sample in series.samples {
                        put(series.labels.to_string(), sample.timestamp.as_millis(), sample.value);
                    }
                }
            }
        }
        Ok(series)
    }
}

fn difference(theirs: &Answer, ours: &Answer) -> Option<String> {
    let (theirs, ours) = match (theirs, ours) {
        (Err(theirs), Err(ours)) if without_pair(theirs) == without_pair(ours) => return None,
        (Ok(_), Err(ours)) if ours == FILTERED_MATCH => return None,
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (theirs, ours) => return Some(format!("theirs {theirs:?}, ours {ours:?}")),
    };
    for (labels, samples) in theirs {
        let Some(found) = ours.get(labels) else {
            return Some(format!("we lack {labels} {samples:?}"));
        };
        for (time, value) in samples {
            match found.get(time) {
                Some(found) if are_close(*value, *found) => {}
                found => {
                    let found = found.map(|found| format_value(*found));
                    return Some(format!("{labels} at {time}: {value}, ours {found:?}"));
                }
            }
        }
        if let Some(time) = found.keys().find(|time| !samples.contains_key(time)) {
            return Some(format!("{labels} at {time}: only ours"));
        }
    }
    let surplus = ours.keys().find(|labels| !theirs.contains_key(*labels))?;
    Some(format!("only we have {surplus}"))
}

/// Since version 3.9, a sample that a comparison filters out counts as a match all the same, so that
/// this error comes up more often. `DIFFERENCES` has a query for it.
const FILTERED_MATCH: &str = "multiple matches for labels: many-to-one matching must be explicit \
                              (group_left/group_right)";

/// Which of several duplicates an error names depends on the order of a map in Prometheus.
fn without_pair(error: &str) -> &str {
    match error.strip_prefix("found duplicate series for the match group") {
        Some(_) => "found duplicate series",
        None => error,
    }
}

fn are_close(a: f64, b: f64) -> bool {
    let difference = (a - b).abs();
    a == b || (a.is_nan() && b.is_nan()) || difference <= TOLERANCE * a.abs().max(b.abs())
}
