//! How long commits take while the database looks after itself, and what that needs of memory.
//!
//! ```text
//! cargo run --release --package benches --example maintenance [SERIES] [HOURS] [synced]
//! ```
//! One thread commits batches of known series at a steady rate, over so many simulated hours (`synced`:
//! each commit waits for the disk). Another calls `maintain`, which makes blocks of the head and larger
//! ones of those, and a third `sync`, as a server does. Every commit is timed, without what its thread
//! waited for a processor, which says more of the machine than of the database; those that ran beside
//! maintenance are listed apart.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and has nobody to tell"
)]

use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::{SCRAPE_INTERVAL, Store};

/// As many series are committed at once.
const BATCH: usize = 2000;
/// Of the scrapes only every so manieth is made.
const STEP: i64 = 8;
const PAUSE: Duration = Duration::from_millis(2);
/// Maintenance that takes longer is told of.
const REPORTED: Duration = Duration::from_millis(300);

/// How long commits took.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn print(mut self, name: &str) {
        self.0.sort_unstable();
        let at = |part: f64| self.0.get((self.0.len() as f64 * part) as usize);
        let text = |part: f64| at(part).map_or("-".to_owned(), |latency| format!("{latency:.2?}"));
        let most = self.0.last().map_or("-".to_owned(), |most| format!("{most:.2?}"));
        println!(
            "{name}: {} commits, p50 {}, p99 {}, p99.9 {}, most {most}",
            self.0.len(),
            text(0.5),
            text(0.99),
            text(0.999)
        );
    }
}

/// How long this thread has waited for a processor so far.
fn waited() -> Duration {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedule.split_whitespace().nth(1).unwrap().parse().unwrap())
}

fn resident_mib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number =
        |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().unwrap());
    let (series, hours) = (number(0, 200_000), number(1, 9) as i64);
    let is_synced = arguments.get(2).is_some_and(|word| word == "synced");
    let store = Store::with_options(series, 1, |options| options.sync_before_ack = is_synced);
    let (is_over, is_busy) = (AtomicBool::new(false), AtomicBool::new(false));
    let slowest = AtomicU64::new(0);
    let (mut at_rest, mut beside) = (Latencies::default(), Latencies::default());
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                slowest.store(0, Ordering::Relaxed);
                let before = resident_mib("RssAnon:");
                is_busy.store(true, Ordering::Relaxed);
                let start = Instant::now();
                store.db.maintain().unwrap();
                is_busy.store(false, Ordering::Relaxed);
                let took = start.elapsed();
                if took > REPORTED {
                    let slowest = Duration::from_micros(slowest.load(Ordering::Relaxed));
                    let after = resident_mib("RssAnon:");
                    println!("maintained in {took:.2?}, slowest commit {slowest:.2?}, memory {before} to {after} MiB");
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                store.db.sync().unwrap();
                thread::sleep(Duration::from_secs(1));
            }
        });
        for scrape in 1..hours * 3_600_000 / SCRAPE_INTERVAL / STEP {
            for range in (0..series).step_by(BATCH) {
                let was_busy = is_busy.load(Ordering::Relaxed);
                let (start, waited_before) = (Instant::now(), waited());
                store.append_some(range..series.min(range + BATCH), STEP * scrape);
                let took = start.elapsed().saturating_sub(waited() - waited_before);
                slowest.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
                if was_busy { &mut beside } else { &mut at_rest }.0.push(took);
                thread::sleep(PAUSE);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{series} series, {hours} simulated hours, {:.1?}", start.elapsed());
    at_rest.print("at rest");
    beside.print("beside maintenance");
    println!(
        "peak {} MiB resident, {} MiB of it memory",
        resident_mib("VmHWM:"),
        resident_mib("RssAnon:")
    );
}
