//! What an aggregation over very many series takes: time at one time, and memory over an hour.
//!
//! ```text
//! cargo run --release --package benches --example million [SERIES] [SCRAPES]
//! ```
//! One metric has all series, scraped once a minute. Memory is what the process has more at its peak than
//! before the query.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and has nobody to tell"
)]

use std::env;
use std::fs;
use std::time::{Duration, Instant};

use model::{Labels, Sample, Timestamp};
use promql::{Answer, Cancel, Engine, EngineOptions, EvalError, Value, parse};
use storage::{Append, SeriesKey, SeriesRef};
use tsdb::Options;

const MINUTE: i64 = 60_000;
const BATCH: usize = 2000;
const QUERY: &str = "sum by (region) (rate(requests_total[5m]))";

fn labels(series: usize) -> Labels {
    [
        ("__name__", "requests_total".to_owned()),
        ("cluster", format!("tenant-{}", series / 1000)),
        ("code", ["200", "404", "500"][series % 3].to_owned()),
        ("pod", format!("app-{series}")),
        ("region", format!("region-{}", series % 20)),
    ]
    .into_iter()
    .collect()
}

fn filled(series: usize, scrapes: i64) -> (tempfile::TempDir, std::sync::Arc<tsdb::Db>) {
    let dir = tempfile::tempdir().unwrap();
    let db = benches::open(Options::new(dir.path()));
    let mut batch = db.appender();
    let key = |n: usize| Some(SeriesKey(n as u128));
    let refs: Vec<SeriesRef> =
        (0..series).map(|n| batch.series(&labels(n), key(n)).unwrap()).collect();
    batch.commit().unwrap();
    for scrape in 0..scrapes {
        for (number, some) in refs.chunks(BATCH).enumerate() {
            let mut batch = db.appender();
            for (place, series) in some.iter().enumerate() {
                let rises = ((number * BATCH + place) % 97) as f64;
                let timestamp = Timestamp::from_millis(scrape * MINUTE);
                batch.sample(*series, Sample { timestamp, value: scrape as f64 * rises }).unwrap();
            }
            batch.commit().unwrap();
        }
    }
    (dir, db)
}

/// In MiB: `VmHWM` is the highest it was since it was last forgotten.
fn resident(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn measure(name: &str, ask: impl Fn() -> Result<Answer, EvalError>) {
    for round in 0..3 {
        fs::write("/proc/self/clear_refs", "5").unwrap(); // forgets the peak
        let (before, start) = (resident("VmRSS:"), Instant::now());
        let groups = match ask().unwrap().value {
            Value::Vector(vector) => vector.len(),
            Value::Matrix(matrix) => matrix.len(),
            other => panic!("no vector: {other:?}"),
        };
        let (took, peak) = (start.elapsed(), resident("VmHWM:"));
        let more = peak - before;
        println!(
            "{name}, round {round}: {took:.2?}, {groups} groups, {more:.1} MiB above {before:.0}"
        );
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number =
        |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (series, scrapes) = (number(0, 1_000_000), number(1, 70) as i64);
    let (_dir, db) = filled(series, scrapes);
    let engine = Engine::new(EngineOptions::default());
    let (expr, cancel) = (parse(QUERY).unwrap(), Cancel::new());
    let end = Timestamp::from_millis((scrapes - 1) * MINUTE);
    println!("{QUERY} over {series} series of {scrapes} samples");
    measure("at one time", || engine.instant(&*db, &expr, end, &cancel));
    let start = end.plus_millis(-60 * MINUTE);
    let step = Duration::from_secs(60);
    measure("at 61 times", || engine.range(&*db, &expr, start, end, step, &cancel));
}
