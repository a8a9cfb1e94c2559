//! Remote write 2.0, walked in place: every text of a request stands once in its symbol table, and
//! is hashed once; a series is named by the hashes of the symbols that its labels refer to.
//!
//! - WALK-2: as WALK-1, for this version.
//! - Schema: `proto/io/prometheus/write/v2/types.proto`.

use model::{METRIC_NAME, Metadata, MetricType};
use storage::SeriesKey;

use crate::receive::key::KeySecret;
use crate::receive::labels::{InvalidLabels, RawPair};
use crate::receive::v1::{Contents, sample};
use crate::wire::{Malformed, Reader};

/// A request's texts and their hashes.
#[derive(Debug)]
pub(super) struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
    hashes: Vec<u128>,
}

impl<'a> Symbols<'a> {
    /// Collects them from wherever in the request they stand.
    pub(super) fn read(mut request: Reader<'a>, secret: &KeySecret) -> Result<Self, Malformed> {
        let (mut texts, mut hashes) = (Vec::new(), Vec::new());
        while let Some(field) = request.field()? {
            if field.number == 4 {
                let text = field.message()?;
                if texts.is_empty() && !text.bytes().is_empty() {
                    let offset = text.offset();
                    return Err(Malformed { offset, what: "the first symbol is not empty" });
                }
                texts.push(text.bytes());
                hashes.push(secret.hash(text.bytes()));
            }
        }
        Ok(Self { texts, hashes })
    }

    /// The name of the series that refers to these symbols; `None` if one does not exist.
    pub(super) fn key(
        &self,
        refs: &[u32],
        secret: &KeySecret,
        scratch: &mut Vec<[u8; 16]>,
    ) -> Option<SeriesKey> {
        scratch.resize(refs.len(), [0; 16]);
        for (hash, &symbol) in scratch.iter_mut().zip(refs) {
            *hash = self.hashes.get(symbol as usize)?.to_le_bytes();
        }
        Some(secret.key(scratch.as_flattened()))
    }

    pub(super) fn text(&self, symbol: u32) -> Result<&'a [u8], InvalidLabels> {
        self.texts.get(symbol as usize).copied().ok_or(InvalidLabels::NoSymbol(symbol))
    }

    /// The symbol that is the metric name of the series with these labels; 0 where it has none.
    pub(super) fn metric_name(&self, label_refs: &[u32]) -> u32 {
        let (pairs, _) = label_refs.as_chunks::<2>();
        let is_name = |name: u32| self.text(name).is_ok_and(|text| text == METRIC_NAME.as_bytes());
        pairs.iter().find(|[name, _]| is_name(*name)).map_or(0, |[_, value]| *value)
    }

    pub(super) fn label_pairs(
        &self,
        refs: &[u32],
        pairs: &mut Vec<RawPair<'a>>,
    ) -> Result<(), InvalidLabels> {
        let (halves, odd) = refs.as_chunks::<2>();
        for &[name, value] in halves {
            pairs.push((self.text(name)?, self.text(value)?));
        }
        if odd.is_empty() { Ok(()) } else { Err(InvalidLabels::OddRefs) }
    }
}

/// The next series of a request.
pub(super) fn next<'a>(request: &mut Reader<'a>) -> Result<Option<Reader<'a>>, Malformed> {
    while let Some(field) = request.field()? {
        if field.number == 5 {
            return field.message().map(Some);
        }
    }
    Ok(None)
}

/// What a series says of its family, by symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct MetadataRefs {
    pub(super) metric_type: u64,
    pub(super) help: u32,
    pub(super) unit: u32,
}

impl MetadataRefs {
    pub(super) fn resolve(self, symbols: &Symbols<'_>) -> Result<Metadata, InvalidLabels> {
        let text =
            |symbol| symbols.text(symbol).map(|text| String::from_utf8_lossy(text).into_owned());
        Ok(Metadata {
            metric_type: MetricType::from_number(self.metric_type),
            help: text(self.help)?,
            unit: text(self.unit)?,
        })
    }
}

/// One series of a request. Reuse it for its buffers.
#[derive(Debug, Default)]
pub(super) struct Series<'a> {
    pub(super) message: Reader<'a>,
    pub(super) contents: Contents,
    pub(super) label_refs: Vec<u32>,
    pub(super) metadata: MetadataRefs,
}

impl<'a> Series<'a> {
    /// Reads what [`next`] returned over what was here before.
    pub(super) fn read(&mut self, mut message: Reader<'a>) -> Result<(), Malformed> {
        self.message = message;
        self.contents.clear();
        self.label_refs.clear();
        self.metadata = MetadataRefs::default();
        while let Some(field) = message.field()? {
            match field.number {
                1 => field.varints(|symbol| self.label_refs.push(symbol as u32))?,
                2 => self.contents.samples.push(sample(field.message()?)?),
                3 | 4 => self.contents.has_extras = true,
                5 => read_metadata(field.message()?, &mut self.metadata)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Metadata given twice is merged field by field, as every protobuf message is.
fn read_metadata(mut message: Reader<'_>, into: &mut MetadataRefs) -> Result<(), Malformed> {
    while let Some(field) = message.field()? {
        match field.number {
            1 => into.metric_type = field.varint()?,
            3 => into.help = field.varint()? as u32,
            4 => into.unit = field.varint()? as u32,
            _ => {}
        }
    }
    Ok(())
}
