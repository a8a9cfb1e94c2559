//! Which series meet a set of matchers, and which labels those have.
//!
//! Matchers that name values outright come first, fewest series first. What is left then decides how
//! the others are met: few series are looked at one by one, many are cut by whole postings.

use model::matcher::Pattern;
use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::{Index, Name, NameId, Pair, PairId};
use crate::head::Slot;

/// Looking at the labels of so many series costs no more than at the postings of a value.
const SERIES_PER_VALUE: u64 = 32;

impl Index {
    /// The slots of the series that meet every matcher.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let (mut named, mut others) = (Vec::new(), Vec::new());
        for matcher in matchers {
            match self.named_pairs(matcher) {
                Some(pairs) => {
                    named.push((pairs.iter().map(|pair| pair.postings.len()).sum::<u64>(), pairs));
                }
                None => others.push(matcher),
            }
        }
        named.sort_unstable_by_key(|&(series, _)| series);
        let mut found = None;
        for (_, pairs) in named {
            intersect(&mut found, &pairs);
        }
        others.sort_by_key(|matcher| matcher.matches_empty()); // those that add before those that cut
        for matcher in others {
            match &mut found {
                Some(found) if self.values_len(matcher.name()) > found.len() => {
                    self.filter(found, matcher);
                }
                _ => self.cut(&mut found, matcher),
            }
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
        }
        found.unwrap_or_else(|| self.live.clone())
    }

    /// No fewer series than that meet every matcher.
    pub(crate) fn select_at_most(&self, matchers: &[Matcher]) -> u64 {
        let named = matchers.iter().filter_map(|matcher| self.named_pairs(matcher));
        let series = named.map(|pairs| pairs.iter().map(|pair| pair.postings.len()).sum());
        series.min().unwrap_or_else(|| self.live.len())
    }

    /// The pairs that a matcher names outright; `None` where it does not, or also means absence.
    fn named_pairs(&self, matcher: &Matcher) -> Option<Vec<&Pair>> {
        let Pattern::Literals(literals) = matcher.pattern() else { return None };
        if matcher.op().is_negative() || matcher.matches_empty() {
            return None;
        }
        let Some(name) = self.name(matcher.name()) else { return Some(Vec::new()) };
        let pairs = literals.iter().filter_map(|value| self.pair(name, value));
        Some(pairs.map(|pair| self.pairs.get(pair)).collect())
    }

    pub(crate) fn names_len(&self) -> u64 {
        self.names_by_text.len() as u64
    }

    pub(crate) fn values_len(&self, name: &str) -> u64 {
        self.name(name).map_or(0, |name| self.names.get(name).values.len() as u64)
    }

    /// Looks at the label of each series in `found`. Neighbours often have it at the same place of their
    /// lists, and with the same value.
    fn filter(&self, found: &mut RoaringBitmap, matcher: &Matcher) {
        let name = self.name(matcher.name());
        let mut at = 0;
        let (mut last, mut last_meets) = (None, matcher.matches_empty());
        let meets = |slot| {
            let pair = name.and_then(|name| self.pair_of(Slot(slot), name, &mut at));
            if pair != last {
                let value = pair.map_or("", |pair| &self.pairs.get(pair).value);
                (last, last_meets) = (pair, matcher.matches(value));
            }
            last_meets
        };
        *found = found.iter().filter(scan(meets)).collect();
    }

    /// The pair with `name` of the series at `slot`, whose list is looked at first where it was found
    /// in the one before.
    fn pair_of(&self, slot: Slot, name: NameId, at: &mut usize) -> Option<PairId> {
        let list = &self.entries[slot.0 as usize].labels;
        let is_it = |&pair: &PairId| self.pairs.get(pair).name == name;
        if !list.get(*at).is_some_and(is_it) {
            *at = list.iter().position(is_it)?;
        }
        Some(list[*at])
    }

    /// Cuts by the postings of all values: keeps those that match, or, where absence matches too,
    /// removes those that do not.
    fn cut(&self, found: &mut Option<RoaringBitmap>, matcher: &Matcher) {
        let removes = matcher.matches_empty();
        let pairs = match self.name(matcher.name()) {
            Some(name) => self.pairs_where(name, |value| matcher.matches(value) != removes),
            None => Vec::new(),
        };
        if removes {
            let found = found.get_or_insert_with(|| self.live.clone());
            pairs.iter().for_each(|pair| pair.postings.subtract_from(found));
        } else {
            intersect(found, &pairs);
        }
    }

    fn pairs_where(&self, name: NameId, wanted: impl Fn(&str) -> bool) -> Vec<&Pair> {
        let values = self.names.get(name).values.iter();
        values.map(|&pair| self.pairs.get(pair)).filter(|pair| wanted(&pair.value)).collect()
    }
}

