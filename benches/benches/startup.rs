//! From the log or a saved head to a database, and to the disk before an answer.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::{Store, labels, open, sample};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::Labels;
use storage::Append;
use tsdb::{Db, Options};

const SERIES: usize = 100_000;
const SCRAPES: i64 = 20;
/// In one commit that waits for the disk.
const SAMPLES: usize = 1000;

fn start(c: &mut Criterion) {
    let dir = Store::with(SERIES, SCRAPES).into_directory();
    let open = || open(Options::new(dir.path()));
    let mut group = c.benchmark_group("start");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
    group.bench_function("replay_the_log", |b| {
        b.iter_custom(|times| (0..times).map(|_| timed(open).0).sum());
    });
    open().close().unwrap();
    group.bench_function("take_over_a_saved_head", |b| {
        let start = |_| {
            let (time, db) = timed(open);
            db.close().unwrap();
            time
        };
        b.iter_custom(|times| (0..times).map(start).sum());
    });
    group.bench_function("save_the_head", |b| {
        let end = |_| {
            let db = open();
            timed(|| db.close().unwrap()).0
        };
        b.iter_custom(|times| (0..times).map(end).sum());
    });
    group.finish();
}

fn timed<T>(act: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let done = act();
    (began.elapsed(), done)
}

fn synced_commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("synced_commits");
    group.throughput(Throughput::Elements(SAMPLES as u64)).sample_size(10);
    for writers in [1, 8] {
        group.bench_function(BenchmarkId::from_parameter(writers), |b| {
            let dir = tempfile::tempdir().unwrap();
            let options = Options { sync_before_ack: true, ..Options::new(dir.path()) };
            let db = open(options);
            let series: Vec<Labels> = (0..writers * SAMPLES).map(labels).collect();
            let scrapes: Vec<_> = (0..writers).map(|_| AtomicU64::new(0)).collect();
            b.iter_custom(|commits| {
                let left = AtomicU64::new(commits);
                let work = |writer: usize| {
                    let take = |left: u64| left.checked_sub(1);
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                        let scrape = scrapes[writer].fetch_add(1, Ordering::Relaxed);
                        let first = writer * SAMPLES;
                        commit(&db, first, &series[first..][..SAMPLES], scrape.cast_signed());
                    }
                };
                let began = Instant::now();
                thread::scope(|scope| {
                    for writer in 0..writers {
                        scope.spawn(move || work(writer));
                    }
                });
                began.elapsed()
            });
        });
    }
    group.finish();
}

fn commit(db: &Db, first: usize, series: &[Labels], scrape: i64) {
    let mut batch = db.appender();
    for (number, labels) in (first..).zip(series) {
        let series = batch.series(labels, None).unwrap();
        batch.sample(series, sample(number, scrape)).unwrap();
    }
    batch.commit().unwrap();
}

criterion_group!(benches, start, synced_commits);
criterion_main!(benches);
