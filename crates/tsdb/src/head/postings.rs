//! The slots of the series that have one label pair, compressed.
//!
//! Half of all pairs (a pod's uid, a container's id) belong to few series: those take no allocation
//! beyond a short list.

use roaring::RoaringBitmap;

use super::Slot;

/// Above this many, a bitmap is smaller or close, and faster.
const FEW_MAX: usize = 16;

#[derive(Clone, Debug)]
pub(crate) enum Postings {
    /// Sorted.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(crate) fn insert(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => {
                let Err(at) = slots.binary_search(&slot.0) else { return };
                if slots.len() < FEW_MAX {
                    slots.reserve_exact(usize::from(slots.len() == slots.capacity()));
                    return slots.insert(at, slot.0);
                }
                let mut bitmap: RoaringBitmap = slots.iter().copied().collect();
                bitmap.insert(slot.0);
                *self = Self::Many(Box::new(bitmap));
            }
            Self::Many(bitmap) => {
                bitmap.insert(slot.0);
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        match self {
            Self::Few(slots) => slots.retain(|&other| other != slot.0),
            Self::Many(bitmap) => {
                bitmap.remove(slot.0);
                if bitmap.len() <= FEW_MAX as u64 / 2 {
                    *self = Self::Few(bitmap.iter().collect());
                }
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Few(slots) => slots.len() as u64,
            Self::Many(bitmap) => bitmap.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn first(&self) -> Option<Slot> {
        match self {
            Self::Few(slots) => slots.first().copied().map(Slot),
            Self::Many(bitmap) => bitmap.min().map(Slot),
        }
    }

    pub(crate) fn add_to(&self, set: &mut RoaringBitmap) {
        match self {
            Self::Few(slots) => set.extend(slots),
            Self::Many(bitmap) => *set |= bitmap.as_ref(),
        }
    }

    pub(crate) fn intersect_into(&self, set: &mut RoaringBitmap) {
        match self {
            Self::Few(slots) => {
                *set = slots.iter().copied().filter(|&slot| set.contains(slot)).collect();
            }
            Self::Many(bitmap) => *set &= bitmap.as_ref(),
        }
    }

    pub(crate) fn subtract_from(&self, set: &mut RoaringBitmap) {
        match self {
            Self::Few(slots) => {
                for &slot in slots {
                    set.remove(slot);
                }
            }
            Self::Many(bitmap) => *set -= bitmap.as_ref(),
        }
    }

    pub(crate) fn intersects(&self, set: &RoaringBitmap) -> bool {
        match self {
            Self::Few(slots) => slots.iter().any(|&slot| set.contains(slot)),
            Self::Many(bitmap) => !bitmap.is_disjoint(set),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn postings_are_a_set(steps in vec((any::<bool>(), 0..60u32), 0..200), other in btree_set(0..60u32, 0..60)) {
            let (mut postings, mut model) = (Postings::new(), BTreeSet::new());
            for (insert, slot) in steps {
                if insert {
                    postings.insert(Slot(slot));
                    model.insert(slot);
                } else {
                    postings.remove(Slot(slot));
                    model.remove(&slot);
                }
                prop_assert_eq!(postings.len(), model.len() as u64);
            }
            let apply = |operation: &dyn Fn(&Postings, &mut RoaringBitmap)| {
                let mut set: RoaringBitmap = other.iter().copied().collect();
                operation(&postings, &mut set);
                set.iter().collect::<BTreeSet<u32>>()
            };
            prop_assert_eq!(apply(&|p, set| p.add_to(set)), &model | &other);
            prop_assert_eq!(apply(&|p, set| p.intersect_into(set)), &model & &other);
            prop_assert_eq!(apply(&|p, set| p.subtract_from(set)), &other - &model);
            let set = other.iter().copied().collect();
            prop_assert_eq!(postings.intersects(&set), !model.is_disjoint(&other));
            prop_assert_eq!(postings.first().map(|slot| slot.0), model.first().copied());
        }
    }
}
