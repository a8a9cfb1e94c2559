//! Answers selections from the head.

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, Point, Sample, SampleValue, TimeRange, Timestamp};
use storage::{Columns, QueryError, SamplesNeeded, Selection, SeriesSet};

use crate::chunk::merge::merge;
use crate::chunk::xor::BadChunk;
use crate::chunk::{Points, XOR, XorSamples};
use crate::head::full_chunk::FullChunk;
use crate::head::index::{LabelList, SelectedLabels};
use crate::head::series::{Series, Visible};
use crate::head::{Head, Place, Slot};

/// New series, which wait for the index, get their turn after the labels of so many have been copied.
const LABELLED_AT_ONCE: usize = 4096;

/// A consistent cut of some series (QUERY-1).
#[derive(Debug)]
pub(crate) struct HeadSet {
    cuts: Cuts,
    labels: SelectedLabels,
    series: Vec<(LabelList, CutSeries)>,
}

/// What was taken of series. Full chunks are shared with the head; of open chunks it has a copy, which
/// later appends do not change.
#[derive(Debug)]
pub(super) struct Cuts {
    range: TimeRange,
    needed: SamplesNeeded,
    full: Vec<FullChunk>,
    pub(super) open: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct CutSeries {
    /// In order: no later than what was visible.
    range: TimeRange,
    /// The only sample that is looked at, where it was at hand.
    newest: Option<Sample>,
    full: Range<usize>,
    open: Range<usize>,
    open_encoding: u8,
    late: Option<Box<Late>>,
}

/// What arrived out of order.
#[derive(Debug)]
struct Late {
    chunks: Vec<FullChunk>,
    points: Vec<Point>,
}

pub(crate) fn select(head: &Head, selection: &Selection) -> HeadSet {
    let snapshot = head.snapshots.begin();
    let mut picked = Vec::new();
    let mut cuts = Cuts::new(selection.range, selection.hints.samples, Vec::new());
    for place in places(head, selection) {
        let shard = head.shard_of(place);
        let Some(series) = shard.get(place) else { continue };
        if let Some(cut) = cuts.cut(series, series.visible_at(snapshot.cut)) {
            picked.push((place, cut));
        }
    }
    drop(snapshot);
    let (labels, series) = labelled(head, picked);
    HeadSet { cuts, labels, series }
}

/// The newest sample of each series, where it lies in the range: most are at hand undecoded.
pub(super) fn latest(
    head: &Head,
    selection: &Selection,
) -> Result<Vec<(Labels, Sample)>, QueryError> {
    let snapshot = head.snapshots.begin();
    let mut found = Vec::new();
    let mut cuts = Cuts::new(selection.range, SamplesNeeded::All, Vec::new());
    let mut columns = Columns::default();
    for place in places(head, selection) {
        let shard = head.shard_of(place);
        let Some(series) = shard.get(place) else { continue };
        let visible = series.visible_at(snapshot.cut);
        if let Some(Point { timestamp, value }) = newest_of(series, selection.range, visible) {
            if let SampleValue::Float(value) = value {
                found.push((place, Sample { timestamp, value }));
            }
        } else if let Some(cut) = cuts.cut(series, visible) {
            drop(shard);
            columns.clear();
            cuts.read(&cut, &mut columns).map_err(|BadChunk| {
                corrupt(&head.index.read().labels(place).unwrap_or_default())
            })?;
            found.extend(newest_float(&columns).map(|newest| (place, newest)));
            cuts.full.clear();
            cuts.open.clear();
        }
    }
    drop(snapshot);
    let (labels, found) = labelled(head, found);
    Ok(found.into_iter().map(|(list, sample)| (labels.labels(list), sample)).collect())
}

/// The newest point of all that `series` has, if it is at hand, visible and in `range`.
fn newest_of(series: &Series, range: TimeRange, visible: Visible) -> Option<Point> {
    let newest = series.newest()?;
    let is_newest_of_all = series.newest_time_of_all() == Some(newest.timestamp);
    let is_seen = range.contains(newest.timestamp) && newest.timestamp <= visible.newest;
    (is_newest_of_all && is_seen).then_some(newest)
}

/// Whether anything visible of `series` may be in `range`, as far as chunks tell.
fn has_chunks(series: &Series, range: TimeRange, visible: Visible) -> bool {
    let (start, end) = (range.start, visible.newest.min(range.end));
    let in_order = (start <= end).then(|| TimeRange::new(start, end));
    in_order.is_some_and(|in_order| {
        series.open_chunk(in_order).is_some() || !series.full_chunks(in_order).is_empty()
    }) || series.late_chunks(range).next().is_some()
        || series.late_recent(visible, range).next().is_some()
}

fn places(head: &Head, selection: &Selection) -> Vec<Place> {
    let index = head.index.read();
    index.select(&selection.matchers).iter().map(|slot| index.place(Slot(slot))).collect()
}

/// Puts labels in the place of places, and sorts by them. A series that left the head meanwhile is left
/// out: what was cut of it is in a block by now.
fn labelled<T>(head: &Head, picked: Vec<(Place, T)>) -> (SelectedLabels, Vec<(LabelList, T)>) {
    let mut labels = SelectedLabels::default();
    let mut labelled = Vec::with_capacity(picked.len());
    let mut picked = picked.into_iter();
    while !picked.as_slice().is_empty() {
        let run = picked.by_ref().take(LABELLED_AT_ONCE);
        head.index.read().copy_labels(run, &mut labels, &mut labelled);
    }
    labels.sort(&mut labelled);
    (labels, labelled)
}

impl Cuts {
    /// `open`: room for copies.
    pub(super) const fn new(range: TimeRange, needed: SamplesNeeded, open: Vec<u8>) -> Self {
        Self { range, needed, full: Vec::new(), open }
    }

