//! The labels of a selection: copied out of the index quickly, put together when they are asked for.
//!
//! The series of a selection have most label pairs in common. Each pair is copied once, and a series is
//! a list of positions among the pairs.

use std::cmp::Ordering;
use std::ops::Range;

use hashbrown::HashTable;
use model::Labels;

use super::{Index, PairId, spread};
use crate::head::Place;

/// There is room for so many pairs beforehand, if there are as many series.
const PAIRS_USUAL: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct SelectedLabels {
    /// Names and values, one behind the other.
    texts: String,
    pairs: Vec<PairText>,
    /// Positions in `pairs`, series after series.
    lists: Vec<u32>,
}

/// Where in the texts a pair is.
#[derive(Clone, Copy, Debug)]
struct PairText {
    name: usize,
    value: usize,
    end: usize,
}

/// Where the labels of one series are among those of the selection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelList {
    start: usize,
    len: usize,
}

impl LabelList {
    const fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

impl Index {
    /// Appends `series` to `out` with their labels in the place of places; those that are gone are left
    /// out.
    pub(crate) fn copy_labels<T>(
        &self,
        series: impl Iterator<Item = (Place, T)>,
        labels: &mut SelectedLabels,
        out: &mut Vec<(LabelList, T)>,
    ) {
        let mut copied = HashTable::with_capacity(series.size_hint().0.min(PAIRS_USUAL));
        let (mut last, mut last_start): (&[PairId], usize) = (&[], 0);
        for (place, value) in series {
            let Some(entry) = self.entry(place) else { continue };
            let start = labels.lists.len();
            for (at, &pair) in entry.labels.iter().enumerate() {
                let position = match last.get(at) {
                    Some(&same) if same == pair => labels.lists[last_start + at],
                    _ => self.copy_pair(pair, &mut copied, labels),
                };
                labels.lists.push(position);
            }
            (last, last_start) = (&entry.labels, start);
            out.push((LabelList { start, len: entry.labels.len() }, value));
        }
    }

    fn copy_pair(
        &self,
        pair: PairId,
        copied: &mut HashTable<(PairId, u32)>,
        labels: &mut SelectedLabels,
    ) -> u32 {
        let hash = spread(pair);
        if let Some(&(_, position)) = copied.find(hash, |&(other, _)| other == pair) {
            return position;
        }
        let found = self.pairs.get(pair);
        let position = labels.put_pair(&self.names.get(found.name).text, &found.value);
        copied.insert_unique(hash, (pair, position), |&(other, _)| spread(other));
        position
    }
}

impl SelectedLabels {
    fn put_pair(&mut self, name: &str, value: &str) -> u32 {
        let start = self.texts.len();
        self.texts.push_str(name);
        self.texts.push_str(value);
        let end = self.texts.len();
        self.pairs.push(PairText { name: start, value: start + name.len(), end });
        u32::try_from(self.pairs.len() - 1).expect("memory ends before 2^32 pairs do")
    }

    fn pair(&self, position: u32) -> (&str, &str) {
        let PairText { name, value, end } = self.pairs[position as usize];
        (&self.texts[name..value], &self.texts[value..end])
    }

    /// Puts `series`, whose lists are all of these, in the order of their labels.
    pub(crate) fn sort<T>(&mut self, series: &mut [(LabelList, T)]) {
        if self.pairs.len() < series.len() {
            self.sort_pairs();
            let list = |list: LabelList| &self.lists[list.range()];
            series.sort_unstable_by(|(a, _), (b, _)| list(*a).cmp(list(*b)));
        } else {
            series.sort_unstable_by(|(a, _), (b, _)| self.compare(*a, *b));
        }
    }

    fn compare(&self, a: LabelList, b: LabelList) -> Ordering {
        let pairs = self.lists[a.range()].iter().zip(&self.lists[b.range()]);
        let mut orders =
            pairs.filter(|(a, b)| a != b).map(|(&a, &b)| self.pair(a).cmp(&self.pair(b)));
        orders.find(|order| order.is_ne()).unwrap_or_else(|| a.len.cmp(&b.len))
    }

    /// Gives pairs positions in their order, and each one only: then lists compare as labels do.
    fn sort_pairs(&mut self) {
        let mut order: Vec<u32> = (0..self.pairs.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| self.pair(a).cmp(&self.pair(b)));
        let mut ranks = vec![0; order.len()];
        let mut sorted: Vec<PairText> = Vec::with_capacity(order.len());
        let mut last = None;
        for position in order {
            let pair = self.pair(position);
            if last != Some(pair) {
                sorted.push(self.pairs[position as usize]);
                last = Some(pair);
            }
            ranks[position as usize] = sorted.len() as u32 - 1;
        }
        self.pairs = sorted;
        self.lists.iter_mut().for_each(|position| *position = ranks[*position as usize]);
    }

    /// The labels of one series, sorted by name.
    pub(crate) fn pairs(&self, list: LabelList) -> impl Iterator<Item = (&str, &str)> {
        self.lists[list.range()].iter().map(|&position| self.pair(position))
    }

    pub(crate) fn labels(&self, list: LabelList) -> Labels {
        Labels::from_sorted(self.pairs(list))
    }
}
