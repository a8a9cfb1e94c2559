//! Reads a block's `index`, whose format `index_writer` tells.
//!
//! Checksums are verified: of the symbols and tables once, of series and postings when they are read.
//! In memory are the offsets of symbols and, per label name, where its values begin in the table.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use model::{Labels, Timestamp};
use roaring::RoaringBitmap;

use super::ChunkMeta;
use super::index_writer::{MAGIC, SERIES_ALIGN, VERSION};
use crate::codec::Decoder;
use crate::mapped::Mapped;

/// Of the values of one name every so manieth has its place kept.
const TABLE_STEP: usize = 32;
const CONTENTS_BYTES: usize = 6 * 8 + 4;

/// An index says something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadIndex;

#[derive(Debug)]
pub(super) struct IndexReader {
    bytes: Mapped,
    /// Of each symbol, in the file.
    symbols: Vec<u32>,
    names: BTreeMap<String, Values>,
}

/// The values of one label name: consecutive entries of the postings table.
#[derive(Debug, Default)]
struct Values {
    count: usize,
    /// Where every [`TABLE_STEP`]th entry begins.
    steps: Vec<usize>,
    end: usize,
}

impl IndexReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "the index is malformed");
        Self::parse(Mapped::open(path)?).ok_or(BadIndex).map_err(invalid)
    }

    fn parse(bytes: Mapped) -> Option<Self> {
        if !bytes.starts_with(&MAGIC) || bytes.get(4) != Some(&VERSION) {
            return None;
        }
        let contents = bytes.get(bytes.len().checked_sub(CONTENTS_BYTES)?..)?;
        let (offsets, checksum) = contents.split_at(CONTENTS_BYTES - 4);
        if crc32c::crc32c(offsets).to_be_bytes() != checksum {
            return None;
        }
        let offset = |i: usize| Decoder::new(&offsets[8 * i..]).u64()?.try_into().ok();
        let (symbols, table) = (offset(0)?, offset(5)?);
        let symbols = symbol_offsets(&bytes, section(&bytes, symbols)?)?;
        let names = table_names(&bytes, section(&bytes, table)?)?;
        Some(Self { bytes, symbols, names })
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = Result<&str, BadIndex>> {
        (0..self.symbols.len() as u64).map(|number| self.symbol(number).ok_or(BadIndex))
    }

    fn symbol(&self, number: u64) -> Option<&str> {
        let offset = *self.symbols.get(usize::try_from(number).ok()?)?;
        Decoder::new(&self.bytes[offset as usize..]).text()
    }

    /// Labels and chunks of the series with this id.
    pub(super) fn series(&self, id: u32) -> Result<(Labels, Vec<ChunkMeta>), BadIndex> {
        self.read_series(id).ok_or(BadIndex)
    }

    fn read_series(&self, id: u32) -> Option<(Labels, Vec<ChunkMeta>)> {
        let mut rest = Decoder::new(self.bytes.get((u64::from(id) * SERIES_ALIGN) as usize..)?);
        let length = usize::try_from(rest.uvarint()?).ok()?;
        let body = rest.take(length)?;
        if crc32c::crc32c(body).to_be_bytes() != rest.take(4)? {
            return None;
        }
        let mut body = Decoder::new(body);
        let mut pairs = Vec::new();
        for _ in 0..body.uvarint()? {
            pairs.push((self.symbol(body.uvarint()?)?, self.symbol(body.uvarint()?)?));
        }
        Some((pairs.into_iter().collect(), take_chunks(&mut body)?))
    }

    pub(super) fn all(&self) -> Result<RoaringBitmap, BadIndex> {
        self.postings(self.find_pair("", "")?.ok_or(BadIndex)?)
    }

    /// The id of the series with these labels; series are sorted by theirs.
    pub(super) fn find(&self, labels: &Labels) -> Result<Option<u32>, BadIndex> {
        let all = self.all_ids().ok_or(BadIndex)?;
        let id = |at: usize| all[4 * at..].first_chunk().map_or(0, |id| u32::from_be_bytes(*id));
        let (mut from, mut to) = (0, all.len() / 4);
        while from < to {
            let middle = from.midpoint(to);
            match self.series(id(middle))?.0.cmp(labels) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Ok(Some(id(middle))),
            }
        }
        Ok(None)
    }

    /// The ids of all series, as they stand in the file.
    fn all_ids(&self) -> Option<&[u8]> {
        let offset = self.find_pair("", "").ok()??;
        let mut rest = Decoder::new(self.bytes.get(offset..)?);
        let length = u32::from_be_bytes(rest.take(4)?.try_into().ok()?) as usize;
        rest.take(length)?.get(4..)
    }

    pub(super) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The values of `name`, each with its series, in order.
    pub(super) fn values(
        &self,
        name: &str,
    ) -> impl Iterator<Item = Result<(&str, usize), BadIndex>> {
        let values = self.names.get(name);
        let (start, count) = values.map_or((0, 0), |values| (values.steps[0], values.count));
        let mut rest = Decoder::new(&self.bytes[start..]);
        (0..count)
            .map(move |_| take_entry(&mut rest).map(|e| (e.value, e.postings)).ok_or(BadIndex))
    }

    /// How many values `name` has.
    pub(super) fn values_len(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |values| values.count)
    }

    /// As [`IndexReader::values`], from the first value that is not less than `from`.
    pub(super) fn values_from<'a>(
        &'a self,
        name: &str,
        from: &'a str,
    ) -> impl Iterator<Item = Result<(&'a str, usize), BadIndex>> {
        let (start, end) =
            self.names.get(name).map_or((0, 0), |v| (self.step_before(v, from), v.end));
        let mut rest = Decoder::new(self.bytes.get(start..end).unwrap_or_default());
        let entries = std::iter::from_fn(move || {
            let entry = (!rest.is_empty()).then(|| take_entry(&mut rest))?;
            Some(entry.map(|e| (e.value, e.postings)).ok_or(BadIndex))
        });
        entries.skip_while(move |entry| entry.is_ok_and(|(value, _)| value < from))
    }

    /// Where the last step begins whose first value is not greater than `value`, or the first step.
    fn step_before(&self, values: &Values, value: &str) -> usize {
        let entry_at = |offset: usize| take_entry(&mut Decoder::new(&self.bytes[offset..]));
        let after = values
            .steps
            .partition_point(|&step| entry_at(step).is_some_and(|entry| entry.value <= value));
        values.steps.get(after.saturating_sub(1)).copied().unwrap_or(values.end)
    }

    /// Where the postings of a pair are; `None` where no series has it.
    pub(super) fn find_pair(&self, name: &str, value: &str) -> Result<Option<usize>, BadIndex> {
        let first = self.values_from(name, value).next().transpose()?;
        Ok(first.filter(|(found, _)| *found == value).map(|(_, postings)| postings))
    }

    /// How many series the postings at `offset` name.
    pub(super) fn postings_len(&self, offset: usize) -> usize {
        let count =
            self.bytes.get(offset.saturating_add(4)..).and_then(|bytes| bytes.first_chunk());
        count.map_or(0, |count| u32::from_be_bytes(*count) as usize)
    }

    pub(super) fn postings(&self, offset: usize) -> Result<RoaringBitmap, BadIndex> {
        RoaringBitmap::from_sorted_iter(self.ids(offset)?).map_err(|_| BadIndex)
    }

    /// The ids that the postings at `offset` name, in order.
    pub(super) fn ids(&self, offset: usize) -> Result<impl Iterator<Item = u32>, BadIndex> {
        let range = section(&self.bytes, offset).ok_or(BadIndex)?;
        let ids = self.bytes[range].get(4..).ok_or(BadIndex)?.chunks_exact(4);
        Ok(ids.map(|id| u32::from_be_bytes([id[0], id[1], id[2], id[3]])))
    }
}

