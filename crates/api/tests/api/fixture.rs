//! The series that every test asks about: few, but with every kind of value, label and time.

use model::{Exemplar, Metadata, MetricType, Sample, Timestamp};

use crate::store::{Series, Store};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const STEP_MILLIS: i64 = 15_000;
const SAMPLES: i64 = 40;

/// Seconds after [`START`], as a parameter.
pub(crate) fn at(seconds: f64) -> String {
    START.plus_millis((seconds * 1000.0) as i64).as_seconds().to_string()
}

pub(crate) fn store() -> Store {
    let metadata = |metric_type, help: &str| Metadata {
        metric_type,
        help: help.to_owned(),
        unit: String::new(),
    };
    let metadata = [
        ("requests_total", metadata(MetricType::Counter, "Requests.")),
        ("up", metadata(MetricType::Gauge, "Whether it is \"up\".")),
    ];
    Store::holding(&series(), &metadata)
}

pub(crate) fn series() -> Vec<Series> {
    let mut series = Vec::new();
    let mut add = |labels: &[(&str, &str)], samples| {
        let labels = labels.iter().copied().collect();
        series.push(Series { labels, samples, exemplars: Vec::new() });
    };
    for (instance, up) in [("a:9100", 1.0), ("b:9100", 0.0)] {
        add(&[("__name__", "up"), ("instance", instance), ("job", "node")], samples(move |_| up));
        add(
            &[("__name__", "requests_total"), ("instance", instance), ("job", "node")],
            samples(|n| (n * n) as f64 + 0.25),
        );
    }
    let odd_values = [
        ("zero", 0.0),
        ("tenth", 0.1),
        ("tiny", 1.5e-7),
        ("small", 1e-6),
        ("large", 123_456_789_012_345_680_000.0),
        ("huge", 1e21),
        ("least", 5e-324),
        ("infinity", f64::INFINITY),
        ("negative_infinity", f64::NEG_INFINITY),
        ("nan", f64::NAN),
    ];
    for (name, value) in odd_values {
        add(&[("__name__", "odd_value"), ("which", name)], samples(move |_| value));
    }
    let odd_labels =
        [("quote", "\"\\"), ("lines", "a\nb\tc\r"), ("html", "<a&b>"), ("utf8", "é世")];
    for (name, value) in odd_labels {
        add(&[("__name__", "odd_label"), ("which", name), ("text", value)], samples(|n| n as f64));
    }
    let odd_times = [1, 10_010, 70_500, 130_999]
        .map(|millis| Sample { timestamp: START.plus_millis(millis), value: 1.0 });
    add(&[("__name__", "odd_time")], odd_times.to_vec());
    for series in series.iter_mut().skip(1) {
        series.exemplars = exemplars(&series.samples);
    }
    series
}

fn samples(value: impl Fn(i64) -> f64) -> Vec<Sample> {
    let samples = (0..SAMPLES)
        .map(|n| Sample { timestamp: START.plus_millis(n * STEP_MILLIS), value: value(n) });
    samples.collect()
}

/// One for every tenth sample, a little before it.
fn exemplars(samples: &[Sample]) -> Vec<Exemplar> {
    let exemplar = |(index, sample): (usize, &Sample)| Exemplar {
        labels: [("trace_id", format!("\"{index}é<"))].into_iter().collect(),
        value: sample.value,
        timestamp: sample.timestamp.minus_millis(7),
    };
    samples.iter().step_by(10).enumerate().map(exemplar).collect()
}
