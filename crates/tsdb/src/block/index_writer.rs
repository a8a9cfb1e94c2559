//! Writes a block's `index`.
//!
//! ```text
//! index    := BAAAD700 | version 2 | symbols | series* | postings* | table | contents
//! section  := length u32 | body | crc32c(body) u32
//! symbols  := section(count u32 | text*)                          sorted
//! series   := zeros to 16 | length uvarint | body | crc32c(body)  sorted by labels
//! body     := n uvarint | (name# uvarint | value# uvarint)*n
//!             | n uvarint | (start | length | reference)*n         deltas, see `put_chunks`
//! postings := zeros to 4 | section(count u32 | (series offset / 16) u32*)
//! table    := section(count u32 | (2 | name text | value text | postings offset uvarint)*)
//! contents := offsets u64 of symbols, series, -, -, postings, table | crc32c
//! ```
//! Words are big-endian. The postings of the empty pair are all series. Two sections of older
//! versions (label indices) are left out: no reader since 2019 looks at them.
//! - Source: Prometheus `tsdb/docs/format/index.md`, `tsdb/index/index.go`.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use model::Labels;

use super::ChunkMeta;
use super::growing_file::GrowingFile;
use super::symbols::Symbols;
use crate::codec::{put_text, put_uvarint, put_varint};

pub(crate) const MAGIC: [u8; 4] = [0xBA, 0xAA, 0xD7, 0x00];
pub(crate) const VERSION: u8 = 2;
pub(crate) const SERIES_ALIGN: u64 = 16;
const POSTINGS_AT_ONCE: usize = 1024;

#[derive(Debug)]
pub(super) struct IndexWriter {
    out: GrowingFile,
    symbols: Arc<Symbols>,
    series_start: u64,
    /// By name and value, as symbol numbers, which sort as their texts do.
    postings: HashMap<(u32, u32), Vec<u32>>,
    all: Vec<u32>,
    buffer: Vec<u8>,
}

impl IndexWriter {
    /// `symbols`: every text that the labels to come consist of.
    pub(super) fn create(path: &Path, symbols: Arc<Symbols>) -> io::Result<Self> {
        let mut writer = Self {
            out: GrowingFile::create(path)?,
            symbols: Arc::clone(&symbols),
            series_start: 0,
            postings: HashMap::new(),
            all: Vec::new(),
            buffer: Vec::new(),
        };
        writer.out.write(&MAGIC)?;
        writer.out.write(&[VERSION])?;
        writer.section(symbols.len(), symbols.iter(), put_text)?;
        writer.align(SERIES_ALIGN)?;
        writer.series_start = writer.out.bytes();
        Ok(writer)
    }

    /// Adds a series; they come sorted by labels. `chunks`: sorted by time.
    pub(super) fn series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> io::Result<()> {
        self.align(SERIES_ALIGN)?;
        let id = u32::try_from(self.out.bytes() / SERIES_ALIGN)
            .map_err(|_| io::Error::other("a block's index may not have more than 64 GiB"))?;
        let mut body = std::mem::take(&mut self.buffer);
        body.clear();
        put_uvarint(&mut body, labels.len() as u64);
        let number =
            |text| self.symbols.number(text).expect("the symbols have all texts of labels");
        for (name, value) in labels {
            let pair = (number(name), number(value));
            put_uvarint(&mut body, pair.0.into());
            put_uvarint(&mut body, pair.1.into());
            self.postings.entry(pair).or_default().push(id);
        }
        put_chunks(&mut body, chunks);
        self.all.push(id);
        let mut length = Vec::with_capacity(5);
        put_uvarint(&mut length, body.len() as u64);
        self.out.write(&length)?;
        self.out.write(&body)?;
        self.out.write(&crc32c::crc32c(&body).to_be_bytes())?;
        self.buffer = body;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut postings: Vec<_> = std::mem::take(&mut self.postings).into_iter().collect();
        postings.sort_unstable_by_key(|&(pair, _)| pair);
        let all = std::mem::take(&mut self.all);
        let postings_start = self.postings_list(&all)?;
        let mut table = vec![(None, postings_start)];
        for (pair, list) in postings {
            table.push((Some(pair), self.postings_list(&list)?));
        }
        let table_start = self.out.bytes();
        let symbols = Arc::clone(&self.symbols);
        self.section(table.len(), table.iter(), |body, &(pair, offset)| {
            let texts = pair.map(|(name, value)| (symbols.text(name), symbols.text(value)));
            put_table_entry(body, texts.unwrap_or_default(), offset);
        })?;
        let symbols_start = MAGIC.len() as u64 + 1;
        let contents = [symbols_start, self.series_start, 0, 0, postings_start, table_start];
        let contents: Vec<u8> = contents.iter().flat_map(|offset| offset.to_be_bytes()).collect();
        self.out.write(&contents)?;
        self.out.write(&crc32c::crc32c(&contents).to_be_bytes())?;
        self.out.finish()
    }

    /// Gives the list's offset.
    fn postings_list(&mut self, list: &[u32]) -> io::Result<u64> {
        self.align(4)?;
        let offset = self.out.bytes();
        self.section(list.len(), list.chunks(POSTINGS_AT_ONCE), |body, ids| {
            body.extend(ids.iter().flat_map(|id| id.to_be_bytes()));
        })?;
        Ok(offset)
    }

    /// Writes a section, which begins with the number of its entries. They are put twice, because the
    /// length comes before them.
    fn section<T>(
        &mut self,
        count: usize,
        entries: impl Iterator<Item = T> + Clone,
        put: impl Fn(&mut Vec<u8>, T),
    ) -> io::Result<()> {
        let too_long = |_| io::Error::other("a section of an index may not exceed 4 GiB");
        let mut entry = Vec::new();
        let mut length = 4;
        for value in entries.clone() {
            entry.clear();
            put(&mut entry, value);
            length += entry.len();
        }
        self.out.write(&u32::try_from(length).map_err(too_long)?.to_be_bytes())?;
        let count = (count as u32).to_be_bytes();
        self.out.write(&count)?;
        let mut checksum = crc32c::crc32c(&count);
        for value in entries {
            entry.clear();
            put(&mut entry, value);
            self.out.write(&entry)?;
            checksum = crc32c::crc32c_append(checksum, &entry);
        }
        self.out.write(&checksum.to_be_bytes())
    }

    fn align(&mut self, to: u64) -> io::Result<()> {
        let zeros = (to - self.out.bytes() % to) % to;
        self.out.write(&[0; SERIES_ALIGN as usize][..zeros as usize])
    }
}

fn put_table_entry(body: &mut Vec<u8>, (name, value): (&str, &str), offset: u64) {
    body.push(2);
    put_text(body, name);
    put_text(body, value);
    put_uvarint(body, offset);
}

/// The first chunk's start as it is, later ones from the end before; ends from starts; the first
/// reference as it is, later ones from the one before.
fn put_chunks(body: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(body, chunks.len() as u64);
    let mut previous: Option<&ChunkMeta> = None;
    for chunk in chunks {
        let (start, end) = (chunk.start.as_millis(), chunk.end.as_millis());
        match previous {
            None => put_varint(body, start),
            Some(previous) => {
                put_uvarint(body, start.wrapping_sub(previous.end.as_millis()).cast_unsigned());
            }
        }
        put_uvarint(body, end.wrapping_sub(start).cast_unsigned());
        match previous {
            None => put_uvarint(body, chunk.reference),
            Some(previous) => {
                put_varint(body, chunk.reference.wrapping_sub(previous.reference).cast_signed());
            }
        }
        previous = Some(chunk);
    }
}
