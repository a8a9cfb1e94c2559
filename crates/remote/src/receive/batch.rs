//! One request on its way into storage: finds each series, adds its samples, and keeps account.
//!
//! - RECEIVE-1: `received = appended + Σ rejected{reason}` for numbers, histograms and exemplars each, per
//!   request and so in the metrics.
//! - RECEIVE-2: a malformed message stores nothing; a well-formed one stores all that is valid in it.
//! - RECEIVE-3: labels are decoded only for a series that storage does not know by its key.

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, MetricType, Sample};
use rustc_hash::FxHashSet;
use storage::{AppendError, Appender, Rejected, SeriesKey, SeriesRef};

use crate::receive::extras::Extras;
use crate::receive::key::KeySecret;
use crate::receive::labels::{InvalidLabels, RawPair, RawText, labels};
use crate::receive::outcome::{ExemplarRefused, Outcome, Refused};
use crate::receive::{v1, v2};
use crate::wire::{Malformed, Reader};

/// This many series are looked up at a time: few enough to stay in the processor's first cache.
const GROUP: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// Why nothing of a request was stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Stores what is valid in `message` and says what became of each sample.
pub(super) fn store(
    version: Version,
    message: &[u8],
    secret: &KeySecret,
    appender: Box<dyn Appender + '_>,
) -> Result<Outcome, BatchError> {
    let extras = Extras::of_request(message.len());
    let mut batch = Batch { appender, outcome: Outcome::default(), given: Vec::new(), extras };
    let request = Reader::new(message);
    match version {
        Version::V1 => {
            batch.add_v1(request, secret)?;
            batch.commit(|series| name_v1(request.part(series)))
        }
        Version::V2 => {
            let symbols = v2::Symbols::read(request, secret)?;
            batch.add_v2(request, &symbols, secret)?;
            batch.commit(|series| name_v2(request.part(series), &symbols))
        }
    }
}

struct Batch<'a> {
    appender: Box<dyn Appender + 'a>,
    outcome: Outcome,
    /// Which part of the message gave each series, to name it if storage refuses a sample.
    given: Vec<(SeriesRef, Range<usize>)>,
    /// What the series at hand has beside samples.
    extras: Extras,
}

/// A series of either version.
struct Given<'a> {
    message: Reader<'a>,
    key: Option<SeriesKey>,
    samples: &'a [Sample],
}

/// Series on their way to being looked up, all at once.
struct Group<S> {
    /// As many as fit; as many are filled as there are keys.
    series: Vec<S>,
    keys: Vec<SeriesKey>,
    found: Vec<Option<SeriesRef>>,
}

impl<S: Default> Group<S> {
    fn new() -> Self {
        let series = (0..GROUP).map(|_| S::default()).collect();
        Self { series, keys: Vec::with_capacity(GROUP), found: Vec::with_capacity(GROUP) }
    }

    /// Where the next series is to be read. It is in the group once its key is.
    fn next(&mut self) -> &mut S {
        &mut self.series[self.keys.len()]
    }

    fn is_full(&self) -> bool {
        self.keys.len() == self.series.len()
    }
}

/// Labels read when they are needed, or why they are not valid; malformed bytes end the request.
type Decoded = Result<Result<Labels, Invalid>, Malformed>;

struct Invalid {
    why: InvalidLabels,
    series: String,
}

