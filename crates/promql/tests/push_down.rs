//! A storage that makes groups itself answers as one that hands out its series.

use std::time::Duration;

use model::{FloatHistogram, Labels, Matcher, Metadata, STALE_NAN, Sample, Timestamp};
use parking_lot::Mutex;
use promql::{Answer, Cancel, Engine, EngineOptions, Features, SampleValue, Value, parse_with};
use storage::{
    Aggregated, Aggregation, Group, Grouping, LabelQuery, Memory, Query, QueryError, Selection,
    SeriesSet,
};

const MINUTE: i64 = 60_000;
const START: Timestamp = Timestamp::from_millis(20 * MINUTE);
const END: Timestamp = Timestamp::from_millis(50 * MINUTE);
const STEP: Duration = Duration::from_secs(5 * 60);

/// Two places that have some of the series each, and answer as this crate does.
#[derive(Default)]
struct Fleet {
    whole: Memory,
    parts: [Memory; 2],
    asked: Mutex<Vec<Aggregation>>,
    selected: Mutex<Vec<Selection>>,
}

impl Fleet {
    fn new() -> Self {
        let fleet = Self::default();
        for pod in 0..12_u32 {
            let part = usize::from(pod % 5 < 2);
            let (number, region) = (pod.to_string(), format!("r{}", pod % 3));
            let labels = |name: &str| -> Labels {
                [("__name__", name), ("pod", &number), ("region", &region)].into_iter().collect()
            };
            for minute in 0..60_u32 {
                let timestamp = Timestamp::from_millis(i64::from(minute) * MINUTE);
                let value = f64::from((minute * (pod + 1)) % 97) + 0.1;
                for memory in [&fleet.whole, &fleet.parts[part]] {
                    if pod != 7 || minute < 30 {
                        memory
                            .push(&labels("m_total"), Sample { timestamp, value })
                            .expect("in order");
                    }
                    let histogram = FloatHistogram { count: value, sum: value, ..<_>::default() };
                    memory.push_histogram(&labels("h"), timestamp, &histogram);
                }
            }
        }
        fleet
    }
}

impl Query for Fleet {
    fn select(&self, selection: &Selection) -> Result<Box<dyn SeriesSet>, QueryError> {
        self.selected.lock().push(selection.clone());
        self.whole.select(selection)
    }

