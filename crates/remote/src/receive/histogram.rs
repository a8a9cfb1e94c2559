//! One native histogram of a request. Both versions of remote write have its fields under the same
//! numbers.
//!
//! - RECEIVE-6: what is stored of a histogram is valid; a schema that is reserved for finer buckets than
//!   we know is brought down to the finest that we do.
//! - Source: Prometheus `prompb/codec.go`, `storage/remote/write.go`.

use model::histogram::spans::{self, BadBuckets, Span};
use model::histogram::{
    Bucket, Count, CounterReset, InvalidHistogram, NativeHistogram, SCHEMA_MAX, SCHEMA_RESERVED_MAX,
};
use model::{Histogram, Timestamp};

use crate::wire::{Malformed, Reader, zigzag};

/// Why a histogram is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(crate) enum BadHistogram {
    #[error(transparent)]
    Buckets(#[from] BadBuckets),
    #[error(transparent)]
    Invalid(#[from] InvalidHistogram),
}

/// A histogram's fields as they stand in a message. Reuse it for its buffers.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    count: Total,
    zero_count: Total,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    counter_reset: CounterReset,
    timestamp: Timestamp,
    positive: Side,
    negative: Side,
    custom_bounds: Vec<f64>,
}

/// Of a field that has two forms, the one that came last counts; without any, it is a whole 0.
#[derive(Clone, Copy, Debug)]
enum Total {
    Whole(u64),
    Fractional(f64),
}

/// The buckets on one side of zero.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    /// Of a histogram with whole counts.
    deltas: Vec<i64>,
    /// Of one with fractional counts.
    counts: Vec<f64>,
}

impl Fields {
    /// Reads `message` over what was here before.
    pub(crate) fn read(&mut self, mut message: Reader<'_>) -> Result<(), Malformed> {
        self.clear();
        let (positive, negative) = (&mut self.positive, &mut self.negative);
        while let Some(field) = message.field()? {
            match field.number {
                1 => self.count = Total::Whole(field.varint()?),
                2 => self.count = Total::Fractional(field.double()?),
                3 => self.sum = field.double()?,
                4 => self.schema = field.sint32()?,
                5 => self.zero_threshold = field.double()?,
                6 => self.zero_count = Total::Whole(field.varint()?),
                7 => self.zero_count = Total::Fractional(field.double()?),
                8 => negative.spans.push(span(field.message()?)?),
                9 => field.varints(|delta| negative.deltas.push(zigzag(delta)))?,
                10 => field.doubles(|count| negative.counts.push(count))?,
                11 => positive.spans.push(span(field.message()?)?),
                12 => field.varints(|delta| positive.deltas.push(zigzag(delta)))?,
                13 => field.doubles(|count| positive.counts.push(count))?,
                14 => self.counter_reset = counter_reset(field.varint()?),
                15 => self.timestamp = Timestamp::from_millis(field.varint()? as i64),
                16 => field.doubles(|bound| self.custom_bounds.push(bound))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// About the memory that [`Fields::histogram`] will take.
    pub(crate) fn bytes(&self) -> usize {
        let numbers = |side: &Side| side.deltas.len().max(side.counts.len());
        let buckets = numbers(&self.positive) + numbers(&self.negative);
        size_of::<Histogram>()
            + buckets * size_of::<Bucket>()
            + size_of_val(self.custom_bounds.as_slice())
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    pub(crate) fn histogram(&self) -> Result<Histogram, BadHistogram> {
        let (positive, negative) = (&self.positive, &self.negative);
        let histogram = match self.count {
            Total::Whole(count) => self.finish(NativeHistogram {
                count,
                zero_count: if let Total::Whole(count) = self.zero_count { count } else { 0 },
                positive: spans::buckets_of_deltas(&positive.spans, &positive.deltas)?,
                negative: spans::buckets_of_deltas(&negative.spans, &negative.deltas)?,
                ..NativeHistogram::default()
            }),
            Total::Fractional(count) => self.finish(NativeHistogram {
                count,
                zero_count: if let Total::Fractional(count) = self.zero_count {
                    count
                } else {
                    0.0
                },
                positive: spans::buckets(&positive.spans, &positive.counts)?,
                negative: spans::buckets(&negative.spans, &negative.counts)?,
                ..NativeHistogram::default()
            }),
        };
        if histogram.is_stale() {
            return Ok(histogram.to_stale());
        }
        histogram.validate()?;
        Ok(histogram)
    }

    /// Adds what both kinds of histogram have.
    fn finish<N: Count>(&self, counts: NativeHistogram<N>) -> Histogram
    where
        NativeHistogram<N>: Into<Histogram>,
    {
        let mut histogram = NativeHistogram {
            sum: self.sum,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            counter_reset: self.counter_reset,
            custom_bounds: self.custom_bounds.as_slice().into(),
            ..counts
        };
        if self.schema <= SCHEMA_RESERVED_MAX {
            histogram.reduce_resolution(SCHEMA_MAX);
        }
        histogram.into()
    }

    fn clear(&mut self) {
        for side in [&mut self.positive, &mut self.negative] {
            side.spans.clear();
            side.deltas.clear();
            side.counts.clear();
        }
        self.custom_bounds.clear();
        let buffers = std::mem::take(self);
        self.positive = buffers.positive;
        self.negative = buffers.negative;
        self.custom_bounds = buffers.custom_bounds;
    }
}

impl Default for Total {
    fn default() -> Self {
        Self::Whole(0)
    }
}

fn span(mut message: Reader<'_>) -> Result<Span, Malformed> {
    let mut span = Span::default();
    while let Some(field) = message.field()? {
        match field.number {
            1 => span.offset = field.sint32()?,
            2 => span.length = field.varint()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

fn counter_reset(number: u64) -> CounterReset {
    match number {
        1 => CounterReset::Reset,
        2 => CounterReset::NotReset,
        3 => CounterReset::Gauge,
        _ => CounterReset::Unknown,
    }
}

#[cfg(test)]
#[path = "histogram/tests.rs"]
mod tests;
