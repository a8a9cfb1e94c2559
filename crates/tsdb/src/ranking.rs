//! The largest of many figures, without keeping the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What is ranked, and its figure.
pub type Ranked = (String, u64);

/// The largest figures of those that are offered; of equal ones, the first by name.
#[derive(Debug)]
pub(crate) struct Ranking {
    limit: usize,
    /// The least comes out first.
    entries: BinaryHeap<Reverse<(u64, Reverse<String>)>>,
}

impl Ranking {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, entries: BinaryHeap::new() }
    }

    pub(crate) fn offer(&mut self, figure: u64, name: impl FnOnce() -> String) {
        let is_full = self.entries.len() == self.limit;
        let least = self.entries.peek().map(|Reverse((figure, _))| *figure);
        if is_full && least.is_none_or(|least| figure < least) {
            return;
        }
        self.entries.push(Reverse((figure, Reverse(name()))));
        if is_full {
            self.entries.pop();
        }
    }

    pub(crate) fn finish(self) -> Vec<Ranked> {
        let sorted = self.entries.into_sorted_vec().into_iter();
        sorted.map(|Reverse((figure, Reverse(name)))| (name, figure)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_keeps_the_largest_and_of_equals_the_first() {
        #[track_caller]
        fn check(limit: usize, offered: &str, expect: &str) {
            let mut ranking = Ranking::new(limit);
            for word in offered.split_whitespace() {
                let (name, figure) = word.split_at(1);
                ranking.offer(figure.parse().unwrap(), || name.to_owned());
            }
            let names: String = ranking.finish().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, expect, "{offered}");
        }
        check(3, "a1 b5 c3 d4 e0", "bdc");
        check(3, "d1 c1 b1 a1", "abc");
        check(9, "b2 a1", "ba");
        check(0, "b2 a1", "");
    }
}
