//! What a saved head says of a series' data.
//!
//! ```text
//! series := number uvarint | flags u8 | chunks uvarint, full* | open? | late?
//! full   := file uvarint | offset uvarint | times | encoding u8 | length uvarint
//! open   := encoding u8 | end uvarint | length uvarint | data          `end`: from the first time on
//! late   := newest varint | chunks uvarint, (times | encoding u8 | length uvarint | data)*
//! times  := start varint | duration uvarint
//! flags  := 1 was empty | 2 has an open chunk | 4 has late samples
//! ```

use std::io;

use model::{Point, Timestamp};

use super::{OpenChunk, Series};
use crate::chunk::{Chunk, XOR, XorChunk, points_of};
use crate::codec::{Decoder, put_uvarint, put_varint};
use crate::head::full_chunk::FullChunk;
use crate::head::out_of_order::OutOfOrder;
use crate::head::spill::SpillFiles;
use crate::log::LogSeries;

const WAS_EMPTY: u8 = 1;
const HAS_OPEN: u8 = 2;
const HAS_LATE: u8 = 4;

impl Series {
    /// Appends the series to a section of data. Its full chunks must be in files, which are added to
    /// `files`.
    pub(crate) fn save(&self, files: &mut SpillFiles, out: &mut Vec<u8>) -> io::Result<()> {
        put_uvarint(out, self.number.0);
        let flags = [
            (self.was_empty, WAS_EMPTY),
            (self.open.is_some(), HAS_OPEN),
            (self.out_of_order.is_some(), HAS_LATE),
        ];
        out.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
        put_uvarint(out, self.full.len() as u64);
        for chunk in &self.full {
            let in_memory = || io::Error::other("a full chunk is still in memory");
            let (file, offset) = files.add(chunk.in_file().ok_or_else(in_memory)?);
            put_uvarint(out, file.into());
            put_uvarint(out, offset.into());
            put_times(out, chunk);
            out.push(chunk.encoding);
            put_uvarint(out, chunk.bytes().len() as u64);
        }
        if let Some(OpenChunk { duration, points, .. }) = &self.open {
            out.push(points.encoding());
            put_uvarint(out, u64::from(*duration));
            put_bytes(out, &points.to_bytes());
        }
        if let Some(late) = &self.out_of_order {
            put_varint(out, late.newest().as_millis());
            let chunks = late.to_chunks();
            put_uvarint(out, chunks.len() as u64);
            for chunk in &chunks {
                put_times(out, chunk);
                out.push(chunk.encoding);
                put_bytes(out, chunk.bytes());
            }
        }
        Ok(())
    }

    /// Takes a series off a section; `None` where it makes no sense.
    pub(crate) fn load(
        generation: u32,
        files: &SpillFiles,
        section: &mut Decoder<'_>,
    ) -> Option<Self> {
        let number = LogSeries(section.uvarint()?);
        let flags = section.u8()?;
        let mut series = Self::new(generation, number, true);
        for _ in 0..section.uvarint()? {
            let file = u32::try_from(section.uvarint()?).ok()?;
            let offset = u32::try_from(section.uvarint()?).ok()?;
            let (start, end) = take_times(section)?;
            let encoding = section.u8()?;
            let length = u32::try_from(section.uvarint()?).ok()?;
            let chunk = files.chunk(file, offset, length)?;
            series.load_full(FullChunk::in_a_file(start, end, encoding, chunk))?;
        }
        if flags & HAS_OPEN != 0 {
            let encoding = section.u8()?;
            let duration = u32::try_from(section.uvarint()?).ok()?;
            series.load_open(encoding, duration, take_bytes(section)?)?;
        }
        if flags & HAS_LATE != 0 {
            let newest = Timestamp::from_millis(section.varint()?);
            let mut chunks = Vec::new();
            for _ in 0..section.uvarint()? {
                let (start, end) = take_times(section)?;
                let (encoding, bytes) = (section.u8()?, take_bytes(section)?);
                chunks.push(FullChunk::in_memory(start, end, encoding, bytes.into()));
            }
            series.out_of_order = Some(Box::new(OutOfOrder::from_chunks(chunks, newest)));
        }
        series.was_empty = flags & WAS_EMPTY != 0;
        Some(series)
    }

    fn load_full(&mut self, chunk: FullChunk) -> Option<()> {
        let is_newer = self.full.last().is_none_or(|last| last.end < chunk.start); // SERIES-1
        (is_newer && chunk.start <= chunk.end).then(|| self.push_full(chunk))
    }

    fn load_open(&mut self, encoding: u8, duration: u32, bytes: &[u8]) -> Option<()> {
        let oldest = self.full.last().map_or(Timestamp::MIN, |last| last.end);
        if encoding == XOR {
            let (start, chunk) = XorChunk::resume(bytes)?;
            let points = Chunk::Floats(chunk);
            self.open = Some(OpenChunk { start, duration, points });
            return (start > oldest || self.full.is_empty()).then_some(());
        }
        // Histograms are few: they enter as when the log is replayed.
        let points: Vec<Point> = points_of(encoding, bytes).ok()?;
        let rises = points.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp);
        let is_newer = points.first()?.timestamp > oldest || self.full.is_empty();
        (rises && is_newer).then(|| points.iter().for_each(|point| self.push(point)))
    }
}

fn put_times(out: &mut Vec<u8>, chunk: &FullChunk) {
    put_varint(out, chunk.start.as_millis());
    put_uvarint(out, chunk.end.millis_since(chunk.start).cast_unsigned());
}

fn take_times(section: &mut Decoder<'_>) -> Option<(Timestamp, Timestamp)> {
    let start = section.varint()?;
    let end = start.checked_add_unsigned(section.uvarint()?)?;
    Some((Timestamp::from_millis(start), Timestamp::from_millis(end)))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(section: &mut Decoder<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(section.uvarint()?).ok()?;
    section.take(length)
}
