//! A query's answer as JSON, piece by piece.
//!
//! ```text
//! {"resultType":"vector","result":[{"metric":{…},"value":[1435781451.781,"1"]},…]}
//! {"resultType":"matrix","result":[{"metric":{…},"values":[[…,"1"],…],"histograms":[[…,{…}],…]},…]}
//! {"resultType":"scalar","result":[1435781451.781,"1"]}
//! ```

use promql::{MatrixSeries, SampleValue, Value, VectorSample};

use crate::json;
use crate::respond::Pieces;

/// Samples of one series that are written in one piece.
const PIECE_SAMPLES: usize = 512;

pub(crate) struct QueryData {
    value: Value,
    /// The vector's sample or the matrix' series that comes next.
    next: usize,
    /// Where in that series to go on.
    sample: usize,
}

impl QueryData {
    pub(crate) fn new(value: Value) -> Self {
        Self { value, next: 0, sample: 0 }
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
