//! Shortens the log: what is still needed of its oldest segments moves into a checkpoint.
//!
//! - CHECKPOINT-1: a checkpoint appears whole (written aside, synced, renamed) before anything that
//!   it replaces is removed; a crash in between leaves both, and opening removes what it replaces.
//! - CHECKPOINT-2: damage costs the rest of its segment, as it does in replay, and keeps nothing else
//!   from being shortened.

use std::path::{Path, PathBuf};
use std::{fs, io};

use model::Timestamp;
use tracing::error;

use super::compression::Compression;
use super::record::points::{PointRecords, RECORD_BYTES};
use super::record::tombstones::TombstonesRecord;
use super::record::{BadRecord, Record, RecordBuilder};
use super::segment::{SegmentError, SegmentReader};
use super::writer::LogWriter;
use super::{SEGMENT_BYTES, list_segments, segment_path, sync_dir, usable};
use crate::log::{LogSeries, LoggedExemplar, LoggedSample};

const PREFIX: &str = "checkpoint.";
const UNFINISHED: &str = ".tmp";

/// The newest whole checkpoint in `dir`, and the last segment that it covers.
pub(crate) fn newest(dir: &Path) -> io::Result<Option<(PathBuf, u32)>> {
    Ok(list(dir)?.pop().map(|covered| (path(dir, covered), covered)))
}

