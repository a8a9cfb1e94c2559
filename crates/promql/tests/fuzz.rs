//! Throws seeded nonsense at the parser and the evaluator. Neither may panic, run for long or answer
//! what breaks its own promises.
//!
//! A longer run: `FUZZ_ROUNDS=1000000 cargo test -p promql --test fuzz`, which is part of `make soak`;
//! one that libFuzzer guides: `make fuzz`.

#[path = "fuzz/check.rs"]
mod check;
#[allow(dead_code, reason = "the seeds of queries are all that is of use here")]
#[path = "differential/generate.rs"]
mod generate;

use check::{Checker, When};
use generate::Generator;

const SEED: u64 = 4;
const ROUNDS: usize = 4000;
/// Deeper than any query that is answered.
const DEEP: usize = 20_000;

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

#[test]
fn nonsense_is_refused_or_answered() {
    let checker = Checker::new();
    let mut generator = Generator::new(SEED);
    let rounds = std::env::var("FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut answered = 0;
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let query = mutated(&mut generator);
        let when = When { millis: generator.below(2_400_000) as i64, is_range: round % 2 == 1 };
        answered += usize::from(checker.check(&query, when));
    }
    println!("{answered} answered");
    assert!(answered > 0, "the nonsense is too nonsensical to test anything");
}

/// What once went wrong: a query in each line.
#[test]
fn what_was_found_before_is_refused_or_answered() {
    let checker = Checker::new();
    let findings = include_str!("fuzz/findings.txt");
    for query in findings.lines() {
        for is_range in [false, true] {
            checker.check(query, When { millis: 1_200_000, is_range });
        }
    }
}

#[test]
fn deep_queries_end_no_stack() {
    let checker = Checker::new();
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("-", "gauge", ""),
        ("sum(", "gauge", ")"),
        ("abs(", "gauge", ")"),
        ("1+", "1", ""),
        ("2^", "2", ""),
        ("gauge and ", "gauge", ""),
        ("max_over_time(", "gauge", "[5m:1m])"),
        ("gauge[", "1", "]"),
        ("gauge[(", "1", ")]"),
        ("gauge offset -(", "1", ")"),
        ("{a=", "\"\"", "}"),
    ] {
        for depth in [50, 190, 900, DEEP] {
            let query = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            checker.check(&query, When { millis: 1_200_000, is_range: true });
        }
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
