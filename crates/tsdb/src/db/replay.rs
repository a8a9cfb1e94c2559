//! Brings the head back from the log.
//!
//! ```text
//! segments ──read ahead──► records ──Replay──► series, metadata, exemplars
//!             (a thread)                └─────► samples, by shard ──► Workers (threads)
//! ```
//! `wal/` holds everything, `wbl/` once more what arrived out of order. Of the former, samples that
//! are older than the blocks' end or behind their series' newest are passed over: they are in a block
//! or in the latter. Deletions take out what came before them.
//!
//! - REPLAY-1: everything logged before the first damage of each segment comes back; what is lost is
//!   reported by file and offset, and counted, in bytes and records.
//! - REPLAY-2: after replay no segment has damage: it was cut off where it began. Who only looks
//!   ([`Replay::looking`]) leaves it.
//! - REPLAY-3: no new series gets a number that the log has for anything, even where the log has lost
//!   the series of that number: it would get that one's samples at the next start.

mod read_ahead;
mod segments;
mod workers;

use std::fs::OpenOptions;
use std::io;
use std::thread;

use model::{Labels, Matcher, Point};
use tracing::{error, info, warn};

use super::committer::late_log::LateTimes;
use crate::chunk::xor::BadChunk;
use crate::head::Head;
use crate::head::exemplars::Verdict;
use crate::head::series::Series;
use crate::log::{LogSeries, LoggedExemplar, LoggedSample};
use crate::metrics::Metrics;
use crate::wal::record::exemplars::ExemplarsRecord;
use crate::wal::record::tombstones::TombstonesRecord;
use crate::wal::record::{
    BadRecord, LabelPairs, LoggedMetadata, MetadataRecord, Record, SeriesRecord, holds_data,
};
use crate::wal::segment::SegmentReader;
use read_ahead::{Damage, Stretch, read_ahead};
pub(crate) use segments::LogSegments;
use segments::Segment;
use workers::{Routed, Store, Workers};

#[derive(Debug)]
pub(crate) struct Replay<'a> {
    head: &'a Head,
    metrics: &'a Metrics,
    /// Of which series, for one who only looks.
    looks_at: Option<&'a [Vec<Matcher>]>,
    /// Of the log that was replayed before the late log.
    segments_before: usize,
    bytes_before: u64,
    samples: u64,
    unknown: u64,
    passed_over: u64,
    /// The largest number of a series in the log.
    newest_number: LogSeries,
    is_late: bool,
    pub(super) late_times: LateTimes,
}

impl<'a> Replay<'a> {
    pub(super) fn new(head: &'a Head, metrics: &'a Metrics) -> Self {
        Self {
            head,
            metrics,
            looks_at: None,
            segments_before: 0,
            bytes_before: 0,
            samples: 0,
            unknown: 0,
            passed_over: 0,
            newest_number: LogSeries(0),
            is_late: false,
            late_times: LateTimes::default(),
        }
    }

    /// Changes nothing on the disk, and brings back only the series that meet all matchers of any one
    /// of these sets.
    pub(crate) fn looking(
        head: &'a Head,
        metrics: &'a Metrics,
        matcher_sets: &'a [Vec<Matcher>],
    ) -> Self {
        Self { looks_at: Some(matcher_sets), ..Self::new(head, metrics) }
    }

    /// Tells how much there is to do.
    pub(super) fn announce(&self, logs: [&LogSegments; 2]) {
        let segments = || logs.into_iter().flat_map(|log| &log.segments);
        let bytes = segments().map(|segment| segment.bytes).sum();
        self.metrics.replay.begin(segments().count(), bytes);
    }

    pub(crate) fn log(&mut self, log: &LogSegments) -> io::Result<()> {
        self.segments(&log.segments, store_in_order)?;
        self.segments_before = log.segments.len();
        self.bytes_before = log.segments.iter().map(|segment| segment.bytes).sum();
        Ok(())
    }

