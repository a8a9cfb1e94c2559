//! Answers questions from head and blocks together.

use model::{Exemplar, Labels, Matcher, Metadata, Sample, TimeRange};
use parking_lot::RwLockReadGuard;
use roaring::RoaringBitmap;
use storage::{Columns, LabelQuery, Query, QueryError, Selection, SeriesSet};

use super::grouped::GroupedSet;
use super::merged::MergedSet;
use super::{Db, read};
use crate::block::Block;
use crate::head::exemplars;
use crate::head::index::Index;
use crate::head::readers::Reader;

impl Query for Db {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        if let Some(set) = self.select_groups(selection) {
            return Ok(Box::new(set));
        }
        let head = read::select(&self.head, selection);
        let blocks = self.blocks.overlapping(selection.range);
        if blocks.is_empty() {
            return Ok(Box::new(head));
        }
        Ok(Box::new(MergedSet::new(head, blocks, selection)?))
    }

    fn series_at_most(&self, matchers: &[Matcher], range: TimeRange) -> Option<u64> {
        Some(self.index_if_free(range)?.select_at_most(matchers))
    }

    fn labels_at_most(&self, name: Option<&str>, range: TimeRange) -> Option<u64> {
        let index = self.index_if_free(range)?;
        Some(name.map_or_else(|| index.names_len(), |name| index.values_len(name)))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        let mut names = Vec::new();
        if self.head_overlaps(query.range) {
            let index = self.head.index.read();
            let among = index.select_any(&query.matcher_sets);
            names.extend(index.label_names(among.as_ref()).into_iter().map(str::to_owned));
        }
        sort_unique(&mut names);
        for block in self.blocks.overlapping(query.range) {
            let among = select_any(&block, &query.matcher_sets)?;
            names.extend(block.label_names(among.as_ref())?.into_iter().map(str::to_owned));
            sort_unique(&mut names);
        }
        names.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(names)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        let mut values = Vec::new();
        if self.head_overlaps(query.range) {
            let index = self.head.index.read();
            let among = index.select_any(&query.matcher_sets);
            let in_head = index.label_values(name, among.as_ref());
            values.extend(in_head.into_iter().map(str::to_owned));
        }
        sort_unique(&mut values);
        for block in self.blocks.overlapping(query.range) {
            let among = select_any(&block, &query.matcher_sets)?;
            values.extend(block.label_values(name, among.as_ref())?.into_iter().map(str::to_owned));
            sort_unique(&mut values);
        }
        values.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(values)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        Ok(self.head.metadata.lock().list(metric))
    }

    fn exemplars(&self, query: &LabelQuery) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryError> {
        Ok(exemplars::select(&self.head.exemplars, query.range, &query.matcher_sets))
    }

    fn latest(&self, selection: &Selection) -> Result<Vec<(Labels, Sample)>, QueryError> {
        let latest = read::latest(&self.head, selection)?;
        if self.blocks.overlapping(selection.range).is_empty() {
            return Ok(latest);
        }
        let set = self.select(selection)?;
        let mut columns = Columns::default();
        let mut latest = Vec::with_capacity(set.len());
        for index in 0..set.len() {
            columns.clear();
            set.read(index, &mut columns)?;
            latest.extend(read::newest_float(&columns).map(|sample| (set.labels(index), sample)));
        }
        Ok(latest)
    }
}

impl Db {
    /// The head's index, if no block has anything in `range` and nobody needs to be waited for.
    fn index_if_free(&self, range: TimeRange) -> Option<RwLockReadGuard<'_, Index>> {
        let has_blocks = self.blocks.range().is_some_and(|blocks| blocks.overlaps(&range));
        if has_blocks { None } else { self.head.index.try_read() }
    }

    /// The series by their groups, if nothing else is asked and all that is asked is in the head.
    fn select_groups(&self, selection: &Selection) -> Option<GroupedSet> {
        let hints = &selection.hints;
        let grouping = hints.grouping.as_ref().filter(|_| hints.only_groups)?;
        let reader = Reader::begin(&self.head); // before blocks are listed: READERS-1
        let is_in_head = self.blocks.overlapping(selection.range).is_empty();
        is_in_head.then(|| GroupedSet::new(reader, selection, grouping))
    }

    fn head_overlaps(&self, range: TimeRange) -> bool {
        let bounds = &self.head.bounds;
        let held = bounds.oldest().zip(bounds.newest());
        held.is_some_and(|(oldest, newest)| TimeRange::new(oldest, newest).overlaps(&range))
    }
}

/// Texts of several places, each once. What was sorted before takes no second sorting.
fn sort_unique(texts: &mut Vec<String>) {
    texts.sort();
    texts.dedup();
}

/// The series that meet all matchers of any one set; `None` means every series.
fn select_any(
    block: &Block,
    matcher_sets: &[Vec<Matcher>],
) -> Result<Option<RoaringBitmap>, QueryError> {
    if matcher_sets.is_empty() {
        return Ok(None);
    }
    let mut union = RoaringBitmap::new();
    for matchers in matcher_sets {
        union |= block.select(matchers)?;
    }
    Ok(Some(union))
}
