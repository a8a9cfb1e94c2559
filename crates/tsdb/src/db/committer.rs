//! Takes batches in, one at a time: check, log, apply.
//!
//! - COMMIT-1: checking changes nothing; a batch that is not logged leaves memory as it was.
//! - COMMIT-2: what is applied is exactly what was logged, in that order, so that replay ends in the
//!   same state.

pub(super) mod exemplars;
pub(super) mod late_log;
mod stored;

use std::io;

use model::{Metadata, Point, SampleValue, Timestamp, is_stale};
use storage::{AppendError, Appended, RejectReason, Rejected};

use super::blocks::Blocks;
use super::past::Past;
use crate::head::index::Index;
use crate::head::metadata::metric_names;
use crate::head::series::Series;
use crate::head::{Head, Place};
use crate::log::LogSeries;
use crate::metrics::Metrics;
use crate::wal::record::points::PointRecords;
use crate::wal::record::{LoggedMetadata, RecordBuilder};
use crate::wal::writer::{LogWriter, UnsyncedTail};
use exemplars::{ExemplarPlan, PendingExemplar};
use late_log::{LateTimes, Left};
use stored::Stored;

/// What a batch holds.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) samples: &'a mut [Pending],
    pub(super) exemplars: &'a mut [PendingExemplar],
    pub(super) metadata: &'a [(String, Metadata)],
}

/// A sample as it was given to an appender.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) place: Place,
    /// The how manieth of its batch.
    pub(super) given: u32,
    pub(super) point: Point,
}

/// A sample that will be logged and stored.
#[derive(Clone, Debug)]
struct Planned {
    place: Place,
    number: LogSeries,
    in_order: bool,
    point: Point,
}

/// What applies to every sample of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) valid_from: Timestamp,
    pub(super) valid_until: Timestamp,
    /// The oldest time that may arrive out of order; `None` where none may.
    pub(super) late_from: Option<Timestamp>,
}

enum Verdict {
    InOrder,
    Late,
    Repeated,
    Rejected(RejectReason),
}

#[derive(Debug)]
pub(super) struct Committer {
    pub(super) writer: LogWriter,
    /// The log of what arrives out of order.
    pub(super) late_writer: Option<LogWriter>,
    pub(super) late_times: LateTimes,
    pub(super) is_closed: bool,
    commits: u64,
    // Reused from batch to batch.
    planned: Vec<Planned>,
    unlogged: Vec<Place>,
    past: Past,
    exemplars: ExemplarPlan,
    series_record: RecordBuilder,
    metadata_record: RecordBuilder,
    points: PointRecords,
    late_points: PointRecords,
}

/// What the disk may not have yet.
#[derive(Debug)]
pub(super) struct Unsynced {
    pub(super) log: Vec<UnsyncedTail>,
    pub(super) late_log: Vec<UnsyncedTail>,
    /// The number of the newest commit in it.
    pub(super) commits: u64,
}

/// What became of a batch, in numbers.
#[derive(Debug, Default)]
struct Outcome {
    repeated: u64,
    histograms: u64,
    rejected: Vec<(u32, Rejected)>,
}

impl Committer {
    pub(super) fn new(
        writer: LogWriter,
        late_writer: Option<LogWriter>,
        late_times: LateTimes,
    ) -> Self {
        Self {
            writer,
            late_writer,
            late_times,
            is_closed: false,
            commits: 0,
            planned: Vec::new(),
            unlogged: Vec::new(),
            past: Past::default(),
            exemplars: ExemplarPlan::default(),
            series_record: RecordBuilder::new(),
            metadata_record: RecordBuilder::new(),
            points: PointRecords::default(),
            late_points: PointRecords::default(),
        }
    }

