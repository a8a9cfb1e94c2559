//! Records of native histograms.
//!
//! ```text
//! record    := kind | id0 u64 | t0 i64 | (id-id0 varint | t-t0 varint | histogram)*
//! kind      := 7 whole counts, 8 fractional ones; 9 and 10 the same with custom buckets
//! histogram := reset u8 | schema varint | zero threshold f64 | zero count | count | sum f64
//!              spans spans buckets buckets | bounds                    (positive, then negative)
//! spans     := n uvarint | (offset varint | length uvarint)*n
//! buckets   := n uvarint | bucket*n
//! bounds    := n uvarint | f64*n                                      (of custom buckets only)
//! ```
//! Whole counts are uvarints, and a whole bucket is a varint: what it has more than the one before it.
//! Fractional ones are f64. What was written with a higher resolution than there is today is read with
//! less.
//! - Source: Prometheus `tsdb/record/record.go`.

use std::sync::Arc;

use model::histogram::spans::{self, Span};
use model::histogram::{Bucket, Count, CounterReset, NativeHistogram};
use model::{Histogram, Point, SampleValue, Timestamp, is_stale};

use super::positions::Positions;
use super::{BadRecord, RecordBuilder, next_entry};
use crate::codec::{Decoder, put_uvarint, put_varint};
use crate::log::LogSeries;

const FLOAT: u8 = 8;
const CUSTOM_FLOAT: u8 = 10;
/// As Prometheus orders those of one commit.
pub(super) const KINDS: [u8; 4] = [7, 9, FLOAT, CUSTOM_FLOAT];

/// Which of [`KINDS`] histograms like this one are in.
pub(super) const fn kind_of(histogram: &Histogram) -> usize {
    match histogram {
        Histogram::Integer(histogram) => histogram.has_custom_buckets() as usize,
        Histogram::Float(histogram) => 2 + histogram.has_custom_buckets() as usize,
    }
}

#[derive(Debug)]
pub(crate) struct HistogramsRecord<'a> {
    positions: Positions<'a>,
    is_float: bool,
}

impl<'a> HistogramsRecord<'a> {
    pub(super) fn new(kind: u8, rest: Decoder<'a>) -> Result<Self, BadRecord> {
        let is_float = matches!(kind, FLOAT | CUSTOM_FLOAT);
        Ok(Self { positions: Positions::new(rest)?, is_float })
    }

    fn entry(&mut self) -> Option<(LogSeries, Point)> {
        let (series, timestamp) = self.positions.take()?;
        let rest = &mut self.positions.rest;
        let histogram: Histogram =
            if self.is_float { take::<f64>(rest)?.into() } else { take::<u64>(rest)?.into() };
        let value = SampleValue::Histogram(Arc::new(histogram));
        Some((series, Point { timestamp, value }))
    }
}

impl Iterator for HistogramsRecord<'_> {
    type Item = Result<(LogSeries, Point), BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.positions.rest.is_empty(), || self.entry())
    }
}

impl RecordBuilder {
    pub(super) fn histogram(&mut self, series: LogSeries, at: Timestamp, histogram: &Histogram) {
        self.start(KINDS[kind_of(histogram)]);
        self.position(series, at);
        match histogram {
            Histogram::Integer(histogram) => put(&mut self.bytes, histogram),
            Histogram::Float(histogram) => put(&mut self.bytes, histogram),
        }
    }
}

