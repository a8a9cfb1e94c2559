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

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use model::Labels;

use super::ChunkMeta;
use crate::codec::{put_text, put_uvarint, put_varint};

pub(crate) const MAGIC: [u8; 4] = [0xBA, 0xAA, 0xD7, 0x00];
pub(crate) const VERSION: u8 = 2;
pub(crate) const SERIES_ALIGN: u64 = 16;

#[derive(Debug)]
pub(super) struct IndexWriter {
    out: BufWriter<File>,
    offset: u64,
    symbols: HashMap<String, u32>,
    sorted_symbols: Vec<String>,
    series_start: u64,
    /// By name and value, as symbol numbers, which sort as their texts do.
    postings: BTreeMap<(u32, u32), Vec<u32>>,
    all: Vec<u32>,
    buffer: Vec<u8>,
}

impl IndexWriter {
    /// `symbols`: sorted and unique; every text that the labels to come consist of.
    pub(super) fn create(path: &Path, symbols: Vec<String>) -> io::Result<Self> {
        let numbers = symbols.iter().zip(0..).map(|(text, number)| (text.clone(), number));
        let mut writer = Self {
            out: BufWriter::with_capacity(1 << 20, File::create(path)?),
            offset: 0,
            symbols: numbers.collect(),
            sorted_symbols: symbols,
            series_start: 0,
            postings: BTreeMap::new(),
            all: Vec::new(),
            buffer: Vec::new(),
        };
        writer.write(&MAGIC)?;
        writer.write(&[VERSION])?;
        let mut section = Section::new(writer.sorted_symbols.len());
        writer.sorted_symbols.iter().for_each(|symbol| put_text(&mut section.body, symbol));
        writer.section(section)?;
        writer.align(SERIES_ALIGN)?;
        writer.series_start = writer.offset;
        Ok(writer)
    }

    /// Adds a series; they come sorted by labels. `chunks`: sorted by time.
    pub(super) fn series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> io::Result<()> {
        self.align(SERIES_ALIGN)?;
        let id = u32::try_from(self.offset / SERIES_ALIGN)
            .map_err(|_| io::Error::other("a block's index may not have more than 64 GiB"))?;
        let mut body = std::mem::take(&mut self.buffer);
        body.clear();
        put_uvarint(&mut body, labels.len() as u64);
        for (name, value) in labels {
            let pair = (self.symbols[name], self.symbols[value]);
            put_uvarint(&mut body, pair.0.into());
            put_uvarint(&mut body, pair.1.into());
            self.postings.entry(pair).or_default().push(id);
        }
        put_chunks(&mut body, chunks);
        self.all.push(id);
        let mut length = Vec::with_capacity(5);
        put_uvarint(&mut length, body.len() as u64);
        self.write(&length)?;
        self.write(&body)?;
        self.write(&crc32c::crc32c(&body).to_be_bytes())?;
        self.buffer = body;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let postings = std::mem::take(&mut self.postings);
        let all = std::mem::take(&mut self.all);
        let mut table = Section::new(postings.len() + 1);
        let postings_start = self.postings_list(&all)?;
        put_table_entry(&mut table.body, "", "", postings_start);
        for ((name, value), list) in postings {
            let offset = self.postings_list(&list)?;
            let text = |symbol: u32| self.sorted_symbols[symbol as usize].as_str();
            put_table_entry(&mut table.body, text(name), text(value), offset);
        }
        let table_start = self.offset;
        self.section(table)?;
        let symbols_start = MAGIC.len() as u64 + 1;
        let contents = [symbols_start, self.series_start, 0, 0, postings_start, table_start];
        let contents: Vec<u8> = contents.iter().flat_map(|offset| offset.to_be_bytes()).collect();
        self.write(&contents)?;
        self.write(&crc32c::crc32c(&contents).to_be_bytes())?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    /// Gives the list's offset.
    fn postings_list(&mut self, list: &[u32]) -> io::Result<u64> {
        self.align(4)?;
        let offset = self.offset;
        let mut section = Section::new(list.len());
        section.body.extend(list.iter().flat_map(|id| id.to_be_bytes()));
        self.section(section)?;
        Ok(offset)
    }

    fn section(&mut self, section: Section) -> io::Result<()> {
        let length = u32::try_from(section.body.len())
            .map_err(|_| io::Error::other("a section of an index may not exceed 4 GiB"))?;
        self.write(&length.to_be_bytes())?;
        self.write(&section.body)?;
        self.write(&crc32c::crc32c(&section.body).to_be_bytes())
    }

    fn align(&mut self, to: u64) -> io::Result<()> {
        let zeros = (to - self.offset % to) % to;
        self.write(&[0; SERIES_ALIGN as usize][..zeros as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// A section's body, which begins with the number of its entries.
#[derive(Debug)]
struct Section {
    body: Vec<u8>,
}

impl Section {
    fn new(entries: usize) -> Self {
        Self { body: (entries as u32).to_be_bytes().to_vec() }
    }
}

fn put_table_entry(body: &mut Vec<u8>, name: &str, value: &str, offset: u64) {
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
