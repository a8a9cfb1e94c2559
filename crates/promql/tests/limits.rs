//! The bounds of a query: it ends when it is cancelled, late or too large, and says so as Prometheus
//! says it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use model::{Labels, Metadata, Sample, Timestamp};
use promql::{Answer, Cancel, Engine, EngineOptions, EvalError, Value, check_resolution, parse};
use storage::{LabelQuery, Memory, Query, QueryError, Selection, SeriesSet};

const MINUTE: i64 = 60_000;

/// `count` series of one sample a minute, for an hour.
fn memory(count: usize) -> Memory {
    let memory = Memory::default();
    for number in 0..count {
        let region = format!("r{}", number % 10);
        let pod = format!("pod-{number}");
        let pairs = [("__name__", "m_total"), ("region", &region), ("pod", &pod)];
        let labels: Labels = pairs.into_iter().collect();
        for minute in 0..60 {
            let timestamp = Timestamp::from_millis(minute * MINUTE);
            let value = (minute * 60) as f64;
            memory.push(&labels, Sample { timestamp, value }).expect("in order");
        }
    }
    memory
}

fn range(
    options: EngineOptions,
    memory: &Memory,
    query: &str,
    cancel: &Cancel,
) -> Result<Answer, EvalError> {
    let [start, end] = [10 * MINUTE, 59 * MINUTE].map(Timestamp::from_millis);
    let step = Duration::from_secs(60);
    let expr = parse(query).expect("a query");
    Engine::new(options).range(memory, &expr, start, end, step, cancel)
}

#[test]
fn a_query_that_hits_a_bound_says_which() {
    #[track_caller]
    fn check(options: EngineOptions, query: &str, cancel: &Cancel, kind: &str, text: &str) {
        let error = range(options, &memory(100), query, cancel).unwrap_err();
        assert_eq!((error.error_type(), error.to_string().as_str()), (kind, text), "{query}");
    }
    let options = EngineOptions::default;
    let canceled = Cancel::new();
    canceled.cancel();
    let text = "query was canceled in expression evaluation";
    check(options(), "m_total", &canceled, "canceled", text);
    let late = EngineOptions { timeout: Duration::ZERO, ..options() };
    let text = "query timed out in expression evaluation";
    check(late, "sum(rate(m_total[5m]))", &Cancel::new(), "timeout", text);
    let small = EngineOptions { max_samples: 1000, ..options() };
    let text = "query processing would load too many samples into memory in query execution";
    for query in ["m_total", "m_total * 2", "max_over_time(m_total[5m:1s])", "m_total and m_total"]
    {
        check(small.clone(), query, &Cancel::new(), "execution", text);
    }
    let text = "invalid expression type \"range vector\" for range query, must be Scalar or instant \
                Vector";
    check(options(), "m_total[5m]", &Cancel::new(), "bad_data", text);
}

#[test]
fn aggregations_hold_groups_and_not_series() {
    // 1000 series of 50 steps do not fit; ten groups of them, and a few series at a time, do.
    let options = EngineOptions { max_samples: 2000, ..EngineOptions::default() };
    let memory = memory(1000);
    let ask = |query: &str| range(options.clone(), &memory, query, &Cancel::new());
    assert!(ask("rate(m_total[5m])").is_err());
    let answer = ask("sum by (region) (rate(m_total[5m]) * 2)").unwrap();
    let Value::Matrix(matrix) = answer.value else { panic!("a range query gives a matrix") };
    assert_eq!(matrix.len(), 10);
    for series in matrix {
        assert!(series.samples.iter().all(|sample| (sample.value - 200.0).abs() < 1e-9));
    }
}

#[test]
fn several_threads_answer_what_one_answers() {
    let memory = memory(1200);
    for query in [
        "sum by (region) (rate(m_total[5m]))",
        "avg(m_total)",
        "stddev without (pod) (m_total)",
        "quantile by (region) (0.3, m_total)",
        "topk(3, m_total)",
        "rate(m_total{region=\"r1\"}[5m])",
        "absent(m_total)",
    ] {
        let [one, four] = [1, 4].map(|threads| {
            let threads = NonZeroUsize::new(threads).unwrap();
            let options = EngineOptions { threads, ..EngineOptions::default() };
            let answer = range(options, &memory, query, &Cancel::new()).unwrap();
            let Value::Matrix(matrix) = answer.value else {
                panic!("a range query gives a matrix")
            };
            matrix
        });
        assert_eq!(one.len(), four.len(), "{query}");
        for (a, b) in one.iter().zip(&four) {
            assert_eq!(a.labels, b.labels, "{query}");
            let close = |(a, b): (&Sample, &Sample)| {
                a.timestamp == b.timestamp && (a.value - b.value).abs() <= 1e-12 * a.value.abs()
            };
            assert!(a.samples.iter().zip(&b.samples).all(close), "{query}");
        }
    }
}

#[test]
fn a_running_query_stops_soon_after_it_is_cancelled() {
    let memory = memory(2000);
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let query = "sum(max_over_time(rate(m_total[5m])[50m:1s]))";
            let error = range(EngineOptions::default(), &memory, query, &cancel).unwrap_err();
            assert!(matches!(error, EvalError::Canceled), "{error}");
            Instant::now()
        });
        std::thread::sleep(Duration::from_millis(200));
        let canceled = Instant::now();
        cancel.cancel();
        let stopped = running.join().unwrap();
        let took = stopped.duration_since(canceled);
        assert!(took < Duration::from_millis(500), "took {took:?} in a debug build");
    });
}

#[test]
fn range_queries_have_a_resolution_limit() {
    let check = |points: i64| {
        let end = Timestamp::from_millis(points * 1000);
        check_resolution(Timestamp::EPOCH, end, Duration::from_secs(1)).is_ok()
    };
    assert!(check(11_000));
    assert!(!check(11_001));
}

/// Counts selections.
struct Counting {
    memory: Memory,
    selections: AtomicUsize,
}

impl Query for Counting {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        self.selections.fetch_add(1, Ordering::Relaxed);
        self.memory.select(selection)
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        self.memory.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        self.memory.label_values(name, query)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        self.memory.metadata(metric)
    }
}

#[test]
fn parts_that_repeat_or_never_change_are_evaluated_once() {
    #[track_caller]
    fn check(query: &str, selections: usize) {
        let counting = Counting { memory: memory(20), selections: AtomicUsize::new(0) };
        let engine = Engine::new(EngineOptions::default());
        let [start, end] = [10 * MINUTE, 59 * MINUTE].map(Timestamp::from_millis);
        let (step, expr) = (Duration::from_secs(60), parse(query).unwrap());
        let answer = engine.range(&counting, &expr, start, end, step, &Cancel::new()).unwrap();
        let Value::Matrix(matrix) = answer.value else { panic!("a range query gives a matrix") };
        assert!(matrix.iter().all(|series| series.samples.len() == 50), "{query}");
        assert_eq!(counting.selections.into_inner(), selections, "{query}");
    }
    check("sum(m_total) / (sum(m_total) + sum by () (m_total))", 1);
    check("sum(m_total) / sum by (region) (m_total) > 2 or sum by (region) (m_total)", 2);
    check("sum(m_total) / sum(m_total offset 1m)", 2);
    check("sum(m_total @ end()) + sum(m_total @ end())", 1);
}
