//! Native histograms, written field by field.

use model::histogram::spans::{self, Span};
use model::histogram::{Bucket, Count, CounterReset, NativeHistogram};
use model::{Histogram, Timestamp};

use crate::wire::{put_bytes, put_double, put_int64, put_length, put_sint, put_varint, to_zigzag};

/// Appends the fields of a `Histogram`.
pub(super) fn put(out: &mut Vec<u8>, at: Timestamp, histogram: &Histogram) {
    match histogram {
        Histogram::Integer(histogram) => put_fields(out, at, histogram),
        Histogram::Float(histogram) => put_fields(out, at, histogram),
    }
}

fn put_fields<N: Sent>(out: &mut Vec<u8>, at: Timestamp, histogram: &NativeHistogram<N>) {
    histogram.count.put(out, 1);
    put_double(out, 3, histogram.sum);
    put_sint(out, 4, histogram.schema.into());
    put_double(out, 5, histogram.zero_threshold);
    histogram.zero_count.put(out, 6);
    put_side(out, 8, &histogram.negative);
    put_side(out, 11, &histogram.positive);
    let counter_reset = match histogram.counter_reset {
        CounterReset::Unknown => 0,
        CounterReset::Reset => 1,
        CounterReset::NotReset => 2,
        CounterReset::Gauge => 3,
    };
    put_int64(out, 14, counter_reset);
    put_int64(out, 15, at.as_millis());
    put_doubles(out, 16, histogram.custom_bounds.iter().copied());
}

/// Spans are the field `number`, and counts one of the next two.
fn put_side<N: Sent>(out: &mut Vec<u8>, number: u8, buckets: &[Bucket<N>]) {
    let mut message = Vec::new();
    for Span { offset, length } in spans::spans(buckets.iter().map(|bucket| bucket.index)) {
        message.clear();
        put_sint(&mut message, 1, offset.into());
        put_int64(&mut message, 2, length.into());
        put_bytes(out, number, &message);
    }
    N::put_buckets(out, number + 1, buckets);
}

fn put_doubles(out: &mut Vec<u8>, number: u8, values: impl ExactSizeIterator<Item = f64>) {
    if values.len() > 0 {
        put_length(out, number, 8 * values.len());
        values.for_each(|value| out.extend(value.to_le_bytes()));
    }
}

/// How numbers of observations are sent: whole ones in the field that is named, fractional ones in the
/// next.
trait Sent: Count {
    fn put(self, out: &mut Vec<u8>, number: u8);
    fn put_buckets(out: &mut Vec<u8>, number: u8, buckets: &[Bucket<Self>]);
}

impl Sent for u64 {
    fn put(self, out: &mut Vec<u8>, number: u8) {
        put_int64(out, number, self.cast_signed());
    }

    fn put_buckets(out: &mut Vec<u8>, number: u8, buckets: &[Bucket<Self>]) {
        let mut packed = Vec::with_capacity(2 * buckets.len());
        spans::deltas(buckets).for_each(|delta| put_varint(&mut packed, to_zigzag(delta)));
        if !packed.is_empty() {
            put_bytes(out, number, &packed);
        }
    }
}

impl Sent for f64 {
    fn put(self, out: &mut Vec<u8>, number: u8) {
        put_double(out, number + 1, self);
    }

    fn put_buckets(out: &mut Vec<u8>, number: u8, buckets: &[Bucket<Self>]) {
        put_doubles(out, number + 1, buckets.iter().map(|bucket| bucket.count));
    }
}
