//! Reads chunks of histograms.

use model::histogram::{CounterReset, NativeHistogram};
use model::{Histogram, Timestamp};

use super::layout::Layout;
use super::numbers::{Encoded, Numbers};
use super::{FLOAT, HEADER_BYTES, INTEGER, RESET_MASK, reset_bits};
use crate::chunk::bits::BitReader;
use crate::chunk::xor::BadChunk;

/// Decodes a chunk, histogram by histogram.
///
/// The first one says what is known of a counter reset before the chunk, except that there was none:
/// what came before may be gone. Staleness markers say nothing.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSamples<'a>(AnyReader<'a>);

#[derive(Clone, Debug)]
enum AnyReader<'a> {
    Integer(Reader<'a, u64>),
    Float(Reader<'a, f64>),
}

impl<'a> HistogramSamples<'a> {
    pub(crate) fn new(encoding: u8, chunk: &'a [u8]) -> Result<Self, BadChunk> {
        let reader = match encoding {
            INTEGER => Reader::new(chunk).map(AnyReader::Integer),
            FLOAT => Reader::new(chunk).map(AnyReader::Float),
            _ => None,
        };
        reader.map(Self).ok_or(BadChunk)
    }

    /// The next histogram; `Ok(None)` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(Timestamp, Histogram)>, BadChunk> {
        match &mut self.0 {
            AnyReader::Integer(reader) => Ok(reader.next()?.map(|(at, h)| (at, h.into()))),
            AnyReader::Float(reader) => Ok(reader.next()?.map(|(at, h)| (at, h.into()))),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reader<'a, N: Encoded> {
    bits: BitReader<'a>,
    left: usize,
    layout: Layout,
    numbers: Numbers<N>,
    /// Whether `numbers` are those of the first histogram, which was not given yet.
    is_first: bool,
    counter_reset: CounterReset,
}

impl<'a, N: Encoded> Reader<'a, N> {
    /// Reads the first histogram, so that what follows has a predecessor.
    pub(super) fn new(chunk: &'a [u8]) -> Option<Self> {
        let (&[count, count_low, flags], rest) = chunk.split_first_chunk::<HEADER_BYTES>()?;
        let left = usize::from(u16::from_be_bytes([count, count_low]));
        let mut bits = BitReader::new(rest);
        let layout = Layout::take(&mut bits)?;
        let numbers = Numbers::take_first(&mut bits, &layout)?;
        let counter_reset = match flags & RESET_MASK {
            flags if flags == reset_bits(CounterReset::Reset) => CounterReset::Reset,
            flags if flags == reset_bits(CounterReset::Gauge) => CounterReset::Gauge,
            _ => CounterReset::Unknown,
        };
        (left > 0).then_some(Self { bits, left, layout, numbers, is_first: true, counter_reset })
    }

    pub(super) fn next(&mut self) -> Result<Option<(Timestamp, NativeHistogram<N>)>, BadChunk> {
        if self.left == 0 {
            return Ok(None);
        }
        self.step().map(Some).ok_or(BadChunk)
    }

    fn step(&mut self) -> Option<(Timestamp, NativeHistogram<N>)> {
        if !self.is_first {
            self.numbers.take(&mut self.bits)?;
        }
        let counter_reset = match self.counter_reset {
            CounterReset::Gauge => CounterReset::Gauge,
            known if self.is_first => known,
            _ => CounterReset::NotReset,
        };
        (self.is_first, self.left) = (false, self.left - 1);
        let mut histogram = self.numbers.histogram(&self.layout, counter_reset)?;
        histogram.reduce_reserved_resolution();
        Some((self.numbers.time(), histogram))
    }
}
