//! Shortens the log: what is still needed of its oldest segments moves into a checkpoint.
//!
//! - CHECKPOINT-1: a checkpoint appears whole (written aside, synced, renamed) before anything that
//!   it replaces is removed; a crash in between leaves both, and opening removes what it replaces.

use std::path::{Path, PathBuf};
use std::{fs, io};

use model::Timestamp;

use super::compression::Compression;
use super::record::points::PointRecords;
use super::record::tombstones::TombstonesRecord;
use super::record::{BadRecord, Record, RecordBuilder};
use super::segment::{SegmentError, SegmentReader};
use super::writer::LogWriter;
use super::{SEGMENT_BYTES, list_segments, segment_path, sync_dir};
use crate::log::{LogSeries, LoggedExemplar, LoggedSample};

const PREFIX: &str = "checkpoint.";
const UNFINISHED: &str = ".tmp";
/// Small records are joined up to about this size.
const RECORD_BYTES: usize = 1 << 20;

/// The newest whole checkpoint in `dir`, and the last segment that it covers.
pub(crate) fn newest(dir: &Path) -> io::Result<Option<(PathBuf, u32)>> {
    Ok(list(dir)?.pop().map(|covered| (path(dir, covered), covered)))
}

fn list(dir: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let covered = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        found.extend(covered.and_then(|covered| covered.parse::<u32>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

fn path(dir: &Path, covered: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{covered:08}"))
}

/// Replaces the newest checkpoint and the segments up to `last` by a new checkpoint, which keeps the
/// samples and exemplars from `since` on of the series that `keep` names.
pub(crate) fn write(
    dir: &Path,
    last: u32,
    compression: Compression,
    since: Timestamp,
    keep: impl Fn(LogSeries) -> bool,
    metadata: &RecordBuilder,
) -> io::Result<()> {
    let finished = path(dir, last);
    let unfinished = PathBuf::from(format!("{}{UNFINISHED}", finished.display()));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir(&unfinished)?;
    if let Err(error) = fill(&unfinished, dir, last, compression, since, keep, metadata) {
        let _ = fs::remove_dir_all(&unfinished); // what stays is removed when the database opens
        return Err(error);
    }
    fs::rename(&unfinished, finished)?;
    sync_dir(dir)?;
    remove_covered(dir, last)
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
) -> io::Result<()> {
    let mut copy = Copy {
        writer: LogWriter::create(unfinished, 0, SEGMENT_BYTES, compression)?,
        series: RecordBuilder::new(),
        points: PointRecords::default(),
        exemplars: RecordBuilder::new(),
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
        tail.file.sync_all()?;
    }
    sync_dir(unfinished)
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
            let record = match reader.next(end) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(()),
                Err(SegmentError::Io(e)) => return Err(e),
                Err(damage) => return Err(io::Error::new(io::ErrorKind::InvalidData, damage)),
            };
            match Record::parse(record).map_err(malformed)? {
                Record::Series(series) => {
                    for entry in series {
                        let (number, labels) = entry.map_err(malformed)?;
                        if keep(number) {
                            self.series.series(number, labels.into_iter());
                        }
                    }
                }
                Record::Samples(samples) => {
                    for logged in samples {
                        let LoggedSample { series, sample } = logged.map_err(malformed)?;
                        if sample.timestamp >= since && keep(series) {
                            self.points.push(series, &sample.into());
                        }
                    }
                }
                Record::Histograms(histograms) => {
                    for entry in histograms {
                        let (series, point) = entry.map_err(malformed)?;
                        if point.timestamp >= since && keep(series) {
                            self.points.push(series, &point);
                        }
                    }
                }
                Record::Exemplars(exemplars) => {
                    for logged in exemplars {
                        let LoggedExemplar { series, exemplar } = logged.map_err(malformed)?;
                        if exemplar.timestamp >= since && keep(series) {
                            self.exemplars.exemplar(series, &exemplar);
                        }
                    }
                }
                Record::Tombstones(entries) => self.tombstones(entries, since, &keep)?,
                Record::Metadata(_) | Record::Other(_) => {}
            }
            let others = [self.series.bytes(), self.exemplars.bytes()];
            let others: usize = others.iter().map(|bytes| bytes.len()).sum();
            if others + self.points.byte_count() >= RECORD_BYTES {
                self.flush()?;
            }
        }
    }

    /// Copies deletions behind what they delete, those that reach to samples that are kept.
    fn tombstones(
        &mut self,
        entries: TombstonesRecord<'_>,
        since: Timestamp,
        keep: &impl Fn(LogSeries) -> bool,
    ) -> io::Result<()> {
        self.flush()?;
        let mut record = RecordBuilder::new();
        for entry in entries {
            let (number, range) = entry.map_err(malformed)?;
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

fn malformed(_: BadRecord) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a log record is malformed")
}
