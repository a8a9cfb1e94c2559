use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Texts are small numbers; two texts lead to one series.
fn series_of(text: u64) -> SeriesRef {
    SeriesRef(text / 2)
}

/// One line of a scrape, as ingestion treats it.
fn see(cache: &mut Cache, text: u64, tracked: bool) {
    let key = cache.key(&text.to_string());
    if cache.find(key, tracked) == Found::Unknown {
        cache.insert(key, series_of(text), tracked);
    }
}

#[test]
fn failed_scrapes_do_not_grow_the_cache_without_bound() {
    let mut cache = Cache::new(1);
    for round in 0..10u64 {
        for text in 0..500 {
            see(&mut cache, round * 500 + text, true);
        }
        cache.fail();
        assert!(cache.entries.len() <= SLACK + 500);
    }
}

#[test]
fn equal_texts_have_other_keys_under_other_seeds() {
    assert_eq!(Cache::new(1).key("a"), Cache::new(1).key("a"));
    assert_ne!(Cache::new(1).key("a"), Cache::new(2).key("a"));
}

#[derive(Clone, Debug)]
enum Step {
    Good(BTreeMap<u64, bool>),
    Bad(BTreeMap<u64, bool>),
    ForgetTexts,
}

fn step() -> impl Strategy<Value = Step> {
    let lines = || proptest::collection::btree_map(0..12u64, proptest::bool::weighted(0.8), 0..10);
    prop_oneof![
        4 => lines().prop_map(Step::Good),
        1 => lines().prop_map(Step::Bad),
        1 => Just(Step::ForgetTexts),
    ]
}

proptest! {
    /// CACHE-1: the cache marks what a plain list of open series would.
    #[test]
    fn markers_go_to_the_open_series_that_a_scrape_did_not_contain(
        steps in proptest::collection::vec(step(), 1..12)
    ) {
        let mut cache = Cache::new(1);
        let mut open: BTreeSet<SeriesRef> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Good(lines) => {
                    // One series under two texts, one of them tracked: not our case here.
                    let tracked = |series| lines.iter().any(|(t, on)| *on && series_of(*t) == series);
                    let lines: BTreeMap<u64, bool> =
                        lines.keys().map(|text| (*text, tracked(series_of(*text)))).collect();
                    for (text, tracked) in &lines {
                        see(&mut cache, *text, *tracked);
                    }
                    let seen: BTreeSet<SeriesRef> = lines.keys().map(|t| series_of(*t)).collect();
                    let expect: Vec<SeriesRef> = open.difference(&seen).copied().collect();
                    prop_assert_eq!(cache.finish(), expect);
                    open = lines.iter().filter(|(_, on)| **on).map(|(t, _)| series_of(*t)).collect();
                }
                Step::Bad(lines) => {
                    for (text, tracked) in lines {
                        see(&mut cache, text, tracked);
                    }
                    let marked: BTreeSet<SeriesRef> = cache.fail().into_iter().collect();
                    prop_assert!(open.is_subset(&marked));
                    open.clear();
                }
                Step::ForgetTexts => cache.forget_texts(),
            }
        }
    }
}
