//! Whole queries over a head: what is looked at of each series, and what is made of it.

use std::hint::black_box;
use std::time::Duration;

use benches::{SCRAPE_INTERVAL, START, Store};
use criterion::{Criterion, criterion_group, criterion_main};
use model::Timestamp;
use promql::{Cancel, Engine, EngineOptions, parse};

const SERIES: usize = 20_000;
const SCRAPES: i64 = 240;
const STEP: Duration = Duration::from_secs(15);

/// Over 500 series each, from minute 10 to minute 50.
const QUERIES: [(&str, &str); 5] = [
    ("rate", "sum by (cluster) (rate(container_metric_2_total[5m]))"),
    ("average", "avg by (cluster) (avg_over_time(container_metric_1_total[10m]))"),
    ("highest", "max(max_over_time(container_metric_1_total[10m]))"),
    ("quantile", "max(quantile_over_time(0.9, container_metric_1_total[10m]))"),
    ("newest", "count by (node) (container_metric_1_total)"),
];

fn queries(criterion: &mut Criterion) {
    let store = Store::with(SERIES, SCRAPES);
    let engine = Engine::new(EngineOptions::default());
    let at = |scrape: i64| Timestamp::from_millis(START + scrape * SCRAPE_INTERVAL);
    let mut group = criterion.benchmark_group("query");
    for (name, query) in QUERIES {
        let expr = parse(query).expect("a query");
        group.bench_function(format!("{name} at one time"), |bench| {
            bench.iter(|| {
                black_box(engine.instant(&*store.db, &expr, at(200), &Cancel::new()).expect("ends"))
            });
        });
        group.bench_function(format!("{name} at 161 times"), |bench| {
            bench.iter(|| {
                let (start, end, cancel) = (at(40), at(200), Cancel::new());
                black_box(engine.range(&*store.db, &expr, start, end, STEP, &cancel).expect("ends"))
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = queries
}
criterion_main!(benches);
