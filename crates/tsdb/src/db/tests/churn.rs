//! Series that come and go: what they took is there for the next ones.

use super::*;

const ACTIVE: u64 = 400;
/// One in a hundred is replaced every hour.
const REPLACED: u64 = ACTIVE / 100;
const HOURS: i64 = 300;
/// Figures repeat after some hours: blocks are due every second one, series leave at the second look.
const SETTLED: i64 = 50;

/// The series that are scraped, by number.
fn active_at(hour: i64) -> Vec<u64> {
    let mut active: Vec<u64> = (0..ACTIVE).collect();
    for new in 0..hour.unsigned_abs() * REPLACED {
        let gone = new.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        active[(gone % ACTIVE) as usize] = ACTIVE + new;
    }
    active
}

fn scrape(db: &Db, series: &[u64], time: i64) {
    let mut batch = db.appender();
    let key = |&number: &u64| SeriesKey(u128::from(number) << 64 | u128::from(number));
    let keys: Vec<_> = series.iter().map(key).collect();
    let mut found = Vec::new();
    batch.lookup(&keys, &mut found);
    for ((&number, key), found) in series.iter().zip(keys).zip(found) {
        let reference = found.unwrap_or_else(|| {
            let pod = number.to_string();
            let labels = [("__name__", "m"), ("job", "j"), ("pod", &pod)].into_iter().collect();
            batch.series(&labels, Some(key)).unwrap()
        });
        batch.sample(reference, at(time, time as f64 * number as f64)).unwrap();
    }
    assert_eq!(batch.commit().unwrap().samples, ACTIVE);
}

/// What series need memory, handles and disk for.
fn footprint(db: &Db) -> BTreeMap<&'static str, usize> {
    let files = |dir: &Path| fs::read_dir(dir).map_or(0, Iterator::count);
    let mut footprint = BTreeMap::from_iter(db.head.index.read().footprint());
    footprint.extend([
        ("series", db.series_count()),
        ("keys", db.head.keys.len()),
        ("files of full chunks", files(&db.options.dir.join("chunks_head"))),
        ("files of the log", files(&db.log_dir)),
        ("bytes of log", db.log_bytes_since(LogPosition::default()) as usize),
    ]);
    footprint
}

#[test]
fn series_that_come_and_go_take_no_more_than_those_that_are_there() {
    let (_dir, mut options) = fresh();
    options.segment_bytes_max = 32 * 1024;
    let db = open(&options);
    db.spill_eagerly();
    let mut most: [BTreeMap<&str, usize>; 2] = Default::default();
    for hour in 0..HOURS {
        let series = active_at(hour);
        for quarter in 0..4 {
            scrape(&db, &series, hour * HOUR + quarter * HOUR / 4);
        }
        db.hold_log("a destination that keeps up", db.log_end());
        db.maintain().unwrap();
        if hour >= SETTLED {
            let is_late = hour >= HOURS - SETTLED;
            for (what, count) in footprint(&db) {
                let most = most[usize::from(is_late)].entry(what).or_default();
                *most = count.max(*most);
            }
        }
    }
    let [early, late] = most;
    let active = ACTIVE as usize;
    assert!(late["series"] < active + active / 10, "{late:?}");
    for (what, count) in &late {
        assert!(*count <= early[what] + early[what] / 10, "{what}: {early:?}, later {late:?}");
    }
}
