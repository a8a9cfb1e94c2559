//! Brings the head back from the log.
//!
//! `wal/` holds everything, `wbl/` once more what arrived out of order. Of the former, samples that
//! are older than the blocks' end or behind their series' newest are passed over: they are in a block
//! or in the latter.
//!
//! - REPLAY-1: everything logged before the first damage of each segment comes back; what is lost is
//!   reported by file and offset, and counted.
//! - REPLAY-2: after replay no segment has damage: it was cut off where it began.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use model::{Labels, Sample, Timestamp};
use tracing::{error, info, warn};

use crate::head::{Head, Place};
use crate::log::LoggedSample;
use crate::metrics::Metrics;
use crate::wal::record::{BadRecord, LoggedMetadata, Record, SamplesRecord, holds_data};
use crate::wal::segment::{SegmentError, SegmentReader};
use crate::wal::{checkpoint, list_segments, segment_path};

#[derive(Debug)]
pub(super) struct Replay<'a> {
    head: &'a Head,
    metrics: &'a Metrics,
    samples: u64,
    unknown: u64,
    passed_over: u64,
    is_late: bool,
}

impl<'a> Replay<'a> {
    pub(super) const fn new(head: &'a Head, metrics: &'a Metrics) -> Self {
        Self { head, metrics, samples: 0, unknown: 0, passed_over: 0, is_late: false }
    }

    /// Replays the log in `dir`; gives the number of the segment to write next.
    pub(super) fn log(&mut self, dir: &Path) -> io::Result<u32> {
        let checkpoint = checkpoint::newest(dir)?;
        if let Some((path, _)) = &checkpoint {
            for segment in list_segments(path)? {
                self.segment(path, segment)?;
            }
        }
        let first = checkpoint.map_or(0, |(_, covered)| covered + 1);
        self.segments(dir, first)
    }

    /// Replays, after the log, the log of what arrived out of order; gives the number of the segment
    /// to write next.
    pub(super) fn late_log(&mut self, dir: &Path) -> io::Result<u32> {
        self.is_late = true;
        self.segments(dir, 0)
    }

    fn segments(&mut self, dir: &Path, first: u32) -> io::Result<u32> {
        let segments: Vec<u32> =
            list_segments(dir)?.into_iter().filter(|&segment| segment >= first).collect();
        for &segment in &segments {
            self.segment(dir, segment)?;
        }
        for gap in segments.windows(2).filter(|pair| pair[0] + 1 != pair[1]) {
            error!(after = gap[0], before = gap[1], "log segments are missing");
            self.metrics.log_damage.inc();
        }
        Ok(segments.last().map_or(first, |last| last + 1))
    }
}

impl Replay<'_> {
    fn segment(&mut self, dir: &Path, segment: u32) -> io::Result<()> {
        let mut reader = SegmentReader::open(dir, segment, 0)?;
        let end = reader.file_bytes()?;
        loop {
            let start = reader.offset();
            let (offset, reason) = match reader.next(end) {
                Ok(None) => return Ok(()),
                Ok(Some(record)) => match self.record(record) {
                    Ok(()) => continue,
                    Err(BadRecord) => (start, "a record does not decode"),
                },
                Err(SegmentError::Damaged { offset, reason }) => (offset, reason),
                Err(SegmentError::Io(e)) => return Err(e),
            };
            let path = segment_path(dir, segment);
            error!(file = %path.display(), offset, reason, lost_bytes = end - start,
                "the log is damaged; the rest of this segment is lost");
            self.metrics.log_damage.inc();
            self.metrics.log_damage_bytes.inc_by(end - start);
            return OpenOptions::new().write(true).open(path)?.set_len(start);
        }
    }

    fn record(&mut self, record: &[u8]) -> Result<(), BadRecord> {
        match Record::parse(record)? {
            Record::Series(series) => {
                for entry in series {
                    let (number, labels) = entry?;
                    if !labels.is_empty() {
                        let mut index = self.head.index.write();
                        let place = self.head.series_in(&mut index, &labels, Some(number));
                        index.add_alias(number, place);
                    }
                }
            }
            Record::Samples(samples) => self.samples(samples)?,
            Record::Metadata(entries) => {
                for entry in entries {
                    let LoggedMetadata { series, family, metadata } = entry?;
                    let labels = self.head.index.read().labels_of_number(series);
                    let metric = labels.as_ref().map(Labels::metric_name);
                    if let Some(family) = family.as_deref().or(metric) {
                        self.head.metadata.lock().insert(family, &metadata, true);
                    }
                }
            }
            Record::Other(kind) => self.passed_over += u64::from(holds_data(kind)),
        }
        Ok(())
    }

    fn samples(&mut self, samples: SamplesRecord<'_>) -> Result<(), BadRecord> {
        let index = self.head.index.read();
        let (mut oldest, mut newest) = (Timestamp::MAX, Timestamp::MIN);
        for logged in samples {
            let LoggedSample { series, sample } = logged?;
            self.samples += 1;
            if !self.is_late && sample.timestamp < self.head.bounds.valid_from() {
                continue;
            }
            let Some(place) = index.by_number(series) else {
                self.unknown += 1;
                continue;
            };
            if self.sample(place, sample) {
                oldest = oldest.min(sample.timestamp);
                newest = newest.max(sample.timestamp);
            }
        }
        if oldest <= newest {
            self.head.bounds.include(oldest, newest);
        }
        Ok(())
    }

    /// Whether the sample was new.
    fn sample(&self, place: Place, sample: Sample) -> bool {
        let at = sample.timestamp;
        let mut shard = self.head.shard_of(place);
        let Some(series) = shard.get_mut(place) else { return false };
        if self.is_late {
            if series.value_at(at).is_some() {
                return false;
            }
            series.begin_commit(0);
            series.push_out_of_order(sample);
            return true;
        }
        let is_newest = series.newest().is_none_or(|newest| at > newest.timestamp);
        if is_newest {
            series.push(sample);
        }
        is_newest
    }

    pub(super) fn report(&self) {
        self.metrics.replay_unknown_series.inc_by(self.unknown);
        if self.unknown > 0 {
            warn!(samples = self.unknown, "the log has samples of series that it does not name");
        }
        if self.passed_over > 0 {
            warn!(
                records = self.passed_over,
                "the log has records of deletions or native histograms, which are passed over"
            );
        }
        info!(samples = self.samples, series = self.head.index.read().len(), "log replayed");
    }
}