    fn aggregate(&self, aggregation: &Aggregation) -> Result<Option<Aggregated>, QueryError> {
        let mut answer = Aggregated::default();
        for memory in &self.parts {
            answer.groups.extend(groups(aggregation, evaluate(memory, aggregation)));
        }
        answer.warnings.push("a third part did not answer".into());
        self.asked.lock().push(aggregation.clone());
        Ok(Some(answer))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        self.whole.label_names(query)
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, QueryError> {
        self.whole.label_values(name, query)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Metadata)>, QueryError> {
        self.whole.metadata(metric)
    }
}

fn evaluate(memory: &Memory, aggregation: &Aggregation) -> Value {
    let (text, start, step) = (&aggregation.expression, aggregation.start, aggregation.step);
    if aggregation.count == 1 {
        return ask(memory, text, start, start, None).value;
    }
    let end = start.as_millis() + (step.as_millis() as i64) * (aggregation.count as i64 - 1);
    ask(memory, text, start, Timestamp::from_millis(end), Some(step)).value
}

fn groups(aggregation: &Aggregation, value: Value) -> Vec<Group> {
    let step = aggregation.step.as_millis().max(1) as i64;
    let place = |at: Timestamp| ((at.as_millis() - aggregation.start.as_millis()) / step) as usize;
    let empty = |labels: Labels| Group {
        labels,
        values: vec![STALE_NAN; aggregation.count],
        histograms: vec![None; aggregation.count],
    };
    match value {
        Value::Vector(samples) => samples
            .into_iter()
            .map(|sample| {
                let mut group = empty(sample.labels);
                match sample.value {
                    SampleValue::Float(value) => group.values[0] = value,
                    SampleValue::Histogram(histogram) => group.histograms[0] = Some(histogram),
                }
                group
            })
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .map(|series| {
                let mut group = empty(series.labels);
                for sample in series.samples {
                    group.values[place(sample.timestamp)] = sample.value;
                }
                for (at, histogram) in series.histograms {
                    group.histograms[place(at)] = Some(histogram);
                }
                group
            })
            .collect(),
        other => panic!("an aggregation gives a vector, not {other:?}"),
    }
}

fn ask(
    storage: &dyn Query,
    text: &str,
    start: Timestamp,
    end: Timestamp,
    step: Option<Duration>,
) -> Answer {
    let expr = parse_with(text, Features::ALL).expect("a query");
    let (engine, cancel) = (Engine::new(EngineOptions::default()), Cancel::new());
    match step {
        None => engine.instant(storage, &expr, end, &cancel),
        Some(step) => engine.range(storage, &expr, start, end, step, &cancel),
    }
    .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every sample as text, numbers to nine digits.
fn samples(value: Value) -> Vec<String> {
    let float = |value: f64| format!("{value:.9e}");
    let mut lines: Vec<String> = match value {
        Value::Vector(samples) => samples
            .into_iter()
            .map(|sample| match sample.value {
                SampleValue::Float(value) => format!("{} {}", sample.labels, float(value)),
                SampleValue::Histogram(histogram) => {
                    format!("{} {}", sample.labels, float(histogram.sum))
                }
            })
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .flat_map(|series| {
                let labels = series.labels;
                let floats = series.samples.into_iter().map(|s| (s.timestamp, s.value));
                let sums = series.histograms.into_iter().map(|(at, h)| (at, h.sum));
                let samples: Vec<String> = floats
                    .chain(sums)
                    .map(|(at, value)| format!("{labels} {} {}", at.as_millis(), float(value)))
                    .collect();
                samples
            })
            .collect(),
        other => panic!("no vector: {other:?}"),
    };
    lines.sort();
    lines
}

/// What the storage was asked to aggregate in a range query and in an instant query.
#[track_caller]
fn asked(query: &str) -> [Vec<String>; 2] {
    let fleet = Fleet::new();
    [Some(STEP), None].map(|step| {
        let whole = ask(&fleet.whole, query, START, END, step);
        let parts = ask(&fleet, query, START, END, step);
        assert_eq!(samples(parts.value), samples(whole.value), "{query}");
        let asked: Vec<Aggregation> = std::mem::take(&mut *fleet.asked.lock());
        let warned = parts.annotations.warnings(query);
        assert_eq!(warned.iter().any(|w| w == "a third part did not answer"), !asked.is_empty());
        asked.into_iter().map(|aggregation| aggregation.expression).collect()
    })
}

#[test]
fn what_can_be_put_together_is_left_to_the_storage() {
    #[track_caller]
    fn check(query: &str, expected: &[&str]) {
        assert_eq!(asked(query), [expected, expected], "{query}");
    }
    for query in [
        "sum by (region) (rate(m_total[5m]))",
        "count without (pod) (m_total > 20)",
        "min(m_total)",
        "max by (region) (-m_total)",
        "group(h)",
        "sum by (region) (h)",
        "sum(histogram_count(h))",
        "topk by (region) (2, m_total)",
        "bottomk(3, rate(m_total[5m]))",
        "sum(clamp(m_total, 10, 50) * 2)",
        "max(max_over_time(rate(m_total[5m])[10m:1m]))",
        "sum(m_total offset 5m)",
        "count(2 < bool m_total)",
        "sum(quantile_over_time(0.5, m_total[10m]))",
    ] {
        check(query, &[query]);
    }
    let (sum, count) =
        ("sum by (region) (rate(m_total[5m]))", "count by (region) (rate(m_total[5m]))");
    check("avg by (region) (rate(m_total[5m]))", &[sum, count]);
    check("avg(h)", &["sum(h)", "count(h)"]);
    check("sum(max by (region) (m_total))", &["max by (region) (m_total)"]);
    let ratio = "sum(m_total) / on () sum(rate(m_total[5m]))";
    check(ratio, &["sum(m_total)", "sum(rate(m_total[5m]))"]);
    check("sum(m_total) / sum(m_total)", &["sum(m_total)"]);
}

#[test]
fn what_needs_the_series_selects_them() {
    #[track_caller]
    fn check(query: &str) {
        assert_eq!(asked(query), [Vec::<String>::new(), Vec::new()], "{query}");
    }
    for query in [
        "quantile(0.5, m_total)",
        "stddev(m_total)",
        "count_values(\"v\", m_total)",
        "limitk(2, m_total)",
        "sum(m_total * on (pod, region) m_total)",
        "sum(absent(m_total{pod=\"none\"}))",
        "sum(vector(1))",
        "count(label_replace(m_total, \"zone\", \"$1\", \"region\", \"(.*)\"))",
        "sum(m_total > scalar(m_total{pod=\"1\"}))",
        "sum(max_over_time(m_total[10m:]))",
        "m_total",
    ] {
        check(query);
    }
}

#[test]
fn what_depends_on_the_times_of_the_query_is_asked_for_at_those_only() {
    let inner = "max_over_time(sum(m_total @ end())[10m:1m])";
    assert_eq!(asked(inner), [Vec::<String>::new(), Vec::new()]);
    let pinned = "max_over_time(sum(m_total @ 1200)[10m:1m])";
    assert_eq!(asked(pinned), [vec!["sum(m_total @ 1200.000)"], vec!["sum(m_total @ 1200.000)"]]);
}

#[test]
fn the_storage_is_told_times_labels_and_selectors() {
    let fleet = Fleet::new();
    ask(&fleet, "sum by (region) (rate(m_total{pod!=\"3\"}[5m]))", START, END, Some(STEP));
    let asked = fleet.asked.lock();
    let [aggregation] = &asked[..] else { panic!("asked once: {asked:?}") };
    assert_eq!((aggregation.start, aggregation.step, aggregation.count), (START, STEP, 7));
    assert_eq!(aggregation.grouping, Grouping::By(vec!["region".into()]));
    let matchers: Vec<String> = aggregation.selectors[0].iter().map(Matcher::to_string).collect();
    assert_eq!(matchers, ["pod!=\"3\"", "__name__=\"m_total\""]);
    assert_eq!(aggregation.lookback, Duration::from_secs(300));
}

#[test]
fn selections_are_told_what_stands_around_them() {
    #[track_caller]
    fn check(query: &str, function: Option<&str>, grouping: Option<Grouping>) {
        let fleet = Fleet::new();
        ask(&fleet, query, START, END, Some(STEP));
        let selected = fleet.selected.lock();
        let hints = &selected[0].hints;
        assert_eq!((hints.function, &hints.grouping), (function, &grouping), "{query}");
        assert_eq!(hints.step, Some(STEP));
    }
    let by_region = || Some(Grouping::By(vec!["region".into()]));
    check("stddev by (region) (m_total)", Some("stddev"), by_region());
    check("stddev by (region) (rate(m_total[5m]) * 2)", Some("rate"), by_region());
    check("stddev by (region) (m_total * m_total)", None, None);
    check("abs(m_total)", Some("abs"), None);
    check("stddev by (region) (label_join(m_total, \"a\", \"b\"))", Some("label_join"), None);
    check(
        "stddev without (pod) (m_total)",
        Some("stddev"),
        Some(Grouping::Without(vec!["pod".into()])),
    );
}