    pub(super) fn commit(
        &mut self,
        head: &Head,
        blocks: &Blocks,
        metrics: &Metrics,
        rules: Rules,
        given: Given<'_>,
    ) -> Result<Appended, AppendError> {
        let Given { samples, exemplars, metadata } = given;
        let total = samples.len() as u64;
        self.past.look(head, blocks, rules, samples);
        let outcome = self.check(head, rules, samples)?;
        self.exemplars.check(head, rules, exemplars, &mut self.unlogged)?;
        self.build_records(head, metadata)?;
        self.log(metrics)?;
        self.apply(head, metadata);

        let late = self.planned.iter().filter(|planned| !planned.in_order).count();
        metrics.out_of_order.inc_by(late as u64);
        metrics.repeated.inc_by(outcome.repeated);
        metrics.appended.inc_by(total - outcome.rejected.len() as u64);
        for (_, rejected) in &outcome.rejected {
            metrics.rejected(rejected.reason).inc();
        }
        let mut appended = outcome.into_appended(total);
        self.exemplars.account(metrics, &mut appended);
        Ok(appended)
    }

    /// Decides about each sample (COMMIT-1).
    fn check(
        &mut self,
        head: &Head,
        rules: Rules,
        samples: &mut [Pending],
    ) -> Result<Outcome, AppendError> {
        self.planned.clear();
        self.unlogged.clear();
        let mut outcome = Outcome::default();
        samples.sort_by_key(|pending| (pending.place.slot, pending.place.generation));
        for run in samples.chunk_by(|a, b| a.place.slot.shard() == b.place.slot.shard()) {
            let shard = head.shard_of(run[0].place);
            for group in run.chunk_by(|a, b| a.place == b.place) {
                let place = group[0].place;
                let series = shard.get(place).ok_or(AppendError::UnknownSeries(place.into()))?;
                let before = self.planned.len();
                self.check_group(series, rules, group, &mut outcome);
                if !series.is_logged && self.planned.len() > before {
                    self.unlogged.push(place);
                }
            }
        }
        Ok(outcome)
    }

    /// `group`: the samples for one series, in the order in which they were given.
    fn check_group(
        &mut self,
        series: &Series,
        rules: Rules,
        group: &[Pending],
        outcome: &mut Outcome,
    ) {
        let first = self.planned.len();
        let number = series.number;
        let mut newest = series.newest_time_of_all(); // SERIES-4
        let mut newest_in_batch = None;
        let mut known = Stored::new(series, group);
        for Pending { place, given, point } in group {
            let (place, in_batch) = (*place, &self.planned[first..]);
            let is_histogram = matches!(point.value, SampleValue::Histogram(_)); // as it was given
            let point = as_stored(series, newest_in_batch.map(|at: usize| &in_batch[at]), point);
            let at = point.timestamp;
            let stored = || {
                let in_head = known.value_at(at, in_batch);
                in_head.or_else(|| self.past.value_at(place.into(), at).cloned())
            };
            match verdict(newest, stored, rules, &point) {
                Verdict::Repeated => outcome.repeated += 1,
                Verdict::Rejected(reason) => {
                    let rejected =
                        Rejected { series: place.into(), timestamp: at, reason, is_histogram };
                    outcome.rejected.push((*given, rejected));
                    continue;
                }
                Verdict::InOrder => {
                    newest = Some(point.timestamp);
                    newest_in_batch = Some(in_batch.len());
                    self.planned.push(Planned { place, number, in_order: true, point });
                }
                Verdict::Late => {
                    self.planned.push(Planned { place, number, in_order: false, point });
                }
            }
            outcome.histograms += u64::from(is_histogram);
        }
    }

    fn build_records(
        &mut self,
        head: &Head,
        metadata: &[(String, Metadata)],
    ) -> Result<(), AppendError> {
        self.series_record.clear();
        self.metadata_record.clear();
        self.points.clear();
        self.late_points.clear();
        for planned in &self.planned {
            self.points.push(planned.number, &planned.point);
            if !planned.in_order {
                self.late_points.push(planned.number, &planned.point);
                self.late_times.include(&planned.point);
            }
        }
        if self.unlogged.is_empty() && metadata.is_empty() {
            return Ok(());
        }
        let index = head.index.read();
        for (family, metadata) in metadata {
            if let Some((place, logged)) = logged_metadata(&index, family, metadata) {
                self.metadata_record.metadata(&logged);
                self.unlogged.extend(is_unlogged(head, place).then_some(place));
            }
        }
        self.unlogged.sort_unstable_by_key(|place| place.slot);
        self.unlogged.dedup();
        for &place in &self.unlogged {
            let unknown = || AppendError::UnknownSeries(place.into());
            let labels = index.label_pairs(place).ok_or_else(unknown)?;
            let number = index.number(place).ok_or_else(unknown)?;
            self.series_record.series(number, labels);
        }
        Ok(())
    }

