use std::collections::{BTreeMap, BTreeSet};

use model::STALE_NAN;
use model::histogram::{
    Bucket, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, IntegerHistogram, SCHEMA_MAX, SCHEMA_MIN,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::chunk::xor::BadChunk;

const MINUTE: i64 = 60_000;

fn at(index: usize) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + index as i64 * MINUTE)
}

/// As many chunks as the histograms need.
fn encode(histograms: &[Histogram]) -> Vec<HistogramChunk> {
    let mut chunks: Vec<HistogramChunk> = Vec::new();
    for (index, histogram) in histograms.iter().enumerate() {
        let histogram = Arc::new(histogram.clone());
        if !chunks.last_mut().is_some_and(|chunk| chunk.push(at(index), &histogram)) {
            chunks.push(HistogramChunk::new(at(index), &histogram, chunks.last()));
        }
    }
    chunks
}

fn decode(encoding: u8, bytes: &[u8]) -> Result<Vec<(Timestamp, Histogram)>, BadChunk> {
    let mut samples = HistogramSamples::new(encoding, bytes)?;
    std::iter::from_fn(|| samples.next().transpose()).collect()
}

fn decode_all(chunks: &[HistogramChunk]) -> Vec<(Timestamp, Histogram)> {
    let decode = |chunk: &HistogramChunk| decode(chunk.encoding(), &chunk.to_bytes()).unwrap();
    chunks.iter().flat_map(decode).collect()
}

/// What reading gives: of a staleness marker nothing else is kept.
fn stored(histograms: &[Histogram]) -> Vec<(Timestamp, Histogram)> {
    let kept = |h: &Histogram| if h.is_stale() { h.to_stale() } else { h.clone() };
    histograms.iter().enumerate().map(|(index, h)| (at(index), kept(h))).collect()
}

fn buckets<N: Copy>(counts: &BTreeMap<i32, N>) -> Vec<Bucket<N>> {
    counts.iter().map(|(&index, &count)| Bucket { index, count }).collect()
}

/// Schema, zero threshold and custom bounds.
#[derive(Clone, Debug)]
struct Shape(i32, f64, Arc<[f64]>);

fn shape() -> impl Strategy<Value = Shape> {
    let thresholds = vec![0.0, 2f64.powi(-128), 2f64.powi(-243), 2f64.powi(-244), 1024.0, 2048.0];
    let threshold = prop_oneof![prop::sample::select(thresholds), 0.0..1e9, Just(f64::MAX)];
    let thousandths = (0..33_554_431i64).prop_map(|thousandths| thousandths as f64 / 1000.0);
    let bound = prop_oneof![thousandths, -1e9..1e9, Just(33_554.431)];
    let bounds = vec(bound, 1..6).prop_map(|mut bounds| {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        Shape(CUSTOM_BUCKETS_SCHEMA, 0.0, bounds.into())
    });
    let exponential = (SCHEMA_MIN..=SCHEMA_MAX, threshold);
    prop_oneof![
        exponential.prop_map(|(schema, threshold)| Shape(schema, threshold, [].into())),
        bounds
    ]
}

/// What happens to a counter between two looks at it.
#[derive(Clone, Debug)]
enum Event {
    /// Observations in these buckets, twice: negative ones too.
    Observe(BTreeSet<i32>),
    /// These buckets are there, though they may be empty.
    Mention(BTreeSet<i32>),
    /// Empty buckets are no longer there.
    Compact,
    Restart,
    Hint(CounterReset),
    Vanish,
    Reshape(Shape),
}

fn event() -> impl Strategy<Value = Event> {
    let index = || prop_oneof![-20..20i32, any::<i32>()];
    let indexes = || btree_set(index(), 0..6);
    let hints = [CounterReset::Reset, CounterReset::NotReset, CounterReset::Gauge];
    prop_oneof![
        8 => indexes().prop_map(Event::Observe),
        2 => indexes().prop_map(Event::Mention),
        1 => Just(Event::Compact),
        1 => Just(Event::Restart),
        1 => prop::sample::select(hints.to_vec()).prop_map(Event::Hint),
        1 => Just(Event::Vanish),
        1 => shape().prop_map(Event::Reshape),
    ]
}

#[derive(Clone, Debug, Default)]
struct Counter {
    shown: IntegerHistogram,
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
}

impl Counter {
    fn of_shape(Shape(schema, zero_threshold, custom_bounds): Shape) -> Self {
        let shown = IntegerHistogram {
            schema,
            zero_threshold,
            custom_bounds,
            ..IntegerHistogram::default()
        };
        Self { shown, ..Self::default() }
    }

