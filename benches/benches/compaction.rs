//! From the head into a block.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use benches::Store;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const SERIES: usize = 5000;
/// Three hours and a bit: one block is due.
const SCRAPES: i64 = 3 * 240 + 130;

fn head_to_block(c: &mut Criterion) {
    let mut group = c.benchmark_group("compaction");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
    group.bench_function("head_to_block", |b| {
        b.iter_batched(
            || Store::with(SERIES, SCRAPES),
            |store| {
                store.db.maintain().unwrap();
                store
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, head_to_block);
criterion_main!(benches);
