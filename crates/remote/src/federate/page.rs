//! One answer: the series it gives, in order, and how they are written.

use std::io::Write as _;
use std::ops::Range;

use axum::body::Bytes;
use exposition::render;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::labels::{is_legacy_label_name, is_legacy_metric_name};
use model::{Labels, METRIC_NAME, Metadata, MetricType, Sample};

use crate::federate::families::{Families, Family};

/// An answer is given out in pieces of about this size before compression.
const PIECE_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Page {
    /// Sorted by metric name, then labels.
    series: Vec<(Labels, Sample)>,
    /// Runs of series with one metric name, those of one family side by side.
    runs: Vec<Run>,
    /// Added where a series does not have them; an empty `instance` among them.
    further: Vec<(String, String)>,
    any_names: bool,
}

#[derive(Debug)]
struct Run {
    family: String,
    /// What is written before it, where it is its family's first.
    head: Option<Metadata>,
    series: Range<usize>,
}

impl Page {
    pub(super) fn new(
        series: Vec<(Labels, Sample)>,
        metadata: &[(String, Metadata)],
        external_labels: &Labels,
        any_names: bool,
    ) -> Self {
        let name = |name: &str| if any_names { name.to_owned() } else { plain_name(name, false) };
        let mut further: Vec<_> =
            external_labels.iter().map(|(label, value)| (name(label), value.to_owned())).collect();
        if external_labels.get("instance").is_none() {
            further.push(("instance".to_owned(), String::new()));
            further.sort();
        }
        Self { runs: runs(&series, &Families::new(metadata)), series, further, any_names }
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Hands the text out piece by piece, until `take` says that nobody wants more; tells whether
    /// all of it was taken.
    pub(super) fn write(&self, gzip: bool, mut take: impl FnMut(Bytes) -> bool) -> bool {
        let mut encoder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut text = String::with_capacity(PIECE_BYTES + 1024);
        for run in &self.runs {
            if let Some(metadata) = &run.head {
                self.head(&mut text, &run.family, metadata);
            }
            for (labels, sample) in &self.series[run.series.clone()] {
                self.line(&mut text, labels, *sample);
                if text.len() < PIECE_BYTES {
                    continue;
                }
                let piece = match &mut encoder {
                    None => Bytes::copy_from_slice(text.as_bytes()),
                    Some(encoder) => {
                        into_memory(encoder.write_all(text.as_bytes()));
                        std::mem::take(encoder.get_mut()).into()
                    }
                };
                text.clear();
                if !piece.is_empty() && !take(piece) {
                    return false;
                }
            }
        }
        let last = match encoder {
            None => text.into_bytes(),
            Some(mut encoder) => {
                into_memory(encoder.write_all(text.as_bytes()));
                into_memory(encoder.finish())
            }
        };
        last.is_empty() || take(last.into())
    }

    fn head(&self, text: &mut String, family: &str, metadata: &Metadata) {
        let family = self.name(family);
        if !metadata.help.is_empty() {
            render::help(text, &family, &metadata.help);
        }
        render::metric_type(text, &family, metadata.metric_type);
    }

    fn line(&self, text: &mut String, labels: &Labels, sample: Sample) {
        let escaped;
        let labels = if self.any_names || has_plain_names(labels) {
            labels
        } else {
            escaped = with_plain_names(labels);
            &escaped
        };
        let further = self.further.iter().filter(|(name, _)| labels.get(name).is_none());
        let further = further.map(|(name, value)| (name.as_str(), value.as_str()));
        render::sample_with(text, labels, further, sample.value, Some(sample.timestamp));
    }

    fn name<'a>(&self, name: &'a str) -> std::borrow::Cow<'a, str> {
        if self.any_names || is_legacy_metric_name(name) {
            name.into()
        } else {
            plain_name(name, true).into()
        }
    }
}

/// Groups series by name, and names by family: stable, so that names stay sorted within a family.
fn runs(series: &[(Labels, Sample)], families: &Families<'_>) -> Vec<Run> {
    let mut runs: Vec<(Family<'_>, Range<usize>)> = Vec::new();
    let mut start = 0;
    for run in series.chunk_by(|(a, _), (b, _)| a.metric_name() == b.metric_name()) {
        let end = start + run.len();
        let family = families.of(run[0].0.metric_name());
        runs.push((family, start..end));
        start = end;
    }
    runs.sort_by_key(|(family, _)| family.name);
    let mut previous = None;
    let mut with_heads = Vec::with_capacity(runs.len());
    for (family, series) in runs {
        let first = previous != Some(family.name);
        previous = Some(family.name);
        let untyped = Metadata { metric_type: MetricType::Unknown, ..Metadata::default() };
        let head = first.then(|| family.metadata.cloned().unwrap_or(untyped));
        with_heads.push(Run { family: family.name.to_owned(), head, series });
    }
    with_heads
}

fn has_plain_names(labels: &Labels) -> bool {
    labels.iter().all(|(name, value)| match name {
        METRIC_NAME => is_legacy_metric_name(value),
        name => is_legacy_label_name(name),
    })
}

/// Every character that format 0.0.4 does not have in names becomes `_`, as Prometheus does it for
/// clients that do not ask for anything else.
fn with_plain_names(labels: &Labels) -> Labels {
    let plain = labels.iter().map(|(name, value)| match name {
        METRIC_NAME => (name.to_owned(), plain_name(value, true)),
        name => (plain_name(name, false), value.to_owned()),
    });
    plain.collect()
}

fn plain_name(name: &str, colons: bool) -> String {
    let plain = |(index, c): (usize, char)| match c {
        'a'..='z' | 'A'..='Z' | '_' => c,
        '0'..='9' if index > 0 => c,
        ':' if colons => c,
        _ => '_',
    };
    name.chars().enumerate().map(plain).collect()
}

fn into_memory<T>(result: std::io::Result<T>) -> T {
    result.expect("compressing into memory cannot fail")
}
