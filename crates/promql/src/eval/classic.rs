//! Functions of histograms in a vector, both classic ones (series with `le` labels) and native ones.
//!
//! Source: Prometheus `promql/functions.go` (`resetHistograms`) and `promql/quantile.go`
//! (`BucketQuantile`, `BucketFraction`).

use std::sync::Arc;

use model::{FloatHistogram, Labels, METRIC_NAME};
use rustc_hash::FxHashMap;

use super::column::Column;
use super::{Evaluated, Evaluation, Grid, Series, histogram, labels, string};
use crate::annotations::{Annotations, Monotonicity};
use crate::ast::{Call, Expr};
use crate::position::Position;

const BUCKET_LABEL: &str = "le";
/// Counts that differ by no more than this, relatively, are taken for equal.
const PRECISION: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    upper: f64,
    /// Of all observations up to `upper`.
    count: f64,
}

/// What is computed of every histogram.
enum Question {
    Quantile { q: Vec<f64>, label: Option<(String, String)> },
    Fraction { lower: Vec<f64>, upper: Vec<f64> },
}

/// One histogram's series in the vector.
struct Source {
    labels: Labels,
    drop_name: bool,
    /// Buckets, with their upper bounds.
    buckets: Vec<(f64, usize)>,
    /// A series with native histograms.
    native: Option<usize>,
}

impl Evaluation<'_> {
    pub(super) fn bucket_function(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Series>> {
        let vector_arg = match call.function.name {
            "histogram_quantile" => &call.args[1],
            "histogram_fraction" => &call.args[2],
            _ => &call.args[0],
        };
        let questions = self.questions(call, grid)?;
        let vector = self.vector(vector_arg, grid)?;
        let sources = self.sources(&vector, vector_arg)?;
        let mut result = Vec::new();
        let mut notes = Annotations::default();
        for question in &questions {
            for source in &sources {
                self.limits.check()?;
                let mut asked = Asked {
                    question,
                    source,
                    vector: &vector,
                    vector_at: vector_arg.position(),
                    notes: &mut notes,
                    late_names: self.options.delayed_name_removal,
                };
                let column = asked.column(grid);
                if column.is_empty() {
                    continue;
                }
                let (labels, late) = self.renamed(source.labels.clone());
                let labels = match question {
                    Question::Quantile { label: Some((name, value)), .. } => {
                        let mut builder = labels.to_builder();
                        builder.set(name.as_str(), value.as_str());
                        builder.build()
                    }
                    _ => labels,
                };
                let drop_name = source.drop_name || late;
                let mut series = Series { labels, drop_name, column, ..Series::default() };
                self.keep(&mut series)?;
                result.push(series);
            }
        }
        self.annotate(|all| all.merge(notes));
        self.release(&vector);
        if self.options.delayed_name_removal { Ok(result) } else { self.merged(result) }
    }

    fn questions(&self, call: &Call, grid: &Grid) -> Evaluated<Vec<Question>> {
        let quantile = |arg: &Expr| -> Evaluated<Vec<f64>> {
            let q = self.scalar(arg, grid)?;
            for invalid in q.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                self.annotate(|notes| notes.invalid_quantile(arg.position(), *invalid));
            }
            Ok(q)
        };
        Ok(match call.function.name {
            "histogram_quantile" => {
                vec![Question::Quantile { q: quantile(&call.args[0])?, label: None }]
            }
            "histogram_fraction" => vec![Question::Fraction {
                lower: self.scalar(&call.args[0], grid)?,
                upper: self.scalar(&call.args[1], grid)?,
            }],
            _ => {
                let name = &string(&call.args[1]).value;
                let mut questions = Vec::new();
                for arg in &call.args[2..] {
                    let q = quantile(arg)?;
                    let value = open_metrics_float(q[0]);
                    questions.push(Question::Quantile { q, label: Some((name.clone(), value)) });
                }
                questions
            }
        })
    }

    /// The histograms of a vector, in the order of their first series.
    fn sources(&self, vector: &[Series], arg: &Expr) -> Evaluated<Vec<Source>> {
        let mut sources: Vec<Source> = Vec::new();
        let mut places: FxHashMap<Labels, usize> = FxHashMap::default();
        let late = self.options.delayed_name_removal;
        for (index, series) in vector.iter().enumerate() {
            self.limits.check_now_and_then(index)?;
            let has_floats =
                (0..series.column.len()).any(|step| series.column.float(step).is_some());
            if series.column.has_histograms() {
                let key = match late {
                    true => series.labels.clone(),
                    false => labels::without_metadata(&series.labels),
                };
                let place = *places.entry(key).or_insert(sources.len());
                if place == sources.len() {
                    sources.push(Source::new(series.labels.clone(), series.drop_name));
                }
                let source = &mut sources[place];
                if source.native.is_some() {
                    // Two names, same labels otherwise: two results.
                    sources.push(Source::new(series.labels.clone(), series.drop_name));
                    let last = sources.len() - 1;
                    sources[last].native = Some(index);
                } else {
                    source.native = Some(index);
                }
            }
            if !has_floats {
                continue;
            }
            let le = series.labels.value(BUCKET_LABEL);
            let Ok(upper) = parse_bound(le) else {
                let metric = series.labels.metric_name();
                self.annotate(|notes| notes.bad_bucket_label(arg.position(), metric, le));
                continue;
            };
            let own = series.labels.without(&[BUCKET_LABEL]);
            let key = if late { own.clone() } else { labels::without_metadata(&own) };
            let place = *places.entry(key).or_insert(sources.len());
            if place == sources.len() {
                sources.push(Source::new(own, series.drop_name));
            }
            sources[place].buckets.push((upper, index));
        }
        for source in &mut sources {
            source.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        Ok(sources)
    }
}

