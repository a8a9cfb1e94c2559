use std::collections::BTreeSet;
use std::sync::Arc;

use model::matcher::all_match;
use model::{Labels, MatchOp, Matcher, Timestamp};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use crate::block::{Block, BlockWriter, ChunkData, meta::BlockMeta, symbols::Texts};
use crate::chunk::XOR;

/// More values than one step of the table has.
fn labels() -> impl Strategy<Value = Labels> {
    btree_map("[ab]", "[x-z]{1,3}", 1..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ]);
    let value = prop::sample::select(vec![
        "", "x", "xyz", "a", "zzzz", "x|yy|q", "x.*", "yz.*", "zz.*", ".*", ".+", "x|", ".?y",
        "w.*",
    ]);
    ("[abc]", op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
}

fn block(dir: &std::path::Path, series: &BTreeSet<Labels>) -> Block {
    let texts: Texts = series.iter().flatten().flat_map(|(name, value)| [name, value]).collect();
    let meta = BlockMeta::new(Timestamp::EPOCH, Timestamp::from_millis(10), &[]);
    let mut writer = BlockWriter::create(dir, meta, Arc::new(texts.into_symbols())).unwrap();
    let start = Timestamp::EPOCH;
    let chunk = ChunkData { start, end: start, encoding: XOR, bytes: [0, 1, 0].as_slice().into() };
    for labels in series {
        writer.series(labels, std::slice::from_ref(&chunk)).unwrap();
    }
    writer.finish().unwrap().unwrap()
}

proptest! {
    #[test]
    fn a_selection_is_the_series_that_match(
        series in btree_set(labels(), 1..80), sets in vec(vec(matcher(), 0..4), 1..20),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let block = block(dir.path(), &series);
        for matchers in sets {
            let found = block.select(&matchers).unwrap();
            let found: Vec<Labels> = found.iter().map(|id| block.series(id).unwrap().labels).collect();
            let expected: Vec<Labels> =
                series.iter().filter(|labels| all_match(&matchers, labels)).cloned().collect();
            prop_assert_eq!(found, expected, "{:?}", matchers);
        }
    }

    #[test]
    fn a_series_is_found_by_its_labels(
        series in btree_set(labels(), 1..80), strangers in vec(labels(), 5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let block = block(dir.path(), &series);
        for labels in series.iter().chain(&strangers) {
            let found = block.find(labels).unwrap().map(|found| found.labels);
            prop_assert_eq!(found.as_ref(), series.get(labels));
        }
    }
}
