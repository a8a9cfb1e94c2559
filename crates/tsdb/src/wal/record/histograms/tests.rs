use std::collections::BTreeMap;

use model::STALE_NAN;
use model::histogram::{
    CUSTOM_BUCKETS_SCHEMA, FloatHistogram, IntegerHistogram, SCHEMA_MAX, SCHEMA_MIN,
    SCHEMA_RESERVED_MAX,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::wal::record::Record;
use crate::wal::record::points::PointRecords;

type Entry = (LogSeries, Point);

/// What the records say, one after the other.
fn read<'a>(records: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Entry>, BadRecord> {
    let mut entries = Vec::new();
    for record in records {
        match Record::parse(record)? {
            Record::Histograms(record) => {
                for entry in record {
                    entries.push(entry?);
                }
            }
            Record::Samples(record) => {
                for logged in record {
                    let logged = logged?;
                    entries.push((logged.series, logged.sample.into()));
                }
            }
            _ => unreachable!("only those were written"),
        }
    }
    Ok(entries)
}

/// Of each series, in order; what is known of resets is compared too.
fn by_series(entries: &[Entry]) -> BTreeMap<LogSeries, Vec<(Point, Option<CounterReset>)>> {
    let mut series: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, point) in entries.iter().cloned() {
        let known = match &point.value {
            SampleValue::Float(_) => None,
            SampleValue::Histogram(histogram) => Some(histogram.counter_reset()),
        };
        series.entry(number).or_default().push((point, known));
    }
    series
}

fn buckets<N: Copy>(counts: &BTreeMap<i32, N>) -> Vec<Bucket<N>> {
    counts.iter().map(|(&index, &count)| Bucket { index, count }).collect()
}

/// An exponential histogram, or one with custom buckets.
fn integer() -> impl Strategy<Value = IntegerHistogram> {
    let counts = || btree_map(any::<i32>(), 0..=i64::MAX.cast_unsigned(), 0..8);
    let resets = (0..4u64).prop_map(CounterReset::from_number);
    let head =
        (resets, SCHEMA_MIN..=SCHEMA_MAX, 0.0..9e99, any::<u64>(), any::<u64>(), any::<u64>());
    let bounds = prop::option::of(vec(1e-9..1e9, 3));
    (head, counts(), counts(), bounds).prop_map(|(head, positive, negative, bounds)| {
        let (counter_reset, schema, zero_threshold, zero_count, count, sum) = head;
        let histogram = IntegerHistogram {
            counter_reset,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum: f64::from_bits(sum),
            positive: buckets(&positive),
            negative: buckets(&negative),
            custom_bounds: [].into(),
        };
        let Some(mut bounds) = bounds else { return histogram };
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let last = bounds.len() as i32;
        let positive: BTreeMap<i32, u64> =
            positive.iter().map(|(index, &count)| (index.rem_euclid(last + 1), count)).collect();
        IntegerHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0,
            positive: buckets(&positive),
            negative: Vec::new(),
            custom_bounds: bounds.into(),
            ..histogram
        }
    })
}

