//! The texts that the labels of a block consist of, sorted and numbered. They share one allocation: a
//! large block has millions.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Texts in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    joined: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &str) {
        self.joined.push_str(text);
        self.ends.push(self.joined.len());
    }

    fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.joined[start..self.ends[at]]
    }

    /// Each text once.
    pub(crate) fn into_symbols(self) -> Symbols {
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        if order.is_sorted_by(|&a, &b| self.get(a) < self.get(b)) {
            return Symbols::number_all(self);
        }
        order.sort_unstable_by(|&a, &b| self.get(a).cmp(self.get(b)));
        order.dedup_by(|a, b| self.get(*a) == self.get(*b));
        let mut sorted = Self::default();
        order.into_iter().for_each(|at| sorted.push(self.get(at)));
        Symbols::number_all(sorted)
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|text| all.push(text));
        all
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    texts: Texts,
    /// By the hash of their text.
    numbers: HashTable<u32>,
    /// Secret, so that nobody can choose texts that collide.
    seed: u64,
}

impl Symbols {
    fn number_all(texts: Texts) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        let hash = |number: &u32| xxh3_64_with_seed(texts.get(*number as usize).as_bytes(), seed);
        let mut numbers = HashTable::with_capacity(texts.ends.len());
        for number in 0..texts.ends.len() as u32 {
            numbers.insert_unique(hash(&number), number, hash);
        }
        Self { texts, numbers, seed }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).map(|number| self.texts.get(number))
    }

    pub(crate) const fn len(&self) -> usize {
        self.texts.ends.len()
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize)
    }

    pub(crate) fn number(&self, text: &str) -> Option<u32> {
        let hash = xxh3_64_with_seed(text.as_bytes(), self.seed);
        self.numbers.find(hash, |&number| self.text(number) == text).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn symbols_are_a_sorted_set(texts in vec("[a-c]{0,3}", 0..40)) {
            let symbols = texts.iter().map(String::as_str).collect::<Texts>().into_symbols();
            let set: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
            prop_assert!(symbols.iter().eq(set.iter().copied()));
            for (number, text) in (0..).zip(set) {
                prop_assert_eq!(symbols.number(text), Some(number));
                prop_assert_eq!(symbols.text(number), text);
            }
            prop_assert_eq!(symbols.number("d"), None);
        }
    }
}