    fn observe(&mut self, indexes: BTreeSet<i32>, times: u64) {
        let shown = &mut self.shown;
        for index in indexes {
            shown.sum += f64::from(index);
            if shown.has_custom_buckets() {
                let index = index.rem_euclid(shown.custom_bounds.len() as i32 + 1);
                *self.positive.entry(index).or_insert(0) += times;
            } else {
                *self.positive.entry(index).or_insert(0) += times;
                *self.negative.entry(index / 2).or_insert(0) += times;
                shown.zero_count += times;
            }
        }
    }

    /// What is seen after `event`.
    fn after(&mut self, event: Event) -> IntegerHistogram {
        let mut counter_reset = CounterReset::Unknown;
        match event {
            Event::Observe(indexes) => self.observe(indexes, 2),
            Event::Mention(indexes) => self.observe(indexes, 0),
            Event::Compact => {
                self.positive.retain(|_, count| *count > 0);
                self.negative.retain(|_, count| *count > 0);
            }
            Event::Restart => {
                let IntegerHistogram { schema, zero_threshold, ref custom_bounds, .. } = self.shown;
                *self = Self::of_shape(Shape(schema, zero_threshold, Arc::clone(custom_bounds)));
            }
            Event::Reshape(shape) => *self = Self::of_shape(shape),
            Event::Hint(hint) => counter_reset = hint,
            Event::Vanish => return IntegerHistogram { sum: STALE_NAN, ..self.shown.clone() },
        }
        let shown = &mut self.shown;
        shown.counter_reset = counter_reset;
        (shown.positive, shown.negative) = (buckets(&self.positive), buckets(&self.negative));
        let counts = shown.positive.iter().chain(&shown.negative).map(|bucket| bucket.count);
        shown.count = shown.zero_count + counts.sum::<u64>();
        shown.clone()
    }
}

/// Counters with whole counts, and such whose counts are fractional for a while.
fn counters() -> impl Strategy<Value = Vec<Histogram>> {
    (shape(), vec(event(), 1..60), 0..60usize, 0..60usize).prop_map(|(shape, events, from, to)| {
        let mut counter = Counter::of_shape(shape);
        let seen = events.into_iter().map(|event| Histogram::Integer(counter.after(event)));
        let with_fraction = |histogram: Histogram| {
            let mut float = histogram.to_float();
            let sum = float.sum;
            float.scale(0.1);
            Histogram::Float(FloatHistogram { sum, ..float })
        };
        let is_fractional = |index| (from..to).contains(&index);
        let seen = seen.enumerate().map(|(index, histogram)| {
            if is_fractional(index) { with_fraction(histogram) } else { histogram }
        });
        seen.collect()
    })
}

type Numbers<N> = (BTreeMap<i32, N>, BTreeMap<i32, N>, N, N, u64);

fn numbers<N: std::fmt::Debug>(
    count: impl Strategy<Value = N> + Clone,
) -> impl Strategy<Value = Numbers<N>> {
    let counts = || btree_map(-9..9i32, count.clone(), 0..6);
    (counts(), counts(), count.clone(), count.clone(), any::<u64>())
}

/// Gauges, whose counts may be anything.
fn gauges() -> impl Strategy<Value = Vec<Histogram>> {
    let integer = numbers(0..=i64::MAX.cast_unsigned()).prop_map(
        |(positive, negative, zero_count, count, sum)| {
            Histogram::Integer(IntegerHistogram {
                counter_reset: CounterReset::Gauge,
                positive: buckets(&positive),
                negative: buckets(&negative),
                zero_count,
                count: count << 1,
                sum: f64::from_bits(sum),
                ..IntegerHistogram::default()
            })
        },
    );
    let float = numbers(any::<u64>().prop_map(f64::from_bits)).prop_map(
        |(positive, negative, zero_count, count, sum)| {
            Histogram::Float(FloatHistogram {
                counter_reset: CounterReset::Gauge,
                positive: buckets(&positive),
                negative: buckets(&negative),
                zero_count,
                count,
                sum: f64::from_bits(sum),
                ..FloatHistogram::default()
            })
        },
    );
    prop_oneof![vec(integer, 1..30), vec(float, 1..30)]
}

fn histograms() -> impl Strategy<Value = Vec<Histogram>> {
    prop_oneof![2 => counters(), 1 => gauges()]
}

