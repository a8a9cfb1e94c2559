//! What must hold of any text as a query. Driven by the seeded test beside, and by libFuzzer
//! (`fuzz/fuzz_targets/promql.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Sample, Timestamp};
use promql::notation::{Value as Written, parse_line, parse_values};
use promql::{Cancel, Engine, EngineOptions, EvalError, Features, Value, parse_with, pretty};
use storage::Memory;

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

pub(crate) struct Checker {
    memory: Memory,
    engine: Engine,
}

/// When a query is asked for, in milliseconds; a range query looks at ten minutes from then on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    pub(crate) millis: i64,
    pub(crate) is_range: bool,
}

impl Checker {
    pub(crate) fn new() -> Self {
        let options = EngineOptions {
            max_samples: 200_000,
            max_memory: 64 << 20,
            timeout: Duration::from_secs(2),
            ..EngineOptions::default()
        };
        Self { memory: memory(), engine: Engine::new(options) }
    }

    /// Whether the query has an answer. Panics where something does not hold.
    pub(crate) fn check(&self, query: &str, when: When) -> bool {
        let Ok(expr) = parse_with(query, Features::ALL) else { return false };
        for text in [expr.to_string(), pretty(&expr)] {
            let again = parse_with(&text, Features::ALL).map(|expr| expr.to_string());
            assert_eq!(again, Ok(expr.to_string()), "{query:?} is shown as {text:?}");
        }
        let start = Timestamp::from_millis(when.millis);
        let answer = match when.is_range {
            false => self.engine.instant(&self.memory, &expr, start, &Cancel::new()),
            true => {
                let (end, step) = (start.plus_millis(600_000), Duration::from_secs(30));
                self.engine.range(&self.memory, &expr, start, end, step, &Cancel::new())
            }
        };
        match answer {
            Ok(answer) => {
                answer.annotations.warnings(query);
                answer.annotations.infos(query);
                check_value(&answer.value, query);
                true
            }
            Err(EvalError::Storage(error)) => panic!("{query:?}: {error}"),
            Err(_) => false,
        }
    }
}

/// A matrix has each series once, with samples in order of time.
fn check_value(value: &Value, query: &str) {
    let Value::Matrix(matrix) = value else { return };
    let labels: BTreeSet<_> = matrix.iter().map(|series| &series.labels).collect();
    assert_eq!(labels.len(), matrix.len(), "{query:?}");
    for series in matrix {
        let times = series.samples.iter().map(|sample| sample.timestamp);
        assert!(times.is_sorted(), "{query:?}");
    }
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
