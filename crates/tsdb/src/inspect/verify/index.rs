//! A block's index, whose format `block/index_writer.rs` tells: its parts agree with one another.
//!
//! - symbols rise, as do the pairs of the postings table, the series by their labels, the labels of a
//!   series by name, and the series of each list of postings;
//! - a list names exactly the series that have its pair.
//!
//! It reads the bytes on its own: what the reader of blocks gets wrong shows here. The list of all
//! series leads to each of them, so that one that is damaged does not hide the next.

use std::path::Path;

use roaring::RoaringBitmap;

use super::Check;
use crate::block::ChunkMeta;
use crate::block::index_reader::{take_chunks, take_entry};
use crate::block::index_writer::{MAGIC, SERIES_ALIGN, VERSION};
use crate::codec::Decoder;
use crate::mapped::Mapped;

const CONTENTS_BYTES: usize = 6 * 8;
const CHECKSUM_BYTES: usize = 4;

pub(super) struct IndexedSeries {
    /// In the index.
    pub(super) offset: u64,
    pub(super) chunks: Vec<ChunkMeta>,
}

/// What is wrong, and at which byte.
struct Fault(usize, &'static str);

/// Calls `each` for each series that is whole; gives the ids of all series, where they can be told.
pub(super) fn verify(
    file: &Path,
    check: &mut Check<'_>,
    mut each: impl FnMut(IndexedSeries, &mut Check<'_>),
) -> Option<RoaringBitmap> {
    let bytes = match Mapped::open(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            check.problem(file, None, error.to_string());
            return None;
        }
    };
    let report = |check: &mut Check<'_>, Fault(offset, what)| {
        check.problem(file, offset as u64, what);
    };
    let index = Index::open(&bytes).map_err(|fault| report(check, fault)).ok()?;
    let mut walk = Walk::default();
    for id in &index.all {
        match index.series(id, &mut walk) {
            Ok(series) => each(series, check),
            Err(fault) => {
                walk.faulty.insert(id);
                report(check, fault);
            }
        }
    }
    let mut uses = 0;
    for pair in &index.pairs {
        match index.verify_postings(pair, &walk.faulty) {
            Ok(series) => uses += series,
            Err(fault) => report(check, fault),
        }
    }
    if walk.faulty.is_empty() && uses < walk.uses {
        report(check, Fault(index.table, "the postings leave out labels that series have"));
    }
    Some(index.all)
}

/// What is carried from series to series.
#[derive(Default)]
struct Walk {
    previous: Vec<(u64, u64)>,
    /// Where the previous one ends.
    end: usize,
    faulty: RoaringBitmap,
    /// The labels of all series, counted each time.
    uses: u64,
}

/// The sections that can be read by themselves.
struct Index<'a> {
    bytes: &'a [u8],
    symbols: Vec<&'a str>,
    table: usize,
    pairs: Vec<Pair>,
    all: RoaringBitmap,
}

/// An entry of the postings table, its texts as symbol numbers.
struct Pair {
    name: u64,
    value: u64,
    postings: usize,
}

impl<'a> Index<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        if !bytes.starts_with(&MAGIC) || bytes.get(MAGIC.len()) != Some(&VERSION) {
            return Err(Fault(0, "this is no index of version 2"));
        }
        let at = bytes.len().saturating_sub(CONTENTS_BYTES + CHECKSUM_BYTES);
        let (contents, checksum) = bytes[at..]
            .split_at_checked(CONTENTS_BYTES)
            .ok_or(Fault(at, "the table of contents is not there"))?;
        if crc32c::crc32c(contents).to_be_bytes() != checksum {
            return Err(Fault(at, "the checksum of the table of contents is wrong"));
        }
        let offset = |i: usize| Decoder::new(&contents[8 * i..]).u64().unwrap_or(u64::MAX) as usize;
        let symbols = symbols(bytes, offset(0))?;
        let table = offset(5);
        let (pairs, all) = table_entries(bytes, table, &symbols)?;
        let all = postings(bytes, all)?;
        Ok(Self { bytes, symbols, table, pairs, all })
    }

    fn series(&self, id: u32, walk: &mut Walk) -> Result<IndexedSeries, Fault> {
        let offset = (u64::from(id) * SERIES_ALIGN) as usize;
        let begins_behind = (walk.end.next_multiple_of(SERIES_ALIGN as usize)) == offset;
        if walk.end > 0 && !begins_behind {
            return Err(Fault(offset, "a series does not begin where the one before ends"));
        }
        let (body, end) = self.series_body(id)?;
        walk.end = end;
        let mut body = Decoder::new(body);
        let wrong = |what| Fault(offset, what);
        let pairs = take_pairs(&mut body).ok_or(wrong("a series does not decode"))?;
        let symbols = self.symbols.len() as u64;
        if pairs.iter().any(|&(name, value)| name >= symbols || value >= symbols) {
            return Err(wrong("a series has a label that is not among the symbols"));
        }
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(wrong("the labels of a series are not sorted"));
        }
        if pairs <= walk.previous {
            return Err(wrong("a series is not sorted behind the one before"));
        }
        let chunks = take_chunks(&mut body).ok_or(wrong("the chunks of a series do not decode"))?;
        if !body.is_empty() {
            return Err(wrong("a series has bytes behind its chunks"));
        }
        walk.uses += pairs.len() as u64;
        walk.previous = pairs;
        Ok(IndexedSeries { offset: offset as u64, chunks })
    }

    /// The checked bytes of a series, and where it ends.
    fn series_body(&self, id: u32) -> Result<(&'a [u8], usize), Fault> {
        let offset = (u64::from(id) * SERIES_ALIGN) as usize;
        let take = || {
            let mut rest = Decoder::new(self.bytes.get(offset..)?);
            let length = usize::try_from(rest.uvarint()?).ok()?;
            Some((
                rest.take(length)?,
                rest.take(CHECKSUM_BYTES)?,
                self.bytes.len() - rest.bytes.len(),
            ))
        };
        let (body, checksum, end) = take().ok_or(Fault(offset, "a series is not all there"))?;
        if crc32c::crc32c(body).to_be_bytes() != checksum {
            return Err(Fault(offset, "the checksum of a series is wrong"));
        }
        Ok((body, end))
    }

    /// Gives how many series have the pair.
    fn verify_postings(&self, pair: &Pair, faulty: &RoaringBitmap) -> Result<u64, Fault> {
        let offset = pair.postings;
        let series = postings(self.bytes, offset)?;
        if !series.is_subset(&self.all) {
            return Err(Fault(offset, "postings name a series that is not there"));
        }
        for id in &series - faulty {
            let (body, _) = self.series_body(id)?;
            let pairs = take_pairs(&mut Decoder::new(body)).unwrap_or_default();
            if !pairs.contains(&(pair.name, pair.value)) {
                return Err(Fault(offset, "postings name a series that has not their label"));
            }
        }
        Ok(series.len())
    }
}