impl Source {
    fn new(labels: Labels, drop_name: bool) -> Self {
        Self { labels, drop_name, buckets: Vec::new(), native: None }
    }
}

/// One question about one histogram.
struct Asked<'a> {
    question: &'a Question,
    source: &'a Source,
    vector: &'a [Series],
    vector_at: Position,
    notes: &'a mut Annotations,
    late_names: bool,
}

impl Asked<'_> {
    fn column(&mut self, grid: &Grid) -> Column {
        let mut column = Column::absent(grid.count);
        for (step, time) in grid.times().enumerate() {
            let buckets: Vec<Bucket> = self
                .source
                .buckets
                .iter()
                .filter_map(|(upper, index)| {
                    let count = self.vector[*index].column.float(step)?;
                    Some(Bucket { upper: *upper, count })
                })
                .collect();
            let native = self
                .source
                .native
                .and_then(|index| self.vector[index].column.histogram(step).cloned());
            let value = match (native, buckets.is_empty()) {
                (None, true) => continue,
                (Some(_), false) => {
                    let metric = self.source.labels.metric_name();
                    self.notes.mixed_classic_native(self.vector_at, metric);
                    continue;
                }
                (Some(native), true) => self.of_native(&native, step),
                (None, false) => self.of_classic(buckets, step, time),
            };
            column.set_float(step, value);
        }
        column
    }

    fn of_native(&mut self, native: &Arc<FloatHistogram>, step: usize) -> f64 {
        // Without delayed name removal, the name is gone when Prometheus asks for it.
        let metric = self.source.labels.metric_name();
        match self.question {
            Question::Quantile { q, .. } => {
                histogram::quantile(q[step], native, metric, self.vector_at, self.notes)
            }
            Question::Fraction { lower, upper } => {
                let range = (lower[step], upper[step]);
                histogram::fraction(range, native, metric, self.vector_at, self.notes)
            }
        }
    }

    fn of_classic(&mut self, buckets: Vec<Bucket>, step: usize, time: i64) -> f64 {
        match self.question {
            Question::Fraction { lower, upper } => fraction(lower[step], upper[step], buckets),
            Question::Quantile { q, .. } => {
                let (value, forced) = quantile(q[step], buckets);
                if let Some((bucket_min, bucket_max, difference_max)) = forced {
                    let metric = match self.late_names {
                        true => self.source.labels.value(METRIC_NAME),
                        false => "",
                    };
                    let done = Monotonicity {
                        first: time,
                        last: time,
                        samples: 1,
                        bucket_min,
                        bucket_max,
                        difference_max,
                    };
                    self.notes.forced_monotonicity(self.vector_at, metric, done);
                }
                value
            }
        }
    }
}