impl Batch<'_> {
    fn add_v1(&mut self, mut request: Reader<'_>, secret: &KeySecret) -> Result<(), BatchError> {
        let mut group = Group::new();
        while let Some(item) = v1::next(&mut request)? {
            match item {
                v1::Item::Series(message) => {
                    let series: &mut v1::Series<'_> = group.next();
                    series.read(message)?;
                    let key = secret.key(series.label_section().bytes());
                    group.keys.push(key);
                    if group.is_full() {
                        self.add_group_v1(&mut group)?;
                    }
                }
                v1::Item::Metadata(message) => {
                    let (family, metadata) = v1::metadata(message)?;
                    self.appender.metadata(&family, &metadata)?;
                }
            }
        }
        self.add_group_v1(&mut group)
    }

    fn add_v2(
        &mut self,
        mut request: Reader<'_>,
        symbols: &v2::Symbols<'_>,
        secret: &KeySecret,
    ) -> Result<(), BatchError> {
        let (mut group, mut hashes) = (Group::new(), Vec::new());
        let mut families = FxHashSet::default();
        while let Some(message) = v2::next(&mut request)? {
            let series: &mut v2::Series<'_> = group.next();
            series.read(message)?;
            let name = symbols.metric_name(&series.label_refs);
            if series.metadata != v2::MetadataRefs::default()
                && families.insert((name, series.metadata))
                && let (Ok(name), Ok(metadata)) =
                    (symbols.text(name), series.metadata.resolve(symbols))
                && let Ok(name) = std::str::from_utf8(name)
            {
                self.appender.metadata(family_of(name, metadata.metric_type), &metadata)?;
            }
            match symbols.key(&series.label_refs, secret, &mut hashes) {
                Some(key) => group.keys.push(key),
                None => self.add_series_v2(series, None, None, symbols)?,
            }
            if group.is_full() {
                self.add_group_v2(&mut group, symbols)?;
            }
        }
        self.add_group_v2(&mut group, symbols)
    }

    fn add_group_v1(&mut self, group: &mut Group<v1::Series<'_>>) -> Result<(), BatchError> {
        self.appender.lookup(&group.keys, &mut group.found);
        for ((series, &key), &found) in group.series.iter().zip(&group.keys).zip(&group.found) {
            let v1::Series { message, contents, .. } = series;
            match contents.has_extras {
                true => self.extras.read_v1(*message)?,
                false => self.extras.clear(),
            }
            let given = Given { message: *message, key: Some(key), samples: &contents.samples };
            self.add(&given, found, || decode_v1(series.label_section()))?;
        }
        group.keys.clear();
        Ok(())
    }

    fn add_group_v2(
        &mut self,
        group: &mut Group<v2::Series<'_>>,
        symbols: &v2::Symbols<'_>,
    ) -> Result<(), BatchError> {
        self.appender.lookup(&group.keys, &mut group.found);
        for ((series, &key), &found) in group.series.iter().zip(&group.keys).zip(&group.found) {
            self.add_series_v2(series, Some(key), found, symbols)?;
        }
        group.keys.clear();
        Ok(())
    }

    fn add_series_v2(
        &mut self,
        series: &v2::Series<'_>,
        key: Option<SeriesKey>,
        found: Option<SeriesRef>,
        symbols: &v2::Symbols<'_>,
    ) -> Result<(), BatchError> {
        let v2::Series { message, contents, label_refs, .. } = series;
        match contents.has_extras {
            true => self.extras.read_v2(*message, symbols)?,
            false => self.extras.clear(),
        }
        let given = Given { message: *message, key, samples: &contents.samples };
        self.add(&given, found, || Ok(decode_v2(label_refs, symbols)))
    }

    fn add(
        &mut self,
        given: &Given<'_>,
        found: Option<SeriesRef>,
        decode: impl Fn() -> Decoded,
    ) -> Result<(), BatchError> {
        self.refuse_bad_extras(&decode)?;
        if given.samples.is_empty() && self.extras.is_empty() {
            return Ok(());
        }
        let series = match found {
            Some(series) => series,
            None => match self.find(given, decode()?)? {
                Some(series) => series,
                None => return Ok(()),
            },
        };
        let series = self.append(series, given, decode)?;
        let start = given.message.offset();
        self.given.push((series, start..start + given.message.bytes().len()));
        Ok(())
    }

    fn refuse_bad_extras(&mut self, decode: impl Fn() -> Decoded) -> Result<(), BatchError> {
        let Self { outcome, extras, .. } = self;
        for why in &extras.bad_histograms {
            outcome.histograms.refuse(Refused::InvalidHistogram, 1);
            let labels = decode()?;
            outcome.problem(|| {
                let name = labels.map_or_else(|invalid| invalid.series, |known| known.to_string());
                format!("{why}: {name}")
            });
        }
        outcome.refuse_exemplars(ExemplarRefused::InvalidLabels, extras.bad_exemplars);
        Ok(())
    }

    /// Finds or makes a series by its labels; where they are not valid, all that it has is refused.
    fn find(
        &mut self,
        given: &Given<'_>,
        labels: Result<Labels, Invalid>,
    ) -> Result<Option<SeriesRef>, BatchError> {
        match labels {
            Ok(labels) => Ok(Some(self.appender.series(&labels, given.key)?)),
            Err(Invalid { why, series }) => {
                let Self { outcome, extras, .. } = self;
                outcome.samples.refuse(Refused::InvalidLabels, given.samples.len());
                outcome.histograms.refuse(Refused::InvalidLabels, extras.histograms.len());
                outcome.refuse_exemplars(ExemplarRefused::InvalidLabels, extras.exemplars.len());
                outcome.problem(|| format!("{why}: {series}"));
                Ok(None)
            }
        }
    }

    /// Adds samples, histograms and exemplars.
    fn append(
        &mut self,
        mut series: SeriesRef,
        given: &Given<'_>,
        decode: impl Fn() -> Decoded,
    ) -> Result<SeriesRef, BatchError> {
        let Self { appender, extras, .. } = self;
        let (appender, key) = (&mut **appender, given.key);
        for &sample in given.samples {
            add_to(appender, &mut series, key, &decode, |appender, series| {
                appender.sample(series, sample)
            })?;
        }
        for (at, histogram) in &extras.histograms {
            add_to(appender, &mut series, key, &decode, |appender, series| {
                appender.histogram(series, *at, Arc::clone(histogram))
            })?;
        }
        for exemplar in &extras.exemplars {
            add_to(appender, &mut series, key, &decode, |appender, series| {
                appender.exemplar(series, exemplar.clone())
            })?;
        }
        Ok(series)
    }

    fn commit(
        mut self,
        name: impl Fn(Range<usize>) -> Option<String>,
    ) -> Result<Outcome, BatchError> {
        let appended = self.appender.commit()?;
        self.outcome.samples.appended = appended.samples;
        self.outcome.histograms.appended = appended.histograms;
        self.outcome.exemplars.appended = appended.exemplars;
        for reason in appended.exemplars_dropped {
            self.outcome.refuse_exemplars(ExemplarRefused::Storage(reason), 1);
        }
        for Rejected { series, timestamp, reason, is_histogram } in appended.rejected {
            let account = match is_histogram {
                true => &mut self.outcome.histograms,
                false => &mut self.outcome.samples,
            };
            account.refuse(Refused::Storage(reason), 1);
            let given = &self.given;
            self.outcome.problem(|| {
                let part = given.iter().find(|(given, _)| *given == series);
                let series = part.and_then(|(_, range)| name(range.clone()));
                let series = series.unwrap_or_else(|| "unnamed series".to_owned());
                format!("{} {timestamp}: {series}", reason.message())
            });
        }
        Ok(self.outcome)
    }
}

