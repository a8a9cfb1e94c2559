//! Says which series live, without a lock: the generation of each slot.
//!
//! ```text
//! slot + FIRST = 1 (k bits) ─► segment k - 10, at those k bits; segments double in size
//! ```
//! - GENERATIONS-1: what is found to live is in its shard, or leaves it right now.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Place, Slot};

/// Slots in the first segment.
const FIRST: u64 = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 10;
/// Enough for every slot there can be.
const SEGMENTS: usize = 33 - FIRST_BITS as usize;
/// No series has this generation.
const NONE: u32 = 0;

#[derive(Debug, Default)]
pub(crate) struct Generations {
    segments: [OnceLock<Box<[AtomicU32]>>; SEGMENTS],
}

impl Generations {
    #[inline]
    pub(crate) fn lives(&self, place: Place) -> bool {
        let (segment, at) = position(place.slot);
        let current = self.segments[segment].get().map(|slots| slots[at].load(Ordering::Acquire));
        current == Some(place.generation) && place.generation != NONE
    }

    /// `place` is in its shard.
    pub(crate) fn begin(&self, place: Place) {
        self.set(place.slot, place.generation);
    }

    /// The series in `slot` is about to leave its shard.
    pub(crate) fn end(&self, slot: Slot) {
        self.set(slot, NONE);
    }

    fn set(&self, slot: Slot, generation: u32) {
        let (segment, at) = position(slot);
        let slots = self.segments[segment].get_or_init(|| {
            let length = FIRST << segment;
            (0..length).map(|_| AtomicU32::new(NONE)).collect()
        });
        slots[at].store(generation, Ordering::Release);
    }
}

const fn position(slot: Slot) -> (usize, usize) {
    let from_first = slot.0 as u64 + FIRST;
    let segment = from_first.ilog2() - FIRST_BITS;
    (segment as usize, (from_first - (FIRST << segment)) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_slot_has_a_position_of_its_own(slot: u32) {
            let (segment, at) = position(Slot(slot));
            prop_assert!(segment < SEGMENTS && at < (FIRST << segment) as usize);
            let before: u64 = (0..segment).map(|segment| FIRST << segment).sum();
            prop_assert_eq!(before + at as u64, u64::from(slot));
        }
    }

    #[test]
    fn a_series_lives_until_its_slot_is_left_or_taken_again() {
        let generations = Generations::default();
        let place = |slot, generation| Place { slot: Slot(slot), generation };
        let lives = |slot, generation| generations.lives(place(slot, generation));
        assert!(!lives(7, 1) && !lives(7, 0) && !lives(1 << 20, 1));
        generations.begin(place(7, 1));
        assert!(lives(7, 1) && !lives(7, 0) && !lives(7, 2) && !lives(8, 1));
        generations.end(Slot(7));
        assert!(!lives(7, 1) && !lives(7, 0));
        generations.begin(place(7, 2));
        assert!(lives(7, 2) && !lives(7, 1));
        generations.begin(place(1 << 20, 1));
        assert!(lives(1 << 20, 1));
    }
}
