use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use model::{Labels, Sample};
use proptest::prelude::*;

use super::*;
use crate::send::config::Protocol;
use crate::send::symbols::Symbols;

fn config() -> QueueConfig {
    let count = |n| NonZeroUsize::new(n).unwrap();
    QueueConfig {
        capacity: count(40),
        max_shards: count(8),
        min_shards: count(2),
        max_samples_per_send: count(10),
        batch_send_deadline: Duration::from_secs(5),
        min_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        retry_on_http_429: true,
    }
}

fn series(number: u64) -> Arc<Forwarded> {
    let number = number.to_string();
    let labels: Labels = [("__name__", "n"), ("number", &number)].into_iter().collect();
    Arc::new(Forwarded::new(&labels, Protocol::V1, &Symbols::default()))
}

fn entry(series: &Arc<Forwarded>, millis: i64) -> Entry {
    let sample = Sample { timestamp: Timestamp::from_millis(millis), value: 0.0 };
    Entry { series: Arc::clone(series), item: LogItem::Point(sample.into()), chunk: 0 }
}

fn at(offset: u64) -> LogPosition {
    LogPosition { segment: 0, offset }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn times(queue: &Queue, id: RequestId) -> Vec<i64> {
    queue.entries(id).iter().map(|entry| entry.item.timestamp().as_millis()).collect()
}

#[test]
fn a_full_request_goes_at_once_and_a_smaller_one_at_the_deadline() {
    let mut queue = Queue::new(config(), at(0));
    let [one, two] = [1, 2].map(series);
    queue.push((0..12).map(|i| entry(&one, i)).collect(), at(1), seconds(1));
    let first = queue.poll(seconds(1)).unwrap();
    assert_eq!(times(&queue, first), (0..10).collect::<Vec<_>>());
    // QUEUE-1: the rest of the series waits for the request before it.
    assert_eq!((queue.poll(seconds(9)), queue.wake_at()), (None, None));
    queue.push(vec![entry(&two, 20)], at(2), seconds(1));
    assert_eq!((queue.poll(seconds(5)), queue.wake_at()), (None, Some(seconds(6))));
    let second = queue.poll(seconds(6)).unwrap();
    assert_eq!(times(&queue, second), [20]);
    queue.answered(second, Answer::Settled, seconds(7), 0.0);
    assert_eq!(queue.acknowledged(), at(0));
    assert!(queue.answered(first, Answer::Settled, seconds(7), 0.0).is_some());
    let third = queue.poll(seconds(7)).unwrap();
    assert_eq!(times(&queue, third), [10, 11]);
    queue.answered(third, Answer::Settled, seconds(7), 0.0);
    assert_eq!((queue.acknowledged(), queue.pending().total()), (at(2), 0));
}

#[test]
fn where_nothing_else_is_sent_a_request_need_not_be_full() {
    let mut queue = Queue::new(config(), at(0));
    let one = series(1);
    let millis = Duration::from_millis;
    let push = |queue: &mut Queue, now| {
        queue.push(vec![entry(&one, now as i64)], at(now), millis(now));
    };
    push(&mut queue, 1000);
    let first = queue.poll(millis(1000)).unwrap();
    queue.answered(first, Answer::Settled, millis(1010), 0.0);
    push(&mut queue, 1020);
    assert_eq!((queue.poll(millis(1020)), queue.wake_at()), (None, Some(millis(1250))));
    push(&mut queue, 1100);
    let second = queue.poll(millis(1250)).unwrap();
    assert_eq!(times(&queue, second), [1020, 1100]);
}

#[test]
fn the_cursor_waits_for_the_oldest_chunk() {
    let mut queue = Queue::new(config(), at(0));
    let (one, two) = (series(1), series(2));
    queue.push((0..10).map(|i| entry(&one, i)).collect(), at(1), seconds(0));
    let first = queue.poll(seconds(0)).unwrap();
    queue.push((0..10).map(|i| entry(&two, i)).collect(), at(2), seconds(0));
    queue.push(Vec::new(), at(3), seconds(0));
    let second = queue.poll(seconds(0)).unwrap();
    queue.answered(second, Answer::Settled, seconds(0), 0.0);
    assert_eq!(queue.acknowledged(), at(0), "QUEUE-2");
    assert_eq!(queue.oldest_pending(), Some(Timestamp::from_millis(9)));
    queue.answered(first, Answer::Settled, seconds(0), 0.0);
    assert_eq!(queue.acknowledged(), at(3));
    queue.push(Vec::new(), at(4), seconds(0));
    assert_eq!(queue.acknowledged(), at(4));
}

#[test]
fn failures_wait_longer_each_time_and_retry_after_stops_everything() {
    let mut queue = Queue::new(config(), at(0));
    let one = series(1);
    queue.push((0..10).map(|i| entry(&one, i)).collect(), at(1), seconds(0));
    let id = queue.poll(seconds(0)).unwrap();
    let retry = Answer::Retry { after: None };
    for (failed, again) in [(1000, 1100), (2000, 2200), (3000, 3400)] {
        let failed = Duration::from_millis(failed);
        let again = Duration::from_millis(again);
        assert!(queue.answered(id, retry, failed, 1.0).is_none());
        assert_eq!((queue.wake_at(), queue.poll(failed)), (Some(again), None));
        assert_eq!(queue.poll(again), Some(id));
    }
    let two = series(2);
    queue.push((0..10).map(|i| entry(&two, i)).collect(), at(2), seconds(4));
    let after = Some(seconds(30));
    queue.answered(id, Answer::Retry { after }, seconds(4), 1.0);
    assert_eq!(queue.poll(seconds(33)), None);
    assert_eq!(queue.wake_at(), Some(seconds(34)));
    assert_eq!(queue.poll(seconds(34)), Some(id));
    assert!(queue.poll(seconds(34)).is_some());
}

#[test]
fn requests_under_way_follow_demand_and_back_off_from_failures() {
    let mut queue = Queue::new(config(), at(0));
    let all: Vec<_> = (0..40).map(series).collect();
    let (mut position, mut now) = (0, 0);
    let mut most = 0;
    for _ in 0..40 {
        while queue.has_room() {
            position += 1;
            let entries = all.iter().map(|series| entry(series, position)).collect();
            queue.push(entries, at(position as u64), seconds(now));
        }
        let under_way: Vec<_> = std::iter::from_fn(|| queue.poll(seconds(now))).collect();
        most = most.max(under_way.len());
        now += 1;
        for id in under_way {
            queue.answered(id, Answer::Settled, seconds(now), 0.0);
        }
    }
    assert_eq!((queue.allowed(), most), (8, 8), "max_shards");
    let failing: Vec<_> = std::iter::from_fn(|| queue.poll(seconds(now))).collect();
    for id in failing {
        queue.answered(id, Answer::Retry { after: None }, seconds(now), 0.0);
    }
    assert_eq!(queue.allowed(), 2, "min_shards");
}

/// One sender's life under a seed: a log, a destination that loses, fails and repeats, and crashes
/// after which only the cursor is left.
fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let all: Vec<_> = (0..random.u64(1..30)).map(series).collect();
    let log: Vec<Vec<Entry>> = (0..random.i64(1..60))
        .map(|chunk| {
            let size = random.i64(0..25);
            let one = |i| entry(&all[random.usize(..all.len())], chunk * 100 + i);
            (0..size).map(one).collect()
        })
        .collect();
    let mut delivered: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    let mut cursor = at(0);
    let mut rounds = 0;
    while cursor != at(log.len() as u64) {
        let (mut queue, mut read) = (Queue::new(config(), cursor), cursor.offset as usize);
        let (mut now, mut under_way) = (Duration::ZERO, Vec::new());
        let (mut pushed, mut settled) = (0, 0);
        let crash_at = random.u32(1..400);
        for step in 0.. {
            rounds += 1;
            assert!(rounds < 100_000, "it never ends");
            if step == crash_at || queue.acknowledged() == at(log.len() as u64) {
                break;
            }
            while read < log.len() && queue.has_room() {
                pushed += log[read].len();
                queue.push(log[read].clone(), at(read as u64 + 1), now);
                read += 1;
            }
            under_way.extend(std::iter::from_fn(|| queue.poll(now)));
            let held: Vec<u64> = under_way
                .iter()
                .flat_map(|&id| {
                    queue.entries(id).iter().map(|e| e.series.hash).collect::<BTreeSet<_>>()
                })
                .collect();
            let distinct: BTreeSet<_> = held.iter().collect();
            assert_eq!(held.len(), distinct.len(), "QUEUE-1: one request for a series");
            if under_way.is_empty() {
                now = queue.wake_at().expect("nothing under way and nothing due");
                continue;
            }
            let id = under_way.swap_remove(random.usize(..under_way.len()));
            now += Duration::from_millis(random.u64(0..300));
            let (arrives, answer) = match random.u32(0..10) {
                0 => (false, Answer::Retry { after: None }),
                1 => (true, Answer::Retry { after: None }), // the answer was lost
                2 => (false, Answer::Retry { after: Some(Duration::from_millis(700)) }),
                _ => (true, Answer::Settled),
            };
            for entry in queue.entries(id).iter().filter(|_| arrives) {
                let times = delivered.entry(entry.series.hash).or_default();
                times.push(entry.item.timestamp().as_millis());
            }
            settled += queue.answered(id, answer, now, random.f64()).map_or(0, |done| done.len());
            assert_eq!(pushed, settled + queue.pending().total(), "QUEUE-3");
        }
        cursor = queue.acknowledged();
    }
    for series in &all {
        let mine = log.iter().flatten().filter(|entry| entry.series.hash == series.hash);
        let logged: Vec<i64> = mine.map(|entry| entry.item.timestamp().as_millis()).collect();
        let mut arrived = Vec::new();
        for &time in delivered.get(&series.hash).into_iter().flatten() {
            if !arrived.contains(&time) {
                arrived.push(time); // what comes again is stored once
            }
        }
        assert_eq!(arrived, logged, "SEND-1 and QUEUE-1: all of it, in order");
    }
}

#[test]
fn everything_arrives_in_order_whatever_fails() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| simulate(seed));
        assert!(result.is_ok(), "seed {seed}; replay with simulate({seed})");
    }
}

proptest! {
    #[test]
    fn a_retry_is_never_sooner_than_asked(after in 0u64..1000, jitter in 0.0..1.0f64) {
        let mut queue = Queue::new(config(), at(0));
        let one = series(1);
        queue.push((0..10).map(|i| entry(&one, i)).collect(), at(1), seconds(0));
        let id = queue.poll(seconds(0)).unwrap();
        let after = Duration::from_millis(after);
        queue.answered(id, Answer::Retry { after: Some(after) }, seconds(1), jitter);
        prop_assert!(queue.wake_at().unwrap() >= seconds(1) + after);
        let early = (seconds(1) + after).saturating_sub(Duration::from_millis(1));
        prop_assert_eq!(queue.poll(early), None);
    }
}
