//! What blocks hold for the times of samples that come so late that the head is past them.
//!
//! A backlog brings the same series again and again, so where blocks have a series is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use model::{SampleValue, TimeRange, Timestamp};
use storage::SeriesRef;

use super::blocks::Blocks;
use super::committer::{Pending, Rules};
use crate::block::{Block, BlockSeries};
use crate::head::{Head, Place};

/// No more series are remembered than this.
const SERIES_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Past {
    /// Not held open: what is merged or past retention shall go.
    blocks: Vec<Weak<Block>>,
    /// Where the blocks have each series.
    series: HashMap<SeriesRef, Vec<(usize, BlockSeries)>>,
    /// Of the batch at hand.
    values: HashMap<(SeriesRef, Timestamp), SampleValue>,
}

impl Past {
    /// Looks for what is stored for the times of those `samples` that the head is past. A block that
    /// cannot be read has nothing.
    pub(super) fn look(&mut self, head: &Head, blocks: &Blocks, rules: Rules, samples: &[Pending]) {
        self.values.clear();
        let Some(late_from) = rules.late_from.filter(|&from| from < rules.valid_from) else {
            return;
        };
        let range = TimeRange::new(late_from, rules.valid_from.minus_millis(1));
        let mut past = samples.iter().filter(|p| range.contains(p.point.timestamp)).peekable();
        if past.peek().is_none() {
            return;
        }
        let blocks = blocks.overlapping(range);
        self.read_from(&blocks);
        for Pending { place, point, .. } in past {
            if let Some(value) = self.find(head, &blocks, *place, point.timestamp) {
                self.values.insert((SeriesRef::from(*place), point.timestamp), value);
            }
        }
    }

    pub(super) fn value_at(&self, series: SeriesRef, at: Timestamp) -> Option<&SampleValue> {
        self.values.get(&(series, at))
    }

    fn read_from(&mut self, blocks: &[Arc<Block>]) {
        let are_same = self.blocks.len() == blocks.len()
            && self.blocks.iter().zip(blocks).all(|(a, b)| a.as_ptr() == Arc::as_ptr(b));
        if !are_same || self.series.len() >= SERIES_MAX {
            self.series.clear();
        }
        self.blocks = blocks.iter().map(Arc::downgrade).collect();
    }

    fn find(
        &mut self,
        head: &Head,
        blocks: &[Arc<Block>],
        place: Place,
        at: Timestamp,
    ) -> Option<SampleValue> {
        let found = self.series.entry(place.into()).or_insert_with(|| {
            let Some(labels) = head.index.read().labels(place) else { return Vec::new() };
            let find = |block: &Arc<Block>| block.find(&labels).ok().flatten();
            blocks.iter().enumerate().filter_map(|(at, b)| Some((at, find(b)?))).collect()
        });
        found.iter().find_map(|(block, series)| blocks[*block].value_at(series, at).ok().flatten())
    }
}
