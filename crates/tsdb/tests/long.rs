//! Thirty simulated days, looked after as they go by: blocks of every level, then retention.
//!
//! Fifty targets are scraped every minute. Some are replaced every day, each has an hour without
//! samples now and then, which a staleness marker begins, and some samples arrive forty minutes late.
//! What has to be there is a function of series and time.
#![allow(clippy::unwrap_used, reason = "all of it is test code")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use model::{Labels, Matcher, STALE_NAN, Sample, TimeRange, Timestamp};
use prometheus::Registry;
use storage::{Append, Appender, Columns, Query, Selection, SeriesRef};
use tsdb::inspect::Blocks;
use tsdb::inspect::verify::verify;
use tsdb::{Db, LogPosition, Metrics, Options};

/// A multiple of 486 hours, the longest block that thirty days fill.
const START: i64 = 1_700_611_200_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const DAYS: i64 = 30;
const SCRAPES: i64 = DAYS * DAY / MINUTE;
const SCRAPES_A_DAY: i64 = DAY / MINUTE;
const SCRAPES_A_BATCH: usize = 5;
const MAINTAIN_EVERY: i64 = 120;
const STEADY: usize = 30;
const TARGETS: usize = 50;
const LATE: i64 = 40;

fn open(dir: &Path, change: impl Fn(&mut Options)) -> Arc<Db> {
    let mut options = Options::new(dir);
    options.retention = None;
    options.out_of_order_window = Duration::from_secs(2 * 3600);
    options.segment_bytes_max = 1 << 20;
    change(&mut options);
    Db::open(options, Metrics::register(&Registry::new()).unwrap()).unwrap()
}

/// What is scraped of one target, as long as that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Series {
    target: usize,
    /// `None` where the target is there from the first day to the last.
    day: Option<i64>,
}

impl Series {
    fn of(target: usize, scrape: i64) -> Self {
        Self { target, day: (target >= STEADY).then_some(scrape / SCRAPES_A_DAY) }
    }

    /// All that were there up to `scrape`.
    fn until(scrape: i64) -> impl Iterator<Item = Self> {
        let days = scrape / SCRAPES_A_DAY;
        let steady = (0..STEADY).map(|target| Self { target, day: None });
        let replaced = (STEADY..TARGETS)
            .flat_map(move |target| (0..=days).map(move |day| Self { target, day: Some(day) }));
        steady.chain(replaced)
    }

    fn labels(self) -> Labels {
        let day = self.day.map_or("all".to_owned(), |day| day.to_string());
        [("__name__", "m".to_owned()), ("day", day), ("target", self.target.to_string())]
            .into_iter()
            .collect()
    }

    fn value(self, scrape: i64) -> Option<f64> {
        let first = self.day.map_or(0, |day| day * SCRAPES_A_DAY);
        let end = self.day.map_or(i64::MAX, |_| first + SCRAPES_A_DAY);
        let hour_is_left_out = (scrape / 60 * 7 + self.target as i64) % 40 == 39;
        let value = match self.target % 3 {
            0 => (scrape * 17 + self.target as i64) as f64,
            1 => (scrape * scrape % 1009) as f64 / 8.0,
            _ => 1.0,
        };
        match scrape {
            _ if scrape < first || scrape > end => None,
            _ if scrape == end => Some(STALE_NAN),
            _ if !hour_is_left_out => Some(value),
            _ => (scrape % 60 == 0).then_some(STALE_NAN),
        }
    }

    fn is_late(self, scrape: i64) -> bool {
        self.target % 6 == 1
            && scrape % 11 == 3
            && self.value(scrape).is_some_and(|v| !model::is_stale(v))
    }
}

fn time(scrape: i64) -> Timestamp {
    Timestamp::from_millis(START + scrape * MINUTE)
}

/// Scrapes on behalf of one database.
struct Scraper {
    db: Arc<Db>,
    /// By target.
    series: HashMap<usize, (Series, SeriesRef)>,
}

impl Scraper {
    fn new(db: Arc<Db>) -> Self {
        Self { db, series: HashMap::new() }
    }

    /// Commits several scrapes at once, as a sender does.
    fn scrape(&mut self, scrapes: Range<i64>) {
        let db = Arc::clone(&self.db);
        let mut batch = db.appender();
        for scrape in scrapes {
            for target in 0..TARGETS {
                self.scrape_target(&mut *batch, target, scrape);
            }
        }
        assert_eq!(batch.commit().unwrap().rejected, []);
    }

    fn scrape_target(&mut self, batch: &mut dyn Appender, target: usize, scrape: i64) {
        let series = Series::of(target, scrape);
        let reference = match self.series.get(&target) {
            Some(&(before, reference)) if before == series => reference,
            replaced => {
                if let Some(&(replaced, reference)) = replaced {
                    append(batch, replaced, reference, scrape); // a staleness marker
                }
                batch.series(&series.labels(), None).unwrap()
            }
        };
        self.series.insert(target, (series, reference));
        if !series.is_late(scrape) {
            append(batch, series, reference, scrape);
        }
        let late = Series::of(target, scrape - LATE);
        if scrape >= LATE && late.is_late(scrape - LATE) {
            let reference = batch.series(&late.labels(), None).unwrap();
            append(batch, late, reference, scrape - LATE);
        }
    }
}

