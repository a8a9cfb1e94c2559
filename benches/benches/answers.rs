//! What a query came to, as JSON.

use benches::{labels, sample};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::Timestamp;
use promql::{MatrixSeries, SampleValue, Value, VectorSample};

fn answers(c: &mut Criterion) {
    let at = Timestamp::from_millis(benches::START);
    let vector = (0..1000).map(|series| VectorSample {
        labels: labels(series),
        timestamp: at,
        value: SampleValue::Float(sample(series, 7).value),
    });
    let matrix = (0..10).map(|series| MatrixSeries {
        labels: labels(series),
        samples: (0..240).map(|scrape| sample(series, scrape)).collect(),
        histograms: Vec::new(),
    });
    let cases = [
        ("vector", Value::Vector(vector.collect()), 1000),
        ("matrix", Value::Matrix(matrix.collect()), 2400),
    ];
    let mut group = c.benchmark_group("answers");
    for (name, value, samples) in cases {
        group.throughput(Throughput::Elements(samples));
        group.bench_function(name, |b| {
            b.iter_batched(|| value.clone(), api::bench::json, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
