use model::STALE_NAN;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, IntegerHistogram};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::histogram::{Count as WireCount, ResetHint, ZeroCount};
use proto::v1::{BucketSpan, Histogram as WireHistogram};

use super::*;
use crate::wire::put_double;

fn read(message: &WireHistogram) -> Result<Histogram, String> {
    let mut fields = Fields::default();
    fields.read(Reader::new(&message.encode_to_vec())).unwrap();
    assert_eq!(fields.timestamp().as_millis(), message.timestamp);
    fields.histogram().map_err(|error| error.to_string())
}

fn spans(spans: &[(i32, u32)]) -> Vec<BucketSpan> {
    spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect()
}

fn buckets<N: Copy>(buckets: &[(i32, N)]) -> Vec<Bucket<N>> {
    buckets.iter().map(|&(index, count)| Bucket { index, count }).collect()
}

fn whole() -> WireHistogram {
    WireHistogram {
        count: Some(WireCount::Int(12)),
        sum: -1.5,
        schema: 3,
        zero_threshold: 0.25,
        zero_count: Some(ZeroCount::Int(2)),
        negative_spans: spans(&[(-7, 1)]),
        negative_deltas: vec![4],
        positive_spans: spans(&[(-2, 2), (3, 1)]),
        positive_deltas: vec![2, 1, -2],
        reset_hint: ResetHint::No as i32,
        timestamp: 1_700_000_000_000,
        ..WireHistogram::default()
    }
}

fn custom() -> WireHistogram {
    WireHistogram {
        count: Some(WireCount::Float(3.5)),
        zero_count: None,
        schema: CUSTOM_BUCKETS_SCHEMA,
        positive_spans: spans(&[(0, 1), (1, 1)]),
        positive_counts: vec![0.5, 3.0],
        custom_values: vec![-1.0, 2.5],
        reset_hint: ResetHint::Gauge as i32,
        ..WireHistogram::default()
    }
}

#[test]
fn whole_and_fractional_counts_and_custom_buckets_are_read() {
    let expect = IntegerHistogram {
        counter_reset: CounterReset::NotReset,
        schema: 3,
        zero_threshold: 0.25,
        zero_count: 2,
        count: 12,
        sum: -1.5,
        positive: buckets(&[(-2, 2), (-1, 3), (3, 1)]),
        negative: buckets(&[(-7, 4)]),
        ..IntegerHistogram::default()
    };
    let found = read(&whole()).unwrap();
    assert_eq!(found, Histogram::Integer(expect));
    assert_eq!(found.counter_reset(), CounterReset::NotReset);

    let expect = FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.5,
        positive: buckets(&[(0, 0.5), (2, 3.0)]),
        custom_bounds: [-1.0, 2.5].into(),
        ..FloatHistogram::default()
    };
    let found = read(&custom()).unwrap();
    assert_eq!(found, Histogram::Float(expect));
    assert_eq!(found.counter_reset(), CounterReset::Gauge);
    assert_eq!(read(&WireHistogram::default()), Ok(IntegerHistogram::default().into()));
}

#[test]
fn buffers_hold_nothing_of_the_histogram_before() {
    let mut fields = Fields::default();
    fields.read(Reader::new(&whole().encode_to_vec())).unwrap();
    fields.read(Reader::new(&custom().encode_to_vec())).unwrap();
    assert_eq!(fields.histogram().map_err(|e| e.to_string()), read(&custom()));
}

#[test]
fn a_schema_finer_than_we_know_is_brought_down() {
    #[track_caller]
    fn check(schema: i32, expect: Result<i32, &str>) {
        let found = read(&WireHistogram { schema, ..whole() });
        let found = found.map(|found| found.to_float().schema);
        assert_eq!(found.as_ref().map_err(String::as_str), expect.as_ref().map_err(|e| *e));
    }
    check(8, Ok(8));
    check(9, Ok(8));
    check(52, Ok(8));
    check(53, Err("histogram has an invalid schema: 53"));
    check(-5, Err("histogram has an invalid schema: -5"));
    check(i32::MAX, Err("histogram has an invalid schema: 2147483647"));
    let fine = read(&WireHistogram { schema: 9, ..whole() }).unwrap().to_float();
    assert_eq!(fine.positive, buckets(&[(-1, 2.0), (0, 3.0), (2, 1.0)]));
}

