//! Which series the log means by a number.
//!
//! Numbers count up, and neighbours are met together: they share a page, and pages lie in the order in
//! which they were first used, so that replay seldom leaves the processor's cache. A page is free for
//! others after its last number.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use model::Labels;

use super::FACTOR;
use crate::head::Slot;
use crate::log::{LogPosition, LogSeries};

const PAGE_NUMBERS: usize = 16;
/// In place of a slot. Memory ends before there are so many.
const NO_SLOT: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Numbers {
    next: u64,
    pages: Vec<Page>,
    free: Vec<u32>,
    /// Which of the pages holds the numbers from this multiple of [`PAGE_NUMBERS`] on.
    directory: HashMap<u64, u32, BuildHasherDefault<NumberHasher>>,
    /// Further numbers of one series: it had left the head, or another program wrote the log.
    aliases: HashMap<Slot, Vec<LogSeries>>,
    /// Series that left the head while the log before this position was still to be forwarded.
    departed: HashMap<u64, (Labels, LogPosition)>,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))] // one line of the processor's cache
struct Page([u32; PAGE_NUMBERS]);

impl Page {
    const EMPTY: Self = Self([NO_SLOT; PAGE_NUMBERS]);
}

/// Pages count up, whoever chose the numbers: a multiplication spreads them.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a page's number hashes as one u64");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(FACTOR);
        self.0 ^= self.0 >> 32;
    }
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            pages: Vec::new(),
            free: Vec::new(),
            directory: HashMap::default(),
            aliases: HashMap::new(),
            departed: HashMap::new(),
        }
    }

    pub(super) const fn take_next(&mut self) -> LogSeries {
        let number = LogSeries(self.next);
        self.next += 1;
        number
    }

    /// No series that is new gets `number`.
    pub(super) fn avoid(&mut self, number: LogSeries) {
        if number.is_counted() {
            self.next = self.next.max(number.0 + 1);
        }
    }

    pub(super) fn slot(&self, number: LogSeries) -> Option<Slot> {
        self.cursor().slot(number)
    }

    /// For many numbers, most of them near the one before.
    pub(super) const fn cursor(&self) -> Cursor<'_> {
        Cursor { numbers: self, at: 0, page: None }
    }

    pub(super) fn insert(&mut self, number: LogSeries, slot: Slot) {
        self.put(number, slot);
    }

    /// Makes `number`, too, a name of the series at `slot`.
    pub(super) fn add_alias(&mut self, number: LogSeries, slot: Slot) {
        if self.put(number, slot) != slot.0 {
            self.aliases.entry(slot).or_default().push(number);
        }
    }

    /// Forgets `number` and the aliases of its series, which was at `slot`.
    pub(super) fn remove(&mut self, number: LogSeries, slot: Slot) {
        let aliases = self.aliases.remove(&slot).unwrap_or_default();
        for number in aliases.into_iter().chain([number]) {
            self.take(number);
        }
    }

    /// Keeps `labels` for all numbers of the series, which is about to be removed, until everything
    /// before `until` has been forwarded.
    pub(super) fn depart(
        &mut self,
        number: LogSeries,
        slot: Slot,
        labels: &Labels,
        until: LogPosition,
    ) {
        let aliases = self.aliases.get(&slot).into_iter().flatten();
        for number in aliases.chain([&number]) {
            self.departed.insert(number.0, (labels.clone(), until));
        }
    }

    /// The further numbers of the series at `slot`.
    pub(super) fn aliases(&self, slot: Slot) -> &[LogSeries] {
        self.aliases.get(&slot).map_or(&[], Vec::as_slice)
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Numbers below `next` are not given to new series.
    pub(super) fn raise_next(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    pub(super) fn all_departed(&self) -> impl Iterator<Item = (LogSeries, &Labels, LogPosition)> {
        self.departed.iter().map(|(&number, (labels, until))| (LogSeries(number), labels, *until))
    }

    pub(super) fn add_departed(&mut self, number: LogSeries, labels: Labels, until: LogPosition) {
        self.departed.insert(number.0, (labels, until));
    }

    pub(super) fn departed(&self, number: LogSeries) -> Option<&Labels> {
        self.departed.get(&number.0).map(|(labels, _)| labels)
    }

    /// Everything before `position` has been forwarded.
    pub(super) fn forget_departed(&mut self, position: LogPosition) {
        self.departed.retain(|_, (_, until)| *until > position);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.directory.is_empty() && self.free.len() == self.pages.len() && self.aliases.is_empty()
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("pages of numbers", self.pages.len()),
            ("aliases", self.aliases.len()),
            ("labels of departed series", self.departed.len()),
        ]
    }

    /// Gives what was there before.
    fn put(&mut self, number: LogSeries, slot: Slot) -> u32 {
        self.avoid(number);
        let (at, within) = page_of(number);
        let page = *self.directory.entry(at).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.pages.push(Page::EMPTY);
                (self.pages.len() - 1) as u32 // fewer than there are slots
            })
        });
        std::mem::replace(&mut self.pages[page as usize].0[within], slot.0)
    }

    fn take(&mut self, number: LogSeries) {
        let (at, within) = page_of(number);
        let Some(&page) = self.directory.get(&at) else { return };
        let slots = &mut self.pages[page as usize].0;
        slots[within] = NO_SLOT;
        if slots.iter().all(|&slot| slot == NO_SLOT) {
            self.directory.remove(&at);
            self.free.push(page);
        }
    }
}

