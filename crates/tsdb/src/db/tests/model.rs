//! The store compared with a map: whatever is appended in whatever order, over restarts, deletions and
//! compactions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use ::model::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, CounterReset, NativeHistogram};
use ::model::{Histogram, Labels, Matcher, Point, STALE_NAN, SampleValue, TimeRange, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use storage::{Admin, Append, Columns, Grouping, Query, RejectReason, SamplesNeeded, Selection};

use super::{Db, MINUTE, Options, fresh, labels, open};

const NAMES: [&str; 4] = ["numbers", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    /// Series, minute, and which of the values.
    Append(Vec<(usize, i64, usize)>),
    /// Of one series, or of all, from one minute to another.
    Delete(Option<usize>, i64, i64),
    CleanTombstones,
    /// After a clean end, or none.
    Restart {
        is_clean: bool,
    },
    Maintain,
}

fn step() -> impl Strategy<Value = Step> {
    let sample = (0..NAMES.len(), 0..300i64, 0..VALUES);
    prop_oneof![
        10 => vec(sample, 1..40).prop_map(Step::Append),
        2 => (option::of(0..NAMES.len()), 0..600i64, 0..300i64)
            .prop_map(|(series, start, length)| Step::Delete(series, start, start + length)),
        1 => Just(Step::CleanTombstones),
        2 => any::<bool>().prop_map(|is_clean| Step::Restart { is_clean }),
        1 => Just(Step::Maintain),
    ]
}

const VALUES: usize = 9;

/// Numbers and histograms of all kinds. What a staleness marker of one kind becomes after samples of
/// the other is not a map's business, so one series has numbers only.
fn value(series: usize, which: usize) -> SampleValue {
    let which = if series == 0 { which % 3 } else { which };
    match which {
        0 => SampleValue::Float(0.0),
        1 => SampleValue::Float(1.0),
        2 if series == 0 => SampleValue::Float(STALE_NAN),
        2 => histogram(NativeHistogram::<u64> { sum: STALE_NAN, ..Default::default() }),
        3..=5 => {
            let bucket = |index, count| Bucket { index, count };
            let gap = which as i32;
            let positive = vec![bucket(0, 2u64), bucket(gap, which as u64)];
            let (count, sum) = (2 + which as u64, which as f64);
            histogram(NativeHistogram { count, sum, positive, ..Default::default() })
        }
        6 => {
            let positive = vec![Bucket { index: -3, count: 0.5 }, Bucket { index: 9, count: 1.5 }];
            histogram(NativeHistogram { count: 2.0, sum: 7.5, positive, ..Default::default() })
        }
        7 => histogram(NativeHistogram {
            count: 3u64,
            schema: CUSTOM_BUCKETS_SCHEMA,
            positive: vec![Bucket { index: 1, count: 3 }],
            custom_bounds: [0.5, 2.5].into(),
            ..Default::default()
        }),
        _ => histogram(NativeHistogram {
            counter_reset: CounterReset::Gauge,
            schema: 1,
            zero_count: 4u64,
            zero_threshold: 0.01,
            count: 5,
            negative: vec![Bucket { index: 2, count: 1 }],
            ..Default::default()
        }),
    }
}

fn histogram(histogram: impl Into<Histogram>) -> SampleValue {
    SampleValue::Histogram(std::sync::Arc::new(histogram.into()))
}

/// Stored points by series and time.
#[derive(Default)]
struct Map {
    series: BTreeMap<&'static str, BTreeMap<i64, SampleValue>>,
}

/// What is taken: in order from the first time on, out of order from the second on, if at all.
#[derive(Clone, Copy)]
struct Taken {
    valid_from: i64,
    late_from: Option<i64>,
}

impl Map {
    fn has(&self, name: &str, time: i64) -> bool {
        self.series.get(name).is_some_and(|series| series.contains_key(&time))
    }

    fn append(
        &mut self,
        taken: Taken,
        name: &'static str,
        time: i64,
        value: &SampleValue,
    ) -> Result<(), RejectReason> {
        let series = self.series.entry(name).or_default();
        let is_newest = series.last_key_value().is_none_or(|(&newest, _)| time > newest);
        match (series.get(&time), taken.late_from) {
            (Some(stored), _) if stored == value => return Ok(()),
            (Some(_), _) => return Err(RejectReason::DuplicateTimestamp),
            (None, _) if is_newest && time >= taken.valid_from => {}
            (None, Some(from)) if time < from => return Err(RejectReason::TooOld),
            (None, Some(_)) => {}
            (None, None) if time < taken.valid_from => return Err(RejectReason::OutOfBounds),
            (None, None) => return Err(RejectReason::OutOfOrder),
        }
        series.insert(time, value.clone());
        Ok(())
    }

    fn delete(&mut self, name: Option<&str>, times: &RangeInclusive<i64>) {
        let series = self.series.iter_mut().filter(|(other, _)| name.is_none_or(|n| n == **other));
        series.for_each(|(_, series)| series.retain(|time, _| !times.contains(time)));
    }

    fn contents(&self) -> BTreeMap<Labels, Vec<Point>> {
        let series = self.series.iter().filter(|(_, series)| !series.is_empty());
        let as_read = |(&time, value): (&i64, &SampleValue)| {
            let value = match value {
                SampleValue::Float(value) => SampleValue::Float(*value),
                SampleValue::Histogram(h) => histogram(Histogram::Float(h.to_float())),
            };
            Point { timestamp: Timestamp::from_millis(time), value }
        };
        series.map(|(name, series)| (labels(name), series.iter().map(as_read).collect())).collect()
    }

    fn newest(&self, end: i64) -> BTreeMap<Labels, Point> {
        let newest = |(labels, points): (Labels, Vec<Point>)| {
            let until_end = points.into_iter().take_while(|p| p.timestamp.as_millis() <= end);
            Some((labels, until_end.last()?))
        };
        self.contents().into_iter().filter_map(newest).collect()
    }
}

fn contents(db: &Db) -> BTreeMap<Labels, Vec<Point>> {
    read(db, &Selection::new(TimeRange::ALL, Vec::new()))
}

/// The series until `end`, by whoever looks at these samples.
fn names(db: &Db, end: i64, samples: SamplesNeeded) -> Vec<Labels> {
    let range = TimeRange::new(Timestamp::MIN, Timestamp::from_millis(end));
    let mut selection = Selection::new(range, Vec::new());
    selection.hints.samples = samples;
    let set = db.select(&selection).unwrap();
    (0..set.len()).map(|index| set.labels(index)).collect()
}

/// The newest point until `end` of each series, asked for as such.
fn newest(db: &Db, end: i64) -> BTreeMap<Labels, Point> {
    let range = TimeRange::new(Timestamp::MIN, Timestamp::from_millis(end));
    let mut selection = Selection::new(range, Vec::new());
    selection.hints.samples = SamplesNeeded::Newest;
    let newest = |(labels, points): (Labels, Vec<Point>)| Some((labels, points.last()?.clone()));
    read(db, &selection).into_iter().filter_map(newest).collect()
}

/// By groups of one series each.
fn grouped_contents(db: &Db) -> BTreeMap<Labels, Vec<Point>> {
    let mut selection = Selection::new(TimeRange::ALL, Vec::new());
    let names = ["__name__", "series"].map(str::to_owned);
    selection.hints.grouping = Some(Grouping::By(names.into()));
    selection.hints.only_groups = true;
    read(db, &selection)
}

fn read(db: &Db, selection: &Selection) -> BTreeMap<Labels, Vec<Point>> {
    let set = db.select(selection).unwrap();
    let read = |index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        let mut points: Vec<Point> = columns.iter().map(Point::from).collect();
        points.extend(columns.histograms.iter().map(|(at, found)| {
            let value = histogram(Histogram::Float((**found).clone()));
            Point { timestamp: *at, value }
        }));
        points.sort_by_key(|point| point.timestamp);
        (set.labels(index), points)
    };
    // A series that a block has lost all samples of may still be named.
    (0..set.len()).map(read).filter(|(_, points)| !points.is_empty()).collect()
}

