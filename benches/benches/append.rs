//! The way in: known series, their keys, new series.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use benches::{Store, key, labels};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use model::Labels;
use storage::{Append, SeriesKey};

const SERIES: usize = 100_000;
const NEW_SERIES: usize = 1000;
/// As a sender of that many series asks.
const KEYS_AT_ONCE: usize = 2000;

fn known_series(c: &mut Criterion) {
    let store = Store::with(SERIES, 1);
    let mut group = c.benchmark_group("known_series");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(20);
    let mut scrape = 0;
    group.bench_function("append_and_commit", |b| {
        b.iter(|| {
            scrape += 1;
            store.append(scrape);
        });
    });
    let keys: Vec<SeriesKey> = (0..SERIES).map(key).collect();
    let mut found = Vec::new();
    group.bench_function("lookup_by_key", |b| {
        b.iter(|| {
            let mut batch = store.db.appender();
            for keys in keys.chunks(KEYS_AT_ONCE) {
                found.clear();
                batch.lookup(keys, &mut found);
                assert!(found.iter().all(Option::is_some));
            }
        });
    });
    group.finish();
}

fn new_series(c: &mut Criterion) {
    let store = Store::with(SERIES, 1);
    let mut group = c.benchmark_group("new_series");
    group.throughput(Throughput::Elements(NEW_SERIES as u64)).sample_size(20);
    let mut next = SERIES;
    let mut unknown = || -> Vec<(usize, Labels)> {
        let numbers = next..next + NEW_SERIES;
        next = numbers.end;
        numbers.map(|number| (number, labels(number))).collect()
    };
    group.bench_function("insert_and_commit", |b| {
        let insert = |series: Vec<(usize, Labels)>| {
            let mut batch = store.db.appender();
            for (number, labels) in &series {
                let series = batch.series(labels, Some(key(*number))).unwrap();
                batch.sample(series, benches::sample(*number, 1)).unwrap();
            }
            batch.commit().unwrap()
        };
        b.iter_batched(&mut unknown, insert, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, known_series, new_series);
criterion_main!(benches);
