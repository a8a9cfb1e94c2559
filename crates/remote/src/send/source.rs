//! The log as one destination reads it: blocking work, done off the async threads.

use std::sync::Arc;

use axum::body::Bytes;
use model::{Labels, Metadata, Timestamp};
use storage::Query;
use tsdb::{Db, LogEntry, LogError, LogPosition, LogReader, LogSeries};

use crate::send::config::{Protocol, RemoteWriteConfig};
use crate::send::encode;
use crate::send::kind::{Counts, Kind};
use crate::send::queue::Entry;
use crate::send::series::{Fate, Lookup, SeriesCache};
use crate::send::symbols::Symbols;

/// Samples read at one time.
const CHUNK_SAMPLES: usize = 10_000;

#[derive(Debug)]
pub(super) struct Source {
    db: Arc<Db>,
    reader: LogReader,
    series: SeriesCache,
    batch: Vec<LogEntry>,
    send_native_histograms: bool,
    send_exemplars: bool,
    families_per_request: usize,
}

/// What one piece of work brought.
#[derive(Debug)]
pub(super) enum Work {
    Chunk(Chunk),
    /// Messages that describe metric families, compressed.
    Metadata(Vec<Bytes>),
    Failed(LogError),
}

#[derive(Debug)]
pub(crate) struct Chunk {
    /// What was read from the log; nothing when caught up. SEND-2: each is in `entries` or counted
    /// below.
    pub(crate) read: Counts,
    pub(crate) relabelled: Counts,
    pub(crate) unknown: Counts,
    /// Of a kind that the configuration does not let through.
    pub(crate) disabled: Counts,
    pub(super) entries: Vec<Entry>,
    pub(super) end: LogPosition,
    pub(super) newest: Option<Timestamp>,
}

impl Source {
    pub(super) fn new(
        db: Arc<Db>,
        start: LogPosition,
        config: &RemoteWriteConfig,
        external_labels: Labels,
        symbols: Symbols,
    ) -> Self {
        let (steps, protocol) = (config.write_relabel_configs.clone(), config.protocol);
        Self {
            reader: db.log_reader(start),
            db,
            series: SeriesCache::new(external_labels, steps, protocol, symbols),
            batch: Vec::new(),
            send_native_histograms: config.send_native_histograms,
            send_exemplars: config.send_exemplars,
            families_per_request: config
                .metadata
                .as_ref()
                .map_or(0, |m| m.max_samples_per_send.get()),
        }
    }

    /// Reads what comes next and relabels it.
    pub(super) fn read(&mut self) -> Work {
        let read = match self.reader.read(&mut self.batch, CHUNK_SAMPLES) {
            Ok(read) => read,
            Err(error) => return Work::Failed(error),
        };
        let mut chunk = Chunk {
            read: Counts::default(),
            relabelled: Counts::default(),
            unknown: Counts::default(),
            disabled: Counts::default(),
            entries: Vec::with_capacity(read),
            end: self.reader.position(),
            newest: self.batch.iter().map(|entry| entry.item.timestamp()).max(),
        };
        for LogEntry { series, item } in self.batch.drain(..) {
            let kind = Kind::of(&item);
            chunk.read.add(kind);
            let is_sent = match kind {
                Kind::Sample => true,
                Kind::Histogram => self.send_native_histograms,
                Kind::Exemplar => self.send_exemplars,
            };
            if !is_sent {
                chunk.disabled.add(kind);
                continue;
            }
            match self.series.get(series, &self.reader) {
                Fate::Forward(series) => {
                    chunk.entries.push(Entry { series: Arc::clone(series), item, chunk: 0 });
                }
                Fate::Dropped => chunk.relabelled.add(kind),
                Fate::Unknown => chunk.unknown.add(kind),
            }
        }
        Work::Chunk(chunk)
    }

    /// From now on the destination is spoken to so.
    pub(super) fn speak(&mut self, protocol: Protocol) {
        self.series.speak(protocol);
    }

    /// Describes the families of which anything is forwarded: with 2.0 in what is sent from now on.
    pub(super) fn describe(&mut self, protocol: Protocol) -> Work {
        if protocol == Protocol::V2 {
            self.series.describe_anew();
            return Work::Metadata(Vec::new());
        }
        let families = self.db.metadata(None).unwrap_or_else(|error| {
            tracing::warn!(%error, "read metadata for remote write");
            Vec::new()
        });
        let wanted: Vec<_> =
            families.iter().filter(|(family, _)| self.series.has_family(family)).collect();
        let requests = wanted.chunks(self.families_per_request.max(1)).map(|some| {
            let mut message = Vec::new();
            for (family, metadata) in some {
                encode::v1::metadata(&mut message, family, metadata);
            }
            compress(&message)
        });
        Work::Metadata(requests.collect())
    }

    pub(super) fn forget_idle_series(&mut self) {
        self.series.forget_idle();
    }
}

impl Lookup for LogReader {
    fn labels(&self, series: LogSeries) -> Option<Labels> {
        LogReader::labels(self, series)
    }

    fn metadata(&self, series: LogSeries) -> Option<Metadata> {
        LogReader::metadata(self, series)
    }
}

pub(super) fn compress(message: &[u8]) -> Bytes {
    let compressed = snap::raw::Encoder::new().compress_vec(message);
    compressed.expect("a request is far smaller than snappy's 4 GiB").into()
}