fn append(batch: &mut dyn Appender, series: Series, reference: SeriesRef, scrape: i64) {
    if let Some(value) = series.value(scrape) {
        batch.sample(reference, Sample { timestamp: time(scrape), value }).unwrap();
    }
}

/// Values as bits, so that markers compare.
type Contents = BTreeMap<Labels, Vec<(Timestamp, u64)>>;

/// What is there after `now`.
fn expected(now: i64, range: TimeRange) -> Contents {
    let mut contents = Contents::new();
    for series in Series::until(now) {
        let first = series.day.map_or(0, |day| day * SCRAPES_A_DAY);
        let last = series.day.map_or(now, |_| now.min(first + SCRAPES_A_DAY));
        let samples = (first..=last)
            .filter(|&scrape| range.contains(time(scrape)))
            .filter(|&scrape| !series.is_late(scrape) || scrape + LATE <= now)
            .filter_map(|scrape| Some((time(scrape), series.value(scrape)?.to_bits())));
        let samples: Vec<_> = samples.collect();
        if !samples.is_empty() {
            contents.insert(series.labels(), samples);
        }
    }
    contents
}

fn stored(db: &Db, range: TimeRange) -> Contents {
    let set = db.select(&Selection::new(range, vec![Matcher::equal("__name__", "m")])).unwrap();
    let mut columns = Columns::default();
    let mut contents = Contents::new();
    for index in 0..set.len() {
        columns.clear();
        set.read(index, &mut columns).unwrap();
        let samples = columns.iter().map(|sample| (sample.timestamp, sample.value.to_bits()));
        contents.insert(set.labels(index), samples.collect());
    }
    contents.retain(|_, samples| !samples.is_empty());
    contents
}

#[track_caller]
fn assert_same(db: &Db, now: i64, range: TimeRange) {
    let (stored, expected) = (stored(db, range), expected(now, range));
    let names = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stored), names(&expected), "{range:?}");
    for (labels, samples) in expected {
        let differs = stored[&labels].iter().zip(&samples).find(|(a, b)| a != b);
        assert!(stored[&labels] == samples, "{labels} in {range:?} at {now}: {differs:?}");
    }
}

/// As `promtool tsdb` sees it.
fn promtool(command: &str, dir: &Path) -> String {
    let install = "missing peer; install it by: apt-get install prometheus";
    let output = Command::new("promtool").args(["tsdb", command]).arg(dir).output().expect(install);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Scrapes for thirty days; gives the lengths in hours of the blocks that there were.
fn scrape_for_a_month(dir: &Path) -> BTreeSet<i64> {
    let mut scraper = Scraper::new(open(dir, |_| {}));
    let mut lengths = BTreeSet::new();
    for first in (0..SCRAPES).step_by(SCRAPES_A_BATCH) {
        let end = first + SCRAPES_A_BATCH as i64;
        scraper.scrape(first..end);
        if end % MAINTAIN_EVERY > 0 {
            continue;
        }
        scraper.db.maintain().unwrap();
        for block in Blocks::list(dir).unwrap().whole {
            if lengths.insert(block.end.millis_since(block.start) / HOUR) {
                let range = TimeRange::new(block.start, block.end);
                assert_same(&scraper.db, end - 1, range);
            }
        }
        if end == SCRAPES / 2 + 3 * MAINTAIN_EVERY {
            drop(scraper);
            scraper = Scraper::new(open(dir, |_| {}));
        }
    }
    assert_same(&scraper.db, SCRAPES - 1, TimeRange::ALL);
    lengths
}

/// What is left begins where the oldest block does.
fn check_kept(dir: &Path, db: &Db) -> Timestamp {
    let since = Blocks::list(dir).unwrap().whole[0].start;
    assert_same(db, SCRAPES - 1, TimeRange::new(since, Timestamp::MAX));
    assert_eq!(stored(db, TimeRange::new(Timestamp::MIN, since.minus_millis(1))), Contents::new());
    since
}

#[test]
fn a_month_is_kept_at_every_level_and_goes_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let lengths = scrape_for_a_month(dir.path());
    assert_eq!(Vec::from_iter(lengths), [2, 6, 18, 54, 162, 486]);

    assert_same(&open(dir.path(), |_| {}), SCRAPES - 1, TimeRange::ALL);
    assert_eq!(verify(dir.path(), &mut |problem| panic!("{problem}")).unwrap().problems, 0);
    let blocks = Blocks::list(dir.path()).unwrap().whole;
    assert_eq!(promtool("list", dir.path()).lines().count(), 1 + blocks.len());
    assert!(promtool("analyze", dir.path()).contains("Series: 50\n"));

    let keep = Duration::from_secs(6 * 24 * 3600);
    let db = open(dir.path(), |options| options.retention = Some(keep));
    db.maintain().unwrap();
    let since = check_kept(dir.path(), &db);
    assert!(since > time(0) && since <= time(SCRAPES).minus(keep));
    let log_bytes = db.log_bytes_since(LogPosition::default());
    drop(db);

    let bytes = |dir: &Path| Blocks::list(dir).unwrap().whole.iter().map(|b| b.bytes).sum::<u64>();
    let bytes_max = bytes(dir.path()) / 2 + log_bytes;
    let db = open(dir.path(), |options| options.retention_bytes = Some(bytes_max));
    db.maintain().unwrap();
    assert!(check_kept(dir.path(), &db) > since);
    assert!(bytes(dir.path()) <= bytes_max);
}
