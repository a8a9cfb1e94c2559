use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::tsdb::inspect::Blocks;
use ::tsdb::{Db, Metrics, Options};
use model::histogram::{Bucket, Histogram, IntegerHistogram};
use model::{Labels, Sample, Timestamp};
use prometheus::Registry;
use storage::Append;
use tempfile::TempDir;

use super::*;

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

fn open(dir: &Path) -> Arc<Db> {
    let mut options = Options::new(dir);
    options.out_of_order_window = Duration::from_secs(7200);
    Db::open(options, Metrics::register(&Registry::new()).unwrap()).unwrap()
}

/// Ten hours of series that come and go, some of it out of order: in blocks and in the log.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for minute in (0..600).step_by(5) {
        let mut batch = db.appender();
        for series in 0..20 {
            let pod = format!("pod-{}-{}", series, minute / 90);
            let labels: Labels = [
                ("__name__", format!("metric_{}", series % 3)),
                ("job", "a \"quoted\" \\ job, é".to_owned()),
                ("pod", pod),
            ]
            .into_iter()
            .collect();
            let series = batch.series(&labels, None).unwrap();
            for late in [0, 7 * i64::from(minute % 15 == 0)] {
                let timestamp = Timestamp::from_millis(START + (minute - late) * MINUTE);
                let value = [minute as f64, 1e21 / 7.0, -0.0, f64::NAN][minute as usize / 5 % 4];
                batch.sample(series, Sample { timestamp, value }).unwrap();
            }
        }
        for (name, is_whole) in [("whole", true), ("fractional", false)] {
            let labels: Labels = [("__name__", name)].into_iter().collect();
            let series = batch.series(&labels, None).unwrap();
            let at = Timestamp::from_millis(START + minute * MINUTE);
            batch.histogram(series, at, Arc::new(histogram(minute, is_whole))).unwrap();
        }
        batch.commit().unwrap();
        db.maintain().unwrap();
    }
    dir
}

fn histogram(minute: i64, is_whole: bool) -> Histogram {
    let count = minute.unsigned_abs() * 100_000;
    let whole = Histogram::Integer(IntegerHistogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 3,
        count: count + 3,
        sum: minute as f64 * 0.1,
        positive: vec![Bucket { index: 2, count }],
        ..Default::default()
    });
    if is_whole { whole } else { Histogram::Float(whole.to_float()) }
}

fn ours(what: What) -> String {
    let mut out = Vec::new();
    run_to(&what, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn promtool(arguments: &[&str], dir: &Path) -> String {
    let install = "missing peer; install it by: apt-get install prometheus";
    let mut command = Command::new("promtool");
    let output = command.arg("tsdb").args(arguments).arg(dir).output().expect(install);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn list_prints_what_promtool_prints() {
    let dir = directory();
    let (dir, human) = (dir.path().to_owned(), dir.path().to_owned());
    let theirs = promtool(&["list"], &dir);
    assert!(theirs.lines().count() > 3, "{theirs}");
    assert_eq!(ours(What::List { dir, human_readable: false }), theirs);
    let theirs = promtool(&["list", "-r"], &human);
    assert_eq!(ours(What::List { dir: human, human_readable: true }), theirs);
}

/// By title. Where figures are equal, promtool lists entries in any order.
fn rankings(text: &str) -> BTreeMap<&str, Vec<&str>> {
    text.split("\n\n")
        .map(|section| {
            let (title, entries) = section.split_once('\n').unwrap_or((section, ""));
            (title, sorted_lines(entries))
        })
        .collect()
}

#[test]
fn analyze_finds_what_promtool_finds() {
    let dir = directory();
    let theirs = promtool(&["analyze", "--limit=1000"], dir.path());
    let analyze = |block, limit| What::Analyze { dir: dir.path().to_owned(), block, limit };
    let newest = ours(analyze(None, 1000));
    assert_eq!(rankings(&newest), rankings(&theirs));
    assert!(newest.lines().count() > 40, "{newest}");

    let first = Blocks::list(dir.path()).unwrap().whole[0].ulid.clone();
    assert!(ours(analyze(Some(first.clone()), 3)).contains(&first));
    let error = run_to(&analyze(Some("none".to_owned()), 3), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "there is no block none");
}

/// Promtool gives series of the head in any order.
fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn dump_prints_what_promtool_prints_while_the_directory_is_open() {
    let dir = directory();
    let _server = open(dir.path());
    #[track_caller]
    fn check(dir: &Path, selector: &str, min_time: i64, max_time: i64, lines_min: usize) {
        let (first, last) = (format!("--min-time={min_time}"), format!("--max-time={max_time}"));
        let theirs = promtool(&["dump", &format!("--match={selector}"), &first, &last], dir);
        let selectors = vec![selector.to_owned()];
        let dir = dir.to_owned();
        let ours = ours(What::Dump(dump::DumpArgs { dir, selectors, min_time, max_time }));
        let mut ours = sorted_lines(&ours);
        ours.retain(|line| !line.contains("{count:")); // theirs has no histograms
        assert_eq!(ours, sorted_lines(&theirs));
        assert!(ours.len() >= lines_min, "{ours:?}");
    }
    check(dir.path(), "{__name__=~\".+\"}", i64::MIN, i64::MAX, 3000);
    check(dir.path(), "metric_1{pod=~\"pod-1-.+\"}", START, START + 300 * MINUTE, 60);
    check(dir.path(), "metric_1", START + 580 * MINUTE, START + 590 * MINUTE, 10);
    check(dir.path(), "none", i64::MIN, i64::MAX, 0);
}

#[test]
fn dump_prints_histograms_too() {
    #[track_caller]
    fn check(selector: &str, expect: &str) {
        let dir = directory();
        let at = START + 20 * MINUTE;
        let selectors = vec![selector.to_owned()];
        let dump = dump::DumpArgs {
            dir: dir.path().to_owned(),
            selectors,
            min_time: at - 1,
            max_time: at,
        };
        assert_eq!(ours(What::Dump(dump)), format!("{expect} {at}\n"));
    }
    check(
        "whole",
        "{__name__=\"whole\"} {count:2000003, sum:2, [-0.001,0.001]:3, (1.414213562373095,2]:2000000}",
    );
    check(
        "fractional",
        "{__name__=\"fractional\"} \
         {count:2.000003e+06, sum:2, [-0.001,0.001]:3, (1.414213562373095,2]:2e+06}",
    );
}

#[test]
fn verify_fails_where_it_names_a_problem() {
    let dir = directory();
    let verify = || What::Verify { dir: dir.path().to_owned() };
    assert!(ours(verify()).contains("blocks with "));
    let block = Blocks::list(dir.path()).unwrap().whole[0].ulid.clone();
    let chunks = dir.path().join(block).join("chunks/000001");
    let mut bytes = std::fs::read(&chunks).unwrap();
    bytes[12] ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let mut out = Vec::new();
    let error = run_to(&verify(), &mut out).unwrap_err();
    assert_eq!(error.to_string(), "1 problem");
    let out = String::from_utf8(out).unwrap();
    let expect = "chunks/000001: byte 8: a chunk's checksum is wrong, or it is not all there\n";
    assert!(out.contains(expect), "{out}");
}