/// Finds slots by numbers, and remembers the last page.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    numbers: &'a Numbers,
    at: u64,
    page: Option<&'a Page>,
}

impl Cursor<'_> {
    pub(super) fn slot(&mut self, number: LogSeries) -> Option<Slot> {
        let (at, within) = page_of(number);
        if self.at != at || self.page.is_none() {
            self.at = at;
            let page = self.numbers.directory.get(&at);
            self.page = page.map(|&page| &self.numbers.pages[page as usize]);
        }
        let slot = self.page?.0[within];
        (slot != NO_SLOT).then_some(Slot(slot))
    }
}

const fn page_of(number: LogSeries) -> (u64, usize) {
    (number.0 / PAGE_NUMBERS as u64, (number.0 % PAGE_NUMBERS as u64) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_a_map_to_slots(steps in vec((0..60u64, 0..20u32), 0..100)) {
            let (mut numbers, mut model) = (Numbers::new(), BTreeMap::new());
            for (number, slot) in steps {
                let is_far = number >= 30;
                let number = LogSeries(if is_far { u64::MAX - number } else { number });
                match model.remove(&number) {
                    Some(slot) => numbers.remove(number, slot),
                    None => {
                        numbers.insert(number, Slot(slot));
                        model.insert(number, Slot(slot));
                    }
                }
                prop_assert!(model.iter().all(|(&number, &slot)| numbers.slot(number) == Some(slot)));
                prop_assert_eq!(numbers.slot(number).is_some(), model.contains_key(&number));
            }
            for (number, slot) in model {
                numbers.remove(number, slot);
            }
            prop_assert!(numbers.is_empty());
        }
    }

    #[test]
    fn new_numbers_are_larger_than_all_that_anybody_counted_to() {
        #[track_caller]
        fn check(avoided: &[u64], expect: u64) {
            let mut numbers = Numbers::new();
            avoided.iter().for_each(|&number| numbers.avoid(LogSeries(number)));
            assert_eq!(numbers.take_next(), LogSeries(expect), "{avoided:?}");
            assert_eq!(numbers.take_next(), LogSeries(expect + 1), "{avoided:?}");
        }
        check(&[], 1);
        check(&[7, 3], 8);
        check(&[3, u64::MAX], 4);
        check(&[1 << 62], (1 << 62) + 1);
        check(&[3, (1 << 62) + 1], 4);
    }
}
