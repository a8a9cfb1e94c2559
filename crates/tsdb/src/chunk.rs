//! Chunks: runs of samples of one series, compressed.
//!
//! An encoding holds numbers or native histograms, never both. What is written and read here is
//! [`Point`]s, whatever the encoding; where numbers have to be fast, [`XorSamples`] reads them.

mod bits;
mod difference;
pub(crate) mod histogram;
pub(crate) mod merge;
mod varbit;
pub(crate) mod xor;

use model::{Point, Sample, SampleValue, Timestamp};

use histogram::{HistogramChunk, HistogramSamples};
use xor::BadChunk;
pub(crate) use xor::{XorChunk, XorSamples};

/// How the bytes of chunks are to be read, as blocks say it.
pub(crate) const XOR: u8 = 1;

/// Chunks of this many numbers are aimed at.
pub(crate) const SAMPLES_WANTED: usize = 120;
/// Chunks of histograms are aimed at that have this many bytes, and some histograms at least
/// (Prometheus `tsdb/chunkenc/chunk.go`, `tsdb/head_append.go`).
const HISTOGRAM_BYTES_WANTED: usize = 1024;
const HISTOGRAMS_MIN: usize = 10;

/// A chunk that is being written.
#[derive(Debug)]
pub(crate) enum Chunk {
    Floats(XorChunk),
    Histograms(Box<HistogramChunk>),
}

impl Chunk {
    /// `previous`: the chunk of the same series before this one.
    pub(crate) fn new(first: &Point, previous: Option<&Self>) -> Self {
        match &first.value {
            &SampleValue::Float(value) => {
                Self::Floats(XorChunk::new(Sample { timestamp: first.timestamp, value }))
            }
            SampleValue::Histogram(histogram) => {
                let previous = match previous {
                    Some(Self::Histograms(chunk)) => Some(&**chunk),
                    _ => None,
                };
                let chunk = HistogramChunk::new(first.timestamp, histogram, previous);
                Self::Histograms(Box::new(chunk))
            }
        }
    }

    /// Appends a point that is newer than the last one; `false` where it needs a chunk of its own.
    #[inline]
    pub(crate) fn push(&mut self, point: &Point) -> bool {
        match (self, &point.value) {
            (Self::Floats(chunk), &SampleValue::Float(value)) => {
                chunk.push(Sample { timestamp: point.timestamp, value });
                true
            }
            (Self::Histograms(chunk), SampleValue::Histogram(histogram)) => {
                chunk.push(point.timestamp, histogram)
            }
            _ => false,
        }
    }

    /// Whether it is as large as chunks should be.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Floats(chunk) => chunk.len() >= SAMPLES_WANTED,
            Self::Histograms(chunk) => {
                chunk.len() >= HISTOGRAMS_MIN && chunk.byte_len() >= HISTOGRAM_BYTES_WANTED
            }
        }
    }

    #[inline]
    pub(crate) fn last_time(&self) -> Timestamp {
        match self {
            Self::Floats(chunk) => chunk.last().timestamp,
            Self::Histograms(chunk) => chunk.last().0,
        }
    }

    pub(crate) fn last_value(&self) -> SampleValue {
        match self {
            Self::Floats(chunk) => SampleValue::Float(chunk.last().value),
            Self::Histograms(chunk) => SampleValue::Histogram(chunk.last().1.clone()),
        }
    }

    pub(crate) fn encoding(&self) -> u8 {
        match self {
            Self::Floats(_) => XOR,
            Self::Histograms(chunk) => chunk.encoding(),
        }
    }

    /// Appends the chunk as it is now to `out`.
    pub(crate) fn copy_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Floats(chunk) => chunk.copy_to(out),
            Self::Histograms(chunk) => chunk.copy_to(out),
        }
    }

    /// The chunk as it is now.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Floats(chunk) => chunk.to_bytes(),
            Self::Histograms(chunk) => chunk.to_bytes(),
        }
    }
}

/// Reads a chunk of any encoding.
#[derive(Debug)]
pub(crate) enum Points<'a> {
    Floats { next: Option<Sample>, rest: XorSamples<'a> },
    Histograms(HistogramSamples<'a>),
}

impl<'a> Points<'a> {
    pub(crate) fn new(encoding: u8, chunk: &'a [u8]) -> Result<Self, BadChunk> {
        match encoding {
            XOR => {
                let (first, rest) = XorSamples::new(chunk)?;
                Ok(Self::Floats { next: Some(first), rest })
            }
            _ => HistogramSamples::new(encoding, chunk).map(Self::Histograms),
        }
    }

    /// The next point; `Ok(None)` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Point>, BadChunk> {
        match self {
            Self::Floats { next, rest } => {
                let Some(sample) = next.take() else { return Ok(None) };
                *next = rest.next()?;
                Ok(Some(sample.into()))
            }
            Self::Histograms(rest) => {
                let next = rest.next()?;
                Ok(next.map(|(timestamp, histogram)| {
                    let value = SampleValue::Histogram(histogram.into());
                    Point { timestamp, value }
                }))
            }
        }
    }
}

/// All that a chunk holds.
pub(crate) fn points_of(encoding: u8, chunk: &[u8]) -> Result<Vec<Point>, BadChunk> {
    let mut points = Vec::new();
    let mut rest = Points::new(encoding, chunk)?;
    while let Some(point) = rest.next()? {
        points.push(point);
    }
    Ok(points)
}

/// What a chunk holds for one time; nothing is known of what does not decode.
pub(crate) fn value_at(encoding: u8, chunk: &[u8], at: Timestamp) -> Option<SampleValue> {
    let mut points = Points::new(encoding, chunk).ok()?;
    loop {
        let point = points.next().ok()??;
        if point.timestamp >= at {
            return (point.timestamp == at).then_some(point.value);
        }
    }
}
