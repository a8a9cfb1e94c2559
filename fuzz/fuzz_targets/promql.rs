//! Any text as a query: `make fuzz`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/promql/tests/fuzz/check.rs"]
mod check;

use check::{Checker, When};

static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::new);

fuzz_target!(|query: &str| {
    for is_range in [false, true] {
        CHECKER.check(query, When { millis: 1_200_000, is_range });
    }
});
