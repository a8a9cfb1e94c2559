//! Which series of a block meet a set of matchers.
//!
//! As in the head: matchers that name values outright come first, fewest series first. What is left
//! decides how the others are met: few series are looked at one by one, many are cut by the postings of
//! all values that match, of which a prefix names a stretch.

use std::collections::HashMap;

use model::matcher::Pattern;
use model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::index_reader::{BadIndex, IndexReader};

/// Looking at a series costs about as much as this many values.
const VALUES_PER_SERIES: u64 = 4;

impl IndexReader {
    /// The ids of the series that meet every matcher; they sort as the series' labels do.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, BadIndex> {
        let (mut named, mut others) = (Vec::new(), Vec::new());
        for matcher in matchers {
            match self.named_postings(matcher)? {
                Some(offsets) => {
                    let series: usize = offsets.iter().map(|&at| self.postings_len(at)).sum();
                    named.push((series, offsets));
                }
                None => others.push(matcher),
            }
        }
        named.sort_unstable_by_key(|&(series, _)| series);
        let mut found: Option<RoaringBitmap> = None;
        for (_, offsets) in named {
            intersect(&mut found, self.union(offsets.into_iter().map(Ok))?);
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return Ok(RoaringBitmap::new());
            }
        }
        others.sort_by_key(|matcher| matcher.matches_empty()); // those that add before those that cut
        for matcher in others {
            self.cut(&mut found, matcher)?;
        }
        found.map_or_else(|| self.all(), Ok)
    }

    /// Where the postings are of the values that a matcher names outright; `None` where it does not,
    /// or also means absence.
    fn named_postings(&self, matcher: &Matcher) -> Result<Option<Vec<usize>>, BadIndex> {
        let Pattern::Literals(literals) = matcher.pattern() else { return Ok(None) };
        if matcher.op().is_negative() || matcher.matches_empty() {
            return Ok(None);
        }
        let found = literals.iter().map(|value| self.find_pair(matcher.name(), value));
        found.filter_map(Result::transpose).collect::<Result<_, _>>().map(Some)
    }

    fn cut(&self, found: &mut Option<RoaringBitmap>, matcher: &Matcher) -> Result<(), BadIndex> {
        let values = self.values_len(matcher.name()) as u64;
        if let Some(found) = found
            && found.len() < values / VALUES_PER_SERIES
        {
            return self.filter(found, matcher);
        }
        if !matcher.matches_empty() {
            intersect(found, self.series_where(matcher, true)?);
            return Ok(());
        }
        let removed = self.series_where(matcher, false)?;
        match found {
            Some(found) => *found -= removed,
            None => *found = Some(self.all()? - removed),
        }
        Ok(())
    }

    /// The series of the values that `matcher` accepts, or, where not `accepted`, of the others.
    fn series_where(&self, matcher: &Matcher, accepted: bool) -> Result<RoaringBitmap, BadIndex> {
        let name = matcher.name();
        if let (Pattern::Prefix(prefix), true, MatchOp::Regex) =
            (matcher.pattern(), accepted, matcher.op())
        {
            let is_within = |value: &str| value.starts_with(prefix.as_str());
            let values = self.values_from(name, prefix);
            let stretch = values.take_while(|entry| entry.is_ok_and(|(value, _)| is_within(value)));
            return self.union(stretch.map(|entry| entry.map(|(_, postings)| postings)));
        }
        let values = self.values(name).filter_map(|entry| match entry {
            Ok((value, postings)) => (matcher.matches(value) == accepted).then_some(Ok(postings)),
            Err(error) => Some(Err(error)),
        });
        self.union(values)
    }

    /// The series of several values of one label, which have none in common.
    fn union(
        &self,
        offsets: impl Iterator<Item = Result<usize, BadIndex>>,
    ) -> Result<RoaringBitmap, BadIndex> {
        let mut ids = Vec::new();
        for offset in offsets {
            ids.extend(self.ids(offset?)?);
        }
        ids.sort_unstable();
        Ok(ids.into_iter().collect())
    }

    /// Looks at the label of each series in `found`.
    fn filter(&self, found: &mut RoaringBitmap, matcher: &Matcher) -> Result<(), BadIndex> {
        let mut verdicts: HashMap<String, bool> = HashMap::new();
        let mut kept = RoaringBitmap::new();
        for id in found.iter() {
            let (labels, _) = self.series(id)?;
            let value = labels.value(matcher.name());
            let meets = match verdicts.get(value) {
                Some(&meets) => meets,
                None => *verdicts.entry(value.to_owned()).or_insert(matcher.matches(value)),
            };
            if meets {
                kept.insert(id);
            }
        }
        *found = kept;
        Ok(())
    }
}

fn intersect(found: &mut Option<RoaringBitmap>, with: RoaringBitmap) {
    match found {
        Some(found) => *found &= with,
        None => *found = Some(with),
    }
}

#[cfg(test)]
#[path = "select/tests.rs"]
mod tests;
