//! The log: `wal/` behind its newest checkpoint, `wbl/`, snapshots of the head.
//!
//! All files of a directory are opened before the first is read: a server at work may remove them
//! meanwhile.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::Timestamp;
use roaring::RoaringTreemap;

use super::Check;
use crate::inspect::InspectError;
use crate::log::{LogSeries, LoggedSample};
use crate::wal::record::{BadRecord, Record};
use crate::wal::segment::{SegmentError, SegmentReader};
use crate::wal::{checkpoint, list_segments, segment_path};

/// So many times the files of a directory may vanish between listing and opening them.
const ATTEMPTS: usize = 10;
const SNAPSHOT: &str = "chunk_snapshot.";

/// Samples before `written_until` need no series: they are in blocks.
pub(super) fn verify(
    dir: &Path,
    written_until: Timestamp,
    check: &mut Check<'_>,
) -> Result<(), InspectError> {
    let error = |dir: &Path| {
        let dir = dir.to_owned();
        |source| InspectError::List { dir, source }
    };
    let wal = dir.join("wal");
    let mut series = Series { written_until, known: RoaringTreemap::new() };
    for mut segment in open_all(&wal).map_err(error(&wal))? {
        segment.verify(Contents::Log(&mut series), check);
    }
    let late = dir.join("wbl");
    for mut segment in open_all(&late).map_err(error(&late))? {
        segment.verify(Contents::LateLog, check);
    }
    for snapshot in snapshots(dir).map_err(error(dir))? {
        for mut segment in open_segments(&snapshot, 0).map_err(error(&snapshot))? {
            segment.verify(Contents::Snapshot, check);
        }
    }
    Ok(())
}

fn snapshots(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path()));
    let mut found = entries.collect::<io::Result<Vec<_>>>()?;
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(SNAPSHOT) && !name.ends_with(".tmp"))
    });
    Ok(found)
}

/// The newest checkpoint in `dir` and the segments behind it, in order. None where there is no `dir`.
fn open_all(dir: &Path) -> io::Result<Vec<Segment>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let open = || {
        let Some((checkpoint, covered)) = checkpoint::newest(dir)? else {
            return open_segments(dir, 0);
        };
        let mut segments = open_segments(&checkpoint, 0)?;
        segments.extend(open_segments(dir, covered + 1)?);
        Ok(segments)
    };
    let vanished = |opened: &io::Result<_>| {
        opened.as_ref().is_err_and(|error: &io::Error| error.kind() == io::ErrorKind::NotFound)
    };
    let mut attempts = (0..ATTEMPTS).map(|_| open());
    attempts.find(|opened| !vanished(opened)).unwrap_or_else(open)
}

/// The segments in `dir` from `first` on.
fn open_segments(dir: &Path, first: u32) -> io::Result<Vec<Segment>> {
    let mut numbers = list_segments(dir)?;
    numbers.retain(|&number| number >= first);
    let previous = [None].into_iter().chain(numbers.iter().copied().map(Some));
    let open = |(&number, previous): (&u32, Option<u32>)| {
        Ok(Segment {
            path: segment_path(dir, number),
            reader: SegmentReader::open(dir, number, 0)?,
            follows_gap: previous.is_some_and(|previous| previous + 1 != number),
        })
    };
    numbers.iter().zip(previous).map(open).collect()
}

/// What the log has named so far.
struct Series {
    known: RoaringTreemap,
    written_until: Timestamp,
}

/// Samples of series that the log does not name.
#[derive(Default)]
struct Orphans {
    samples: u64,
    first_record: u64,
}

/// What the records of a file say.
enum Contents<'a> {
    Log(&'a mut Series),
    /// Of what is in the log too.
    LateLog,
    /// In a format of its own.
    Snapshot,
}

struct Segment {
    path: PathBuf,
    reader: SegmentReader,
    follows_gap: bool,
}

impl Segment {
    fn verify(&mut self, mut contents: Contents<'_>, check: &mut Check<'_>) {
        check.verified.log_segments += 1;
        if self.follows_gap {
            check.problem(&self.path, None, "the segment before it is missing");
        }
        let mut orphans = Orphans::default();
        if let Err((offset, what)) = self.records(&mut contents, &mut orphans, check) {
            check.problem(&self.path, offset, what);
        }
        if orphans.samples > 0 {
            let what =
                format!("{} samples are of series that the log does not name", orphans.samples);
            check.problem(&self.path, orphans.first_record, what);
        }
    }

    /// Reads up to the end, or to what is wrong and where.
    fn records(
        &mut self,
        contents: &mut Contents<'_>,
        orphans: &mut Orphans,
        check: &mut Check<'_>,
    ) -> Result<(), (u64, String)> {
        let mut end = 0;
        loop {
            let start = self.reader.offset();
            let io_error = |error: io::Error| (start, error.to_string());
            match self.reader.next(end) {
                Ok(Some(record)) => {
                    let before = orphans.samples;
                    contents
                        .take(record, orphans)
                        .map_err(|BadRecord| (start, "a record does not decode".to_owned()))?;
                    if before == 0 && orphans.samples > 0 {
                        orphans.first_record = start;
                    }
                    check.verified.log_records += 1;
                }
                Err(SegmentError::Io(error)) => return Err(io_error(error)),
                ended => {
                    // A server may be in the middle of a record: more of it is there by now.
                    let damage = ended.err();
                    let bytes = self.reader.file_bytes().map_err(io_error)?;
                    if bytes > end && (damage.is_some() || end == 0) {
                        end = bytes;
                    } else if let Some(SegmentError::Damaged { offset, reason }) = damage {
                        return Err((offset, reason.to_owned()));
                    } else {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Contents<'_> {
    fn take(&mut self, record: &[u8], orphans: &mut Orphans) -> Result<(), BadRecord> {
        if let Self::Snapshot = self {
            return Ok(());
        }
        match Record::parse(record)? {
            Record::Series(entries) => {
                for entry in entries {
                    self.series(entry?.0);
                }
            }
            Record::Samples(entries) => {
                for entry in entries {
                    let LoggedSample { series, sample } = entry?;
                    orphans.samples += u64::from(self.is_orphan(series, sample.timestamp));
                }
            }
            Record::Histograms(entries) => {
                for entry in entries {
                    let (series, point) = entry?;
                    orphans.samples += u64::from(self.is_orphan(series, point.timestamp));
                }
            }
            Record::Tombstones(entries) => all_decode(entries)?,
            Record::Exemplars(entries) => all_decode(entries)?,
            Record::Metadata(entries) => all_decode(entries)?,
            Record::Other(_) => {}
        }
        Ok(())
    }

    fn series(&mut self, number: LogSeries) {
        if let Self::Log(series) = self {
            series.known.insert(number.0);
        }
    }

    fn is_orphan(&self, number: LogSeries, at: Timestamp) -> bool {
        match self {
            Self::Log(series) => at >= series.written_until && !series.known.contains(number.0),
            Self::LateLog | Self::Snapshot => false,
        }
    }
}

fn all_decode<T>(mut entries: impl Iterator<Item = Result<T, BadRecord>>) -> Result<(), BadRecord> {
    entries.try_for_each(|entry| entry.map(drop))
}