    /// What is visible of `series` in the range; `None` where nothing is.
    pub(super) fn cut(&mut self, series: &Series, visible: Visible) -> Option<CutSeries> {
        match self.needed {
            SamplesNeeded::All => self.cut_all(series, visible),
            SamplesNeeded::Newest => match newest_of(series, self.range, visible) {
                Some(Point { timestamp, value: SampleValue::Float(value) }) => {
                    Some(CutSeries::of(Some(Sample { timestamp, value })))
                }
                _ => self.cut_all(series, visible),
            },
            SamplesNeeded::None => {
                has_chunks(series, self.range, visible).then(|| CutSeries::of(None))
            }
        }
    }

    fn cut_all(&mut self, series: &Series, visible: Visible) -> Option<CutSeries> {
        let start = self.range.start;
        let end = visible.newest.min(self.range.end);
        let (full_start, open_start) = (self.full.len(), self.open.len());
        let mut open_encoding = XOR;
        let range = (start <= end).then(|| TimeRange::new(start, end));
        if let Some(range) = range {
            self.full.extend_from_slice(series.full_chunks(range));
            if let Some(open) = series.open_chunk(range) {
                open.copy_to(&mut self.open);
                open_encoding = open.encoding();
            }
        }
        let late = Late {
            chunks: series.late_chunks(self.range).cloned().collect(),
            points: series.late_recent(visible, self.range).cloned().collect(),
        };
        let has_late = !late.chunks.is_empty() || !late.points.is_empty();
        let cut = CutSeries {
            range: range.unwrap_or(self.range),
            newest: None,
            full: full_start..self.full.len(),
            open: open_start..self.open.len(),
            open_encoding,
            late: has_late.then(|| Box::new(late)),
        };
        let is_empty = cut.full.is_empty() && cut.open.is_empty() && cut.late.is_none();
        (!is_empty).then_some(cut)
    }

    pub(super) fn read(&self, series: &CutSeries, columns: &mut Columns) -> Result<(), BadChunk> {
        if let Some(newest) = series.newest {
            columns.push(newest);
            return Ok(());
        }
        if series.late.is_some() {
            put_points(self.points(series)?, columns);
            return Ok(());
        }
        for chunk in &self.full[series.full.clone()] {
            read_chunk(chunk.encoding, chunk.bytes(), series.range, columns)?;
        }
        if !series.open.is_empty() {
            let open = &self.open[series.open.clone()];
            read_chunk(series.open_encoding, open, series.range, columns)?;
        }
        Ok(())
    }