/// A `FnMut` as a predicate of `filter`.
fn scan(mut meets: impl FnMut(u32) -> bool) -> impl FnMut(&u32) -> bool {
    move |&slot| meets(slot)
}

/// Cuts `found` to the series of `pairs`, which have one name and so no series in common.
fn intersect(found: &mut Option<RoaringBitmap>, pairs: &[&Pair]) {
    match (found, pairs) {
        (Some(found), [pair]) => pair.postings.intersect_into(found),
        (found, pairs) => {
            let mut union = RoaringBitmap::new();
            pairs.iter().for_each(|pair| pair.postings.add_to(&mut union));
            match found {
                Some(found) => *found &= union,
                None => *found = Some(union),
            }
        }
    }
}

/// Questions about labels.
impl Index {
    /// The series that meet all matchers of any one set; `None` means every series.
    pub(crate) fn select_any(&self, matcher_sets: &[Vec<Matcher>]) -> Option<RoaringBitmap> {
        let narrows = |matchers: &Vec<Matcher>| matchers.iter().any(|m| !matches_all(m));
        if !matcher_sets.iter().all(narrows) || matcher_sets.is_empty() {
            return None;
        }
        let mut union = RoaringBitmap::new();
        for matchers in matcher_sets {
            union |= self.select(matchers);
        }
        Some(union)
    }

    /// The label names of the series in `among`, in no order.
    pub(crate) fn label_names(&self, among: Option<&RoaringBitmap>) -> Vec<&str> {
        let is_used = |name: &Name, series: &RoaringBitmap| {
            name.values.iter().any(|&pair| self.pairs.get(pair).postings.intersects(series))
        };
        let names = self.names.values.iter().flatten();
        match among {
            None => names.map(|name| &*name.text).collect(),
            Some(series) if series.len() < self.pairs.values.len() as u64 => self.names_of(series),
            Some(series) => {
                names.filter(|name| is_used(name, series)).map(|name| &*name.text).collect()
            }
        }
    }

    fn names_of(&self, series: &RoaringBitmap) -> Vec<&str> {
        let mut names: Vec<Option<&str>> = vec![None; self.names.values.len()];
        for pair in series.iter().flat_map(|slot| &self.entries[slot as usize].labels) {
            let name = self.pairs.get(*pair).name;
            names[name as usize].get_or_insert_with(|| &self.names.get(name).text);
        }
        names.into_iter().flatten().collect()
    }

    /// The values of `name` on the series in `among`, in no order.
    pub(crate) fn label_values(&self, name: &str, among: Option<&RoaringBitmap>) -> Vec<&str> {
        let Some(name) = self.name(name) else { return Vec::new() };
        let values = &self.names.get(name).values;
        let pairs = values.iter().map(|&pair| self.pairs.get(pair));
        match among {
            None => pairs.map(|pair| &*pair.value).collect(),
            Some(series) if series.len() < values.len() as u64 * SERIES_PER_VALUE => {
                self.values_of(name, series)
            }
            Some(series) => {
                let used = pairs.filter(|pair| pair.postings.intersects(series));
                used.map(|pair| &*pair.value).collect()
            }
        }
    }

    fn values_of(&self, name: NameId, series: &RoaringBitmap) -> Vec<&str> {
        let mut at = 0;
        let found = series.iter().filter_map(|slot| self.pair_of(Slot(slot), name, &mut at));
        let mut pairs: Vec<PairId> = found.collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.into_iter().map(|pair| &*self.pairs.get(pair).value).collect()
    }
}

fn matches_all(matcher: &Matcher) -> bool {
    matches!(matcher.pattern(), Pattern::Anything) && matcher.op() == MatchOp::Regex
}
