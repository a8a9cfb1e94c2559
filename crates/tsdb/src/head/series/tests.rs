use super::*;

fn at(millis: i64) -> Point {
    Point { timestamp: Timestamp::from_millis(millis), value: SampleValue::Float(millis as f64) }
}

fn series(times: impl Iterator<Item = i64>) -> Series {
    let mut series = Series::new(1, LogSeries(1), true);
    times.for_each(|time| series.push(&at(time)));
    series
}

fn chunk_starts(series: &Series) -> Vec<i64> {
    let full = series.full.iter().map(|chunk| chunk.start.as_millis());
    full.chain(series.open.as_ref().map(|open| open.start.as_millis())).collect()
}

#[test]
fn chunks_are_cut_evenly_and_at_multiples_of_two_hours() {
    #[track_caller]
    fn check(interval: i64, samples: i64, expect: &[i64]) {
        let series = series((0..samples).map(|i| i * interval));
        let starts: Vec<i64> = chunk_starts(&series).iter().map(|start| start / interval).collect();
        assert_eq!(starts, expect, "every {interval} ms");
    }
    check(60_000, 250, &[0, 120, 240]);
    check(30_000, 250, &[0, 120, 240]);
    check(10_000, 730, &[0, 120, 240, 360, 480, 600, 720]);
    check(1, 250, &[0, 120, 240]);
    check(CHUNK_RANGE, 3, &[0, 1, 2]);
}

#[test]
fn a_series_that_speeds_up_has_a_limit_to_its_chunks() {
    let slow = (0..40).map(|i| i * 60_000);
    let fast = (0..300).map(|i| 40 * 60_000 + i);
    assert_eq!(chunk_starts(&series(slow.chain(fast))), [0, 40 * 60_000 + 200]);
}

#[test]
fn a_series_knows_each_value_it_holds() {
    let mut series = series((0..500).map(|i| i * 10));
    for i in 0..300 {
        series.begin_commit(i);
        series.push_out_of_order(at(i as i64 * 10 + 5));
    }
    for time in 0..5000 {
        let expect = match time % 10 {
            0 => Some(time as f64),
            5 if time < 3000 => Some(time as f64),
            _ => None,
        };
        let found = series.value_at(Timestamp::from_millis(time));
        assert_eq!(found, expect.map(SampleValue::Float), "{time}");
    }
}

#[test]
fn truncation_drops_whole_chunks_and_what_left() {
    #[track_caller]
    fn check(before: i64, oldest: Option<i64>) {
        let mut series = series((0..730).map(|i| i * 10_000));
        series.begin_commit(1);
        series.push_out_of_order(at(1_000_005));
        series.push_out_of_order(at(3_000_005));
        series.late_prepare_to_leave(Timestamp::from_millis(before)).unwrap();
        series.push_out_of_order(at(2_000_005));
        let left = series.truncate(Timestamp::from_millis(before));
        assert_eq!(left.map(Timestamp::as_millis), oldest, "before {before}");
    }
    check(0, Some(0));
    check(1_190_000, Some(0));
    check(1_190_001, Some(1_200_000));
    check(3_600_000, Some(2_000_005));
    check(8_000_000, Some(2_000_005));
}

/// SNAP-1's other half: what a series remembers is its state before the newest commit.
#[test]
fn a_reader_sees_a_series_as_it_was_at_its_cut() {
    let mut series = series([].into_iter());
    let mut commit = |number, in_order: i64, late: i64| {
        series.begin_commit(number);
        series.push(&at(in_order));
        series.push_out_of_order(at(late));
    };
    commit(1, 100, 10);
    commit(2, 200, 20);
    let seen = |cut| {
        let visible = series.visible_at(cut);
        let late = series.late_recent(visible, TimeRange::ALL);
        let late: Vec<i64> = late.map(|late| late.timestamp.as_millis()).collect();
        (visible.newest.as_millis(), late)
    };
    assert_eq!(seen(1), (100, vec![10]));
    assert_eq!(seen(2), (i64::MAX, vec![10, 20]));
}
