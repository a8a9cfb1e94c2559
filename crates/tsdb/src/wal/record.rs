//! What a record of the log says, once its fragments are joined and decompressed.
//!
//! ```text
//! series   := 1 | (id u64 | labels)*
//! samples  := 2 | id0 u64 | t0 i64 | (id-id0 varint | t-t0 varint | value f64)*
//! deleted  := 3 | (id u64 | start varint | end varint)*
//! labels   := n uvarint | (name text | value text)*n
//! metadata := 6 | (id uvarint | type u8 | n uvarint | (field text | text)*n)*
//! ```
//! Fixed words are big-endian. Those of exemplars and of native histograms are in `exemplars` and
//! `histograms`; records of other kinds are passed over.
//! - Source: Prometheus `tsdb/record/record.go`.

pub(crate) mod exemplars;
pub(crate) mod histograms;
pub(crate) mod points;
mod positions;
pub(crate) mod tombstones;

use model::{Metadata, MetricType, Sample, Timestamp};

use crate::codec::{Decoder, put_text, put_uvarint};
use crate::log::{LogSeries, LoggedSample};
use exemplars::ExemplarsRecord;
use histograms::HistogramsRecord;
use positions::Positions;
use tombstones::TombstonesRecord;

const SERIES: u8 = 1;
const SAMPLES: u8 = 2;
const TOMBSTONES: u8 = 3;
const EXEMPLARS: u8 = 4;
const METADATA: u8 = 6;

/// No program writes records of a higher kind. What looks like one is a compressed record that has
/// lost its flag, which no checksum covers: it begins with its length, or with a magic number.
pub(crate) const KIND_MAX: u8 = 16;

const HELP: &str = "HELP";
const UNIT: &str = "UNIT";
/// Ours: the family's name, where the series that stands for it is named otherwise. Prometheus
/// passes over fields that it does not know.
const FAMILY: &str = "FAMILY";

/// A record's bytes do not decode, though their checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRecord;

#[derive(Debug)]
pub(crate) enum Record<'a> {
    Series(SeriesRecord<'a>),
    Samples(SamplesRecord<'a>),
    Metadata(MetadataRecord<'a>),
    Exemplars(ExemplarsRecord<'a>),
    Histograms(HistogramsRecord<'a>),
    Tombstones(TombstonesRecord<'a>),
    /// Whatever later versions add.
    Other(u8),
}

impl<'a> Record<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8().ok_or(BadRecord)? {
            SERIES => Ok(Self::Series(SeriesRecord(decoder))),
            SAMPLES => Positions::new(decoder).map(SamplesRecord).map(Self::Samples),
            METADATA => Ok(Self::Metadata(MetadataRecord(decoder))),
            TOMBSTONES => Ok(Self::Tombstones(TombstonesRecord(decoder))),
            EXEMPLARS => Positions::new(decoder).map(ExemplarsRecord).map(Self::Exemplars),
            kind if histograms::KINDS.contains(&kind) => {
                HistogramsRecord::new(kind, decoder).map(Self::Histograms)
            }
            kind if kind <= KIND_MAX => Ok(Self::Other(kind)),
            _ => Err(BadRecord),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SeriesRecord<'a>(Decoder<'a>);

/// Labels that are sorted as in [`model::Labels`], still in their record.
pub(crate) type LabelPairs<'a> = Vec<(&'a str, &'a str)>;

impl<'a> SeriesRecord<'a> {
    fn entry(&mut self) -> Option<(LogSeries, LabelPairs<'a>)> {
        let id = self.0.u64()?;
        Some((LogSeries(id), take_labels(&mut self.0)?))
    }
}

fn take_labels<'a>(decoder: &mut Decoder<'a>) -> Option<LabelPairs<'a>> {
    let count = decoder.uvarint()?;
    let mut pairs = Vec::with_capacity(count.min(64) as usize);
    for _ in 0..count {
        pairs.push((decoder.text()?, decoder.text()?));
    }
    put_in_order(&mut pairs);
    Some(pairs)
}

/// For records of other writers: sorts by name, and leaves out labels without a value; of labels with
/// one name the last stands.
fn put_in_order(pairs: &mut LabelPairs<'_>) {
    let is_absent = |(name, value): &(&str, &str)| name.is_empty() || value.is_empty();
    if pairs.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        pairs.reverse();
        pairs.sort_by_key(|&(name, _)| name);
        pairs.dedup_by_key(|&mut (name, _)| name);
    }
    if pairs.iter().any(is_absent) {
        pairs.retain(|pair| !is_absent(pair));
    }
}

impl<'a> Iterator for SeriesRecord<'a> {
    type Item = Result<(LogSeries, LabelPairs<'a>), BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.0.is_empty(), || self.entry())
    }
}

#[derive(Debug)]
pub(crate) struct SamplesRecord<'a>(Positions<'a>);

