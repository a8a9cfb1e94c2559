use std::collections::{BTreeMap, BTreeSet};

use model::matcher::all_match;
use model::{MatchOp, Matcher};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[abc]", "[xy]{0,2}", 1..4)
        .prop_map(|pairs| pairs.into_iter().collect::<Labels>())
        .prop_filter("a series has labels", |labels| !labels.is_empty())
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ]);
    let value =
        prop::sample::select(vec!["", "x", "xy", "x|y", "x.*", ".*", ".+", "x|", ".?y", "z"]);
    ("[abcd]", op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Labels),
    Remove(Labels),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![3 => labels().prop_map(Step::Insert), 1 => labels().prop_map(Step::Remove)],
        0..60,
    )
}

/// An index after `steps`, and what must be in it.
fn build(steps: Vec<Step>) -> (Index, BTreeMap<Labels, Place>) {
    let (mut index, mut model) = (Index::new(), BTreeMap::new());
    for step in steps {
        match step {
            Step::Insert(labels) => {
                let known = index.find(&labels);
                let entered = index.find_or_insert(&labels, None);
                assert_eq!(known.unwrap_or(entered.place), entered.place);
                assert_eq!(known.is_none(), entered.new_number.is_some());
                model.insert(labels, entered.place);
            }
            Step::Remove(labels) => {
                if let Some(place) = model.remove(&labels) {
                    index.remove(place);
                    assert_eq!(index.number(place), None);
                }
            }
        }
    }
    (index, model)
}

#[test]
fn label_questions_see_few_and_many_series() {
    let has_b = [vec![Matcher::new("b", MatchOp::NotEqual, "").unwrap()]];
    let mut index = Index::new();
    index.find_or_insert([("a", "other"), ("c", "x")], None);
    for count in 1..=100 {
        index.find_or_insert([("a", "x"), ("b", count.to_string().as_str())], None);
        let among = index.select_any(&has_b);
        assert_eq!(index.label_values("a", among.as_ref()), ["x"], "of {count} series");
        assert_eq!(index.label_values("b", among.as_ref()).len(), count);
        assert_eq!(index.label_values("c", among.as_ref()), [""; 0], "of {count} series");
        let names: BTreeSet<_> = index.label_names(among.as_ref()).into_iter().collect();
        assert_eq!(names, BTreeSet::from(["a", "b"]), "of {count} series");
    }
}

proptest! {
    #[test]
    fn series_are_found_by_their_labels(steps in steps(), stranger in labels()) {
        let (index, model) = build(steps);
        prop_assert_eq!(index.len(), model.len());
        for (labels, &place) in &model {
            prop_assert_eq!(index.find(labels), Some(place));
            prop_assert_eq!(index.labels(place), Some(labels.clone()));
        }
        prop_assert_eq!(index.find(&stranger), model.get(&stranger).copied());
    }

    #[test]
    fn a_selection_is_the_series_that_match(steps in steps(), matchers in vec(matcher(), 0..4)) {
        let (index, model) = build(steps);
        let mut slots: Vec<Slot> = index.select(&matchers).iter().map(Slot).collect();
        slots.sort_unstable_by(|&a, &b| index.compare(a, b));
        let found: Vec<Labels> =
            slots.into_iter().map(|slot| index.labels(index.place(slot)).unwrap()).collect();
        let expected: Vec<Labels> =
            model.keys().filter(|labels| all_match(&matchers, labels)).cloned().collect();
        prop_assert!(index.select_at_most(&matchers) >= found.len() as u64);
        prop_assert_eq!(found, expected);
    }

    /// Copied in several runs, between two of which the index may change.
    #[test]
    fn labels_of_a_selection_are_those_of_its_series(
        series in vec(labels(), 0..150), run in 1..80usize,
    ) {
        let (mut index, model) = build(series.into_iter().map(Step::Insert).collect());
        let mut picked: Vec<(Place, Place)> = model.values().map(|&place| (place, place)).collect();
        picked.sort_unstable_by_key(|&(place, _)| place.slot);
        let (mut labels, mut copied) = (SelectedLabels::default(), Vec::new());
        for run in picked.chunks(run) {
            index.copy_labels(run.iter().copied(), &mut labels, &mut copied);
        }
        model.values().for_each(|&place| index.remove(place));
        index.copy_labels(picked.into_iter(), &mut labels, &mut copied); // those are gone
        labels.sort(&mut copied);
        let found: Vec<_> = copied.iter().map(|&(list, place)| (labels.labels(list), place)).collect();
        prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn label_questions_see_the_series_that_match(
        steps in steps(), sets in vec(vec(matcher(), 1..3), 0..3),
    ) {
        let (index, model) = build(steps);
        let meets = |labels: &&Labels| {
            sets.is_empty() || sets.iter().any(|matchers| all_match(matchers, labels))
        };
        let expected: BTreeSet<&str> =
            model.keys().filter(meets).flat_map(|labels| labels.iter().map(|(n, _)| n)).collect();
        let among = index.select_any(&sets);
        let found = index.label_names(among.as_ref());
        prop_assert!(index.names_len() >= found.len() as u64);
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        let expected: BTreeSet<&str> =
            model.keys().filter(meets).filter_map(|labels| labels.get("a")).collect();
        let found = index.label_values("a", among.as_ref());
        prop_assert!(index.values_len("a") >= found.len() as u64);
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// INDEX-1: nothing stays of what is gone.
    #[test]
    fn pairs_and_names_go_with_their_last_series(steps in steps()) {
        let (mut index, model) = build(steps);
        for place in model.into_values() {
            index.remove(place);
        }
        prop_assert!(index.pairs.values.iter().all(Option::is_none));
        prop_assert!(index.names.values.iter().all(Option::is_none));
        prop_assert!(index.names_by_text.is_empty() && index.by_labels.is_empty());
        prop_assert!(index.numbers.is_empty());
    }

    /// HEAD-1.
    #[test]
    fn a_slot_taken_again_has_a_higher_generation(first in labels(), second in labels()) {
        let mut index = Index::new();
        let old = index.find_or_insert(&first, None).place;
        index.remove(old);
        let new = index.find_or_insert(&second, None).place;
        prop_assert_eq!(old.slot, new.slot);
        prop_assert!(old.generation < new.generation);
        prop_assert!(index.labels(old).is_none());
    }
}
