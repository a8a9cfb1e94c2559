//! What is foretold of a query's work: never less than it turns out to be, and nothing where it is not
//! known.

use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Sample, Timestamp};
use promql::{Cancel, Engine, EngineOptions, Statistics, Times, parse, weight};
use storage::Memory;

const MINUTE: i64 = 60_000;
const LOOKBACK: Duration = Duration::from_secs(300);

/// Three series of one sample a second, for an hour.
fn memory() -> Memory {
    let memory = Memory::default();
    for pod in ["a", "b", "c"] {
        let labels: Labels = [("__name__", "m"), ("pod", pod)].into_iter().collect();
        for second in 0..3600 {
            let timestamp = Timestamp::from_millis(second * 1000);
            memory.push(&labels, Sample { timestamp, value: second as f64 }).expect("in order");
        }
    }
    memory
}

fn times(start: i64, end: i64, step: u64) -> Times {
    let [start, end] = [start, end].map(|minute| Timestamp::from_millis(minute * MINUTE));
    Times { start, end, step: Duration::from_secs(step) }
}

#[test]
fn no_query_looks_at_more_samples_than_it_weighs() {
    let memory = memory();
    let check = |query: &str, times: Times| {
        let expr = parse(query).unwrap();
        let statistics = Arc::new(Statistics::counted());
        let engine = Engine::new(EngineOptions { lookback: LOOKBACK, ..EngineOptions::default() });
        let engine = engine.measured_by(Arc::clone(&statistics));
        let Times { start, end, step } = times;
        let answer = match step.is_zero() {
            true => engine.instant(&memory, &expr, start, &Cancel::new()),
            false => engine.range(&memory, &expr, start, end, step, &Cancel::new()),
        };
        answer.unwrap();
        let weight = weight(&expr, times, LOOKBACK, &memory).expect(query);
        let measured = statistics.measured();
        let most = measured.samples_total().max(measured.peak as u64);
        assert!(weight >= most, "{query} at {times:?}: {weight} foretold, {most} looked at");
    };
    for query in [
        "m",
        "m{pod=~'a|b'} * 2 + m{pod='c'}",
        "sum by (pod) (rate(m[5m]))",
        "rate(m[10m]) / on (pod) group_left () count_over_time(m[1s])",
        "topk(2, max_over_time(m[30m])) or vector(time())",
        "label_replace(m, 'a', '$1', 'pod', '(.*)')",
        "1 + 2",
        "absent(unknown)",
    ] {
        check(query, times(30, 30, 0));
        check(query, times(0, 0, 0));
        for step in [1, 15, 600, 7200] {
            check(query, times(10, 50, step));
        }
    }
}

#[test]
fn what_is_not_known_at_once_is_not_foretold() {
    let memory = memory();
    for query in ["max_over_time(m[10m:1s])", "m offset 5m", "m @ 0", "1 + rate(m[step()])"] {
        let expr = parse(query).unwrap();
        assert_eq!(weight(&expr, times(30, 30, 0), LOOKBACK, &memory), None, "{query}");
    }
    let everything = times(i64::MIN / MINUTE, i64::MAX / MINUTE, 1);
    let expr = parse("rate(m[290y]) + m").unwrap();
    assert!(weight(&expr, everything, LOOKBACK, &memory).unwrap() > 1 << 50);
}
