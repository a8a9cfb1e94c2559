//! Series of the head by groups: each is cut when it is read, so that a query over very many of them
//! holds little more than their numbers.

use model::TimeRange;
use storage::{Columns, Grouping, QueryError, SamplesNeeded, Selection, SeriesGroups, SeriesSet};

use super::read::{Cuts, corrupt};
use crate::chunk::xor::BadChunk;
use crate::head::readers::Reader;
use crate::head::{Place, Slot};

#[derive(Debug)]
pub(super) struct GroupedSet {
    reader: Reader,
    range: TimeRange,
    needed: SamplesNeeded,
    /// The newest commit that shows.
    cut: u64,
    places: Vec<Place>,
    groups: SeriesGroups,
}

impl GroupedSet {
    pub(super) fn new(reader: Reader, selection: &Selection, grouping: &Grouping) -> Self {
        let head = &reader.head;
        let cut = head.snapshots.begin().cut;
        let (places, groups) = {
            let index = head.index.read();
            let slots: Vec<u32> = index.select(&selection.matchers).iter().collect();
            index.groups(slots.into_iter().map(Slot), grouping)
        };
        let (range, needed) = (selection.range, selection.hints.samples);
        Self { reader, range, needed, cut, places, groups }
    }
}

impl SeriesSet for GroupedSet {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn labels(&self, index: usize) -> model::Labels {
        self.groups.labels[self.groups.of[index] as usize].clone()
    }

    fn groups(&self) -> Option<&SeriesGroups> {
        Some(&self.groups)
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let (head, place) = (&self.reader.head, self.places[index]);
        let mut open = std::mem::take(&mut columns.spare);
        open.clear();
        let mut cuts = Cuts::new(self.range, self.needed, open);
        let cut = {
            let shard = head.shard_of(place);
            shard.get(place).and_then(|series| cuts.cut(series, series.visible_at(self.cut)))
        };
        let read = cut.map_or(Ok(()), |cut| cuts.read(&cut, columns));
        columns.spare = cuts.open;
        read.map_err(|BadChunk| corrupt(&head.index.read().labels(place).unwrap_or_default()))
    }
}