/// How numbers of observations are written.
trait Logged: Count {
    fn put(self, out: &mut Vec<u8>);
    fn put_buckets(out: &mut Vec<u8>, buckets: &[Bucket<Self>]);
    fn take(rest: &mut Decoder<'_>) -> Option<Self>;
    fn take_buckets(rest: &mut Decoder<'_>, spans: &[Span]) -> Option<Vec<Bucket<Self>>>;
}

impl Logged for u64 {
    fn put(self, out: &mut Vec<u8>) {
        put_uvarint(out, self);
    }

    fn put_buckets(out: &mut Vec<u8>, buckets: &[Bucket<Self>]) {
        for delta in spans::deltas(buckets) {
            put_varint(out, delta);
        }
    }

    fn take(rest: &mut Decoder<'_>) -> Option<Self> {
        rest.uvarint()
    }

    fn take_buckets(rest: &mut Decoder<'_>, spans: &[Span]) -> Option<Vec<Bucket<Self>>> {
        spans::buckets_of_deltas(spans, &take_list(rest, Decoder::varint)?).ok()
    }
}

impl Logged for f64 {
    fn put(self, out: &mut Vec<u8>) {
        put_float(out, self);
    }

    fn put_buckets(out: &mut Vec<u8>, buckets: &[Bucket<Self>]) {
        for bucket in buckets {
            put_float(out, bucket.count);
        }
    }

    fn take(rest: &mut Decoder<'_>) -> Option<Self> {
        take_float(rest)
    }

    fn take_buckets(rest: &mut Decoder<'_>, spans: &[Span]) -> Option<Vec<Bucket<Self>>> {
        spans::buckets(spans, &take_list(rest, take_float)?).ok()
    }
}

fn put<N: Logged>(out: &mut Vec<u8>, histogram: &NativeHistogram<N>) {
    out.push(histogram.counter_reset.number());
    put_varint(out, histogram.schema.into());
    put_float(out, histogram.zero_threshold);
    histogram.zero_count.put(out);
    histogram.count.put(out);
    put_float(out, histogram.sum);
    let sides = [&histogram.positive, &histogram.negative];
    for buckets in sides {
        let spans = spans::spans(buckets.iter().map(|bucket| bucket.index));
        put_uvarint(out, spans.len() as u64);
        for span in spans {
            put_varint(out, span.offset.into());
            put_uvarint(out, span.length.into());
        }
    }
    for buckets in sides {
        put_uvarint(out, buckets.len() as u64);
        N::put_buckets(out, buckets);
    }
    if histogram.has_custom_buckets() {
        put_uvarint(out, histogram.custom_bounds.len() as u64);
        for &bound in &*histogram.custom_bounds {
            put_float(out, bound);
        }
    }
}

fn take<N: Logged>(rest: &mut Decoder<'_>) -> Option<NativeHistogram<N>> {
    let mut histogram = NativeHistogram {
        counter_reset: CounterReset::from_number(rest.u8()?.into()),
        schema: i32::try_from(rest.varint()?).ok()?,
        zero_threshold: take_float(rest)?,
        zero_count: N::take(rest)?,
        count: N::take(rest)?,
        sum: take_float(rest)?,
        ..NativeHistogram::default()
    };
    let positive = take_list(rest, take_span)?;
    let negative = take_list(rest, take_span)?;
    histogram.positive = N::take_buckets(rest, &positive)?;
    histogram.negative = N::take_buckets(rest, &negative)?;
    if histogram.has_custom_buckets() {
        histogram.custom_bounds = take_list(rest, take_float)?.into();
    }
    if is_stale(histogram.sum) {
        return Some(NativeHistogram { sum: histogram.sum, ..NativeHistogram::default() });
    }
    histogram.reduce_reserved_resolution();
    histogram.validate_shape().ok()?;
    Some(histogram)
}

/// What the list says of its length is not believed: each item takes a byte at least.
fn take_list<'a, T>(
    rest: &mut Decoder<'a>,
    item: impl Fn(&mut Decoder<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let length = rest.uvarint()?;
    if length > rest.bytes.len() as u64 {
        return None;
    }
    (0..length).map(|_| item(rest)).collect()
}

fn take_span(rest: &mut Decoder<'_>) -> Option<Span> {
    let offset = i32::try_from(rest.varint()?).ok()?;
    let length = u32::try_from(rest.uvarint()?).ok()?;
    Some(Span { offset, length })
}

fn put_float(out: &mut Vec<u8>, value: f64) {
    out.extend(value.to_bits().to_be_bytes());
}

fn take_float(rest: &mut Decoder<'_>) -> Option<f64> {
    rest.u64().map(f64::from_bits)
}

#[cfg(test)]
#[path = "histograms/tests.rs"]
mod tests;
