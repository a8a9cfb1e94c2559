use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use storage::Memory;

use crate::ast::Expr;
use crate::engine::EngineOptions;
use crate::eval::{Evaluation, Grid};
use crate::limits::{Cancel, EvalError, Limits};

fn ordered(items: &[(u16, usize)], cancel: &Cancel) -> Result<Vec<(u16, usize)>, EvalError> {
    let (memory, options) = (Memory::default(), EngineOptions::default());
    let limits = Limits::new(cancel.clone(), Duration::from_secs(60), 0, 0);
    let expr: Expr = crate::parse("1").unwrap();
    let evaluation = Evaluation::new(&memory, &options, limits, Grid::instant(0), &expr, false);
    evaluation.ordered(items.to_vec(), |a, b| a.0.cmp(&b.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// ORDERED-1, with more items than a run has.
    #[test]
    fn the_order_is_that_of_a_stable_sort(keys in vec(any::<u16>(), 0..20_000), range in 1u16..) {
        let items: Vec<_> = keys.iter().map(|key| key % range).zip(0..).collect();
        let mut expect = items.clone();
        expect.sort_by_key(|(key, _)| *key);
        prop_assert!(ordered(&items, &Cancel::new()).unwrap() == expect);
    }
}

#[test]
fn a_sort_ends_when_its_query_is_cancelled() {
    let items: Vec<_> = (0..100_000).map(|index| ((index * 7919 % 65_521) as u16, index)).collect();
    let cancel = Cancel::new();
    assert!(ordered(&items, &cancel).is_ok());
    cancel.cancel();
    assert!(matches!(ordered(&items, &cancel), Err(EvalError::Canceled)));
}
