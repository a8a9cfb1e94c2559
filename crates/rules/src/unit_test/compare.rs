//! What a test expects, beside what came of it.

use std::fmt::{self, Write};

use model::Labels;
use model::histogram::CounterReset;
use promql::{SampleValue, format_value};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExpectedAlert {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
}

#[derive(Clone, Debug)]
pub(super) struct ExpectedSample {
    pub(super) labels: Labels,
    pub(super) value: SampleValue,
}

/// In any order. `None`: they are the same.
pub(super) fn differing_alerts(
    mut expected: Vec<ExpectedAlert>,
    mut got: Vec<ExpectedAlert>,
) -> Option<String> {
    expected.sort();
    got.sort();
    (expected != got).then(|| format!("exp: {}, got: {}", listed(&expected), listed(&got)))
}

/// In any order. With `fuzzy`, floats may be next to each other. `None`: they are the same.
pub(super) fn differing_samples(
    mut expected: Vec<ExpectedSample>,
    mut got: Vec<ExpectedSample>,
    fuzzy: bool,
) -> Option<String> {
    expected.sort_by(|a, b| a.labels.cmp(&b.labels));
    got.sort_by(|a, b| a.labels.cmp(&b.labels));
    let same = |(expected, got): (&ExpectedSample, &ExpectedSample)| {
        expected.labels == got.labels && same_value(&expected.value, &got.value, fuzzy)
    };
    if expected.len() == got.len() && expected.iter().zip(&got).all(same) {
        return None;
    }
    Some(format!("exp: {}, got: {}", listed(&expected), listed(&got)))
}

fn same_value(a: &SampleValue, b: &SampleValue, fuzzy: bool) -> bool {
    match (a, b) {
        (SampleValue::Float(a), SampleValue::Float(b)) => {
            let near = fuzzy && (a.next_up() == *b || a.next_down() == *b);
            a == b || (a.is_nan() && b.is_nan()) || near
        }
        (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
            let [a, b] = [a, b].map(|histogram| {
                let mut histogram = histogram.as_ref().clone();
                histogram.compact();
                histogram.counter_reset = CounterReset::Unknown; // a test seldom says
                histogram
            });
            a == b
        }
        _ => false,
    }
}

impl fmt::Display for ExpectedAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels {} annotations {}", self.labels, self.annotations)
    }
}

impl fmt::Display for ExpectedSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            SampleValue::Float(value) => write!(f, "{} {}", self.labels, format_value(*value)),
            SampleValue::Histogram(histogram) => write!(f, "{} {histogram}", self.labels),
        }
    }
}

/// `[]`, or one line for each.
fn listed(items: &[impl fmt::Display]) -> String {
    let mut text = "[".to_owned();
    for item in items {
        let _ = write!(text, "\n    {item}"); // a String takes everything
    }
    text + "]"
}
