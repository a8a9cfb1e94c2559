//! Messages survive a round trip, and the types say what the schemas say.

use prost::Message;

use crate::{v1, v2};

fn histogram() -> v1::Histogram {
    v1::Histogram {
        count: Some(v1::histogram::Count::Int(7)),
        sum: 3.5,
        schema: -4,
        zero_threshold: 0.001,
        zero_count: Some(v1::histogram::ZeroCount::Int(1)),
        negative_spans: vec![v1::BucketSpan { offset: -2, length: 1 }],
        negative_deltas: vec![-1],
        negative_counts: vec![0.5],
        positive_spans: vec![v1::BucketSpan { offset: 3, length: 2 }],
        positive_deltas: vec![4, -2],
        positive_counts: vec![1.5, 2.5],
        reset_hint: v1::histogram::ResetHint::Gauge as i32,
        timestamp: -5,
        custom_values: vec![0.1],
    }
}

fn write_request() -> v1::WriteRequest {
    let label = v1::Label { name: "job".into(), value: "node".into() };
    v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: vec![label.clone()],
            samples: vec![v1::Sample { value: 1.5, timestamp: 1_700_000_000_000 }],
            exemplars: vec![v1::Exemplar { labels: vec![label], value: 2.0, timestamp: 4 }],
            histograms: vec![histogram()],
        }],
        metadata: vec![v1::MetricMetadata {
            r#type: v1::metric_metadata::MetricType::Histogram as i32,
            metric_family_name: "f".into(),
            help: "h".into(),
            unit: "s".into(),
        }],
    }
}

fn request() -> v2::Request {
    v2::Request {
        symbols: vec![String::new(), "job".into(), "node".into()],
        timeseries: vec![v2::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![v2::Sample { value: 1.5, timestamp: 10, start_timestamp: 5 }],
            histograms: vec![v2::Histogram {
                count: Some(v2::histogram::Count::Float(7.5)),
                zero_count: Some(v2::histogram::ZeroCount::Float(0.5)),
                start_timestamp: 3,
                ..v2::Histogram::default()
            }],
            exemplars: vec![v2::Exemplar { labels_refs: vec![1, 2], value: 2.0, timestamp: 4 }],
            metadata: Some(v2::Metadata {
                r#type: v2::metadata::MetricType::Counter as i32,
                help_ref: 1,
                unit_ref: 2,
            }),
            created_timestamp: 9,
        }],
    }
}

#[test]
fn messages_survive_a_round_trip() {
    let bytes = write_request().encode_to_vec();
    assert_eq!(v1::WriteRequest::decode(&bytes[..]).unwrap(), write_request());
    let bytes = request().encode_to_vec();
    assert_eq!(v2::Request::decode(&bytes[..]).unwrap(), request());
}

#[test]
fn bytes_are_those_that_the_protocol_defines() {
    let request = v1::WriteRequest {
        timeseries: vec![v1::TimeSeries {
            labels: vec![v1::Label { name: "a".into(), value: "b".into() }],
            samples: vec![v1::Sample { value: 1.0, timestamp: 2 }],
            ..v1::TimeSeries::default()
        }],
        metadata: Vec::new(),
    };
    let expect = b"\x0a\x15\x0a\x06\x0a\x01a\x12\x01b\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x02";
    assert_eq!(request.encode_to_vec(), expect);
}

#[test]
fn a_message_of_one_version_read_as_the_other_is_empty() {
    let bytes = write_request().encode_to_vec();
    assert_eq!(v2::Request::decode(&bytes[..]).unwrap(), v2::Request::default());
    let bytes = request().encode_to_vec();
    assert_eq!(v1::WriteRequest::decode(&bytes[..]).unwrap(), v1::WriteRequest::default());
}

/// PROTO-1: `name: tags` of every message, read from the schema and from the types' source.
#[test]
fn the_types_have_the_fields_of_the_schemas() {
    #[track_caller]
    fn check(schema: &str, types: &str) {
        let from_schema = tags(schema, "message ", |line| line.split(" = ").nth(1));
        let from_types = tags(types, "pub struct ", |line| line.split("tag = \"").nth(1));
        assert!(from_schema.len() > 20, "{from_schema:?}");
        assert_eq!(from_schema, from_types);
    }
    check(include_str!("../prometheus/remote.proto"), include_str!("v1.rs"));
    check(include_str!("../io/prometheus/write/v2/types.proto"), include_str!("v2.rs"));
}

/// `Message: tag`, sorted: `starts` opens a message, `tag_of` finds what follows in a field's line.
fn tags<'a>(
    source: &'a str,
    starts: &str,
    tag_of: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<String> {
    let (mut message, mut in_enum, mut found) = ("", false, Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix(starts) {
            message = rest.split(' ').next().unwrap_or("");
        } else if let Some(rest) = line.strip_prefix("pub mod ") {
            message = rest.split(' ').next().unwrap_or("");
        }
        in_enum = (in_enum || line.starts_with("enum ")) && line != "}";
        let digits = |text: &'a str| text.split(|c: char| !c.is_ascii_digit()).next();
        match tag_of(line).and_then(digits) {
            Some(tag) if !in_enum && !tag.is_empty() => {
                found.push(format!("{}: {tag}", message.to_ascii_lowercase()));
            }
            _ => {}
        }
    }
    found.sort();
    found
}