#[test]
fn a_chunk_says_what_is_known_of_a_reset_before_it() {
    use CounterReset::{Gauge, NotReset, Reset, Unknown};
    #[track_caller]
    fn check(before: Option<(CounterReset, u64)>, first: (CounterReset, u64), expect: u8) {
        let of = |(counter_reset, count): (CounterReset, u64)| {
            let positive = vec![Bucket { index: 1, count }];
            let sum = if count == 0 { STALE_NAN } else { 1.0 };
            let histogram =
                IntegerHistogram { counter_reset, count: 9, sum, positive, ..Default::default() };
            Arc::new(Histogram::Integer(histogram))
        };
        let before = before.map(|before| HistogramChunk::new(at(0), &of(before), None));
        let chunk = HistogramChunk::new(at(1), &of(first), before.as_ref());
        assert_eq!(chunk.to_bytes()[2] >> 6, expect, "{before:?} {first:?}");
        let read = decode(INTEGER, &chunk.to_bytes()).unwrap()[0].1.counter_reset();
        assert_eq!(read, [Unknown, Unknown, Reset, Gauge][usize::from(expect)]);
    }
    check(None, (Unknown, 5), 0b00);
    check(None, (NotReset, 5), 0b00);
    check(None, (Reset, 5), 0b10);
    check(None, (Gauge, 5), 0b11);
    check(Some((Unknown, 5)), (Unknown, 5), 0b01);
    check(Some((Unknown, 5)), (NotReset, 4), 0b10);
    check(Some((Unknown, 5)), (Reset, 5), 0b10);
    check(Some((Unknown, 5)), (Gauge, 5), 0b11);
    check(Some((Gauge, 5)), (Unknown, 5), 0b00);
    check(Some((Unknown, 0)), (Unknown, 5), 0b00); // a staleness marker
}

#[test]
fn resolutions_of_later_versions_are_reduced() {
    let positive = vec![Bucket { index: -5, count: 1 }, Bucket { index: 16, count: 2 }];
    let histogram = IntegerHistogram { schema: SCHEMA_MAX + 3, positive, ..Default::default() };
    let [chunk] = &encode(&[Histogram::Integer(histogram.clone())])[..] else { panic!() };
    let mut expect = histogram;
    expect.reduce_resolution(SCHEMA_MAX);
    assert_eq!(decode_all(std::slice::from_ref(chunk))[0].1, Histogram::Integer(expect));
}

proptest! {
    #[test]
    fn chunks_hold_what_was_pushed(histograms in histograms()) {
        let chunks = encode(&histograms);
        prop_assert_eq!(chunks.iter().map(HistogramChunk::len).sum::<usize>(), histograms.len());
        prop_assert_eq!(decode_all(&chunks), stored(&histograms));
    }

    /// CHUNK-4.
    #[test]
    fn a_copy_of_an_open_chunk_decodes(histograms in histograms(), cut in 1..60usize) {
        let cut = &histograms[..cut.min(histograms.len())];
        prop_assert_eq!(decode_all(&encode(cut)), stored(cut));
    }

    /// What is read of resets is what comparing the histograms finds, where their shapes allow that.
    #[test]
    fn resets_are_known_where_chunks_begin(histograms in counters()) {
        let decoded = decode_all(&encode(&histograms));
        for ((_, read), pair) in decoded.iter().skip(1).zip(histograms.windows(2)) {
            let (mut before, mut now) = (pair[0].to_float(), pair[1].to_float());
            let has_other_shape =
                now.schema != before.schema || now.zero_threshold != before.zero_threshold;
            (before.zero_threshold, now.zero_threshold) = (0.0, 0.0); // no bucket is in the zero bucket
            let unknown = FloatHistogram { counter_reset: CounterReset::Unknown, ..now.clone() };
            let fell = now.custom_bounds != before.custom_bounds || unknown.is_reset_since(&before);
            let gauges = [&before, &now].map(|h| h.counter_reset == CounterReset::Gauge);
            match read.counter_reset() {
                _ if read.is_stale() => {}
                CounterReset::NotReset => prop_assert!(!fell),
                CounterReset::Reset => {
                    prop_assert!(fell || now.counter_reset == CounterReset::Reset);
                }
                CounterReset::Gauge => prop_assert!(gauges[1]),
                CounterReset::Unknown => prop_assert!(
                    gauges[0]
                        || pair[0].is_stale()
                        || pair[0].is_integer() != pair[1].is_integer()
                        || has_other_shape
                ),
            }
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(encoding in 1..5u8, bytes: Vec<u8>) {
        let _ = decode(encoding, &bytes);
    }

    #[test]
    fn a_damaged_chunk_decodes_or_is_refused(histograms in histograms(), at: prop::sample::Index, bit in 0..8u8) {
        for chunk in encode(&histograms) {
            let mut bytes = chunk.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = decode(chunk.encoding(), &bytes);
        }
    }

    #[test]
    fn a_chunk_cut_short_is_refused(histograms in histograms(), cut: prop::sample::Index) {
        for chunk in encode(&histograms) {
            let cut = cut.index(chunk.to_bytes().len());
            prop_assert_eq!(decode(chunk.encoding(), &chunk.to_bytes()[..cut]), Err(BadChunk));
        }
    }
}
