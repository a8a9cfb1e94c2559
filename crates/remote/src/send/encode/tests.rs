use model::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, CounterReset, NativeHistogram};
use model::{
    Exemplar, Histogram, Labels, Metadata, Point, STALE_NAN, Sample, SampleValue, Timestamp,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use prost::Message as _;
use proto::{v1, v2};
use tsdb::LogItem;

use super::v1::{metadata, write_request};
use super::v2::Writer;
use super::*;
use crate::receive::histogram::Fields;
use crate::send::config::Protocol;
use crate::send::series::Forwarded;
use crate::send::symbols::Symbols;
use crate::wire::Reader;

fn series(name: &str) -> Arc<Forwarded> {
    let labels = [("__name__", name), ("job", "ü")].into_iter().collect();
    Arc::new(Forwarded::new(&labels, Protocol::V1, &Symbols::default()))
}

fn entry(series: &Arc<Forwarded>, item: LogItem) -> Entry {
    Entry { series: Arc::clone(series), item, chunk: 0 }
}

fn number(millis: i64, value: f64) -> LogItem {
    LogItem::Point(Sample { timestamp: Timestamp::from_millis(millis), value }.into())
}

fn histogram(millis: i64, histogram: Histogram) -> LogItem {
    let value = SampleValue::Histogram(Arc::new(histogram));
    LogItem::Point(Point { timestamp: Timestamp::from_millis(millis), value })
}

fn exemplar(millis: i64) -> LogItem {
    let labels = [("trace_id", "é"), ("x", "y")].into_iter().collect();
    let timestamp = Timestamp::from_millis(millis);
    LogItem::Exemplar(Arc::new(Exemplar { labels, value: -0.5, timestamp }))
}

fn decoded(entries: &[Entry]) -> v1::WriteRequest {
    let mut out = Vec::new();
    write_request(&mut out, entries, &Symbols::default().read());
    v1::WriteRequest::decode(&out[..]).unwrap()
}

/// ENCODE-1.
#[test]
fn prost_reads_what_was_written() {
    let (a, b) = (series("a"), series("b"));
    let given = [(1_700_000_000_000, 1.5), (-1, -0.0), (0, STALE_NAN), (i64::MAX, f64::INFINITY)];
    let of = [&a, &a, &b, &a];
    let entries: Vec<Entry> = of
        .iter()
        .zip(given)
        .map(|(series, (at, value))| entry(series, number(at, value)))
        .collect();
    let mut out = Vec::new();
    write_request(&mut out, &entries, &Symbols::default().read());
    let said =
        Metadata { metric_type: model::MetricType::StateSet, help: "h".into(), unit: "u".into() };
    metadata(&mut out, "f", &said);

    let read = v1::WriteRequest::decode(&out[..]).unwrap();
    let names: Vec<_> = read.timeseries.iter().map(|s| s.labels[0].value.as_str()).collect();
    assert_eq!(names, ["a", "b", "a"]);
    assert_eq!(read.timeseries[0].labels[1], v1::Label { name: "job".into(), value: "ü".into() });
    let samples = read.timeseries.iter().flat_map(|series| &series.samples);
    let samples: Vec<_> = samples.map(|s| (s.timestamp, s.value.to_bits())).collect();
    assert_eq!(samples, given.map(|(at, value)| (at, value.to_bits())));
    let family = v1::MetricMetadata {
        r#type: v1::metric_metadata::MetricType::StateSet as i32,
        metric_family_name: "f".into(),
        help: "h".into(),
        unit: "u".into(),
    };
    assert_eq!(read.metadata, [family]);
}

#[test]
fn a_series_is_sent_anew_where_its_kind_changes() {
    let (a, whole) = (series("a"), Histogram::Integer(NativeHistogram::default()));
    let items = [
        number(1, 1.0),
        number(2, 2.0),
        exemplar(3),
        exemplar(4),
        histogram(5, whole.clone()),
        number(6, 6.0),
        histogram(7, whole),
    ];
    let read = decoded(&items.map(|item| entry(&a, item)));
    let shape = |series: &v1::TimeSeries| {
        (series.samples.len(), series.exemplars.len(), series.histograms.len())
    };
    let shapes: Vec<_> = read.timeseries.iter().map(shape).collect();
    assert_eq!(shapes, [(2, 0, 0), (0, 2, 0), (0, 0, 1), (1, 0, 0), (0, 0, 1)]);
    assert!(read.timeseries.iter().all(|series| series.labels == read.timeseries[0].labels));
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let expect = v1::Exemplar {
        labels: vec![label("trace_id", "é"), label("x", "y")],
        value: -0.5,
        timestamp: 3,
    };
    assert_eq!(read.timeseries[1].exemplars[0], expect);
}

fn counter_reset() -> impl Strategy<Value = CounterReset> {
    use CounterReset::{Gauge, NotReset, Reset, Unknown};
    prop_oneof![Just(Unknown), Just(Reset), Just(NotReset), Just(Gauge)]
}

fn whole() -> impl Strategy<Value = Histogram> {
    let buckets = || btree_map(-40..40i32, 0..1_000_000u64, 0..9);
    let numbers = (-1e9..1e9, 0.0..1.0, -4..=8i32, 0..1000u64);
    (buckets(), buckets(), numbers, counter_reset()).prop_map(
        |(positive, negative, (sum, zero_threshold, schema, zero_count), counter_reset)| {
            let count =
                zero_count + positive.values().sum::<u64>() + negative.values().sum::<u64>();
            let buckets = |counts: std::collections::BTreeMap<i32, u64>| {
                counts.into_iter().map(|(index, count)| Bucket { index, count }).collect()
            };
            Histogram::Integer(NativeHistogram {
                counter_reset,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive: buckets(positive),
                negative: buckets(negative),
                ..NativeHistogram::default()
            })
        },
    )
}

fn custom() -> impl Strategy<Value = Histogram> {
    (vec(0.0..9.0, 1..9), -1e9..1e9, counter_reset()).prop_map(|(counts, sum, counter_reset)| {
        let bounds = (0..counts.len() as i32 - 1).map(|bound| f64::from(bound) / 2.0);
        let buckets = counts.iter().zip(0..).map(|(&count, index)| Bucket { index, count });
        Histogram::Float(NativeHistogram {
            counter_reset,
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: counts.iter().sum(),
            sum,
            positive: buckets.collect(),
            custom_bounds: bounds.collect(),
            ..NativeHistogram::default()
        })
    })
}

proptest! {
    /// ENCODE-1: what is sent is received as it was.
    #[test]
    fn histograms_are_received_as_they_were_sent(
        given in prop_oneof![whole(), custom()],
        millis: i64,
    ) {
        let read = decoded(&[entry(&series("a"), histogram(millis, given.clone()))]);
        let sent = read.timeseries[0].histograms[0].encode_to_vec();
        let mut fields = Fields::default();
        fields.read(Reader::new(&sent)).unwrap();
        prop_assert_eq!(fields.timestamp().as_millis(), millis);
        let received = fields.histogram().unwrap();
        prop_assert_eq!(received.counter_reset(), given.counter_reset());
        prop_assert_eq!(received, given);
    }

    /// ENCODE-1, for 2.0; and what was made ready for that can be sent as 1.0.
    #[test]
    fn prost_reads_2_0_as_it_was_written(
        given in vec((0..6usize, 0..4usize, any::<i64>(), -9.0..9.0), 1..40),
    ) {
        let symbols = Symbols::default();
        let names = ["a", "b", "c"];
        let labels: Vec<Labels> = (0..6)
            .map(|i| [("__name__", names[i % 3]), ("job", names[i / 2]), ("x", "ü")].into_iter().collect())
            .collect();
        let made = |protocol| {
            let made = labels.iter().map(|l| Arc::new(Forwarded::new(l, protocol, &symbols)));
            made.collect::<Vec<_>>()
        };
        let item = |kind: usize, millis: i64, value: f64| match kind {
            0 => exemplar(millis),
            1 => histogram(millis, Histogram::Integer(NativeHistogram::default())),
            _ => number(millis, value),
        };
        let entries = |series: &[Arc<Forwarded>]| {
            let entries = given.iter().map(|&(at, kind, millis, value)| {
                entry(&series[at], item(kind, millis, value))
            });
            entries.collect::<Vec<_>>()
        };
        let (v1, v2) = (entries(&made(Protocol::V1)), entries(&made(Protocol::V2)));
        let mut writer = Writer::default();
        let mut out = Vec::new();
        for _ in 0..2 {
            out.clear();
            writer.write_request(&mut out, &v2, &symbols.read());
            let read = v2::Request::decode(&out[..]).unwrap();
            let texts: std::collections::BTreeSet<_> = read.symbols.iter().collect();
            prop_assert_eq!((read.symbols[0].as_str(), texts.len()), ("", read.symbols.len()));
            prop_assert_eq!(as_v1(&read), decoded(&v1));
        }
        out.clear();
        write_request(&mut out, &v2, &symbols.read());
        prop_assert_eq!(v1::WriteRequest::decode(&out[..]).unwrap(), decoded(&v1));
    }
}

/// The same content in the other version's messages.
fn as_v1(request: &v2::Request) -> v1::WriteRequest {
    let text = |number: &u32| request.symbols[*number as usize].clone();
    let labels = |refs: &[u32]| {
        let pairs = refs.chunks(2);
        pairs
            .map(|pair| v1::Label { name: text(&pair[0]), value: text(&pair[1]) })
            .collect::<Vec<_>>()
    };
    let series = request.timeseries.iter().map(|series| v1::TimeSeries {
        labels: labels(&series.labels_refs),
        samples: (series.samples.iter())
            .map(|s| v1::Sample { value: s.value, timestamp: s.timestamp })
            .collect(),
        exemplars: (series.exemplars.iter())
            .map(|e| v1::Exemplar {
                labels: labels(&e.labels_refs),
                value: e.value,
                timestamp: e.timestamp,
            })
            .collect(),
        histograms: (series.histograms.iter())
            .map(|h| v1::Histogram::decode(&h.encode_to_vec()[..]).unwrap())
            .collect(),
    });
    v1::WriteRequest { timeseries: series.collect(), metadata: Vec::new() }
}

#[test]
fn a_metric_is_described_by_the_first_of_its_series() {
    let symbols = Symbols::default();
    let labels = [("__name__", "a")].into_iter().collect();
    let series = Arc::new(Forwarded::new(&labels, Protocol::V2, &symbols));
    let said =
        Metadata { metric_type: model::MetricType::Gauge, help: "h".into(), unit: "".into() };
    series.metric.describe(Some(said), &mut symbols.write(), 1);
    let entries = [entry(&series, number(1, 1.0)), entry(&series, exemplar(1))];
    let mut out = Vec::new();
    Writer::default().write_request(&mut out, &entries, &symbols.read());
    let read = v2::Request::decode(&out[..]).unwrap();
    let found: Vec<_> = read.timeseries.iter().map(|series| series.metadata).collect();
    let metadata = found[0].expect("described");
    assert_eq!((metadata.r#type, metadata.unit_ref, found[1]), (2, 0, None));
    assert_eq!(read.symbols[metadata.help_ref as usize], "h");
}
