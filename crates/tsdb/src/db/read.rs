//! Answers selections from the head.

use std::ops::Range;

use model::{Labels, Sample, TimeRange};
use storage::{Columns, QueryError, Selection, SeriesSet};

use crate::chunk::XorSamples;
use crate::chunk::xor::BadChunk;
use crate::head::index::Index;
use crate::head::series::{FullChunk, Series, Visible};
use crate::head::{Head, Place, Slot};

/// A consistent cut of some series (QUERY-1). Full chunks are shared with the head; of open chunks
/// it has a copy, which later appends do not change.
#[derive(Debug)]
pub(super) struct HeadSet {
    range: TimeRange,
    series: Vec<CutSeries>,
    full: Vec<FullChunk>,
    open: Vec<u8>,
}

#[derive(Debug)]
struct CutSeries {
    labels: Labels,
    /// In order: no later than what was visible.
    range: TimeRange,
    full: Range<usize>,
    open: Range<usize>,
    late: Option<Box<Late>>,
}

/// What arrived out of order.
#[derive(Debug)]
struct Late {
    chunks: Vec<FullChunk>,
    samples: Vec<Sample>,
}

pub(super) fn select(head: &Head, selection: &Selection) -> HeadSet {
    let snapshot = head.snapshots.begin();
    let index = head.index.read();
    let mut picked = Vec::new();
    let mut set = HeadSet::new(selection.range);
    for place in places(&index, selection) {
        let shard = head.shard_of(place);
        let Some(series) = shard.get(place) else { continue };
        if let Some(cut) = set.cut(series, series.visible_at(snapshot.cut)) {
            picked.push((place, cut));
        }
    }
    drop(snapshot);
    picked.sort_unstable_by(|(a, _), (b, _)| index.compare(a.slot, b.slot));
    set.series.extend(
        picked
            .into_iter()
            .filter_map(|(place, cut)| Some(CutSeries { labels: index.labels(place)?, ..cut })),
    );
    set
}

/// The newest sample of each series, where it lies in the range: most are at hand undecoded.
pub(super) fn latest(
    head: &Head,
    selection: &Selection,
) -> Result<Vec<(Labels, Sample)>, QueryError> {
    let snapshot = head.snapshots.begin();
    let index = head.index.read();
    let mut found = Vec::new();
    let mut set = HeadSet::new(selection.range);
    let mut columns = Columns::default();
    for place in places(&index, selection) {
        let shard = head.shard_of(place);
        let Some(series) = shard.get(place) else { continue };
        let visible = series.visible_at(snapshot.cut);
        let newest = series.newest().filter(|newest| {
            selection.range.contains(newest.timestamp) && visible.newest >= Some(newest.timestamp)
        });
        if let Some(newest) = newest {
            found.push((place, newest));
        } else if let Some(cut) = set.cut(series, visible) {
            drop(shard);
            columns.clear();
            set.read_series(&cut, &mut columns)
                .map_err(|BadChunk| corrupt(&index.labels(place).unwrap_or_default()))?;
            found.extend(columns.last().map(|newest| (place, newest)));
            set.full.clear();
            set.open.clear();
        }
    }
    drop(snapshot);
    found.sort_unstable_by(|(a, _), (b, _)| index.compare(a.slot, b.slot));
    let labelled =
        found.into_iter().filter_map(|(place, sample)| Some((index.labels(place)?, sample)));
    Ok(labelled.collect())
}

fn places(index: &Index, selection: &Selection) -> Vec<Place> {
    index.select(&selection.matchers).iter().map(|slot| index.place(Slot(slot))).collect()
}

impl HeadSet {
    const fn new(range: TimeRange) -> Self {
        Self { range, series: Vec::new(), full: Vec::new(), open: Vec::new() }
    }

    /// What is visible of `series` in the range; `None` where nothing is.
    fn cut(&mut self, series: &Series, visible: Visible) -> Option<CutSeries> {
        let start = self.range.start;
        let end = visible.newest.map(|newest| newest.min(self.range.end));
        let (full_start, open_start) = (self.full.len(), self.open.len());
        let range = end.filter(|&end| start <= end).map(|end| TimeRange::new(start, end));
        if let Some(range) = range {
            self.full.extend_from_slice(series.full_chunks(range));
            self.open.extend_from_slice(series.open_chunk(range).unwrap_or_default());
        }
        let late = Late {
            chunks: series.late_chunks(self.range).cloned().collect(),
            samples: series.late_recent(visible, self.range).collect(),
        };
        let has_late = !late.chunks.is_empty() || !late.samples.is_empty();
        let cut = CutSeries {
            labels: Labels::empty(),
            range: range.unwrap_or(self.range),
            full: full_start..self.full.len(),
            open: open_start..self.open.len(),
            late: has_late.then(|| Box::new(late)),
        };
        let is_empty = cut.full.is_empty() && cut.open.is_empty() && cut.late.is_none();
        (!is_empty).then_some(cut)
    }

    fn read_series(&self, series: &CutSeries, columns: &mut Columns) -> Result<(), BadChunk> {
        let first = columns.len();
        for chunk in &self.full[series.full.clone()] {
            read_chunk(chunk.bytes(), series.range, columns)?;
        }
        if !series.open.is_empty() {
            read_chunk(&self.open[series.open.clone()], series.range, columns)?;
        }
        if let Some(late) = &series.late {
            for chunk in &late.chunks {
                read_chunk(chunk.bytes(), self.range, columns)?;
            }
            late.samples.iter().for_each(|&sample| columns.push(sample));
            sort_from(columns, first);
        }
        Ok(())
    }
}

impl SeriesSet for HeadSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].labels.clone()
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let series = &self.series[index];
        self.read_series(series, columns).map_err(|BadChunk| corrupt(&series.labels))
    }
}

fn corrupt(labels: &Labels) -> QueryError {
    QueryError::Corrupt {
        place: format!("a chunk of {labels} in the head"),
        reason: "it does not decode".to_owned(),
    }
}

/// Appends the samples of `chunk` within `range`.
pub(super) fn read_chunk(
    chunk: &[u8],
    range: TimeRange,
    columns: &mut Columns,
) -> Result<(), BadChunk> {
    let (first, mut rest) = XorSamples::new(chunk)?;
    let mut next = Some(first);
    while let Some(sample) = next {
        if sample.timestamp > range.end {
            return Ok(());
        }
        if sample.timestamp >= range.start {
            columns.push(sample);
        }
        next = rest.next()?;
    }
    Ok(())
}

/// Merges the runs that `columns` consists of from `first` on; of samples of one time the first stands.
pub(super) fn sort_from(columns: &mut Columns, first: usize) {
    let mut samples: Vec<Sample> = columns.iter().skip(first).collect();
    samples.sort_by_key(|sample| sample.timestamp);
    samples.dedup_by_key(|sample| sample.timestamp);
    columns.timestamps.truncate(first);
    columns.values.truncate(first);
    samples.into_iter().for_each(|sample| columns.push(sample));
}
