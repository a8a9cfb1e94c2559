//! Remote write 1.0.

use model::{Metadata, Point, SampleValue};
use tsdb::LogItem;

use super::{histogram, runs};
use crate::send::queue::Entry;
use crate::send::series::SentLabels;
use crate::send::symbols::Table;
use crate::wire::{field_len, put_bytes, put_double, put_int64, put_length, put_varint};

/// Appends a `WriteRequest`.
pub(in crate::send) fn write_request(out: &mut Vec<u8>, entries: &[Entry], symbols: &Table) {
    let (mut labels, mut fields, mut message) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs(entries) {
        fields.clear();
        for entry in run {
            message.clear();
            put_bytes(&mut fields, put_item(&mut message, &entry.item), &message);
        }
        let labels: &[u8] = match &run[0].series.labels {
            SentLabels::Fields(fields) => fields,
            SentLabels::Symbols(pairs) => {
                labels.clear();
                let text = |symbol| symbols.text(symbol);
                put_labels(
                    &mut labels,
                    pairs.iter().map(|&[name, value]| (text(name), text(value))),
                );
                &labels
            }
        };
        put_length(out, 1, labels.len() + fields.len());
        out.extend_from_slice(labels);
        out.extend_from_slice(&fields);
    }
}

/// Appends the fields of a `Sample`, `Exemplar` or `Histogram`; gives the number of the field in a
/// `TimeSeries` that holds one.
fn put_item(out: &mut Vec<u8>, item: &LogItem) -> u8 {
    match item {
        LogItem::Point(Point { timestamp, value: SampleValue::Float(value) }) => {
            put_double(out, 1, *value);
            put_int64(out, 2, timestamp.as_millis());
            2
        }
        LogItem::Exemplar(exemplar) => {
            put_labels(out, &exemplar.labels);
            put_double(out, 2, exemplar.value);
            put_int64(out, 3, exemplar.timestamp.as_millis());
            3
        }
        LogItem::Point(Point { timestamp, value: SampleValue::Histogram(histogram) }) => {
            histogram::put(out, *timestamp, histogram);
            4
        }
    }
}

/// Appends a `Label` for each of `labels`, as the first field of a series or an exemplar.
pub(in crate::send) fn put_labels<'a>(
    out: &mut Vec<u8>,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    for (name, value) in labels {
        put_length(out, 1, field_len(name.len()) + field_len(value.len()));
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    }
}

/// Appends one `MetricMetadata` to a `WriteRequest`.
pub(in crate::send) fn metadata(out: &mut Vec<u8>, family: &str, metadata: &Metadata) {
    let texts = [(2, family), (4, &metadata.help), (5, &metadata.unit)];
    let length: usize = texts.iter().map(|(_, text)| field_len(text.len())).sum();
    put_length(out, 3, 2 + length);
    put_varint(out, 1 << 3);
    put_varint(out, metadata.metric_type.number().into());
    for (field, text) in texts {
        put_bytes(out, field, text.as_bytes());
    }
}
