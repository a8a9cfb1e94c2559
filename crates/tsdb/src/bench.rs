//! Hot functions that nobody outside calls one by one, for the benches to do just that.

use std::io;
use std::path::Path;

use model::Sample;

use crate::Compression;
use crate::chunk::{XorChunk, XorSamples};
use crate::log::LoggedSample;
use crate::wal::SEGMENT_BYTES;
use crate::wal::record::RecordBuilder;
use crate::wal::writer::LogWriter;

/// # Panics
/// Where there is no sample, or times do not rise.
pub fn xor_chunk(samples: &[Sample]) -> Vec<u8> {
    let (&first, rest) = samples.split_first().expect("a chunk has samples");
    let mut chunk = XorChunk::new(first);
    rest.iter().for_each(|&sample| chunk.push(sample));
    chunk.to_bytes()
}

/// Decodes all of what [`xor_chunk`] made.
///
/// # Panics
/// Where it was not.
pub fn sum_of_xor_chunk(chunk: &[u8]) -> f64 {
    let (first, mut rest) = XorSamples::new(chunk).expect("the chunk was made by `xor_chunk`");
    let mut sum = first.value;
    while let Some(sample) = rest.next().expect("the chunk was made by `xor_chunk`") {
        sum += sample.value;
    }
    sum
}

/// Makes records of the log, up to the point where they would be written.
#[derive(Debug)]
pub struct LogRecords {
    writer: LogWriter,
    record: RecordBuilder,
}

impl LogRecords {
    pub fn open(dir: &Path, compression: Compression) -> io::Result<Self> {
        let writer = LogWriter::create(dir, 0, SEGMENT_BYTES, compression)?;
        Ok(Self { writer, record: RecordBuilder::new() })
    }

    pub fn frame(&mut self, samples: &[LoggedSample]) -> io::Result<()> {
        self.record.clear();
        samples.iter().for_each(|&logged| self.record.sample(logged));
        self.writer.frame(&[self.record.bytes()])
    }
}