fn value() -> impl Strategy<Value = SampleValue> {
    let fractional = integer().prop_map(|histogram| {
        let mut float = Histogram::Integer(histogram).to_float();
        float.scale(0.3);
        Histogram::Float(float)
    });
    let stale = any::<bool>().prop_map(|is_float| match is_float {
        true => Histogram::Float(FloatHistogram { sum: STALE_NAN, ..Default::default() }),
        false => Histogram::Integer(IntegerHistogram { sum: STALE_NAN, ..Default::default() }),
    });
    let histogram =
        prop_oneof![4 => integer().prop_map(Histogram::Integer), 4 => fractional, 1 => stale];
    prop_oneof![
        1 => any::<u64>().prop_map(|bits| SampleValue::Float(f64::from_bits(bits))),
        3 => histogram.prop_map(|histogram| SampleValue::Histogram(Arc::new(histogram))),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    (0..9u64, any::<i64>(), value()).prop_map(|(number, time, value)| {
        let timestamp = Timestamp::from_millis(time);
        (LogSeries(number), Point { timestamp, value })
    })
}

proptest! {
    /// POINTS-1.
    #[test]
    fn records_hold_what_was_put_in_in_the_order_of_each_series(entries in vec(entry(), 0..40)) {
        let mut records = PointRecords::default();
        for (series, point) in &entries {
            records.push(*series, point);
        }
        let written: usize = records.records().map(<[u8]>::len).sum();
        prop_assert_eq!(records.byte_count(), written);
        prop_assert_eq!(by_series(&read(records.records()).unwrap()), by_series(&entries));
        records.clear();
        prop_assert_eq!(records.records().count(), 0);
    }

    #[test]
    fn a_damaged_record_is_read_or_refused(
        entries in vec(entry(), 1..9), at: prop::sample::Index, byte: u8,
    ) {
        let mut records = PointRecords::default();
        for (series, point) in &entries {
            records.push(*series, point);
        }
        for record in records.records() {
            let mut record = record.to_vec();
            let at = 1 + at.index(record.len() - 1);
            record[at] = byte;
            let _ = read([&record[..]].into_iter());
            let _ = read([&record[..at]].into_iter());
        }
    }
}

fn record_of(histogram: IntegerHistogram) -> Vec<u8> {
    let mut builder = RecordBuilder::new();
    builder.histogram(LogSeries(1), Timestamp::EPOCH, &Histogram::Integer(histogram));
    builder.bytes().to_vec()
}

#[test]
fn what_cannot_be_a_histogram_is_refused() {
    #[track_caller]
    fn check(change: impl Fn(&mut IntegerHistogram), expect: bool) {
        let positive = vec![Bucket { index: 3, count: 1 }, Bucket { index: 5, count: 2 }];
        let mut histogram = IntegerHistogram { positive, ..IntegerHistogram::default() };
        change(&mut histogram);
        let record = record_of(histogram);
        assert_eq!(read([&record[..]].into_iter()).is_ok(), expect);
    }
    check(|_| {}, true);
    check(|h| h.schema = SCHEMA_RESERVED_MAX, true);
    check(|h| h.schema = SCHEMA_RESERVED_MAX + 1, false);
    check(|h| h.zero_threshold = f64::NAN, false);
    check(|h| (h.zero_threshold, h.sum) = (f64::NAN, STALE_NAN), true);
    check(|h| h.positive[1].count = u64::MAX, false);
    check(|h| (h.schema, h.custom_bounds) = (CUSTOM_BUCKETS_SCHEMA, [1.0].into()), false);
}

#[test]
fn resolutions_of_later_versions_are_reduced() {
    let positive = vec![Bucket { index: 16, count: 2 }];
    let mut histogram = IntegerHistogram { schema: SCHEMA_MAX + 3, positive, ..Default::default() };
    let record = record_of(histogram.clone());
    histogram.reduce_resolution(SCHEMA_MAX);
    let value = SampleValue::Histogram(Arc::new(Histogram::Integer(histogram)));
    let point = Point { timestamp: Timestamp::EPOCH, value };
    assert_eq!(read([&record[..]].into_iter()), Ok(vec![(LogSeries(1), point)]));
}

/// A list's length is not believed before its items are there.
#[test]
fn no_more_is_allocated_than_a_record_can_hold() {
    let record = record_of(IntegerHistogram::default());
    let lists = record.len() - 4; // of spans and buckets, all empty
    for list in lists..record.len() {
        for length in [1, u64::from(u32::MAX), u64::MAX] {
            let mut hostile = record[..list].to_vec();
            put_uvarint(&mut hostile, length);
            hostile.extend(&record[list + 1..]);
            assert_eq!(read([&hostile[..]].into_iter()), Err(BadRecord), "list {list}: {length}");
        }
    }
}