fn take_pairs(body: &mut Decoder<'_>) -> Option<Vec<(u64, u64)>> {
    let count = body.uvarint()?;
    let mut pairs = Vec::with_capacity(count.min(64) as usize);
    for _ in 0..count {
        pairs.push((body.uvarint()?, body.uvarint()?));
    }
    Some(pairs)
}

/// The number of entries of the section at `offset`, and the rest of its body.
fn section(bytes: &[u8], offset: usize) -> Result<(usize, Decoder<'_>), Fault> {
    let take = || {
        let mut rest = Decoder::new(bytes.get(offset..)?);
        let length = u32::from_be_bytes(rest.take(4)?.try_into().ok()?) as usize;
        Some((rest.take(length)?, rest.take(CHECKSUM_BYTES)?))
    };
    let (body, checksum) = take().ok_or(Fault(offset, "a section is not all there"))?;
    if crc32c::crc32c(body).to_be_bytes() != checksum {
        return Err(Fault(offset, "the checksum of a section is wrong"));
    }
    let mut body = Decoder::new(body);
    let count = body.take(4).and_then(|count| count.try_into().ok());
    let count = count.map(u32::from_be_bytes).ok_or(Fault(offset, "a section is empty"))?;
    Ok((count as usize, body))
}

fn symbols(bytes: &[u8], offset: usize) -> Result<Vec<&str>, Fault> {
    let (count, mut rest) = section(bytes, offset)?;
    let mut symbols = Vec::new();
    for _ in 0..count {
        symbols.push(rest.text().ok_or(Fault(offset, "a symbol does not decode"))?);
    }
    match symbols.is_sorted_by(|a, b| a < b) {
        true => Ok(symbols),
        false => Err(Fault(offset, "the symbols are not sorted")),
    }
}

/// The entries of the postings table, and where the list of all series is.
fn table_entries(
    bytes: &[u8],
    offset: usize,
    symbols: &[&str],
) -> Result<(Vec<Pair>, usize), Fault> {
    let wrong = |what| Fault(offset, what);
    let (count, mut rest) = section(bytes, offset)?;
    let (mut pairs, mut all) = (Vec::new(), None);
    for _ in 0..count {
        let entry = take_entry(&mut rest).ok_or(wrong("an entry of the table does not decode"))?;
        if entry.name.is_empty() {
            all = Some(entry.postings);
            continue;
        }
        let number = |text: &str| symbols.binary_search(&text).map(|number| number as u64);
        let (Ok(name), Ok(value)) = (number(entry.name), number(entry.value)) else {
            return Err(wrong("a pair of the table is not among the symbols"));
        };
        pairs.push(Pair { name, value, postings: entry.postings });
    }
    if !pairs.is_sorted_by(|a, b| (a.name, a.value) < (b.name, b.value)) {
        return Err(wrong("the table of postings is not sorted"));
    }
    Ok((pairs, all.ok_or(wrong("the table leads to no list of all series"))?))
}

fn postings(bytes: &[u8], offset: usize) -> Result<RoaringBitmap, Fault> {
    let (count, rest) = section(bytes, offset)?;
    let ids = rest.bytes.chunks_exact(4).map(|id| u32::from_be_bytes([id[0], id[1], id[2], id[3]]));
    if rest.bytes.len() != 4 * count {
        return Err(Fault(offset, "postings are not as many as they say"));
    }
    RoaringBitmap::from_sorted_iter(ids).map_err(|_| Fault(offset, "postings are not sorted"))
}