    /// Replays, after the log, the log of what arrived out of order.
    pub(crate) fn late_log(&mut self, log: &LogSegments) -> io::Result<()> {
        self.is_late = true;
        self.segments(&log.segments, store_late)?;
        self.head.each_late(Series::settle_late).map_err(|BadChunk| {
            io::Error::other("late samples of the head do not decode") // we made them
        })
    }

    /// Replays records of metadata and exemplars alone.
    pub(super) fn records(&mut self, records: &[Vec<u8>]) -> Result<(), BadRecord> {
        for record in records {
            match Record::parse(record)? {
                Record::Metadata(entries) => self.metadata(entries)?,
                Record::Exemplars(entries) => self.exemplars(entries)?,
                _ => return Err(BadRecord),
            }
        }
        Ok(())
    }

    fn segments(&mut self, segments: &[Segment], store: Store) -> io::Result<()> {
        let head = self.head;
        thread::scope(|scope| {
            let mut workers = Workers::start(scope, head, store);
            let mut ended = None;
            for stretch in read_ahead(scope, segments) {
                let stretch = stretch?;
                if ended == Some(stretch.segment) {
                    continue;
                }
                self.reached(segments, &stretch);
                if let Some(damage) = self.stretch(&stretch, &mut workers) {
                    ended = Some(stretch.segment);
                    self.cut(&segments[stretch.segment], damage)?;
                }
            }
            workers.finish(head);
            head.index.write().avoid_number(self.newest_number); // REPLAY-3
            Ok(())
        })
    }

    fn reached(&self, segments: &[Segment], stretch: &Stretch) {
        let before = &segments[..stretch.segment];
        let bytes = self.bytes_before + before.iter().map(|segment| segment.bytes).sum::<u64>();
        let segment = self.segments_before + stretch.segment + 1;
        self.metrics.replay.reached(segment, bytes + stretch.end);
    }

    /// Gives the damage where there is some.
    fn stretch(&mut self, stretch: &Stretch, workers: &mut Workers<'_>) -> Option<Damage> {
        for (start, record) in stretch.records() {
            if let Err(BadRecord) = self.record(record, workers) {
                let reason = "a record does not decode";
                return Some(Damage { start, offset: start, reason });
            }
        }
        stretch.damage
    }

    fn cut(&self, segment: &Segment, damage: Damage) -> io::Result<()> {
        let Damage { start, offset, reason } = damage;
        let (path, lost_bytes) = (segment.path(), segment.bytes - start);
        let mut reader = SegmentReader::open(&segment.dir, segment.number, start)?;
        let lost_records = reader.lost_records(start, segment.bytes)?;
        error!(file = %path.display(), offset, reason, lost_bytes, lost_records,
            "the log is damaged; the rest of this segment is lost");
        self.metrics.log_damage.inc();
        self.metrics.log_damage_bytes.inc_by(lost_bytes);
        self.metrics.log_damage_records.inc_by(lost_records);
        if self.looks_at.is_some() {
            return Ok(());
        }
        OpenOptions::new().write(true).open(path)?.set_len(start)
    }

    pub(super) fn report(&self) {
        self.metrics.replay_unknown_series.inc_by(self.unknown);
        if self.unknown > 0 {
            warn!(samples = self.unknown, "the log has samples of series that it does not name");
        }
        if self.passed_over > 0 {
            warn!(
                records = self.passed_over,
                "the log has records of later versions, which are passed over"
            );
        }
        info!(samples = self.samples, series = self.head.index.read().len(), "log replayed");
    }
}