fn delete(db: &Db, name: Option<&str>, times: &RangeInclusive<i64>) {
    let matchers = name.map(|name| Matcher::equal("series", name)).into_iter().collect();
    let [start, end] = [times.start(), times.end()].map(|&at| Timestamp::from_millis(at));
    db.delete(&[matchers], TimeRange::new(start, end)).unwrap();
}

fn append(db: &Db, points: &[(&str, i64, SampleValue)]) -> storage::Appended {
    let mut batch = db.appender();
    for (name, time, value) in points {
        let series = batch.series(&labels(name), None).unwrap();
        let timestamp = Timestamp::from_millis(*time);
        match value {
            &SampleValue::Float(value) => {
                batch.sample(series, ::model::Sample { timestamp, value })
            }
            SampleValue::Histogram(histogram) => {
                batch.histogram(series, timestamp, histogram.clone())
            }
        }
        .unwrap();
    }
    batch.commit().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_store_is_a_map(
        steps in vec(step(), 1..40), window in prop_oneof![Just(0), Just(100 * MINUTE)],
    ) {
        let (_dir, mut options) = fresh();
        options.out_of_order_window = Duration::from_millis(window as u64);
        options.segment_bytes_max = 1024;
        options.retention = None;
        let open = |options: &Options| {
            let db = open(options);
            db.spill_eagerly();
            db
        };
        let mut db = open(&options);
        let mut map = Map::default();
        for (now, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(samples) => {
                    let newest = db.time_range().map_or(i64::MIN, |range| range.end.as_millis());
                    let late_from = (window > 0).then(|| newest.saturating_sub(window));
                    let valid_from = db.head.bounds.valid_from().as_millis();
                    let mut points: Vec<_> = samples
                        .into_iter()
                        .map(|(series, time, which)| {
                            (NAMES[series], (time + 20 * now as i64) * MINUTE, value(series, which))
                        })
                        .collect();
                    // Blocks are looked into as far back as anything may arrive: not asked here.
                    let compared_from = valid_from.min(late_from.unwrap_or(i64::MAX));
                    points.retain(|(name, time, _)| *time >= compared_from || !map.has(name, *time));
                    let mut refused = Vec::new();
                    for (name, time, value) in &points {
                        let result = map.append(Taken { valid_from, late_from }, name, *time, value);
                        refused.extend(result.err().map(|reason| (*time, reason)));
                    }
                    let appended = append(&db, &points);
                    let stored = appended.samples + appended.histograms;
                    prop_assert_eq!(stored as usize, points.len() - refused.len());
                    let rejected = appended.rejected.iter();
                    let rejected = rejected.map(|r| (r.timestamp.as_millis(), r.reason));
                    prop_assert_eq!(rejected.collect::<Vec<_>>(), refused);
                }
                Step::Delete(series, start, end) => {
                    let name = series.map(|series| NAMES[series]);
                    delete(&db, name, &(start * MINUTE..=end * MINUTE));
                    map.delete(name, &(start * MINUTE..=end * MINUTE));
                }
                Step::CleanTombstones => db.clean_tombstones().unwrap(),
                Step::Restart { is_clean } => {
                    if is_clean {
                        db.close().unwrap();
                    }
                    drop(db);
                    db = open(&options);
                    prop_assert_eq!(db.metrics.saved_heads_loaded.get(), u64::from(is_clean));
                }
                Step::Maintain => db.maintain().unwrap(),
            }
            prop_assert_eq!(contents(&db), map.contents());
            prop_assert_eq!(grouped_contents(&db), map.contents());
            for end in [i64::MAX, (150 + 20 * now as i64) * MINUTE] {
                prop_assert_eq!(newest(&db, end), map.newest(end));
                let [all, none] = [SamplesNeeded::All, SamplesNeeded::None];
                prop_assert_eq!(names(&db, end, none), names(&db, end, all));
            }
        }
        drop(db);
        prop_assert_eq!(contents(&open(&options)), map.contents());
    }
}
