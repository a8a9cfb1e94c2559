//! What the benches work on: series as Kubernetes makes them, and databases that hold them.
//!
//! `cargo bench --package benches` runs them all, `--bench append` behind it one file.
//! Whole servers are compared elsewhere: see `RESULTS.md`.

#![allow(clippy::unwrap_used, reason = "a bench that fails has nobody to tell")]

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, Sample, Timestamp};
use prometheus::Registry;
use storage::{Append, SeriesKey, SeriesRef};
use tempfile::TempDir;
use tsdb::{Db, Metrics, Options};

pub const START: i64 = 1_700_000_000_000;
pub const SCRAPE_INTERVAL: i64 = 15_000;

/// The series with this number: a counter or a gauge of one container.
pub fn labels(series: usize) -> Labels {
    let (metric, pod) = (series % 40, series / 40);
    [
        ("__name__", format!("container_metric_{metric}_total")),
        ("cluster", format!("cn-hangzhou-{}", pod / 500)),
        ("container", format!("app-{}", pod % 7)),
        ("endpoint", "https-metrics".to_owned()),
        ("id", format!("/kubepods/burstable/pod{:032x}", pod as u128 * 0x9e37_79b9_7f4a_7c15)),
        ("image", format!("registry.example.com/team-{}/app:v1.{}", pod % 11, pod % 5)),
        ("instance", format!("10.0.{}.{}:10250", pod / 100 % 250, pod % 100)),
        ("job", "kubelet".to_owned()),
        ("namespace", format!("team-{}", pod % 11)),
        ("node", format!("node-{}", pod / 30)),
        ("pod", format!("app-{}-{:08x}", pod % 7, pod.wrapping_mul(0x9e37_79b9) as u32)),
        ("service", "kubelet".to_owned()),
    ]
    .into_iter()
    .collect()
}

pub fn key(series: usize) -> SeriesKey {
    SeriesKey((series as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// A constant, a gauge, a counter that rises by varying steps, and one that nothing compresses.
pub fn sample(series: usize, scrape: i64) -> Sample {
    let jitter = (scrape * 7 + series as i64) % 5;
    let value = match series % 4 {
        0 => 1.0,
        1 => (scrape * scrape % 9973) as f64 / 8.0,
        2 => (scrape * 1200 + scrape * scrape % 317) as f64,
        _ => (scrape + 1).wrapping_mul(0x1e37_79b9_7f4a_7c15) as f64,
    };
    Sample { timestamp: Timestamp::from_millis(START + scrape * SCRAPE_INTERVAL + jitter), value }
}

pub fn open(options: Options) -> Arc<Db> {
    Db::open(options, Metrics::register(&Registry::new()).unwrap()).unwrap()
}

/// A database in a directory of its own, which goes with it.
#[derive(Debug)]
pub struct Store {
    pub db: Arc<Db>,
    series: Vec<SeriesRef>,
    dir: TempDir,
}

impl Store {
    /// With so many series and scrapes in its head.
    pub fn with(series: usize, scrapes: i64) -> Self {
        Self::with_options(series, scrapes, |_| {})
    }

    pub fn with_options(series: usize, scrapes: i64, change: impl Fn(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path());
        change(&mut options);
        let db = open(options);
        let mut batch = db.appender();
        let refs = (0..series).map(|n| batch.series(&labels(n), Some(key(n))).unwrap()).collect();
        batch.commit().unwrap();
        let store = Self { db, series: refs, dir };
        (0..scrapes).for_each(|scrape| store.append(scrape));
        store
    }

    /// What it leaves when it is killed.
    pub fn into_directory(self) -> TempDir {
        self.dir
    }

    /// One sample for each series, in one batch.
    pub fn append(&self, scrape: i64) {
        self.append_some(0..self.series.len(), scrape);
    }

    /// One sample for each of these series, in one batch.
    pub fn append_some(&self, numbers: Range<usize>, scrape: i64) {
        let mut batch = self.db.appender();
        for number in numbers.clone() {
            batch.sample(self.series[number], sample(number, scrape)).unwrap();
        }
        let appended = batch.commit().unwrap();
        assert_eq!(appended.samples, numbers.len() as u64);
    }
}
