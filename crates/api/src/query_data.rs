//! A query's answer as JSON, piece by piece.
//!
//! ```text
//! {"resultType":"vector","result":[{"metric":{…},"value":[1435781451.781,"1"]},…]}
//! {"resultType":"matrix","result":[{"metric":{…},"values":[[…,"1"],…],"histograms":[[…,{…}],…]},…]}
//! {"resultType":"scalar","result":[1435781451.781,"1"]}
//! ```
//! With `"stats":{…}` at the end where they are asked for.

use promql::{MatrixSeries, SampleValue, Value, VectorSample};
use querylog::Stats;

use crate::json;
use crate::respond::Pieces;

/// Samples of one series that are written in one piece.
const PIECE_SAMPLES: usize = 512;

pub(crate) struct QueryData {
    value: Value,
    stats: Option<Stats>,
    /// The vector's sample or the matrix' series that comes next.
    next: usize,
    /// Where in that series to go on.
    sample: usize,
}

impl QueryData {
    pub(crate) fn new(value: Value, stats: Option<Stats>) -> Self {
        Self { value, stats, next: 0, sample: 0 }
    }
}

impl Pieces for QueryData {
    fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next == 0 && self.sample == 0 {
            out.extend_from_slice(b"{\"resultType\":");
            json::string(out, self.value.value_type().as_str());
            out.extend_from_slice(b",\"result\":");
        }
        let more = match &self.value {
            Value::Scalar(scalar) => {
                json::scalar(out, scalar.timestamp, scalar.value);
                false
            }
            Value::String(string) => {
                json::text_at(out, string.timestamp, &string.value);
                false
            }
            Value::Vector(samples) => {
                write_separator(out, self.next);
                if let Some(sample) = samples.get(self.next) {
                    write_vector_sample(out, sample);
                }
                self.next += 1;
                write_end(out, self.next < samples.len())
            }
            Value::Matrix(series) => {
                if self.sample == 0 {
                    write_separator(out, self.next);
                }
                match series.get(self.next) {
                    Some(one) if write_samples(out, one, &mut self.sample) => return true,
                    _ => (self.next, self.sample) = (self.next + 1, 0),
                }
                write_end(out, self.next < series.len())
            }
        };
        if !more {
            if let Some(stats) = &self.stats {
                out.extend_from_slice(b",\"stats\":");
                serde_json::to_writer(&mut *out, stats).expect("numbers are JSON");
            }
            out.push(b'}');
        }
        more
    }
}

fn write_separator(out: &mut Vec<u8>, index: usize) {
    out.push(if index == 0 { b'[' } else { b',' });
}

fn write_end(out: &mut Vec<u8>, more: bool) -> bool {
    if !more {
        out.push(b']');
    }
    more
}

fn write_vector_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    out.extend_from_slice(b"{\"metric\":");
    json::labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(b",\"value\":");
            json::sample(out, sample.timestamp, *value);
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(b",\"histogram\":");
            json::histogram_sample(out, sample.timestamp, histogram);
        }
    }
    out.push(b'}');
}

