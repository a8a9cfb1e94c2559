//! What a saved head says of labels and numbers. The format is described there.
//!
//! Names are saved in their order, so that whether labels are sorted is seen from their pairs; pairs are
//! counted as they are saved, and get those numbers as ids again, the index being empty before.

use model::Labels;

use super::{Index, PairId, hash_list};
use crate::codec::{Decoder, put_text, put_uvarint};
use crate::head::{Place, Slot};
use crate::log::{LogPosition, LogSeries};

/// Names and pairs on their way out.
#[derive(Debug)]
pub(crate) struct SavedPairs<'a> {
    pub(crate) names: Vec<&'a str>,
    /// By the number of the name.
    pub(crate) pairs: Vec<(u32, &'a str)>,
    /// By the id in the index.
    numbers: Vec<u32>,
}

impl Index {
    pub(crate) fn save_pairs(&self) -> SavedPairs<'_> {
        let names = self.names.values.iter().enumerate();
        let mut names: Vec<(&str, usize)> =
            names.filter_map(|(id, name)| Some((&*name.as_ref()?.text, id))).collect();
        names.sort_unstable();
        let mut number_of_name = vec![0; self.names.values.len()];
        for (number, &(_, id)) in (0..).zip(&names) {
            number_of_name[id] = number;
        }
        let mut numbers = vec![0; self.pairs.values.len()];
        let mut pairs = Vec::with_capacity(numbers.len());
        for (id, pair) in self.pairs.values.iter().enumerate() {
            let Some(pair) = pair else { continue };
            numbers[id] = pairs.len() as u32;
            pairs.push((number_of_name[pair.name as usize], &*pair.value));
        }
        SavedPairs { names: names.into_iter().map(|(name, _)| name).collect(), pairs, numbers }
    }

    /// All places, in the order of slots.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.live.iter().map(|slot| self.place(Slot(slot)))
    }

    /// Appends a series to a section of the index.
    pub(crate) fn save_series(&self, place: Place, pairs: &SavedPairs<'_>, out: &mut Vec<u8>) {
        let entry = &self.entries[place.slot.0 as usize];
        put_uvarint(out, entry.number.0);
        let aliases = self.numbers.aliases(place.slot);
        put_uvarint(out, aliases.len() as u64);
        aliases.iter().for_each(|alias| put_uvarint(out, alias.0));
        put_uvarint(out, entry.labels.len() as u64);
        for &pair in &entry.labels {
            put_uvarint(out, pairs.numbers[pair as usize].into());
        }
    }

    /// The section of series that left.
    pub(crate) fn save_departed(&self, out: &mut Vec<u8>) {
        for (number, labels, until) in self.numbers.all_departed() {
            put_uvarint(out, number.0);
            put_uvarint(out, until.segment.into());
            out.extend(until.offset.to_be_bytes());
            put_uvarint(out, labels.len() as u64);
            for (name, value) in labels {
                put_text(out, name);
                put_text(out, value);
            }
        }
    }

    pub(crate) const fn next_number(&self) -> u64 {
        self.numbers.next()
    }
}

/// Names and pairs on their way in.
#[derive(Debug, Default)]
pub(crate) struct LoadedPairs<'a> {
    names: Vec<&'a str>,
    /// By the number of the pair.
    name_of_pair: Vec<u32>,
}

/// Series on their way in.
#[derive(Debug, Default)]
pub(crate) struct LoadedSeries {
    pub(crate) count: u32,
    list: Vec<PairId>,
}

/// Everything here gives `None` where something is wrong.
impl Index {
    /// Makes room at once, which is much faster than bit by bit.
    pub(crate) fn reserve(&mut self, pairs: usize, series: usize) {
        self.pairs.values.reserve(pairs);
        self.entries.reserve(series);
        self.by_labels.reserve(series, |_| unreachable!("nothing is there to be moved"));
    }

    pub(crate) fn load_pairs<'a>(
        &mut self,
        mut section: Decoder<'a>,
        loaded: &mut LoadedPairs<'a>,
    ) -> Option<()> {
        while !section.is_empty() {
            let name = u32::try_from(section.uvarint()?).ok()?;
            let value = section.text()?;
            let (id, is_new) = self.intern(loaded.names.get(name as usize)?, value);
            if !is_new || value.is_empty() || id as usize != loaded.name_of_pair.len() {
                return None;
            }
            loaded.name_of_pair.push(name);
        }
        Some(())
    }

    /// Gives each series the next slot.
    pub(crate) fn load_series(
        &mut self,
        mut section: Decoder<'_>,
        pairs: &LoadedPairs<'_>,
        loaded: &mut LoadedSeries,
    ) -> Option<()> {
        while !section.is_empty() {
            let number = LogSeries(section.uvarint()?);
            let mut aliases = Vec::new();
            for _ in 0..section.uvarint()? {
                aliases.push(LogSeries(section.uvarint()?));
            }
            loaded.take_list(&mut section, pairs)?;
            let hash = hash_list(&loaded.list);
            let is_known = self.find_list(&loaded.list, hash).is_some();
            if is_known || self.numbers.slot(number).is_some() {
                return None;
            }
            let place = self.insert(&loaded.list, hash, number);
            debug_assert_eq!(place, Place { slot: Slot(loaded.count), generation: 1 });
            aliases.into_iter().for_each(|alias| self.numbers.add_alias(alias, place.slot));
            loaded.count += 1;
        }
        Some(())
    }

    pub(crate) fn load_departed(&mut self, mut section: Decoder<'_>) -> Option<()> {
        while !section.is_empty() {
            let number = LogSeries(section.uvarint()?);
            let segment = u32::try_from(section.uvarint()?).ok()?;
            let until = LogPosition { segment, offset: section.u64()? };
            let mut labels = Vec::new();
            for _ in 0..section.uvarint()? {
                labels.push((section.text()?, section.text()?));
            }
            let labels = labels.into_iter().collect::<Labels>();
            self.numbers.add_departed(number, labels, until);
        }
        Some(())
    }

    pub(crate) fn raise_next_number(&mut self, next: u64) {
        self.numbers.raise_next(next);
    }
}

impl<'a> LoadedPairs<'a> {
    pub(crate) fn load_names(&mut self, mut section: Decoder<'a>) -> Option<()> {
        while !section.is_empty() {
            let name = section.text()?;
            if self.names.last().copied().unwrap_or("") >= name {
                return None;
            }
            self.names.push(name);
        }
        Some(())
    }
}

impl LoadedSeries {
    fn take_list(&mut self, section: &mut Decoder<'_>, pairs: &LoadedPairs<'_>) -> Option<()> {
        self.list.clear();
        let mut last_name = None;
        for _ in 0..section.uvarint()? {
            let pair = u32::try_from(section.uvarint()?).ok()?;
            let name = *pairs.name_of_pair.get(pair as usize)?;
            if last_name.is_some_and(|last| last >= name) {
                return None;
            }
            last_name = Some(name);
            self.list.push(pair);
        }
        (!self.list.is_empty()).then_some(())
    }
}
