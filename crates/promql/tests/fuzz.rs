//! Throws seeded nonsense at the parser and the evaluator. Neither may panic, run for long or answer
//! what breaks its own promises.
//!
//! A longer run: `FUZZ_ROUNDS=1000000 cargo test -p promql --test fuzz`.

#[allow(dead_code, reason = "the seeds of queries are all that is of use here")]
#[path = "differential/generate.rs"]
mod generate;

use std::collections::BTreeSet;
use std::time::Duration;

use generate::Generator;
use model::{Sample, Timestamp};
use promql::notation::{Value as Written, parse_line, parse_values};
use promql::{Cancel, Engine, EngineOptions, EvalError, Features, Value, parse_with};
use storage::Memory;

const SEED: u64 = 4;
const ROUNDS: usize = 4000;

/// Parts of queries that mutations put in, experimental ones included.
const FRAGMENTS: &[&str] = &[
    "(",
    ")",
    "[5m]",
    "[1h:1s]",
    "[1m:]",
    " @ start()",
    " offset 1y",
    " offset -1y",
    "sum(",
    "by (job)",
    "1e308",
    "-Inf",
    "NaN",
    "0",
    "\"\"",
    "{",
    "}",
    ",",
    " and ",
    " or ",
    " ^ ",
    " % ",
    "rate(",
    "histogram_quantile(0.9, ",
    "label_replace(",
    "topk(",
    "limitk(3, ",
    "limit_ratio(-0.5, ",
    "count_values(\"x\", ",
    "info(",
    " smoothed",
    " anchored",
    " </ 2",
    " >/ -1",
    "native",
    "[step():range()]",
    "@ -9223372036854775",
    " group_left ",
    " on (job) ",
    " fill (0) ",
    "absent(",
    "double_exponential_smoothing(",
    "predict_linear(",
    ", 0.5)",
    "timestamp(",
    "start_timestamp(",
    "sort_desc(",
    "resets(",
    "deriv(",
    "histogram_fraction(0, 1, ",
    "max_of(1, ",
    "[9999y]",
    "é",
];

const SERIES: &str = "
    requests_total{job=\"x\",instance=\"a\",code=\"200\"} 0+3x20 0+5x20
    requests_total{job=\"y\",instance=\"b\",code=\"500\"} 5 _x10 0+1x30
    gauge{job=\"x\",instance=\"a\"} 1 -2 NaN Inf -Inf 0 1e308 stale 5x30
    gauge{job=\"y\",instance=\"b\"} 0+0.1x40
    up{job=\"x\",instance=\"a\"} 1x40
    build_info{instance=\"a\",version=\"v1\"} 1x40
    latency_seconds_bucket{instance=\"a\",le=\"1\"} 0+1x40
    latency_seconds_bucket{instance=\"a\",le=\"+Inf\"} 0+2x40
    native{job=\"x\",instance=\"a\"} {{schema:1 count:3 sum:5 buckets:[1 2]}}+{{schema:1 count:3 sum:5 buckets:[1 2]}}x20 {{schema:0 count:1 sum:1 buckets:[1]}}x10
    native{job=\"y\",instance=\"b\"} 1 2 {{schema:-53 count:2 sum:3 custom_values:[1 2] buckets:[1 1]}}x20 4
    target_info{job=\"x\",instance=\"a\",data=\"d\"} 1x40
";

#[test]
fn nonsense_is_refused_or_answered() {
    let memory = memory();
    let engine = Engine::new(EngineOptions {
        max_samples: 200_000,
        timeout: Duration::from_secs(2),
        ..EngineOptions::default()
    });
    let mut generator = Generator::new(SEED);
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut answered = 0;
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let query = mutated(&mut generator);
        let Ok(expr) = parse_with(&query, Features::ALL) else { continue };
        let text = expr.to_string();
        let again = parse_with(&text, Features::ALL).map(|expr| expr.to_string());
        assert_eq!(again.as_ref(), Ok(&text), "round {round}: {query}");
        let time = Timestamp::from_millis(generator.below(2_400_000) as i64);
        let answer = match round % 2 {
            0 => engine.instant(&memory, &expr, time, &Cancel::new()),
            _ => {
                let (end, step) = (time.plus_millis(600_000), Duration::from_secs(30));
                engine.range(&memory, &expr, time, end, step, &Cancel::new())
            }
        };
        match answer {
            Ok(answer) => {
                answered += 1;
                check(&answer.value, &query, round);
            }
            Err(EvalError::Storage(error)) => panic!("round {round}: {query}: {error}"),
            Err(_) => {}
        }
    }
    println!("{answered} answered");
    assert!(answered > 0, "the nonsense is too nonsensical to test anything");
}

/// A matrix has each series once, in order, with samples in order of time.
fn check(value: &Value, query: &str, round: usize) {
    let Value::Matrix(matrix) = value else { return };
    let labels: BTreeSet<_> = matrix.iter().map(|series| &series.labels).collect();
    assert_eq!(labels.len(), matrix.len(), "round {round}: {query}");
    for series in matrix {
        let times = series.samples.iter().map(|sample| sample.timestamp);
        assert!(times.is_sorted(), "round {round}: {query}");
    }
}

/// A query that makes sense, with some of its characters gone and some fragments put in.
fn mutated(generator: &mut Generator) -> String {
    let mut query: Vec<char> = generator.query().chars().collect();
    for _ in 0..generator.below(4) {
        let at = generator.below(query.len() + 1);
        match generator.below(3) {
            0 => {
                let end = (at + generator.below(6)).min(query.len());
                query.drain(at..end);
            }
            _ => {
                let fragment = FRAGMENTS[generator.below(FRAGMENTS.len())];
                query.splice(at..at, fragment.chars());
            }
        }
    }
    query.into_iter().collect()
}

fn memory() -> Memory {
    let memory = Memory::default();
    for line in SERIES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = parse_line(line).expect("a line of series");
        for (index, value) in (0..).zip(parse_values(&line.values).expect("values")) {
            let timestamp = Timestamp::from_millis(index * 60_000);
            match value {
                Written::Omitted => {}
                Written::Float(value) => {
                    memory.push(&line.labels, Sample { timestamp, value }).expect("in order");
                }
                Written::Histogram(h) => memory.push_histogram(&line.labels, timestamp, &h),
            }
        }
    }
    memory
}