/// Upper bounds are written as floats; `+Inf` has several spellings.
fn parse_bound(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.parse()
}

/// As a float in a label of the OpenMetrics format: with a point or an exponent in it.
fn open_metrics_float(value: f64) -> String {
    let text = crate::number::General(value).to_string();
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_whole { text + ".0" } else { text }
}

/// Which counts were raised: lowest and highest bound, and by how much at most.
type Forced = Option<(f64, f64, f64)>;

/// The `q`-quantile, interpolated linearly inside its bucket. `buckets` are sorted by bound.
fn quantile(q: f64, buckets: Vec<Bucket>) -> (f64, Forced) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some((buckets, forced)) = repaired(buckets) else { return (f64::NAN, None) };
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, None);
    }
    let mut rank = q * observations;
    let found = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if found == last {
        return (buckets[last - 1].upper, forced);
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let Bucket { upper: end, mut count } = buckets[found];
    let mut start = 0.0;
    if found > 0 {
        start = buckets[found - 1].upper;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    (start + (end - start) * (rank / count), forced)
}

/// Which part of all observations is between `lower` and `upper`.
fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some((buckets, _)) = repaired(buckets) else { return f64::NAN };
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || count.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| -> f64 {
        let mut rank = 0.0;
        for (index, bucket) in buckets.iter().enumerate() {
            let start = match index {
                0 if bucket.upper > 0.0 => 0.0,
                0 => f64::NEG_INFINITY,
                _ => buckets[index - 1].upper,
            };
            if start >= value {
                return rank;
            }
            if bucket.upper > value {
                if start.is_infinite() {
                    return bucket.count;
                }
                let part = (value - start) / (bucket.upper - start);
                return rank + (bucket.count - rank) * part;
            }
            rank = bucket.count;
        }
        count
    };
    (rank_of(upper).min(count) - rank_of(lower).min(count)) / count
}

/// Buckets with rising bounds and counts that do not fall; nothing without a bucket up to +Inf.
fn repaired(buckets: Vec<Bucket>) -> Option<(Vec<Bucket>, Forced)> {
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    let mut unique: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match unique.last_mut() {
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => unique.push(bucket),
        }
    }
    correct_precision(&mut unique);
    let forced = force_monotonic(&mut unique);
    Some((unique, forced))
}

/// Counts that differ by what arithmetic loses are made equal.
fn correct_precision(buckets: &mut [Bucket]) {
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let difference = (bucket.count - previous).abs();
        if difference == 0.0 {
            continue;
        }
        if difference / bucket.count <= PRECISION {
            bucket.count = previous;
        } else {
            previous = bucket.count;
        }
    }
}

fn force_monotonic(buckets: &mut [Bucket]) -> Forced {
    let mut highest = buckets[0].count;
    let mut forced: Forced = None;
    for bucket in &mut buckets[1..] {
        if bucket.count > highest {
            highest = bucket.count;
        } else if bucket.count < highest {
            let (from, to, by) = forced.unwrap_or((f64::INFINITY, f64::NEG_INFINITY, 0.0));
            let raised = highest - bucket.count;
            forced = Some((from.min(bucket.upper), to.max(bucket.upper), by.max(raised)));
            bucket.count = highest;
        }
    }
    forced
}
