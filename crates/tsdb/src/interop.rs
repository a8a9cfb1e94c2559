//! Interoperation with Debian's real `prometheus` and `promtool`: either side reads the other's files.

mod delete;
mod exemplars;
mod golden;
mod histograms;
mod inspect;
mod peer;
mod statistics;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use model::{Labels, MatchOp, Matcher, Sample, TimeRange, Timestamp};
use prometheus::Registry;
use storage::{Append, Columns, Query, Selection};

use crate::chunk::{XorChunk, XorSamples};
use crate::{Db, Metrics, Options};
use peer::Prometheus;

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;
const INSTALL: &str = "missing peer; install it by: apt-get install prometheus";

pub(crate) type Contents = BTreeMap<Labels, Vec<Sample>>;

pub(crate) fn open(dir: &Path) -> Arc<Db> {
    let mut options = Options::new(dir);
    options.segment_bytes_max = 64 * 1024;
    options.out_of_order_window = Duration::from_secs(7200);
    Db::open(options, Metrics::register(&Registry::new()).unwrap()).unwrap()
}

fn at(millis: i64, value: f64) -> Sample {
    Sample { timestamp: Timestamp::from_millis(millis), value }
}

fn contents(db: &Db) -> Contents {
    let set = db.select(&Selection::new(TimeRange::ALL, vec![])).unwrap();
    let read = |index| {
        let mut columns = Columns::default();
        set.read(index, &mut columns).unwrap();
        (set.labels(index), columns.iter().collect())
    };
    (0..set.len()).map(read).collect()
}

/// Series of all kinds: constant, counting, small steps, wild floats, special values.
fn value(series: usize, i: i64) -> f64 {
    match series % 5 {
        0 => 1.0,
        1 => (i * 17) as f64,
        2 => 20.0 + (i % 7) as f64 * 0.1,
        3 => f64::from_bits((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2),
        _ => [0.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, 1e300][i as usize % 5],
    }
}

/// Times that exercise every width of time deltas.
fn time(series: usize, i: i64) -> i64 {
    START + i * 10_000 + (i * i * (series as i64 + 1)) % [1, 30, 9000][series % 3]
}

fn labels(series: usize) -> Labels {
    let job = format!("job \"{}\"\\ é", series % 3);
    [("__name__", "metric".to_owned()), ("job", job), ("series", series.to_string())]
        .into_iter()
        .collect()
}

/// All files below `dir`.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

pub(crate) fn promtool(arguments: &[&str], path: &Path) -> Output {
    let output = Command::new("promtool").args(arguments).arg(path).output().expect(INSTALL);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// `{name="value", …} value timestamp`, line by line, as `promtool tsdb dump` prints it.
fn parse_dump(text: &str) -> Contents {
    let mut contents = Contents::new();
    for line in text.lines() {
        let (series, sample) = line.rsplit_once("} ").unwrap();
        let (value, time) = sample.split_once(' ').unwrap();
        let pairs: BTreeMap<String, String> = series[1..]
            .split(", ")
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), serde_json::from_str(value).unwrap()))
            .collect();
        let sample = at(time.parse().unwrap(), value.parse().unwrap());
        contents.entry(pairs.into_iter().collect()).or_default().push(sample);
    }
    contents
}

/// A sample as text brings it over: there is one NaN only.
fn printed(&sample: &Sample) -> Sample {
    Sample { value: if sample.value.is_nan() { f64::NAN } else { sample.value }, ..sample }
}

/// The bytes of each chunk in a block's first chunk file.
fn chunks_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = crate::codec::Decoder::new(&file[8..]);
    let mut chunks = Vec::new();
    while let Some(length) = rest.uvarint() {
        assert_eq!(rest.u8(), Some(1), "the XOR encoding");
        chunks.push(rest.take(length as usize).unwrap().to_vec());
        rest.take(4).unwrap();
    }
    chunks
}

#[test]
fn our_chunks_are_prometheus_chunks_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("# TYPE metric gauge\n");
    for series in 0..12 {
        for i in 0..500 {
            let (seconds, millis) = (time(series, i) / 1000, time(series, i) % 1000);
            let value = value(series, i);
            text += &format!("metric{{series=\"{series}\"}} {value:e} {seconds}.{millis:03}\n");
        }
    }
    let input = dir.path().join("input");
    fs::write(&input, text.replace("infe0", "Inf").replace("inf", "Inf") + "# EOF\n").unwrap();
    let blocks = dir.path().join("blocks");
    let from = ["tsdb", "create-blocks-from", "openmetrics", input.to_str().unwrap()];
    promtool(&from, &blocks);

    let mut samples = 0;
    for block in fs::read_dir(&blocks).unwrap() {
        let file = fs::read(block.unwrap().path().join("chunks/000001")).unwrap();
        for golden in chunks_of(&file) {
            let (first, mut rest) = XorSamples::new(&golden).unwrap();
            let mut ours = XorChunk::new(first);
            while let Some(sample) = rest.next().unwrap() {
                ours.push(sample);
            }
            assert_eq!(ours.to_bytes(), golden);
            samples += ours.len();
        }
    }
    assert_eq!(samples, 12 * 500);
}