    fn log(&mut self, metrics: &Metrics) -> Result<(), AppendError> {
        let series = [&self.series_record, &self.metadata_record];
        let series = series.into_iter().filter(|r| !r.is_empty()).map(RecordBuilder::bytes);
        let records: Vec<&[u8]> =
            series.chain(self.points.records()).chain(self.exemplars.record()).collect();
        if records.is_empty() {
            return Ok(());
        }
        let result = match () {
            () if self.is_closed => Err(io::Error::other("the database is closed")),
            () => self.writer.write(&records),
        };
        let late: Vec<&[u8]> = self.late_points.records().collect();
        let result = result.and_then(|start| match &mut self.late_writer {
            Some(late_writer) if !late.is_empty() => {
                let written = late_writer.write(&late);
                written.map(drop).inspect_err(|_| self.writer.rewind(start))
            }
            _ => Ok(()),
        });
        result.map_err(|cause| {
            metrics.log_write_errors.inc();
            AppendError::Log { segment: self.writer.position().segment, cause }
        })
    }

    /// Stores what was logged (COMMIT-2) and shows it to readers all at once.
    fn apply(&mut self, head: &Head, metadata: &[(String, Metadata)]) {
        self.commits += 1;
        for &place in &self.unlogged {
            if let Some(series) = head.shard_of(place).get_mut(place) {
                series.is_logged = true;
            }
        }
        let mut oldest_cut = head.snapshots.oldest();
        for run in self.planned.chunk_by(|a, b| a.place.slot.shard() == b.place.slot.shard()) {
            let mut shard = head.shard_of(run[0].place);
            for group in run.chunk_by(|a, b| a.place == b.place) {
                let present = "only the committer removes series";
                let touched = shard.get_mut(group[0].place).expect(present).commit();
                if touched > oldest_cut {
                    drop(shard);
                    oldest_cut = head.snapshots.wait_for(touched); // SNAP-1
                    shard = head.shard_of(group[0].place);
                }
                let series = shard.get_mut(group[0].place).expect(present);
                series.begin_commit(self.commits);
                for planned in group {
                    if planned.in_order {
                        series.push(&planned.point);
                    } else {
                        series.push_out_of_order(planned.point.clone());
                    }
                }
            }
        }
        let times = self.planned.iter().map(|planned| planned.point.timestamp);
        if let (Some(oldest), Some(newest)) = (times.clone().min(), times.max()) {
            head.bounds.include(oldest, newest);
        }
        self.exemplars.apply(head);
        remember_metadata(head, metadata);
        head.snapshots.publish(self.commits);
    }

    /// Writes what is left of the late log into a new segment of it; gives the segment's number, where
    /// there is such a log.
    pub(super) fn restart_late_log(&mut self, left: &Left) -> io::Result<Option<u32>> {
        let Some(late) = &mut self.late_writer else { return Ok(None) };
        if late.position().offset > 0 {
            late.next_segment()?;
        }
        let first = late.position().segment;
        let records: Vec<&[u8]> = left.points.records().collect();
        if !records.is_empty() {
            late.write(&records)?;
        }
        self.late_times.begin_anew(left);
        Ok(Some(first))
    }

    /// Logs deletions.
    pub(super) fn log_tombstones(&mut self, record: &RecordBuilder) -> io::Result<()> {
        if self.is_closed {
            return Err(io::Error::other("the database is closed"));
        }
        self.writer.write(&[record.bytes()]).map(drop)
    }

    /// The number of the newest commit.
    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn take_unsynced(&mut self) -> io::Result<Unsynced> {
        let late_log = match &mut self.late_writer {
            Some(writer) => writer.take_unsynced()?,
            None => Vec::new(),
        };
        match self.writer.take_unsynced() {
            Ok(log) => Ok(Unsynced { log, late_log, commits: self.commits }),
            Err(error) => {
                self.late_still_unsynced(late_log);
                Err(error)
            }
        }
    }

