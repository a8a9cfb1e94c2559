//! `load_with_nhcb`: classic histograms are loaded as histograms with custom buckets too.

use std::collections::BTreeMap;

use model::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA};
use model::{FloatHistogram, Labels, METRIC_NAME};

use promql::notation::Value;

/// The series of a `load` command that make up one classic histogram, at one time.
#[derive(Default)]
struct Parts {
    /// Upper bounds and cumulative counts, in order.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: Option<f64>,
}

/// The histograms that `series` spell out, by labels and index of the sample.
pub(crate) fn convert(series: &[(Labels, Vec<Value>)]) -> Vec<(Labels, Vec<Value>)> {
    let mut all: BTreeMap<Labels, BTreeMap<usize, Parts>> = BTreeMap::new();
    for (labels, values) in series {
        let name = labels.metric_name();
        let suffixes = ["_bucket", "_sum", "_count"];
        let Some(suffix) = suffixes.into_iter().find(|suffix| name.ends_with(suffix)) else {
            continue;
        };
        let mut own = labels.to_builder();
        own.set(METRIC_NAME, &name[..name.len() - suffix.len()]).remove("le");
        let parts = all.entry(own.build()).or_default();
        for (index, value) in values.iter().enumerate() {
            let Value::Float(value) = value else { continue };
            let parts = parts.entry(index).or_default();
            match suffix {
                "_sum" => parts.sum = *value,
                "_count" => parts.count = Some(*value),
                _ => {
                    let bound: Option<f64> = labels.value("le").parse().ok();
                    let known = |bound: &f64| parts.buckets.iter().any(|(le, _)| le == bound);
                    // Of several spellings of one bound the first stands.
                    if let Some(bound) = bound.filter(|bound| !known(bound)) {
                        parts.buckets.push((bound, *value));
                    }
                }
            }
        }
    }
    all.into_iter()
        .map(|(labels, by_index)| {
            let length = by_index.keys().last().map_or(0, |last| last + 1);
            let mut values = vec![Value::Omitted; length];
            for (index, parts) in by_index {
                if !parts.buckets.is_empty() {
                    values[index] = Value::Histogram(parts.histogram());
                }
            }
            (labels, values)
        })
        .collect()
}

impl Parts {
    fn histogram(mut self) -> FloatHistogram {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = self.buckets.last().map_or(0.0, |bucket| bucket.1);
        let count = self.count.unwrap_or(last);
        if self.buckets.last().is_none_or(|bucket| bucket.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut positive = Vec::new();
        for (index, (_, cumulative)) in (0..).zip(&self.buckets) {
            if *cumulative != before {
                positive.push(Bucket { index, count: cumulative - before });
            }
            before = *cumulative;
        }
        let bounds = self.buckets.iter().map(|bucket| bucket.0).filter(|bound| bound.is_finite());
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive,
            custom_bounds: bounds.collect(),
            ..FloatHistogram::default()
        }
    }
}
