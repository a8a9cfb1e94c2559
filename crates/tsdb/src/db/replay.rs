//! Brings the head back from the log.
//!
//! - REPLAY-1: everything logged before the first damage of each segment comes back; what is lost is
//!   reported by file and offset, and counted.
//! - REPLAY-2: after replay no segment has damage: it was cut off where it began.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use model::{Labels, Sample};
use tracing::{error, info, warn};

use crate::head::Head;
use crate::log::{LogSeries, LoggedSample};
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
}

/// Replays the log in `dir`; gives the number of the segment to write next.
pub(super) fn replay(head: &Head, metrics: &Metrics, dir: &Path) -> io::Result<u32> {
    let mut replay = Replay { head, metrics, samples: 0, unknown: 0, passed_over: 0 };
    let checkpoint = checkpoint::newest(dir)?;
    if let Some((path, _)) = &checkpoint {
        for segment in list_segments(path)? {
            replay.segment(path, segment)?;
        }
    }
    let first = checkpoint.map_or(0, |(_, covered)| covered + 1);
    let segments: Vec<u32> = list_segments(dir)?.into_iter().filter(|&s| s >= first).collect();
    for &segment in &segments {
        replay.segment(dir, segment)?;
    }
    for gap in segments.windows(2).filter(|pair| pair[0] + 1 != pair[1]) {
        error!(after = gap[0], before = gap[1], "log segments are missing");
        metrics.log_damage.inc();
    }
    replay.report();
    Ok(segments.last().map_or(first, |last| last + 1))
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
        for logged in samples {
            let LoggedSample { series, sample } = logged?;
            self.samples += 1;
            self.sample(series, sample);
        }
        Ok(())
    }

    /// The log holds what was accepted, so nothing is refused here but repetitions.
    fn sample(&mut self, number: LogSeries, sample: Sample) {
        let Some(place) = self.head.index.read().by_number(number) else {
            self.unknown += 1;
            return;
        };
        let mut shard = self.head.shard_of(place);
        let Some(series) = shard.get_mut(place) else { return };
        if series.newest().is_none_or(|newest| sample.timestamp > newest.timestamp) {
            series.push(sample);
        } else if series.value_at(sample.timestamp).is_none() {
            series.begin_commit(0);
            series.push_out_of_order(sample);
        }
        self.head.bounds.include(sample.timestamp, sample.timestamp);
    }

    fn report(&self) {
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
