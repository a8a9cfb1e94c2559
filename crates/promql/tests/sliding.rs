//! Windows that slide give what each window gives on its own.

use std::time::Duration;

use model::{Labels, METRIC_NAME, Sample, Timestamp};
use promql::{Cancel, Engine, EngineOptions, Expr, Features, SampleValue, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use storage::Memory;

const SECOND: i64 = 1000;
const STEP: i64 = 10 * SECOND;
const STEPS: i64 = 40;

/// Seconds to the next sample, and its value.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        8 => (-100..100i32).prop_map(f64::from),
        4 => (0..1000u32).prop_map(|n| 1e9 + f64::from(n) / 1000.0),
        2 => any::<f64>().prop_filter("tame", |value| value.is_finite() && value.abs() < 1e100),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300]),
    ];
    let calm = vec((prop_oneof![9 => 1..12i64, 1 => 60..200i64], -9..9i32), 1..120)
        .prop_map(|samples| samples.into_iter().map(|(s, v)| (s, f64::from(v))).collect());
    prop_oneof![calm, vec((1..40i64, value), 1..80)]
}

fn memory(samples: &[(i64, f64)]) -> Memory {
    let memory = Memory::default();
    let labels: Labels = [(METRIC_NAME, "m")].into_iter().collect();
    let mut now = 0;
    for &(seconds, value) in samples {
        now += seconds * SECOND;
        memory
            .push(&labels, Sample { timestamp: Timestamp::from_millis(now), value })
            .expect("in order");
    }
    memory
}

fn parse(query: &str) -> Expr {
    promql::parse_with(query, Features::ALL).expect("a query")
}

/// The values of a query at the times of the grid.
fn at_once(memory: &Memory, query: &str) -> Vec<(i64, f64)> {
    let (engine, expr) = (Engine::new(EngineOptions::default()), parse(query));
    let [start, end] = [0, STEPS * STEP].map(Timestamp::from_millis);
    let step = Duration::from_millis(STEP as u64);
    let answer = engine.range(memory, &expr, start, end, step, &Cancel::new()).expect("an answer");
    let Value::Matrix(matrix) = answer.value else { panic!("a range query gives a matrix") };
    let samples = matrix.into_iter().flat_map(|series| series.samples);
    samples.map(|sample| (sample.timestamp.as_millis(), sample.value)).collect()
}

fn one_by_one(memory: &Memory, query: &str) -> Vec<(i64, f64)> {
    let (engine, expr) = (Engine::new(EngineOptions::default()), parse(query));
    let mut values = Vec::new();
    for now in (0..=STEPS).map(|step| step * STEP) {
        let at = Timestamp::from_millis(now);
        let answer = engine.instant(memory, &expr, at, &Cancel::new()).expect("an answer");
        let Value::Vector(vector) = answer.value else { panic!("a query gives a vector") };
        for sample in vector {
            let SampleValue::Float(value) = sample.value else { panic!("of floats") };
            values.push((now, value));
        }
    }
    values
}

fn is_close(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * b.abs()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn windows_that_overlap_give_what_each_gives_alone(
        samples in samples(),
        window in prop::sample::select(vec!["30s", "70s", "200s"]),
    ) {
        let memory = memory(&samples);
        for function in [
            "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time",
            "ts_of_min_over_time", "ts_of_max_over_time", "stddev_over_time", "stdvar_over_time",
            "mad_over_time", "last_over_time", "first_over_time", "present_over_time", "resets",
            "changes", "irate", "idelta", "quantile_over_time(0, ", "quantile_over_time(0.3, ",
            "quantile_over_time(1, ",
        ] {
            let open = if function.contains('(') { "" } else { "(" };
            let query = format!("{function}{open}m[{window}])");
            let (at_once, expect) = (at_once(&memory, &query), one_by_one(&memory, &query));
            prop_assert_eq!(at_once.len(), expect.len(), "{}", &query);
            for ((time, value), (at, expect)) in at_once.into_iter().zip(expect) {
                prop_assert_eq!(time, at, "{}", &query);
                let close = is_close(value, expect);
                prop_assert!(close, "{} at {}: {} and {}", &query, time, value, expect);
            }
        }
    }
}