fn list(dir: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let covered = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some(covered) = covered.and_then(|covered| covered.parse().ok()) {
            found.push(usable(covered)?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn path(dir: &Path, covered: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{covered:08}"))
}

/// Replaces the newest checkpoint and the segments up to `last` by a new checkpoint, which keeps the
/// samples and exemplars from `since` on of the series that `keep` names. Gives what was lost on the way.
pub(crate) fn write(
    dir: &Path,
    last: u32,
    compression: Compression,
    since: Timestamp,
    keep: impl Fn(LogSeries) -> bool,
    metadata: &RecordBuilder,
) -> io::Result<Lost> {
    let finished = path(dir, last);
    let unfinished = PathBuf::from(format!("{}{UNFINISHED}", finished.display()));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir(&unfinished)?;
    let filled = fill(&unfinished, dir, last, compression, since, keep, metadata);
    let lost = filled.inspect_err(|_| {
        let _ = fs::remove_dir_all(&unfinished); // what stays is removed when the database opens
    })?;
    fs::rename(&unfinished, finished)?;
    sync_dir(dir)?;
    remove_covered(dir, last)?;
    Ok(lost)
}

/// Writes a checkpoint's files, and brings them to the disk.
fn fill(
    unfinished: &Path,
    dir: &Path,
    last: u32,
    compression: Compression,
    since: Timestamp,
    keep: impl Fn(LogSeries) -> bool,
    metadata: &RecordBuilder,
) -> io::Result<Lost> {
    let mut copy = Copy {
        writer: LogWriter::create(unfinished, 0, SEGMENT_BYTES, compression)?,
        series: RecordBuilder::new(),
        points: PointRecords::default(),
        exemplars: RecordBuilder::new(),
        lost: Lost::default(),
    };
    let first = match newest(dir)? {
        Some((path, covered)) => {
            for segment in list_segments(&path)? {
                copy.segment(&path, segment, since, &keep)?;
            }
            covered + 1
        }
        None => 0,
    };
    for segment in list_segments(dir)?.into_iter().filter(|s| (first..=last).contains(s)) {
        copy.segment(dir, segment, since, &keep)?;
    }
    copy.flush()?;
    if !metadata.is_empty() {
        copy.writer.write(&[metadata.bytes()])?;
    }
    for tail in copy.writer.take_unsynced()? {
        tail.sync()?;
    }
    sync_dir(unfinished)?;
    Ok(copy.lost)
}

/// Removes what a crash left: segments that a checkpoint covers, and checkpoints that are not whole.
pub(crate) fn clean_up(dir: &Path) -> io::Result<()> {
    remove_unfinished(dir)?;
    match newest(dir)? {
        Some((_, covered)) => remove_covered(dir, covered),
        None => Ok(()),
    }
}

/// Removes what the checkpoint up to `last` replaces.
pub(crate) fn remove_covered(dir: &Path, last: u32) -> io::Result<()> {
    for segment in list_segments(dir)?.into_iter().filter(|&segment| segment <= last) {
        fs::remove_file(segment_path(dir, segment))?;
    }
    for covered in list(dir)?.into_iter().filter(|&covered| covered < last) {
        fs::remove_dir_all(path(dir, covered))?;
    }
    Ok(())
}

fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(UNFINISHED)) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Copy {
    writer: LogWriter,
    series: RecordBuilder,
    points: PointRecords,
    exemplars: RecordBuilder,
    lost: Lost,
}

/// What damage has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Copy {
    fn segment(
        &mut self,
        dir: &Path,
        segment: u32,
        since: Timestamp,
        keep: &impl Fn(LogSeries) -> bool,
    ) -> io::Result<()> {
        let mut reader = SegmentReader::open(dir, segment, 0)?;
        let end = reader.file_bytes()?;
        loop {
            let start = reader.offset();
            let copied = match reader.next(end) {
                Ok(Some(record)) => self.record(record, since, keep),
                Ok(None) => return Ok(()),
                Err(error) => Err(error.into()),
            };
            match copied {
                Ok(()) => {}
                Err(CopyError::Io(error)) => return Err(error),
                Err(CopyError::Damaged(reason)) => {
                    let (bytes, records) = (end - start, reader.lost_records(start, end)?);
                    let file = segment_path(dir, segment);
                    error!(file = %file.display(), reason, lost_bytes = bytes, lost_records = records,
                        "the log is damaged; the rest of this segment is lost");
                    self.lost.segments += 1;
                    self.lost.bytes += bytes;
                    self.lost.records += records;
                    return Ok(());
                }
            }
        }
    }

    fn record(
        &mut self,
        record: &[u8],
        since: Timestamp,
        keep: &impl Fn(LogSeries) -> bool,
    ) -> Result<(), CopyError> {
        match Record::parse(record)? {
            Record::Series(series) => {
                for entry in series {
                    let (number, labels) = entry?;
                    if keep(number) {
                        self.series.series(number, labels.into_iter());
                    }
                }
            }
            Record::Samples(samples) => {
                for logged in samples {
                    let LoggedSample { series, sample } = logged?;
                    if sample.timestamp >= since && keep(series) {
                        self.points.push(series, &sample.into());
                    }
                }
            }
            Record::Histograms(histograms) => {
                for entry in histograms {
                    let (series, point) = entry?;
                    if point.timestamp >= since && keep(series) {
                        self.points.push(series, &point);
                    }
                }
            }
            Record::Exemplars(exemplars) => {
                for logged in exemplars {
                    let LoggedExemplar { series, exemplar } = logged?;
                    if exemplar.timestamp >= since && keep(series) {
                        self.exemplars.exemplar(series, &exemplar);
                    }
                }
            }
            Record::Tombstones(entries) => self.tombstones(entries, since, keep)?,
            Record::Metadata(_) | Record::Other(_) => {}
        }
        let others = [self.series.bytes(), self.exemplars.bytes()];
        let others: usize = others.iter().map(|bytes| bytes.len()).sum();
        if others + self.points.byte_count() >= RECORD_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Copies deletions behind what they delete, those that reach to samples that are kept.
    fn tombstones(
        &mut self,
        entries: TombstonesRecord<'_>,
        since: Timestamp,
        keep: &impl Fn(LogSeries) -> bool,
    ) -> Result<(), CopyError> {
        self.flush()?;
        let mut record = RecordBuilder::new();
        for entry in entries {
            let (number, range) = entry?;
            if range.end >= since && keep(number) {
                record.tombstone(number, range);
            }
        }
        if !record.is_empty() {
            self.writer.write(&[record.bytes()])?;
        }
        Ok(())
    }

    /// Series first, so that samples never precede their series, and exemplars never their samples.
    fn flush(&mut self) -> io::Result<()> {
        let records = [self.series.bytes()].into_iter().chain(self.points.records());
        for record in records.chain([self.exemplars.bytes()]).filter(|record| !record.is_empty()) {
            self.writer.write(&[record])?;
        }
        self.series.clear();
        self.points.clear();
        self.exemplars.clear();
        Ok(())
    }
}

/// Why a record was not copied.
#[derive(Debug)]
enum CopyError {
    Damaged(String),
    Io(io::Error),
}

impl From<SegmentError> for CopyError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Io(error) => Self::Io(error),
            damage @ SegmentError::Damaged { .. } => Self::Damaged(damage.to_string()),
        }
    }
}

impl From<BadRecord> for CopyError {
    fn from(_: BadRecord) -> Self {
        Self::Damaged("a record does not decode".to_owned())
    }
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