impl SamplesRecord<'_> {
    fn entry(&mut self) -> Option<LoggedSample> {
        let (series, timestamp) = self.0.take()?;
        let value = f64::from_bits(self.0.rest.u64()?);
        Some(LoggedSample { series, sample: Sample { timestamp, value } })
    }
}

impl Iterator for SamplesRecord<'_> {
    type Item = Result<LoggedSample, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.0.rest.is_empty(), || self.entry())
    }
}

/// What is known of the family that `series` belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LoggedMetadata {
    pub(crate) series: LogSeries,
    /// `None` where the family bears the name of the series.
    pub(crate) family: Option<String>,
    pub(crate) metadata: Metadata,
}

#[derive(Debug)]
pub(crate) struct MetadataRecord<'a>(Decoder<'a>);

impl MetadataRecord<'_> {
    fn entry(&mut self) -> Option<LoggedMetadata> {
        let id = self.0.uvarint()?;
        let metric_type = MetricType::from_number(self.0.u8()?.into());
        let mut metadata = Metadata { metric_type, ..Metadata::default() };
        let mut family = None;
        for _ in 0..self.0.uvarint()? {
            let (field, text) = (self.0.text()?, self.0.text()?);
            match field {
                HELP => metadata.help = text.to_owned(),
                UNIT => metadata.unit = text.to_owned(),
                FAMILY => family = Some(text.to_owned()),
                _ => {} // a later version's field
            }
        }
        Some(LoggedMetadata { series: LogSeries(id), family, metadata })
    }
}

impl Iterator for MetadataRecord<'_> {
    type Item = Result<LoggedMetadata, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(self.0.is_empty(), || self.entry())
    }
}

fn put_labels<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = (&'l str, &'l str)> + Clone) {
    put_uvarint(out, labels.clone().count() as u64);
    for (name, value) in labels {
        put_text(out, name);
        put_text(out, value);
    }
}

fn next_entry<T>(at_end: bool, entry: impl FnOnce() -> Option<T>) -> Option<Result<T, BadRecord>> {
    if at_end { None } else { Some(entry().ok_or(BadRecord)) }
}

/// A record to be written, being put together.
#[derive(Debug, Default)]
pub(crate) struct RecordBuilder {
    bytes: Vec<u8>,
    /// The position of the first entry, where entries have one.
    first: Option<(LogSeries, Timestamp)>,
}

impl RecordBuilder {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), first: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.first = None;
    }

    pub(crate) fn series<'l>(
        &mut self,
        id: LogSeries,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
    ) {
        self.start(SERIES);
        self.bytes.extend(id.0.to_be_bytes());
        put_labels(&mut self.bytes, labels);
    }

    pub(crate) fn sample(&mut self, logged: LoggedSample) {
        self.start(SAMPLES);
        self.position(logged.series, logged.sample.timestamp);
        self.bytes.extend(logged.sample.value.to_bits().to_be_bytes());
    }

    pub(crate) fn metadata(&mut self, logged: &LoggedMetadata) {
        self.start(METADATA);
        let metadata = &logged.metadata;
        put_uvarint(&mut self.bytes, logged.series.0);
        self.bytes.push(metadata.metric_type.number());
        let family = logged.family.as_ref().map(|family| (FAMILY, family));
        let fields = [(UNIT, &metadata.unit), (HELP, &metadata.help)];
        put_uvarint(&mut self.bytes, fields.len() as u64 + u64::from(family.is_some()));
        for (field, text) in fields.into_iter().chain(family) {
            put_text(&mut self.bytes, field);
            put_text(&mut self.bytes, text);
        }
    }

    fn start(&mut self, kind: u8) {
        if self.bytes.is_empty() {
            self.bytes.push(kind);
        }
        debug_assert_eq!(self.bytes[0], kind, "a record holds entries of one kind");
    }
}

/// Whether a kind of record that we pass over holds samples, which is worth a warning.
pub(crate) const fn holds_data(kind: u8) -> bool {
    matches!(kind, 11..)
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