/// Series in blocks, a checkpoint, several segments and the late log, written over restarts; some
/// samples are repeated.
pub(crate) fn write_directory(dir: &Path) -> Contents {
    for part in 0..4 {
        let db = open(dir);
        for i in part * 100 - 1..(part + 1) * 100 {
            let mut batch = db.appender();
            for series in 0..40 {
                let sample = at(START + i * MINUTE, value(series, i.max(0)));
                let late = at(START + (i - 90) * MINUTE + 30_000, value(series, i.max(0)));
                let series = batch.series(&labels(series), None).unwrap();
                batch.sample(series, sample).unwrap();
                if i % 10 == 5 {
                    batch.sample(series, late).unwrap();
                }
            }
            assert_eq!(batch.commit().unwrap().rejected, []);
        }
        db.maintain().unwrap();
    }
    let has = |dir: &Path, name: &str| {
        let mut entries = fs::read_dir(dir).unwrap();
        entries.any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with(name))
    };
    assert!(has(&dir.join("wal"), "checkpoint.") && has(&dir.join("wbl"), "0000") && has(dir, "0"));
    contents(&open(dir))
}

#[test]
fn promtool_reads_our_blocks_and_logs() {
    let dir = tempfile::tempdir().unwrap();
    let ours = write_directory(dir.path());
    assert_eq!(ours.len(), 40);
    let dump = promtool(&["tsdb", "dump"], dir.path());
    let theirs = parse_dump(&String::from_utf8(dump.stdout).unwrap());
    assert_eq!(theirs, ours);

    let list = String::from_utf8(promtool(&["tsdb", "list"], dir.path()).stdout).unwrap();
    let db = open(dir.path());
    let blocks = db.blocks_for_test();
    assert_eq!(list.lines().count(), blocks.len() + 1, "{list}");
    for (line, meta) in list.lines().skip(1).zip(blocks) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let stats = meta.stats;
        let ours = [stats.num_samples, stats.num_chunks, stats.num_series].map(|n| n.to_string());
        assert_eq!(
            (columns[0], &columns[4..7]),
            (meta.ulid.as_str(), &ours.each_ref().map(String::as_str)[..])
        );
    }
    drop(db);
    let analysis = promtool(&["tsdb", "analyze"], dir.path());
    let analysis = String::from_utf8_lossy(&analysis.stdout).into_owned();
    assert!(analysis.contains("Series: 40\n"), "{analysis}");
}

#[test]
fn we_read_the_blocks_that_promtool_makes() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("# TYPE metric gauge\n");
    let mut expect = Contents::new();
    for series in 0..200 {
        for i in 0..20 {
            let sample = at(START + i * 30 * MINUTE, (series * i) as f64);
            text +=
                &format!("metric{{s=\"{series}\"}} {} {}\n", sample.value, START / 1000 + i * 1800);
            let pairs = [("__name__", "metric".to_owned()), ("s", series.to_string())];
            expect.entry(pairs.into_iter().collect()).or_default().push(sample);
        }
    }
    let input = dir.path().join("input");
    fs::write(&input, text + "# EOF\n").unwrap();
    let data = dir.path().join("data");
    promtool(&["tsdb", "create-blocks-from", "openmetrics", input.to_str().unwrap()], &data);
    let db = open(&data);
    assert_eq!(contents(&db), expect);
    let picked = Matcher::new("s", MatchOp::Regex, "1.|77|nothing").unwrap();
    let range = TimeRange::new(Timestamp::from_millis(START), Timestamp::from_millis(START));
    assert_eq!(db.select(&Selection::new(range, vec![picked])).unwrap().len(), 11);
}

/// What is on the disk besides after we end.
pub(crate) fn leave_chunks_of_the_head(dir: &Path) {
    let db = open(dir);
    db.spill_eagerly();
    db.maintain().unwrap();
    db.close().unwrap();
    drop(db);
    assert!(fs::read_dir(dir.join("chunks_head")).unwrap().count() > 0);
    assert!(dir.join("saved_head").exists());
}

#[test]
fn prometheus_starts_on_our_directory_and_keeps_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let ours = write_directory(dir.path());
    leave_chunks_of_the_head(dir.path());
    let server = Prometheus::start(dir.path());
    assert_eq!(server.samples("metric", START + 400 * MINUTE), ours);

    let options = Options::new(dir.path());
    let refused = Db::open(options, Metrics::register(&Registry::new()).unwrap());
    assert!(matches!(refused, Err(crate::OpenError::Locked { .. })));
    server.kill();
    let metric = |contents: Contents| -> Contents {
        contents.into_iter().filter(|(labels, _)| labels.metric_name() == "metric").collect()
    };
    assert_eq!(metric(contents(&open(dir.path()))), ours);
}

#[test]
fn we_start_on_the_directory_of_a_killed_prometheus() {
    let dir: PathBuf = tempfile::tempdir().unwrap().keep();
    let server = Prometheus::start(&dir);
    let deadline = Instant::now() + Duration::from_secs(60);
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        i64::try_from(since.as_millis()).unwrap()
    };
    let (mut theirs, mut asked_at);
    loop {
        asked_at = now();
        theirs = server.samples("%7Bjob%3D%22self%22%7D", asked_at);
        if theirs.values().any(|samples| samples.len() >= 20) {
            break;
        }
        assert!(Instant::now() < deadline, "prometheus does not scrape itself");
        thread::sleep(Duration::from_millis(100));
    }
    server.kill();
    let ours = contents(&open(&dir));
    assert!(theirs.len() > 300, "{} series", theirs.len());
    for (labels, samples) in theirs {
        let found = ours[&labels].iter().filter(|s| s.timestamp.as_millis() <= asked_at);
        let found: Vec<Sample> = found.filter(|s| !model::is_stale(s.value)).map(printed).collect();
        assert!(found.starts_with(&samples), "{labels}");
    }
    fs::remove_dir_all(dir).unwrap();
}
