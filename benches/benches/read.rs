//! The way out: finding series by matchers, and decoding what they have in the head and in blocks.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use benches::Store;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{MatchOp, Matcher, TimeRange, Timestamp};
use storage::{Columns, LabelQuery, Query, Selection};

const SERIES: usize = 100_000;
const SERIES_READ: usize = 10_000;
/// Nine hours, most of which leave the head.
const SCRAPES: i64 = 9 * 240;

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

fn select(c: &mut Criterion) {
    use MatchOp::{Equal, NotRegex, Regex};
    let store = Store::with(SERIES, 1);
    let metric = || matcher("__name__", Equal, "container_metric_3_total");
    let cases = [
        ("one_metric", vec![metric()]),
        ("metric_and_namespace", vec![metric(), matcher("namespace", Equal, "team-4")]),
        ("one_series", vec![metric(), matcher("instance", Equal, "10.0.7.9:10250")]),
        ("set", vec![metric(), matcher("namespace", Regex, "team-1|team-2|team-3")]),
        ("prefix", vec![metric(), matcher("pod", Regex, "app-3.*")]),
        ("regex", vec![metric(), matcher("pod", Regex, "app-[23]-.+7.*")]),
        ("negative_regex", vec![metric(), matcher("node", NotRegex, "node-1.?")]),
    ];
    let mut group = c.benchmark_group("select");
    for (name, matchers) in cases {
        let selection = Selection::new(TimeRange::ALL, matchers);
        assert!(!store.db.select(&selection).unwrap().is_empty(), "{name} selects nothing");
        group.bench_function(name, |b| b.iter(|| store.db.select(&selection).unwrap().len()));
    }
    group.bench_function("one_metric_and_its_labels", |b| {
        let selection = Selection::new(TimeRange::ALL, vec![metric()]);
        b.iter(|| {
            let set = store.db.select(&selection).unwrap();
            (0..set.len()).map(|index| set.labels(index).metric_name().len()).sum::<usize>()
        });
    });
    group.finish();
}

fn label_values(c: &mut Criterion) {
    let store = Store::with(SERIES, 1);
    let mut group = c.benchmark_group("label_values");
    for (name, matchers) in
        [("of_all", vec![]), ("of_a_node", vec![vec![matcher("node", MatchOp::Equal, "node-7")]])]
    {
        let query = LabelQuery { range: TimeRange::ALL, matcher_sets: matchers, limit: None };
        assert!(store.db.label_values("pod", &query).unwrap().len() > 10, "{name}");
        group.bench_function(name, |b| b.iter(|| store.db.label_values("pod", &query).unwrap()));
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let store = Store::with(SERIES_READ, SCRAPES);
    store.db.maintain().unwrap();
    let end = Timestamp::from_millis(benches::START + SCRAPES * benches::SCRAPE_INTERVAL);
    let hour = |hours: i64| end.plus_millis(-hours * 3_600_000);
    let mut group = c.benchmark_group("read_an_hour");
    group.throughput(Throughput::Elements(SERIES_READ as u64 * 240)).sample_size(20);
    for (name, hours) in [("of_the_head", 1), ("of_a_block", 8)] {
        let range = TimeRange::new(hour(hours), hour(hours - 1));
        let selection = Selection::new(range, Vec::new());
        let mut columns = Columns::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let set = store.db.select(&selection).unwrap();
                let mut samples = 0;
                for series in 0..set.len() {
                    columns.clear();
                    set.read(series, &mut columns).unwrap();
                    samples += columns.len();
                }
                assert!(samples > SERIES_READ * 200);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, select, label_values, decode);
criterion_main!(benches);
