//! Which segments there are to replay.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tracing::error;

use crate::log::LogPosition;
use crate::metrics::Metrics;
use crate::wal::{checkpoint, list_segments, segment_path};

/// What is to be replayed of one log.
#[derive(Debug, Default)]
pub(crate) struct LogSegments {
    pub(super) segments: Vec<Segment>,
    /// The number of the segment to write next.
    pub(in crate::db) next: u32,
    /// Where the newest segment ends.
    pub(in crate::db) end: LogPosition,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) dir: PathBuf,
    pub(super) number: u32,
    pub(super) bytes: u64,
}

impl LogSegments {
    /// The newest checkpoint of the log in `dir` and what was written after it.
    pub(crate) fn of_log(dir: &Path, metrics: &Metrics) -> io::Result<Self> {
        let Some((checkpoint, covered)) = checkpoint::newest(dir)? else {
            return Self::from(dir, 0, metrics);
        };
        let mut log = Self::from(dir, covered + 1, metrics)?;
        log.segments.splice(0..0, segments_in(&checkpoint)?);
        Ok(log)
    }

    /// All of the log in `dir` that lies in segments from `first` on.
    pub(crate) fn from(dir: &Path, first: u32, metrics: &Metrics) -> io::Result<Self> {
        let mut segments = segments_in(dir)?;
        segments.retain(|segment| segment.number >= first);
        for pair in segments.windows(2).filter(|pair| pair[0].number + 1 != pair[1].number) {
            let (after, before) = (pair[0].number, pair[1].number);
            error!(log = %dir.display(), after, before, "log segments are missing");
            metrics.log_damage.inc();
        }
        let end = segments.last().map_or_else(LogPosition::default, |last| LogPosition {
            segment: last.number,
            offset: last.bytes,
        });
        let next = segments.last().map_or(first, |last| last.number + 1);
        Ok(Self { segments, next, end })
    }

    /// Brings to the disk what a former process had no time to sync: sent again, it is stored already
    /// and will be acknowledged.
    pub(in crate::db) fn sync(&self) -> io::Result<()> {
        self.segments.iter().try_for_each(|segment| File::open(segment.path())?.sync_data())
    }
}

impl Segment {
    pub(super) fn path(&self) -> PathBuf {
        segment_path(&self.dir, self.number)
    }
}

fn segments_in(dir: &Path) -> io::Result<Vec<Segment>> {
    let segment = |number| {
        let bytes = fs::metadata(segment_path(dir, number))?.len();
        Ok(Segment { dir: dir.to_owned(), number, bytes })
    };
    list_segments(dir)?.into_iter().map(segment).collect()
}
