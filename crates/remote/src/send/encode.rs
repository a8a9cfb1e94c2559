//! Writes remote write 1.0 messages straight into a buffer.
//!
//! - ENCODE-1: prost reads back exactly what was put in, in order. Schema:
//!   `proto/prometheus/remote.proto`.

use model::{Metadata, Sample};

use crate::send::queue::Entry;
use crate::wire::{
    field_len, put_bytes, put_double, put_int64, put_length, put_varint, varint_len,
};

/// Appends a `WriteRequest`. Consecutive entries of one series become one `TimeSeries`.
pub(super) fn write_request(out: &mut Vec<u8>, entries: &[Entry]) {
    for run in entries.chunk_by(|a, b| std::sync::Arc::ptr_eq(&a.series, &b.series)) {
        let labels = &run[0].series.label_section;
        let samples: usize = run.iter().map(|entry| field_len(sample_len(entry.sample))).sum();
        put_length(out, 1, labels.len() + samples);
        out.extend_from_slice(labels);
        for entry in run {
            put_length(out, 2, sample_len(entry.sample));
            put_double(out, 1, entry.sample.value);
            put_int64(out, 2, entry.sample.timestamp.as_millis());
        }
    }
}

fn sample_len(sample: Sample) -> usize {
    9 + 1 + varint_len(sample.timestamp.as_millis() as u64)
}

/// Appends one `MetricMetadata` to a `WriteRequest`.
pub(super) fn metadata(out: &mut Vec<u8>, family: &str, metadata: &Metadata) {
    let texts = [(2, family), (4, &metadata.help), (5, &metadata.unit)];
    let length: usize = texts.iter().map(|(_, text)| field_len(text.len())).sum();
    put_length(out, 3, 2 + length);
    put_varint(out, 1 << 3);
    put_varint(out, metadata.metric_type.number().into());
    for (field, text) in texts {
        put_bytes(out, field, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Labels, STALE_NAN, Timestamp};
    use prost::Message as _;
    use proto::v1;

    use super::*;
    use crate::send::series::Forwarded;

    #[test]
    fn prost_reads_what_was_written() {
        let series = |name: &str| {
            let labels: Labels = [("__name__", name), ("job", "ü")].into_iter().collect();
            Arc::new(Forwarded::new(&labels))
        };
        let (a, b) = (series("a"), series("b"));
        let entry = |series: &Arc<Forwarded>, millis: i64, value: f64| {
            let sample = Sample { timestamp: Timestamp::from_millis(millis), value };
            Entry { series: Arc::clone(series), sample, chunk: 0 }
        };
        let entries = [
            entry(&a, 1_700_000_000_000, 1.5),
            entry(&a, -1, -0.0),
            entry(&b, 0, STALE_NAN),
            entry(&a, i64::MAX, f64::INFINITY),
        ];
        let mut out = Vec::new();
        write_request(&mut out, &entries);
        let said = Metadata {
            metric_type: model::MetricType::StateSet,
            help: "h".into(),
            unit: "u".into(),
        };
        metadata(&mut out, "f", &said);

        let read = v1::WriteRequest::decode(&out[..]).unwrap();
        let names: Vec<_> = read.timeseries.iter().map(|s| s.labels[0].value.as_str()).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(
            read.timeseries[0].labels[1],
            v1::Label { name: "job".into(), value: "ü".into() }
        );
        let samples = read.timeseries.iter().flat_map(|series| &series.samples);
        let samples: Vec<_> = samples.map(|s| (s.timestamp, s.value.to_bits())).collect();
        let expect =
            entries.each_ref().map(|e| (e.sample.timestamp.as_millis(), e.sample.value.to_bits()));
        assert_eq!(samples, expect);
        let family = v1::MetricMetadata {
            r#type: v1::metric_metadata::MetricType::StateSet as i32,
            metric_family_name: "f".into(),
            help: "h".into(),
            unit: "u".into(),
        };
        assert_eq!(read.metadata, [family]);
    }
}
