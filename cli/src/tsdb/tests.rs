use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ::tsdb::inspect::Blocks;
use ::tsdb::{Db, Metrics, Options};
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
        batch.commit().unwrap();
        db.maintain().unwrap();
    }
    dir
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
            let mut entries: Vec<&str> = entries.lines().collect();
            entries.sort_unstable();
            (title, entries)
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