/// What to do for each kind of record.
impl Replay<'_> {
    fn record(&mut self, record: &[u8], workers: &mut Workers<'_>) -> Result<(), BadRecord> {
        match Record::parse(record)? {
            Record::Series(entries) => self.series(entries),
            Record::Samples(entries) => {
                let point = |LoggedSample { series, sample }| (series, sample.into());
                self.points(entries.map(|entry| entry.map(point)), workers)
            }
            Record::Histograms(entries) => self.points(entries, workers),
            Record::Metadata(entries) => self.metadata(entries),
            Record::Exemplars(entries) => self.exemplars(entries),
            Record::Tombstones(entries) => self.tombstones(entries, workers),
            Record::Other(kind) => {
                self.passed_over += u64::from(holds_data(kind));
                Ok(())
            }
        }
    }

    fn met(&mut self, number: LogSeries) {
        if number.is_counted() {
            self.newest_number = self.newest_number.max(number);
        }
    }

    fn wants(&self, labels: &LabelPairs<'_>) -> bool {
        let value =
            |name: &str| labels.iter().find(|pair| pair.0 == name).map_or("", |pair| pair.1);
        let meets = |set: &Vec<Matcher>| set.iter().all(|m| m.matches(value(m.name())));
        self.looks_at.is_none_or(|sets| sets.iter().any(meets))
    }

    fn series(&mut self, entries: SeriesRecord<'_>) -> Result<(), BadRecord> {
        let mut index = self.head.index.write();
        for entry in entries {
            let (number, labels) = entry?;
            self.met(number);
            if !labels.is_empty() && self.wants(&labels) {
                let place = self.head.series_in(&mut index, labels, Some(number)).place;
                index.add_alias(number, place);
            }
        }
        Ok(())
    }

    fn points(
        &mut self,
        entries: impl Iterator<Item = Result<(LogSeries, Point), BadRecord>>,
        workers: &mut Workers<'_>,
    ) -> Result<(), BadRecord> {
        let index = self.head.index.read();
        let mut place_of = index.by_numbers();
        let valid_from = self.head.bounds.valid_from();
        for entry in entries {
            let (series, point) = entry?;
            self.samples += 1;
            self.met(series);
            if self.is_late {
                self.late_times.include(&point);
            } else if point.timestamp < valid_from {
                continue;
            }
            match place_of(series) {
                Some(place) => workers.push(Routed { place, point }),
                None => self.unknown += 1,
            }
        }
        Ok(())
    }

    /// They come in the order in which they were kept.
    fn exemplars(&mut self, entries: ExemplarsRecord<'_>) -> Result<(), BadRecord> {
        let index = self.head.index.read();
        let mut kept = self.head.exemplars.write();
        let valid_from = self.head.bounds.valid_from();
        for logged in entries {
            let LoggedExemplar { series, exemplar } = logged?;
            self.met(series);
            if exemplar.timestamp < valid_from {
                continue;
            }
            match index.labels_of_number(series) {
                Some(labels) if kept.check(&labels, &[], &exemplar) == Verdict::New => {
                    kept.push(&labels, exemplar);
                }
                Some(_) => {}
                None => self.unknown += 1,
            }
        }
        Ok(())
    }

    fn tombstones(
        &mut self,
        entries: TombstonesRecord<'_>,
        workers: &mut Workers<'_>,
    ) -> Result<(), BadRecord> {
        let index = self.head.index.read();
        let mut place_of = index.by_numbers();
        let mut deletions = Vec::new();
        for entry in entries {
            let (series, range) = entry?;
            self.met(series);
            deletions.extend(place_of(series).map(|place| (place, range)));
        }
        workers.delete(&deletions);
        Ok(())
    }

    fn metadata(&mut self, entries: MetadataRecord<'_>) -> Result<(), BadRecord> {
        for entry in entries {
            let LoggedMetadata { series, family, metadata } = entry?;
            self.met(series);
            let labels = self.head.index.read().labels_of_number(series);
            let metric = labels.as_ref().map(Labels::metric_name);
            if let Some(family) = family.as_deref().or(metric) {
                self.head.metadata.lock().insert(family, &metadata, true);
            }
        }
        Ok(())
    }
}

fn store_in_order(series: &mut Series, point: Point) -> bool {
    let is_newest = series.newest_time().is_none_or(|newest| point.timestamp > newest);
    if is_newest {
        series.push(&point);
    }
    is_newest
}

/// Whether it is stored already is looked at for many samples at once.
fn store_late(series: &mut Series, point: Point) -> bool {
    series.push_out_of_order(point);
    if !series.late_is_settled() {
        let _ = series.settle_late(); // what fails now fails at the end
    }
    true
}