/// A series that left storage since it was looked up is asked for again.
#[inline]
fn add_to(
    appender: &mut dyn Appender,
    series: &mut SeriesRef,
    key: Option<SeriesKey>,
    decode: &impl Fn() -> Decoded,
    add: impl Fn(&mut dyn Appender, SeriesRef) -> Result<(), AppendError>,
) -> Result<(), BatchError> {
    match add(appender, *series) {
        Err(AppendError::UnknownSeries(gone)) => {
            let Ok(labels) = decode()? else { return Err(AppendError::UnknownSeries(gone).into()) };
            *series = appender.series(&labels, key)?;
            Ok(add(appender, *series)?)
        }
        result => Ok(result?),
    }
}

fn decode_v1(section: Reader<'_>) -> Decoded {
    let mut pairs = Vec::new();
    v1::label_pairs(section, &mut pairs)?;
    Ok(check(&pairs))
}

fn decode_v2(refs: &[u32], symbols: &v2::Symbols<'_>) -> Result<Labels, Invalid> {
    let mut pairs = Vec::new();
    match symbols.label_pairs(refs, &mut pairs) {
        Ok(()) => check(&pairs),
        Err(why) => Err(Invalid { why, series: RawText(&pairs).to_string() }),
    }
}

fn check(pairs: &[RawPair<'_>]) -> Result<Labels, Invalid> {
    labels(pairs).map_err(|why| Invalid { why, series: RawText(pairs).to_string() })
}

/// The labels of the series at some part of a message, as text.
fn name_v1(message: Reader<'_>) -> Option<String> {
    let mut series = v1::Series::default();
    series.read(message).ok()?;
    decode_v1(series.label_section()).ok()?.ok().map(|labels| labels.to_string())
}

fn name_v2(message: Reader<'_>, symbols: &v2::Symbols<'_>) -> Option<String> {
    let mut series = v2::Series::default();
    series.read(message).ok()?;
    decode_v2(&series.label_refs, symbols).ok().map(|labels| labels.to_string())
}

/// The family of a series: histograms and summaries have series named after their parts.
fn family_of(name: &str, metric_type: MetricType) -> &str {
    let suffixes: &[&str] = match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