/// Where the body of the section at `offset` lies, if its checksum is right.
fn section(bytes: &[u8], offset: usize) -> Option<Range<usize>> {
    let mut rest = Decoder::new(bytes.get(offset..)?);
    let length = u32::from_be_bytes(rest.take(4)?.try_into().ok()?) as usize;
    let body = rest.take(length)?;
    let intact = crc32c::crc32c(body).to_be_bytes() == rest.take(4)?;
    intact.then_some(offset + 4..offset + 4 + length)
}

fn symbol_offsets(bytes: &[u8], range: Range<usize>) -> Option<Vec<u32>> {
    let mut rest = Decoder::new(&bytes[range.clone()]);
    let count = u32::from_be_bytes(rest.take(4)?.try_into().ok()?);
    let mut offsets = Vec::with_capacity((count as usize).min(range.len()));
    for _ in 0..count {
        offsets.push(u32::try_from(range.end - rest.bytes.len()).ok()?);
        rest.text()?;
    }
    Some(offsets)
}

fn table_names(bytes: &[u8], range: Range<usize>) -> Option<BTreeMap<String, Values>> {
    let mut rest = Decoder::new(&bytes[range.clone()]);
    let count = u32::from_be_bytes(rest.take(4)?.try_into().ok()?);
    let mut names: BTreeMap<String, Values> = BTreeMap::new();
    for _ in 0..count {
        let start = range.end - rest.bytes.len();
        let entry = take_entry(&mut rest)?;
        if !names.contains_key(entry.name) {
            names.insert(entry.name.to_owned(), Values::default());
        }
        let values = names.get_mut(entry.name)?;
        if values.count.is_multiple_of(TABLE_STEP) {
            values.steps.push(start);
        }
        values.count += 1;
        values.end = range.end - rest.bytes.len();
    }
    Some(names)
}

pub(crate) struct TableEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    pub(crate) postings: usize,
}

pub(crate) fn take_entry<'a>(rest: &mut Decoder<'a>) -> Option<TableEntry<'a>> {
    (rest.u8()? == 2).then_some(())?;
    let (name, value) = (rest.text()?, rest.text()?);
    Some(TableEntry { name, value, postings: usize::try_from(rest.uvarint()?).ok()? })
}

pub(crate) fn take_chunks(body: &mut Decoder<'_>) -> Option<Vec<ChunkMeta>> {
    let mut chunks: Vec<ChunkMeta> = Vec::new();
    for _ in 0..body.uvarint()? {
        let previous = chunks.last();
        let start = match previous {
            None => body.varint()?,
            Some(previous) => previous.end.as_millis().wrapping_add(body.uvarint()?.cast_signed()),
        };
        let end = start.wrapping_add(body.uvarint()?.cast_signed());
        let reference = match previous {
            None => body.uvarint()?,
            Some(previous) => previous.reference.wrapping_add_signed(body.varint()?),
        };
        chunks.push(ChunkMeta {
            start: Timestamp::from_millis(start),
            end: Timestamp::from_millis(end),
            reference,
        });
    }
    Some(chunks)
}
