//! Chunks and records of the log, from samples to bytes and back.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use benches::sample;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::Sample;
use tsdb::bench::{LogRecords, sum_of_xor_chunk, xor_chunk};
use tsdb::{Compression, LogSeries, LoggedSample};

/// As many as a full chunk has.
const CHUNK_SAMPLES: i64 = 120;
const RECORD_SAMPLES: u64 = 5000;

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("xor_chunk");
    group.throughput(Throughput::Elements(CHUNK_SAMPLES as u64));
    for (name, series) in [("constant", 0), ("gauge", 1), ("counter", 2)] {
        let samples: Vec<Sample> = (0..CHUNK_SAMPLES).map(|i| sample(series, i)).collect();
        group.bench_function(format!("append/{name}"), |b| b.iter(|| xor_chunk(&samples)));
        let chunk = xor_chunk(&samples);
        group.bench_function(format!("decode/{name}"), |b| b.iter(|| sum_of_xor_chunk(&chunk)));
    }
    group.finish();
}

fn log_records(c: &mut Criterion) {
    let samples: Vec<LoggedSample> = (0..RECORD_SAMPLES)
        .map(|n| LoggedSample { series: LogSeries(n), sample: sample(n as usize, 1000) })
        .collect();
    let mut group = c.benchmark_group("log_record");
    group.throughput(Throughput::Elements(RECORD_SAMPLES));
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        let dir = tempfile::tempdir().unwrap();
        let mut records = LogRecords::open(dir.path(), compression).unwrap();
        group.bench_function(format!("encode_and_frame/{compression:?}"), |b| {
            b.iter(|| records.frame(&samples).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, chunks, log_records);
criterion_main!(benches);