    fn points(&self, series: &CutSeries) -> Result<Vec<Point>, BadChunk> {
        if let Some(Sample { timestamp, value }) = series.newest {
            return Ok(vec![Point { timestamp, value: SampleValue::Float(value) }]);
        }
        let mut in_order = Vec::new();
        for chunk in &self.full[series.full.clone()] {
            read_points(chunk.encoding, chunk.bytes(), series.range, &mut in_order)?;
        }
        if !series.open.is_empty() {
            let open = &self.open[series.open.clone()];
            read_points(series.open_encoding, open, series.range, &mut in_order)?;
        }
        let mut runs = vec![in_order];
        if let Some(late) = &series.late {
            for chunk in &late.chunks {
                let mut run = Vec::new();
                read_points(chunk.encoding, chunk.bytes(), self.range, &mut run)?;
                runs.push(run);
            }
            runs.extend(late.points.iter().map(|point| vec![point.clone()]));
        }
        Ok(merge(runs))
    }
}

impl CutSeries {
    /// Nothing, or nothing but one sample.
    const fn of(newest: Option<Sample>) -> Self {
        Self {
            range: TimeRange::ALL,
            newest,
            full: 0..0,
            open: 0..0,
            open_encoding: XOR,
            late: None,
        }
    }
}

impl HeadSet {
    /// What [`SeriesSet::read`] gives, as points.
    pub(crate) fn read_points(&self, index: usize) -> Result<Vec<Point>, QueryError> {
        let series = &self.series[index].1;
        self.cuts.points(series).map_err(|BadChunk| corrupt(&self.labels(index)))
    }
}

impl SeriesSet for HeadSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.labels.labels(self.series[index].0)
    }

    fn each_label(&self, index: usize, show: &mut dyn FnMut(&str, &str)) {
        let list = self.series[index].0;
        self.labels.pairs(list).for_each(|(name, value)| show(name, value));
    }

    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), QueryError> {
        let series = &self.series[index].1;
        self.cuts.read(series, columns).map_err(|BadChunk| corrupt(&self.labels(index)))
    }
}

pub(super) fn corrupt(labels: &Labels) -> QueryError {
    QueryError::Corrupt {
        place: format!("a chunk of {labels} in the head"),
        reason: "it does not decode".to_owned(),
    }
}

/// Appends what `chunk` holds within `range`.
pub(super) fn read_chunk(
    encoding: u8,
    chunk: &[u8],
    range: TimeRange,
    columns: &mut Columns,
) -> Result<(), BadChunk> {
    if encoding != XOR {
        let mut points = Vec::new();
        read_points(encoding, chunk, range, &mut points)?;
        put_points(points, columns);
        return Ok(());
    }
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

/// As [`read_chunk`], as points.
pub(super) fn read_points(
    encoding: u8,
    chunk: &[u8],
    range: TimeRange,
    out: &mut Vec<Point>,
) -> Result<(), BadChunk> {
    let mut points = Points::new(encoding, chunk)?;
    while let Some(point) = points.next()? {
        if point.timestamp > range.end {
            return Ok(());
        }
        if point.timestamp >= range.start {
            out.push(point);
        }
    }
    Ok(())
}

pub(super) fn put_points(points: Vec<Point>, columns: &mut Columns) {
    for Point { timestamp, value } in points {
        match value {
            SampleValue::Float(value) => columns.push(Sample { timestamp, value }),
            SampleValue::Histogram(histogram) => {
                let histogram = Arc::new(histogram.to_float());
                columns.push_histogram(timestamp, Timestamp::EPOCH, histogram);
            }
        }
    }
}

/// The newest of what was read, unless that is a histogram.
pub(super) fn newest_float(columns: &Columns) -> Option<Sample> {
    let histogram = columns.histograms.last().map(|(at, _)| *at);
    columns.last().filter(|float| histogram.is_none_or(|histogram| histogram < float.timestamp))
}
