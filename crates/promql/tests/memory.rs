//! What a query may take (MEMORY-1): one that is over its budget fails, with all that it had given back,
//! and what is counted is what is taken from the allocator.

#![allow(unsafe_code, reason = "counting what is allocated takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{Labels, Sample, Timestamp};
use promql::{Answer, Cancel, Engine, EngineOptions, EvalError, parse};
use storage::Memory;

const MINUTE: i64 = 60_000;
const SERIES: usize = 2000;
const STEPS: i64 = 400;
/// The smallest budget of all: what is not counted shows beside it.
const SMALL: usize = 1 << 20;

/// Bytes in use, and the most there were.
struct Counting {
    used: AtomicUsize,
    peak: AtomicUsize,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting { used: AtomicUsize::new(0), peak: AtomicUsize::new(0) };

impl Counting {
    fn took(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

// SAFETY: all is left to the system's allocator, with the very arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.took(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.took(size);
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Series with a long label, and as many of native histograms.
fn memory() -> Memory {
    let memory = Memory::default();
    let histogram = promql::notation::parse_values(
        "{{schema:1 count:30 sum:5 buckets:[1 2 3 4 5 6 1 2 3 4 5 6 1 2 3 4 5 6]}}",
    );
    let Ok([promql::notation::Value::Histogram(histogram)]) = histogram.as_deref() else {
        panic!("a histogram")
    };
    for number in 0..SERIES {
        let (pod, region) =
            (format!("pod-{number}-{}", "x".repeat(100)), format!("r{}", number % 7));
        let labels = |name: &str| -> Labels {
            [("__name__", name), ("pod", &pod), ("region", &region)].into_iter().collect()
        };
        for minute in 0..60 {
            let timestamp = Timestamp::from_millis(minute * MINUTE);
            let sample = Sample { timestamp, value: (minute * 60) as f64 };
            memory.push(&labels("m_total"), sample).expect("in order");
            if number % 20 == 0 {
                memory.push_histogram(&labels("native"), timestamp, histogram);
            }
        }
    }
    memory
}

fn ask(memory: &Memory, max_memory: usize, query: &str) -> Result<Answer, EvalError> {
    let engine = Engine::new(EngineOptions { max_memory, ..EngineOptions::default() });
    let (start, end) = (Timestamp::EPOCH, Timestamp::from_millis(STEPS * 8000));
    let expr = parse(query).expect("a query");
    if query.ends_with(']') {
        return engine.instant(memory, &expr, end, &Cancel::new());
    }
    engine.range(memory, &expr, start, end, Duration::from_secs(8), &Cancel::new())
}

/// Each keeps something else.
const QUERIES: &[&str] = &[
    "m_total",
    "m_total[2h]",
    "rate(m_total[5m])",
    "native",
    "native[2h]",
    "rate(native[5m])",
    "sum without (none) (m_total)",
    "sum without (none) (native)",
    "avg by (pod) (native)",
    "quantile by (region) (0.5, m_total)",
    "topk(1000, m_total)",
    "count_values without (none) (\"value\", m_total)",
    "m_total * 2",
    "m_total * on (pod, region) m_total",
    "m_total * on (region) group_left () sum by (region) (m_total)",
    "m_total and on (pod) native",
    "m_total or native",
    "native + native",
    "label_replace(m_total, \"a\", \"$1$1$1$1$1$1$1$1$1$1\", \"pod\", \"(.*)\")",
    "label_join(m_total, \"a\", \"-\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\", \"pod\")",
    "max_over_time(m_total[1h:30s])",
    "m_total[1h:10s]",
    "max_over_time(vector(1)[1h:10ms])",
    "max_over_time((vector(time() + scalar(m_total) - 1 > bool 2))[1h:10ms])",
    "m_total @ 600",
    "sum by (pod) (m_total) / sum by (pod) (m_total)",
    "histogram_quantile(0.9, native)",
    "sort(m_total)",
];

/// Both of one test, as the allocator is one for all tests.
#[test]
fn a_query_over_its_budget_fails_alone_and_takes_little_more_than_that() {
    let memory = memory();
    for query in QUERIES {
        let before = ALLOCATOR.used.load(Ordering::Relaxed);
        ALLOCATOR.peak.store(before, Ordering::Relaxed);
        let error = ask(&memory, SMALL, query).map(drop).unwrap_err();
        let peak = ALLOCATOR.peak.load(Ordering::Relaxed) - before;
        let text = "query processing would take more than 1048576 bytes of memory \
                    (--query.max-memory)";
        assert_eq!(
            (error.error_type(), error.to_string().as_str()),
            ("execution", text),
            "{query}"
        );
        assert!(peak < SMALL / 2 * 3, "{query}: took {peak} bytes of {SMALL}");
        let after = ALLOCATOR.used.load(Ordering::Relaxed);
        assert!(after < before + (64 << 10), "{query}: {} bytes are left", after - before);
    }
    assert!(ask(&memory, SMALL, "sum by (region) (rate(m_total[5m]))").is_ok());
}
