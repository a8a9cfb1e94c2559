//! Which series have the labels in common that a grouping goes by.
//!
//! Pairs are interned, so that the ids of those that the grouping keeps tell the group: labels are
//! written out once for each group and not for each series.

use std::ops::Range;

use hashbrown::HashTable;
use model::METRIC_NAME;
use storage::{Grouping, SeriesGroups};

use super::{Index, NameId, PairId, hash_list, spread};
use crate::head::{Place, Slot};

/// The lists of pairs that there have been, one after another.
#[derive(Debug, Default)]
struct Groups {
    pairs: Vec<PairId>,
    lists: Vec<(u32, Range<usize>)>,
    by_list: HashTable<u32>,
}

impl Index {
    /// The places of `slots`, and their groups.
    pub(crate) fn groups(
        &self,
        slots: impl ExactSizeIterator<Item = Slot>,
        grouping: &Grouping,
    ) -> (Vec<Place>, SeriesGroups) {
        let ids = |names: &[String]| names.iter().filter_map(|name| self.name(name)).collect();
        let (listed, keeps_listed): (Vec<NameId>, _) = match grouping {
            Grouping::By(names) => (ids(names), true),
            Grouping::Without(names) => {
                let mut ids: Vec<NameId> = ids(names);
                ids.extend(self.name(METRIC_NAME));
                (ids, false)
            }
        };
        let is_kept = |pair: PairId| listed.contains(&self.pairs.get(pair).name) == keeps_listed;
        let mut places = Vec::with_capacity(slots.len());
        let mut of = Vec::with_capacity(slots.len());
        let (mut groups, mut list) = (Groups::default(), Vec::new());
        for slot in slots {
            list.clear();
            let labels = &self.entries[slot.0 as usize].labels;
            list.extend(labels.iter().copied().filter(|&pair| is_kept(pair)));
            of.push(groups.number(&list, of.last().copied()));
            places.push(self.place(slot));
        }
        let labels =
            groups.lists.iter().map(|(_, list)| self.labels_of(&groups.pairs[list.clone()]));
        (places, SeriesGroups { labels: labels.collect(), of })
    }
}

impl Groups {
    /// `previous`: the group of the series before, which often is this one's, too.
    fn number(&mut self, list: &[PairId], previous: Option<u32>) -> u32 {
        let is_same = |number: u32| {
            let (_, known) = &self.lists[number as usize];
            self.pairs[known.clone()] == *list
        };
        if let Some(previous) = previous.filter(|&previous| is_same(previous)) {
            return previous;
        }
        let hash = hash_list(list);
        if let Some(&known) = self.by_list.find(spread(hash), |&number| is_same(number)) {
            return known;
        }
        let (number, start) = (self.lists.len() as u32, self.pairs.len());
        self.pairs.extend_from_slice(list);
        self.lists.push((hash, start..self.pairs.len()));
        let lists = &self.lists;
        let rehash = |&number: &u32| spread(lists[number as usize].0);
        self.by_list.insert_unique(spread(hash), number, rehash);
        number
    }
}
