use std::io;
use std::path::Path;

use model::Labels;
use parking_lot::Mutex;
use promql::{Cancel, Engine, EngineOptions, parse};
use storage::Memory;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_580_000_000_125);

fn query(text: &str) -> Query<'_> {
    Query {
        text,
        start: Timestamp::EPOCH,
        end: Timestamp::from_millis(60_500),
        step: Duration::from_secs(5),
        origin: Origin::Http { client: "::1", method: "GET", path: "/api/v1/query_range" },
        queued: Duration::from_secs(2),
        counts_samples: false,
    }
}

fn run(log: &QueryLog, query: &Query<'_>) {
    let memory = Memory::default();
    let labels: Labels = [("__name__", "up")].into_iter().collect();
    let sample = model::Sample { timestamp: Timestamp::EPOCH, value: 1.0 };
    memory.push(&labels, sample).unwrap();
    let engine = Engine::new(EngineOptions::default());
    let expr = parse(query.text).unwrap();
    let (result, _) = log.run(query, |statistics| {
        let engine = engine.measured_by(statistics);
        engine.range(&memory, &expr, query.start, query.end, query.step, &Cancel::new())
    });
    result.map(drop).unwrap_or_default();
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_query_is_a_line_as_prometheus_writes_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("query.log");
    let log = QueryLog::new(None, None, || NOW);
    run(&log, &query("up"));
    log.set_file(Some(LogFile::open(&path).unwrap()));
    run(&log, &query("sum(up)"));
    let rule = Origin::Rule { file: "a.yml", name: "g" };
    run(&log, &Query { origin: rule, ..query("topk(NaN, up)") });
    log.set_file(None);
    run(&log, &query("up"));
    let mut lines = lines(&path);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let params = |query: &str| {
        serde_json::json!({
            "start": "1970-01-01T00:00:00.000Z",
            "end": "1970-01-01T00:01:00.500Z",
            "query": query,
            "step": 5,
        })
    };
    let timings = lines[0]["stats"]["timings"].take();
    assert_eq!(timings["execQueueTime"], 2.0, "{timings}");
    assert!(timings["execTotalTime"].as_f64() > Some(2.0), "{timings}");
    assert!(timings["evalTotalTime"].as_f64() > Some(0.0), "{timings}");
    let expect = serde_json::json!({
        "params": params("sum(up)"),
        "stats": {"timings": null, "samples": {"totalQueryableSamples": 13, "peakSamples": 26}},
        "httpRequest": {"clientIP": "::1", "method": "GET", "path": "/api/v1/query_range"},
        "ts": "2020-01-26T00:53:20.125Z",
    });
    assert_eq!(lines[0], expect);
    assert_eq!(lines[1]["params"], params("topk(NaN, up)"));
    assert_eq!(lines[1]["error"], "Parameter value is NaN");
    assert_eq!(lines[1]["ruleGroup"], serde_json::json!({"file": "a.yml", "name": "g"}));
    assert_eq!(lines[1].get("httpRequest"), None);
}

/// QUERYLOG-1.
#[test]
fn a_log_that_cannot_be_written_fails_no_query() {
    let log = QueryLog::new(None, None, || NOW);
    log.set_file(Some(LogFile::open(Path::new("/dev/full")).unwrap()));
    run(&log, &query("up"));
    assert!(LogFile::open(Path::new("/no/such/directory/query.log")).is_err());
}

/// What goes to the process' own log.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_query_is_told_with_what_it_cost() {
    #[track_caller]
    fn check(slow: Option<Duration>, parts: &[&str]) {
        let (log, page) = (QueryLog::new(None, slow, || NOW), Page::default());
        let writer = page.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || run(&log, &query("topk(NaN, up)")));
        let text = String::from_utf8(page.0.lock().clone()).unwrap();
        assert_eq!(text.is_empty(), parts.is_empty(), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    check(None, &[]);
    check(Some(Duration::from_secs(3600)), &[]);
    // Waiting is part of the time that its user sees.
    let parts = [
        "WARN",
        "slow query",
        "query=\"topk(NaN, up)\"",
        "queued_seconds=2",
        "peak_samples=",
        "end=1970-01-01T00:01:00.500Z",
        "origin=\"::1\" place=\"/api/v1/query_range\"",
        "error=Parameter value is NaN",
    ];
    check(Some(Duration::from_secs(2)), &parts);
}

#[test]
fn times_beyond_the_calendar_are_its_ends() {
    assert_eq!(time_text(Timestamp::from_millis(-1)), "1969-12-31T23:59:59.999Z");
    assert_eq!(time_text(Timestamp::MAX), "9999-12-30T22:00:00.999Z");
    assert_eq!(time_text(Timestamp::MIN), "-009999-01-02T01:59:59.000Z");
}
