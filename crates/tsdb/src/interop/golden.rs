//! Native histograms as a real Prometheus writes them: into its log and into chunks.
//!
//! Debian's knows no custom buckets, takes an empty bucket that is left out for a reset, and fractional
//! counts of which there are none for whole ones: none of these is sent to it. Where bits end with a
//! byte it may add an empty one, which later versions do not.

mod series;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use model::histogram::spans::{self, Span};
use model::histogram::{Bucket, NativeHistogram};
use model::{Histogram, Point, SampleValue, Timestamp};
use proto::v1::{self, BucketSpan, Label, TimeSeries, WriteRequest};

use super::peer::Prometheus;
use super::{MINUTE, START};
use crate::LogSeries;
use crate::chunk::histogram::HistogramChunk;
use crate::codec::Decoder;
use crate::wal::list_segments;
use crate::wal::record::Record;
use crate::wal::record::points::PointRecords;
use crate::wal::segment::SegmentReader;
use series::SERIES;

/// Chunks end where this is full, as blocks do.
const CHUNK_RANGE: i64 = 120 * MINUTE;
const STEP: i64 = MINUTE / 4;
/// What comes after these only makes Prometheus let go of the last chunk.
const STEPS: usize = 60;

fn time(step: usize) -> Timestamp {
    // Halfway through, a chunk's range is full; with the last step the next one is.
    let middle = START / CHUNK_RANGE * CHUNK_RANGE + CHUNK_RANGE;
    let leap = if step == STEPS { CHUNK_RANGE } else { 0 };
    Timestamp::from_millis(middle + (step as i64 - STEPS as i64 / 2) * STEP + leap)
}

/// As remote write has it.
pub(super) fn wire(at: Timestamp, histogram: &Histogram) -> v1::Histogram {
    fn spans_of<N>(buckets: &[Bucket<N>]) -> Vec<BucketSpan> {
        let spans = spans::spans(buckets.iter().map(|bucket| bucket.index));
        let span = |Span { offset, length }| BucketSpan { offset, length };
        spans.into_iter().map(span).collect()
    }
    fn common<N>(at: Timestamp, histogram: &NativeHistogram<N>) -> v1::Histogram {
        v1::Histogram {
            sum: histogram.sum,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive_spans: spans_of(&histogram.positive),
            negative_spans: spans_of(&histogram.negative),
            reset_hint: histogram.counter_reset.number().into(),
            timestamp: at.as_millis(),
            ..v1::Histogram::default()
        }
    }
    let counts = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.count).collect();
    match histogram {
        Histogram::Integer(histogram) => v1::Histogram {
            count: Some(v1::histogram::Count::Int(histogram.count)),
            zero_count: Some(v1::histogram::ZeroCount::Int(histogram.zero_count)),
            positive_deltas: spans::deltas(&histogram.positive).collect(),
            negative_deltas: spans::deltas(&histogram.negative).collect(),
            ..common(at, histogram)
        },
        Histogram::Float(histogram) => v1::Histogram {
            count: Some(v1::histogram::Count::Float(histogram.count)),
            zero_count: Some(v1::histogram::ZeroCount::Float(histogram.zero_count)),
            positive_counts: counts(&histogram.positive),
            negative_counts: counts(&histogram.negative),
            ..common(at, histogram)
        },
    }
}

fn request(step: usize) -> WriteRequest {
    let label = |name: &str, value: String| Label { name: name.to_owned(), value };
    let one = |(number, series): (usize, &fn(u64) -> Histogram)| TimeSeries {
        labels: vec![
            label("__name__", "histogram".to_owned()),
            label("series", format!("{number:02}")),
        ],
        histograms: vec![wire(time(step), &series(step as u64))],
        ..TimeSeries::default()
    };
    WriteRequest { timeseries: SERIES.iter().enumerate().map(one).collect(), metadata: Vec::new() }
}

/// As the head cuts them: encoding and bytes.
fn chunks_of(series: fn(u64) -> Histogram) -> Vec<(u8, Vec<u8>)> {
    let mut chunks: Vec<HistogramChunk> = Vec::new();
    let range = |at: Timestamp| at.as_millis() / CHUNK_RANGE;
    for step in 0..STEPS {
        let (at, histogram) = (time(step), Arc::new(series(step as u64)));
        let is_taken = chunks
            .last_mut()
            .is_some_and(|chunk| range(chunk.last().0) == range(at) && chunk.push(at, &histogram));
        if !is_taken {
            chunks.push(HistogramChunk::new(at, &histogram, chunks.last()));
        }
    }
    chunks.iter().map(|chunk| (chunk.encoding(), chunk.to_bytes())).collect()
}

/// The chunks of each series in a file of the head: those that are full.
fn chunks_in(file: &Path) -> BTreeMap<u64, Vec<(u8, Vec<u8>)>> {
    let file = fs::read(file).unwrap();
    let mut rest = Decoder::new(&file[8..]);
    let mut chunks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    while let Some(series @ 1..) = rest.u64() {
        rest.take(16).unwrap(); // times
        let encoding = rest.u8().unwrap();
        let length = rest.uvarint().unwrap();
        let bytes = rest.take(length as usize).unwrap().to_vec();
        chunks.entry(series).or_default().push((encoding, bytes));
        rest.take(4).unwrap(); // checksum
    }
    chunks
}

/// The records of histograms in the log, one of each kind for each request.
fn records_of(log: &Path) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for segment in list_segments(log).unwrap() {
        let mut reader = SegmentReader::open(log, segment, 0).unwrap();
        let end = reader.file_bytes().unwrap();
        while let Some(record) = reader.next(end).unwrap() {
            if matches!(Record::parse(record), Ok(Record::Histograms(_))) {
                records.push(record.to_vec());
            }
        }
    }
    records
}

/// What our log has of a step, for series numbered from `first` on.
fn our_records(step: usize, first: LogSeries) -> PointRecords {
    let mut records = PointRecords::default();
    for (number, series) in (first.0..).zip(SERIES) {
        let value = SampleValue::Histogram(Arc::new(series(step as u64)));
        records.push(LogSeries(number), &Point { timestamp: time(step), value });
    }
    records
}

#[test]
fn records_and_chunks_of_histograms_are_prometheus_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let server = Prometheus::receiver(dir.path());
    (0..=STEPS).for_each(|step| server.write(&request(step)));
    server.stop();

    let theirs = chunks_in(&dir.path().join("chunks_head/000001"));
    assert_eq!(theirs.len(), SERIES.len());
    for (number, (theirs, series)) in theirs.values().zip(SERIES).enumerate() {
        let ours = chunks_of(series);
        assert_eq!(theirs.len(), ours.len(), "series {number}");
        for (index, (theirs, (encoding, bytes))) in theirs.iter().zip(ours).enumerate() {
            let is_padded = theirs.1.len() == bytes.len() + 1 && theirs.1.ends_with(&[0]);
            let bytes = if is_padded { [&bytes[..], &[0]].concat() } else { bytes };
            assert_eq!(theirs, &(encoding, bytes), "series {number}, chunk {index}");
        }
    }

    let first = LogSeries(*theirs.first_key_value().unwrap().0);
    let ours = (0..=STEPS).map(|step| our_records(step, first));
    let ours = ours.flat_map(|records| records.records().map(<[u8]>::to_vec).collect::<Vec<_>>());
    assert_eq!(records_of(&dir.path().join("wal")), ours.collect::<Vec<_>>());
}
