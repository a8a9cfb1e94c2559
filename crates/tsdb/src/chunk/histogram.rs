//! Native histograms compressed against their predecessors: Prometheus' encodings of histograms with
//! whole counts and with fractional ones, bit for bit.
//!
//! ```text
//! chunk  := count u16 BE | reset:2 0:6 | layout | first | next*
//! first  := t signed | count | zero count | sum 64 bits | bucket*      (positive, then negative)
//! next   := time | count | zero count | sum | bucket*                  (no buckets when stale)
//! ```
//! `layout` says which buckets each histogram has, see `layout`; how numbers are written, see `running`.
//! `reset` is what is known of a counter reset before the first histogram: 00 nothing, 01 there was
//! none, 10 there was one, 11 gauges. Within a chunk there is none.
//!
//! - CHUNK-3: times rise strictly, and what has one layout is in one chunk. A histogram with further
//!   buckets widens the layout: the chunk is written anew. One that lacks buckets has empty ones.
//! - CHUNK-4: a copy of a chunk's bytes, taken at any time, decodes to what was pushed until then.
//! - Source: Prometheus `tsdb/chunkenc/histogram.go`, `float_histogram.go`, `histogram_meta.go`.

mod layout;
mod numbers;
mod running;
mod samples;
mod writer;

use std::sync::Arc;

use model::histogram::CounterReset;
use model::{Histogram, Timestamp};

pub(crate) use samples::HistogramSamples;
use writer::Writer;

use super::bits::BitWriter;

/// Encodings as blocks say them: of whole counts and of fractional ones.
const INTEGER: u8 = 2;
const FLOAT: u8 = 3;

/// Of `count` and `reset`.
const HEADER_BYTES: usize = 3;
const RESET_MASK: u8 = 0b11 << 6;
const HISTOGRAMS_MAX: usize = u16::MAX as usize;

/// `reset` in its byte.
const fn reset_bits(counter_reset: CounterReset) -> u8 {
    match counter_reset {
        CounterReset::Unknown => 0b00 << 6,
        CounterReset::NotReset => 0b01 << 6,
        CounterReset::Reset => 0b10 << 6,
        CounterReset::Gauge => 0b11 << 6,
    }
}

/// A chunk that is being written.
#[derive(Debug)]
pub(crate) struct HistogramChunk {
    writer: AnyWriter,
    last_time: Timestamp,
    last: Arc<Histogram>,
}

#[derive(Debug)]
enum AnyWriter {
    Integer(Writer<u64>),
    Float(Writer<f64>),
}

impl HistogramChunk {
    /// `previous`: the chunk of the same series before this one.
    pub(crate) fn new(at: Timestamp, first: &Arc<Histogram>, previous: Option<&Self>) -> Self {
        let writer = match &**first {
            Histogram::Integer(histogram) => {
                let previous = previous.and_then(|chunk| match (&chunk.writer, &*chunk.last) {
                    (AnyWriter::Integer(writer), Histogram::Integer(last)) => Some((writer, last)),
                    _ => None,
                });
                AnyWriter::Integer(Writer::new(at, histogram, previous))
            }
            Histogram::Float(histogram) => {
                let previous = previous.and_then(|chunk| match (&chunk.writer, &*chunk.last) {
                    (AnyWriter::Float(writer), Histogram::Float(last)) => Some((writer, last)),
                    _ => None,
                });
                AnyWriter::Float(Writer::new(at, histogram, previous))
            }
        };
        Self { writer, last_time: at, last: Arc::clone(first) }
    }

    /// Appends a histogram that is newer than the last one (CHUNK-3). `false` where it needs a chunk of
    /// its own; nothing has changed then.
    pub(crate) fn push(&mut self, at: Timestamp, histogram: &Arc<Histogram>) -> bool {
        debug_assert!(at > self.last_time);
        let is_taken = match (&mut self.writer, &*self.last, &**histogram) {
            (AnyWriter::Integer(writer), Histogram::Integer(last), Histogram::Integer(new)) => {
                writer.push(at, new, last)
            }
            (AnyWriter::Float(writer), Histogram::Float(last), Histogram::Float(new)) => {
                writer.push(at, new, last)
            }
            _ => false,
        };
        if is_taken {
            (self.last_time, self.last) = (at, Arc::clone(histogram));
        }
        is_taken
    }

    pub(crate) fn len(&self) -> usize {
        match &self.writer {
            AnyWriter::Integer(writer) => writer.len(),
            AnyWriter::Float(writer) => writer.len(),
        }
    }

    pub(crate) const fn last(&self) -> (Timestamp, &Arc<Histogram>) {
        (self.last_time, &self.last)
    }

    pub(crate) const fn encoding(&self) -> u8 {
        match self.writer {
            AnyWriter::Integer(_) => INTEGER,
            AnyWriter::Float(_) => FLOAT,
        }
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.out().len()
    }

    /// Appends the chunk as it is now to `out` (CHUNK-4).
    pub(crate) fn copy_to(&self, out: &mut Vec<u8>) {
        self.out().copy_to(out);
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.out().to_bytes()
    }

    const fn out(&self) -> &BitWriter {
        match &self.writer {
            AnyWriter::Integer(writer) => writer.out(),
            AnyWriter::Float(writer) => writer.out(),
        }
    }
}

#[cfg(test)]
mod tests;