/// Writes the next samples of `series`, from `*from` on, floats before histograms; whether there
/// are more.
fn write_samples(out: &mut Vec<u8>, series: &MatrixSeries, from: &mut usize) -> bool {
    if *from == 0 {
        out.extend_from_slice(b"{\"metric\":");
        json::labels(out, &series.labels);
    }
    let floats = series.samples.len();
    let total = floats + series.histograms.len();
    let to = total.min(*from + PIECE_SAMPLES);
    for index in *from..to {
        match index {
            0 if floats > 0 => out.extend_from_slice(b",\"values\":["),
            _ if index == floats => out.extend_from_slice(b",\"histograms\":["),
            _ => out.push(b','),
        }
        match series.samples.get(index) {
            Some(sample) => json::sample(out, sample.timestamp, sample.value),
            None => {
                let (timestamp, histogram) = &series.histograms[index - floats];
                json::histogram_sample(out, *timestamp, histogram);
            }
        }
        if index + 1 == floats || index + 1 == total {
            out.push(b']');
        }
    }
    *from = to;
    if to == total {
        out.push(b'}');
    }
    to < total
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::histogram::{Bucket, FloatHistogram};
    use model::{Labels, Sample, Timestamp};
    use promql::StringValue;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_500);

    fn written(value: Value) -> String {
        let mut data = QueryData::new(value, None);
        let mut out = Vec::new();
        while data.write_next(&mut out) {}
        String::from_utf8(out).unwrap()
    }

    fn labels(name: &str) -> Labels {
        [("__name__", name)].into_iter().collect()
    }

    fn histogram() -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            zero_threshold: 0.5,
            zero_count: 2.0,
            count: 6.0,
            sum: 1e21,
            positive: vec![Bucket { index: 1, count: 3.0 }, Bucket { index: 2, count: 0.0 }],
            negative: vec![Bucket { index: 1, count: 1.0 }],
            ..FloatHistogram::default()
        })
    }

    const HISTOGRAM: &str = r#"{"count":"6","sum":"1e+21","buckets":[[1,"-2","-1","1"],[3,"-0.5","0.5","2"],[0,"1","2","3"]]}"#;

    #[test]
    fn scalars_and_strings_are_one_point() {
        let scalar = Value::Scalar(Sample { timestamp: AT, value: 2.0 });
        assert_eq!(written(scalar), r#"{"resultType":"scalar","result":[1.5,"2"]}"#);
        let string = Value::String(StringValue { timestamp: AT, value: "a\"b".to_owned() });
        assert_eq!(written(string), r#"{"resultType":"string","result":[1.5,"a\"b"]}"#);
    }

    #[test]
    fn vectors_hold_floats_and_histograms() {
        let sample =
            |name: &str, value| VectorSample { labels: labels(name), timestamp: AT, value };
        assert_eq!(written(Value::Vector(vec![])), r#"{"resultType":"vector","result":[]}"#);
        let samples = vec![
            sample("a", SampleValue::Float(0.5)),
            sample("b", SampleValue::Histogram(histogram())),
            sample("c", SampleValue::Histogram(Arc::default())),
        ];
        let expect = [
            r#"{"metric":{"__name__":"a"},"value":[1.500,"0.5"]}"#.to_owned(),
            format!(r#"{{"metric":{{"__name__":"b"}},"histogram":[1.500,{HISTOGRAM}]}}"#),
            r#"{"metric":{"__name__":"c"},"histogram":[1.500,{"count":"0","sum":"0"}]}"#.to_owned(),
        ];
        let expect = format!(r#"{{"resultType":"vector","result":[{}]}}"#, expect.join(","));
        assert_eq!(written(Value::Vector(samples)), expect);
    }

    #[test]
    fn matrices_hold_series_of_any_length() {
        let lengths = [0, 1, PIECE_SAMPLES - 1, PIECE_SAMPLES, PIECE_SAMPLES + 1, 1200];
        let shapes = lengths.iter().flat_map(|floats| [0, 1, 600].map(|more| (*floats, more)));
        let point = |second: usize| Timestamp::from_millis(second as i64 * 1000);
        let mut matrix = Vec::new();
        let mut expect = Vec::new();
        for (floats, histograms) in shapes {
            let sample = |n| Sample { timestamp: point(n), value: n as f64 };
            let histogram = |n| (point(floats + n), histogram());
            matrix.push(MatrixSeries {
                labels: labels("m"),
                samples: (0..floats).map(sample).collect(),
                histograms: (0..histograms).map(histogram).collect(),
            });
            let mut text = r#"{"metric":{"__name__":"m"}"#.to_owned();
            if floats > 0 {
                let points: Vec<_> = (0..floats).map(|n| format!("[{n},\"{n}\"]")).collect();
                text += &format!(",\"values\":[{}]", points.join(","));
            }
            if histograms > 0 {
                let times = floats..floats + histograms;
                let points: Vec<_> = times.map(|n| format!("[{n},{HISTOGRAM}]")).collect();
                text += &format!(",\"histograms\":[{}]", points.join(","));
            }
            expect.push(text + "}");
        }
        let expect = format!(r#"{{"resultType":"matrix","result":[{}]}}"#, expect.join(","));
        assert!(written(Value::Matrix(matrix)) == expect);
        assert_eq!(written(Value::Matrix(vec![])), r#"{"resultType":"matrix","result":[]}"#);
    }
}
