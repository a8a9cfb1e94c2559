use std::sync::LazyLock;

use model::histogram::Bucket;
use model::{Metadata, STALE_NAN, Timestamp};
use proptest::prelude::*;
use prost::Message as _;
use proto::v1::metric_metadata::MetricType as MetricTypeV1;
use proto::{v1 as p1, v2 as p2};
use storage::Append as _;

use super::*;
use crate::testing::Memory;
use crate::wire::{put_bytes, put_double, put_length, put_varint};

static SECRET: LazyLock<KeySecret> = LazyLock::new(KeySecret::random);

fn put(memory: &Memory, version: Version, message: &[u8]) -> Result<Outcome, BatchError> {
    store(version, message, &SECRET, memory.appender())
}

fn wire_labels(labels: &[(&str, &str)]) -> Vec<p1::Label> {
    let label = |(name, value): &(&str, &str)| p1::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    labels.iter().map(label).collect()
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> p1::TimeSeries {
    let sample = |&(timestamp, value): &(i64, f64)| p1::Sample { value, timestamp };
    p1::TimeSeries {
        labels: wire_labels(labels),
        samples: samples.iter().map(sample).collect(),
        ..p1::TimeSeries::default()
    }
}

fn request(timeseries: Vec<p1::TimeSeries>) -> Vec<u8> {
    p1::WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec()
}

#[test]
fn samples_are_stored_and_labels_decoded_once() {
    let memory = Memory::default();
    let message = request(vec![
        series(&[("__name__", "up"), ("job", "x")], &[(1, 1.0), (2, STALE_NAN)]),
        series(&[("job", "y"), ("__name__", "up")], &[(1, 0.0)]),
    ]);
    for _ in 0..3 {
        let outcome = put(&memory, Version::V1, &message).unwrap();
        assert_eq!((outcome.samples.appended, outcome.refused_total()), (3, 0));
    }
    let expect = [r#"up{job="x"} 1@1"#, r#"up{job="x"} NaN@2"#, r#"up{job="y"} 0@1"#];
    assert_eq!(memory.text(), expect.repeat(3));
    assert!(model::is_stale(memory.state().committed[1].1.value));
    assert_eq!(memory.state().decoded, 2, "RECEIVE-3");
}

#[test]
fn what_is_valid_is_stored_and_the_rest_is_named() {
    let memory = Memory::default();
    memory.state().reject_before = Some(Timestamp::from_millis(10));
    let mut histogram = series(&[("__name__", "h")], &[(20, 1.0)]);
    histogram.histograms = vec![
        p1::Histogram { timestamp: 20, ..p1::Histogram::default() },
        p1::Histogram { schema: 99, timestamp: 2, ..p1::Histogram::default() },
    ];
    let twice = wire_labels(&[("a", "1"), ("a", "2")]);
    histogram.exemplars =
        vec![p1::Exemplar::default(), p1::Exemplar { labels: twice, ..p1::Exemplar::default() }];
    let mut nameless = series(&[("job", "nameless")], &[(10, 1.0), (11, 1.0)]);
    nameless.histograms = vec![p1::Histogram { timestamp: 3, ..p1::Histogram::default() }; 4];
    nameless.exemplars = vec![p1::Exemplar::default(); 5];
    let message = request(vec![
        series(&[("__name__", "good"), ("job", "x")], &[(9, 1.0), (10, 2.0)]),
        nameless,
        series(&[("__name__", "a"), ("b", "1"), ("b", "2")], &[(10, 1.0)]),
        histogram,
    ]);
    let outcome = put(&memory, Version::V1, &message).unwrap();
    assert_eq!(memory.text(), [r#"good{job="x"} 2@10"#, "h 1@20"]);
    assert_eq!((outcome.samples.appended, outcome.samples.refused), (2, [0, 1, 0, 0, 3, 0]));
    assert_eq!((outcome.histograms.appended, outcome.histograms.refused), (1, [0, 0, 0, 0, 4, 1]));
    assert_eq!((outcome.exemplars.appended, outcome.exemplars.refused), (1, [0, 0, 0, 0, 6]));
    assert_eq!(
        outcome.problems,
        [
            r#"metric name is missing: {job="nameless"}"#,
            r#"label "b" is given twice: {__name__="a", b="1", b="2"}"#,
            "histogram has an invalid schema: 99: h",
            r#"too old sample 9: good{job="x"}"#,
        ]
    );
}

#[test]
fn an_answer_names_only_the_first_problems() {
    let message = request(vec![series(&[("job", "nameless")], &[(1, 1.0)]); 1000]);
    let outcome = put(&Memory::default(), Version::V1, &message).unwrap();
    assert_eq!((outcome.refused_total(), outcome.problems.len()), (1000, 5));
}

#[test]
fn text_that_is_not_utf8_costs_its_series_only() {
    let good = request(vec![series(&[("__name__", "up")], &[(1, 1.0)])]);
    let mut message = request(vec![series(&[("__name__", "zz")], &[(1, 1.0)])]);
    let at = message.windows(2).position(|two| two == b"zz").unwrap();
    message[at] = 0xff;
    message.extend(good);
    let memory = Memory::default();
    let outcome = put(&memory, Version::V1, &message).unwrap();
    assert_eq!((outcome.samples.appended, outcome.refused_total()), (1, 1));
    assert_eq!(memory.text(), ["up 1@1"]);
}

#[test]
fn a_malformed_message_stores_nothing_and_names_the_byte() {
    /// `offset` counts from the start of `tail`, which follows a well-formed series in version 1.
    #[track_caller]
    fn check(version: Version, tail: &[u8], offset: usize, what: &str) {
        let mut message = match version {
            Version::V1 => request(vec![series(&[("__name__", "up")], &[(1, 1.0)])]),
            Version::V2 => Vec::new(),
        };
        let offset = message.len() + offset;
        message.extend_from_slice(tail);
        let memory = Memory::default();
        let error = put(&memory, version, &message).unwrap_err();
        assert_eq!(error.to_string(), format!("malformed protobuf at byte {offset}: {what}"));
        assert!(memory.text().is_empty(), "RECEIVE-2");
    }
    check(Version::V1, b"\x0a\x05ab", 2, "truncated");
    check(Version::V1, b"\x08\x01", 0, "field of the wrong wire type");
    check(Version::V1, b"\x0a\x02\x12\x07", 4, "truncated"); // a sample
    check(Version::V1, b"\x0a\x04\x12\x02\x08\x01", 4, "field of the wrong wire type");
    // A label, decoded only because the series has a sample:
    check(Version::V1, b"\x0a\x06\x0a\x02\x08\x01\x12\x00", 4, "field of the wrong wire type");
    check(Version::V2, b"\x22\x01a", 2, "the first symbol is not empty");
    check(Version::V2, b"\x2a\x02\x08\xff", 3, "truncated");
}

#[test]
fn a_series_that_left_storage_is_made_again() {
    let memory = Memory::default();
    let message = request(vec![series(&[("__name__", "up")], &[(1, 1.0), (2, 1.0)])]);
    put(&memory, Version::V1, &message).unwrap();
    memory.state().lose_series = true;
    put(&memory, Version::V1, &message).unwrap();
    assert_eq!(memory.text(), ["up 1@1", "up 1@2", "up 1@1", "up 1@2"]);
    assert_eq!(memory.state().decoded, 2);

    let mut without_samples = series(&[("__name__", "up")], &[]);
    without_samples.exemplars = vec![p1::Exemplar::default()];
    memory.state().lose_series = true;
    put(&memory, Version::V1, &request(vec![without_samples])).unwrap();
    let state = memory.state();
    assert_eq!((state.decoded, state.exemplars.len()), (3, 1));
}

/// RECEIVE-1.
#[test]
fn what_storage_says_is_counted_for_each_kind() {
    let memory = Memory::default();
    memory.state().reject_before = Some(Timestamp::from_millis(10));
    memory.state().drop_exemplars = true;
    let mut series = series(&[("__name__", "h")], &[(9, 1.0), (20, 1.0)]);
    let histogram = |timestamp| p1::Histogram { timestamp, ..p1::Histogram::default() };
    series.histograms = [7, 8, 30].map(histogram).to_vec();
    series.exemplars = vec![p1::Exemplar::default(); 2];
    let outcome = put(&memory, Version::V1, &request(vec![series])).unwrap();
    assert_eq!((outcome.samples.appended, outcome.samples.refused), (1, [0, 1, 0, 0, 0, 0]));
    assert_eq!((outcome.histograms.appended, outcome.histograms.refused), (1, [0, 2, 0, 0, 0, 0]));
    assert_eq!((outcome.exemplars.appended, outcome.exemplars.refused), (0, [0, 0, 0, 2, 0]));
    let expect = ["too old sample 9: h", "too old sample 7: h", "too old sample 8: h"];
    assert_eq!(outcome.problems, expect);
}

/// RECEIVE-5.
#[test]
fn histograms_may_not_take_far_more_memory_than_bytes() {
    let mut inner = request(vec![series(&[("__name__", "h")], &[])])[2..].to_vec();
    for _ in 0..1000 {
        put_bytes(&mut inner, 4, b"");
    }
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &inner);
    let memory = Memory::default();
    let error = put(&memory, Version::V1, &message).unwrap_err().to_string();
    assert!(error.ends_with("histograms of too few bytes each"), "{error}");
    assert_eq!(memory.state().series.len(), 0);
}

#[test]
fn a_log_that_fails_is_an_error_that_a_retry_may_mend() {
    let memory = Memory::default();
    memory.state().fail_commits = true;
    let message = request(vec![series(&[("__name__", "up")], &[(1, 1.0)])]);
    let BatchError::Append(error) = put(&memory, Version::V1, &message).unwrap_err() else {
        panic!("not malformed")
    };
    assert!(error.is_retryable());
}

#[test]
fn metadata_of_version_1_is_kept_by_family() {
    let memory = Memory::default();
    let metadata = p1::MetricMetadata {
        r#type: MetricTypeV1::Histogram as i32,
        metric_family_name: "f".into(),
        help: "h".into(),
        unit: "s".into(),
    };
    let message = p1::WriteRequest { timeseries: Vec::new(), metadata: vec![metadata] };
    put(&memory, Version::V1, &message.encode_to_vec()).unwrap();
    let expect =
        Metadata { metric_type: MetricType::Histogram, help: "h".into(), unit: "s".into() };
    assert_eq!(memory.state().metadata["f"], expect);
}

#[test]
fn version_2_is_read_by_its_symbols() {
    let memory = Memory::default();
    let symbols = ["", "__name__", "h_bucket", "le", "1", "help!", "s", "job"].map(str::to_owned);
    let series = |labels_refs: &[u32], timestamp: i64| p2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        samples: vec![p2::Sample { value: 1.0, timestamp, start_timestamp: 0 }],
        metadata: Some(p2::Metadata { r#type: 3, help_ref: 5, unit_ref: 6 }),
        exemplars: vec![
            p2::Exemplar { labels_refs: vec![7, 5], value: 2.5, timestamp },
            p2::Exemplar { labels_refs: vec![7, 77], value: 2.5, timestamp },
        ],
        histograms: vec![p2::Histogram { timestamp, ..p2::Histogram::default() }],
        ..p2::TimeSeries::default()
    };
    let timeseries = vec![
        series(&[1, 2, 3, 4], 5),
        series(&[3, 4, 1, 2], 6), // not sorted
        series(&[1, 2, 3, 9], 7), // no symbol 9
        series(&[1, 2, 3], 8),
        series(&[7, 4], 9),
        series(&[1, 2, 7, 0], 10), // an empty value: label absent
    ];
    let message = p2::Request { symbols: symbols.to_vec(), timeseries }.encode_to_vec();
    for _ in 0..2 {
        let outcome = put(&memory, Version::V2, &message).unwrap();
        let appended = [outcome.samples.appended, outcome.histograms.appended];
        assert_eq!((appended, outcome.exemplars.appended), ([3, 3], 3));
        assert_eq!((outcome.refused_total(), outcome.exemplars.refused_total()), (6, 9));
        assert_eq!(
            outcome.problems,
            [
                r#"labels refer to symbol 9, which the request does not have: {__name__="h_bucket"}"#,
                r#"label references are odd in number: {__name__="h_bucket"}"#,
                r#"metric name is missing: {job="1"}"#,
            ]
        );
    }
    let expect = [r#"h_bucket{le="1"} 1@5"#, r#"h_bucket{le="1"} 1@6"#, "h_bucket 1@10"];
    assert_eq!(memory.text(), expect.repeat(2));
    assert_eq!(memory.state().decoded, 3, "RECEIVE-3");
    let labels = [("job", "help!")].into_iter().collect();
    let exemplar = model::Exemplar { labels, value: 2.5, timestamp: Timestamp::from_millis(10) };
    assert_eq!(memory.state().exemplars[2].1, exemplar);
    let expect =
        Metadata { metric_type: MetricType::Histogram, help: "help!".into(), unit: "s".into() };
    assert_eq!(memory.state().metadata["h"], expect);
}

/// A message as some encoder might write it: fields in the order of `order`, with fields that the
/// schema does not have between them.
fn encode_shuffled(series: &[p1::TimeSeries], order: &[u8]) -> Vec<u8> {
    let mut order = order.iter().copied().cycle();
    let mut next = || order.next().unwrap_or(0);
    let mut message = Vec::new();
    for series in series {
        let labels = series.labels.iter().map(|label| (1, label.encode_to_vec()));
        let samples = series.samples.iter().map(|sample| (2, sample.encode_to_vec()));
        let exemplars = series.exemplars.iter().map(|exemplar| (3, exemplar.encode_to_vec()));
        let histograms = series.histograms.iter().map(|histogram| (4, histogram.encode_to_vec()));
        let (mut first, mut second): (Vec<_>, Vec<_>) =
            (labels.collect(), samples.chain(exemplars).chain(histograms).collect());
        first.reverse();
        second.reverse();
        let mut inner = Vec::new();
        while !first.is_empty() || !second.is_empty() {
            match next() % 8 {
                0 => inner.extend([15 << 3, 1]),
                1 => put_double(&mut inner, 9, 1.0),
                2 => put_bytes(&mut inner, 7, b"unknown"),
                3 => inner.extend(b"\x63\x08\x01\x64"), // a group
                4 | 5 => inner.extend(field(second.pop())),
                _ => inner.extend(field(first.pop())),
            }
        }
        put_length(&mut message, 1, inner.len());
        message.extend(inner);
    }
    message
}

fn field(field: Option<(u8, Vec<u8>)>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some((number, bytes)) = field {
        put_bytes(&mut out, number, &bytes);
    }
    out
}

fn any_series() -> impl Strategy<Value = p1::TimeSeries> {
    let labels = proptest::collection::btree_map("[a-c]{1,2}", "[x-zé]{0,3}", 0..4);
    let samples = proptest::collection::vec((any::<i64>(), any::<f64>()), 0..4);
    (labels, samples, "[m-o]").prop_map(|(labels, samples, name)| {
        let mut pairs: Vec<(&str, &str)> =
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.insert(0, ("__name__", &name));
        // prost writes no zero, be it negative or not.
        let samples: Vec<_> = samples.iter().map(|&(at, value)| (at, value + 0.0)).collect();
        let exemplar = |&(timestamp, value): &(i64, f64)| p1::Exemplar {
            labels: wire_labels(&pairs[1..]),
            value,
            timestamp,
        };
        let histogram = |&(timestamp, sum): &(i64, f64)| p1::Histogram {
            count: Some(p1::histogram::Count::Int(3)),
            sum,
            positive_spans: vec![p1::BucketSpan { offset: timestamp as i32 >> 2, length: 1 }],
            positive_deltas: vec![3],
            timestamp,
            ..p1::Histogram::default()
        };
        p1::TimeSeries {
            exemplars: samples.iter().skip(1).map(exemplar).collect(),
            histograms: samples.iter().skip(2).map(histogram).collect(),
            ..series(&pairs, &samples)
        }
    })
}

/// One line of what is stored. Bits, because not every number equals itself.
fn line(series: &Labels, millis: i64, value: f64, more: &str) -> String {
    format!("{series} {:x}@{millis} {more}", value.to_bits())
}

/// All that is stored.
fn lines(memory: &Memory) -> Vec<String> {
    let state = memory.state();
    let samples = state
        .committed
        .iter()
        .map(|(series, sample)| line(series, sample.timestamp.as_millis(), sample.value, ""));
    let histograms = state.histograms.iter().map(|(series, at, histogram)| {
        let buckets = format!("{:?}", histogram.to_float().positive);
        line(series, at.as_millis(), histogram.sum(), &buckets)
    });
    let exemplars = state.exemplars.iter().map(|(series, exemplar)| {
        let labels = exemplar.labels.to_string();
        line(series, exemplar.timestamp.as_millis(), exemplar.value, &labels)
    });
    samples.chain(histograms).chain(exemplars).collect()
}

/// All that must be stored once `series` were stored `times` times.
fn expected(series: &[p1::TimeSeries], times: usize) -> Vec<String> {
    let labels_of = |labels: &[p1::Label]| -> Labels {
        labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect()
    };
    let (mut samples, mut histograms, mut exemplars) = (Vec::new(), Vec::new(), Vec::new());
    for series in series {
        let name = labels_of(&series.labels);
        for sample in &series.samples {
            samples.push(line(&name, sample.timestamp, sample.value, ""));
        }
        for histogram in &series.histograms {
            let bucket = Bucket { index: histogram.positive_spans[0].offset, count: 3.0 };
            let buckets = format!("{:?}", [bucket]);
            histograms.push(line(&name, histogram.timestamp, histogram.sum, &buckets));
        }
        for exemplar in &series.exemplars {
            let labels = labels_of(&exemplar.labels).to_string();
            exemplars.push(line(&name, exemplar.timestamp, exemplar.value, &labels));
        }
    }
    [samples, histograms, exemplars].map(|lines| vec![lines; times].concat()).concat()
}

proptest! {
    /// WALK-1: prost reads the same from the same bytes, whatever the order of fields.
    #[test]
    fn walking_version_1_gives_what_prost_gives(
        series in proptest::collection::vec(any_series(), 0..5),
        order in proptest::collection::vec(any::<u8>(), 1..30)
            .prop_filter("some labels and some samples", |order| {
                order.iter().any(|o| matches!(o % 8, 4 | 5)) && order.iter().any(|o| o % 8 > 5)
            }),
    ) {
        let message = encode_shuffled(&series, &order);
        let read = p1::WriteRequest::decode(&message[..]).unwrap();
        let memory = Memory::default();
        for _ in 0..2 {
            put(&memory, Version::V1, &message).unwrap();
        }
        prop_assert_eq!(lines(&memory), expected(&read.timeseries, 2));
    }

    /// WALK-2, packed and unpacked references alike.
    #[test]
    fn walking_version_2_gives_what_prost_gives(
        series in proptest::collection::vec(any_series(), 0..5),
        unpacked in any::<bool>(),
    ) {
        let mut symbols = vec![String::new()];
        let mut message = Vec::new();
        for series in &series {
            let mut refs_of = |labels: &[p1::Label]| {
                let mut refs = Vec::new();
                for text in labels.iter().flat_map(|label| [&label.name, &label.value]) {
                    let known = symbols.iter().position(|symbol| symbol == text);
                    refs.push(known.unwrap_or(symbols.len()) as u32);
                    if known.is_none() {
                        symbols.push(text.clone());
                    }
                }
                refs
            };
            let mut refs = refs_of(&series.labels);
            let exemplars = series.exemplars.iter().map(|exemplar| p2::Exemplar {
                labels_refs: refs_of(&exemplar.labels),
                value: exemplar.value,
                timestamp: exemplar.timestamp,
            });
            let exemplars = exemplars.collect();
            // The fields of histograms are the same in both versions.
            let histograms = series.histograms.iter().map(|histogram| {
                p2::Histogram::decode(&histogram.encode_to_vec()[..]).unwrap()
            });
            let histograms = histograms.collect();
            let samples = series.samples.iter().map(|sample| p2::Sample {
                value: sample.value,
                timestamp: sample.timestamp,
                start_timestamp: 5,
            });
            let samples = samples.collect();
            let mut inner = Vec::new();
            if unpacked {
                for symbol in std::mem::take(&mut refs) {
                    put_varint(&mut inner, 1 << 3);
                    put_varint(&mut inner, u64::from(symbol));
                }
            }
            let rest = p2::TimeSeries {
                labels_refs: refs,
                samples,
                exemplars,
                histograms,
                ..p2::TimeSeries::default()
            };
            inner.extend(rest.encode_to_vec());
            put_bytes(&mut message, 5, &inner); // before the symbols
        }
        for symbol in &symbols {
            put_bytes(&mut message, 4, symbol.as_bytes());
        }
        let read = p2::Request::decode(&message[..]).unwrap();
        prop_assert_eq!(read.symbols, symbols);
        let memory = Memory::default();
        put(&memory, Version::V2, &message).unwrap();
        prop_assert_eq!(lines(&memory), expected(&series, 1));
    }

    /// WIRE-1 and WIRE-2: damaged messages cause no panic, and what prost still reads is read.
    #[test]
    fn damaged_messages_are_read_or_refused(
        series in proptest::collection::vec(any_series(), 1..4),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = request(series);
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        for message in [&message[..], &message[..cut.index(message.len())]] {
            let walked = put(&Memory::default(), Version::V1, message);
            if p1::WriteRequest::decode(message).is_ok() {
                prop_assert!(walked.is_ok(), "{:?}", walked);
            }
            let walked = put(&Memory::default(), Version::V2, message);
            let first_is_empty = !matches!(&walked, Err(error) if error.to_string().contains("first symbol"));
            if p2::Request::decode(message).is_ok() && first_is_empty {
                prop_assert!(walked.is_ok(), "{:?}", walked);
            }
        }
    }
}