#[test]
fn what_is_no_histogram_is_refused() {
    #[track_caller]
    fn check(expect: &str, change: impl Fn(&mut WireHistogram)) {
        let mut message = whole();
        change(&mut message);
        assert_eq!(read(&message), Err(expect.to_owned()));
    }
    check("histogram's spans need 4 buckets, it has 3", |h| h.positive_spans[0].length = 3);
    check("histogram's spans need 4294967297 buckets, it has 3", |h| {
        h.positive_spans = spans(&[(0, 1), (0, u32::MAX), (0, 1)]);
    });
    check("histogram has a span whose offset is negative: -1", |h| {
        h.positive_spans[1].offset = -1;
    });
    check("histogram has buckets beyond what an index can be", |h| {
        h.positive_spans[1].offset = i32::MAX;
        h.positive_spans[0].offset = i32::MAX - 2;
    });
    check("histogram has a bucket with a negative count: -1", |h| h.positive_deltas[2] = -4);
    check("12 observations found in buckets, but the count field is 13", |h| {
        h.count = Some(WireCount::Int(13));
    });
    check("histogram's spans need 3 buckets, it has 0", |h| {
        h.count = Some(WireCount::Float(12.0));
    });
    check("custom bounds with exponential buckets", |h| h.custom_values = vec![1.0]);
}

#[test]
fn a_staleness_marker_has_no_buckets() {
    let marker = |change: fn(&mut WireHistogram)| {
        let mut message = WireHistogram { sum: STALE_NAN, ..whole() };
        change(&mut message);
        read(&message)
    };
    let whole = IntegerHistogram { sum: STALE_NAN, ..IntegerHistogram::default() };
    assert_eq!(marker(|_| {}), Ok(whole.into()));
    let fractional = FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() };
    let found = marker(|h| {
        h.count = Some(WireCount::Float(1.0));
        h.positive_counts = vec![1.0; 3];
        h.negative_counts = vec![-1.0];
    });
    assert_eq!(found, Ok(fractional.into()));
}

proptest! {
    /// WALK-1: what prost reads from any bytes is read, and means the same.
    #[test]
    fn walking_gives_what_prost_gives(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        is_custom: bool,
    ) {
        let mut bytes = if is_custom { custom() } else { whole() }.encode_to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let mut fields = Fields::default();
        let walked = fields.read(Reader::new(&bytes));
        if let Ok(message) = WireHistogram::decode(&bytes[..]) {
            prop_assert_eq!(walked, Ok(()));
            let found = fields.histogram().map_err(|error| error.to_string());
            prop_assert_eq!(format!("{found:?}"), format!("{:?}", read(&message)));
        }
    }

    /// Fields in any order, numbers packed or not.
    #[test]
    fn any_order_and_any_packing_mean_the_same(
        at in any::<prop::sample::Index>(),
        counts in vec(0.0..9.0, 0..9),
    ) {
        let message = WireHistogram {
            count: Some(WireCount::Float(1.0)),
            positive_spans: spans(&[(0, counts.len() as u32)]),
            positive_counts: counts.clone(),
            timestamp: 7,
            ..WireHistogram::default()
        };
        let rest = WireHistogram { positive_counts: Vec::new(), ..message.clone() };
        let unpacked = |&count: &f64| {
            let mut out = Vec::new();
            put_double(&mut out, 13, count);
            out
        };
        let mut parts: Vec<Vec<u8>> = counts.iter().map(unpacked).collect();
        parts.insert(at.index(parts.len() + 1), rest.encode_to_vec());
        let mut fields = Fields::default();
        fields.read(Reader::new(&parts.concat())).unwrap();
        prop_assert_eq!(fields.histogram().map_err(|e| e.to_string()), read(&message));
    }
}