    /// Gives back what could not be synced.
    pub(super) fn still_unsynced(&mut self, unsynced: Unsynced) {
        self.writer.still_unsynced(unsynced.log);
        self.late_still_unsynced(unsynced.late_log);
    }

    fn late_still_unsynced(&mut self, tails: Vec<UnsyncedTail>) {
        if let Some(writer) = &mut self.late_writer {
            writer.still_unsynced(tails);
        }
    }

    /// Whether the last commit stored anything that senders forward.
    pub(super) fn has_stored(&self) -> bool {
        !self.planned.is_empty() || self.exemplars.new_exemplars() > 0
    }
}

fn is_unlogged(head: &Head, place: Place) -> bool {
    head.shard_of(place).get(place).is_some_and(|series| !series.is_logged)
}

/// How the log names a family: by any one of its series. `None` where it has no series yet.
pub(super) fn logged_metadata(
    index: &Index,
    family: &str,
    metadata: &Metadata,
) -> Option<(Place, LoggedMetadata)> {
    let mut names = metric_names(family);
    let (place, metric) =
        names.find_map(|metric| Some((index.series_of_metric(&metric)?, metric)))?;
    let series = index.number(place)?;
    let family = (metric != family).then(|| family.to_owned());
    Some((place, LoggedMetadata { series, family, metadata: metadata.clone() }))
}

fn remember_metadata(head: &Head, metadata: &[(String, Metadata)]) {
    if metadata.is_empty() {
        return;
    }
    let index = head.index.read();
    let mut store = head.metadata.lock();
    for (family, metadata) in metadata {
        let is_logged = logged_metadata(&index, family, metadata).is_some();
        store.insert(family, metadata, is_logged);
    }
}

/// A staleness marker ends a series of histograms as a histogram (Prometheus `tsdb/head_append.go`);
/// anything else is stored as it was given.
/// `in_batch`: the newest sample of the batch that is in order.
fn as_stored(series: &Series, in_batch: Option<&Planned>, point: &Point) -> Point {
    let is_marker = matches!(point.value, SampleValue::Float(value) if is_stale(value));
    if !is_marker {
        return point.clone();
    }
    let newest = in_batch.map(|planned| planned.point.clone()).or_else(|| series.newest());
    match newest {
        Some(Point { value: SampleValue::Histogram(newest), .. }) => Point {
            timestamp: point.timestamp,
            value: SampleValue::Histogram(newest.to_stale().into()),
        },
        _ => point.clone(),
    }
}

/// `newest`: the time of the newest sample, those of the batch included; `stored`: what there
/// is for the point's time. The order of the questions is Prometheus' (`tsdb/head_append.go`); in
/// addition a time that is stored already, however old, is found.
fn verdict(
    newest: Option<Timestamp>,
    stored: impl FnOnce() -> Option<SampleValue>,
    rules: Rules,
    point: &Point,
) -> Verdict {
    let at = point.timestamp;
    if at > rules.valid_until {
        return Verdict::Rejected(RejectReason::OutOfBounds);
    }
    if at >= rules.valid_from && newest.is_none_or(|newest| at > newest) {
        return Verdict::InOrder;
    }
    match (stored(), rules.late_from) {
        (Some(value), _) if value == point.value => Verdict::Repeated,
        (Some(_), _) => Verdict::Rejected(RejectReason::DuplicateTimestamp),
        (None, Some(late_from)) if at >= late_from => Verdict::Late,
        (None, Some(_)) => Verdict::Rejected(RejectReason::TooOld),
        (None, None) if at < rules.valid_from => Verdict::Rejected(RejectReason::OutOfBounds),
        (None, None) => Verdict::Rejected(RejectReason::OutOfOrder),
    }
}

impl Outcome {
    fn into_appended(mut self, total: u64) -> Appended {
        let (stored, histograms) = (total - self.rejected.len() as u64, self.histograms);
        self.rejected.sort_unstable_by_key(|&(given, _)| given);
        let rejected = self.rejected.into_iter().map(|(_, rejected)| rejected).collect();
        Appended { samples: stored - histograms, histograms, rejected, ..Appended::default() }
    }
}
