//! Floats compressed against their predecessors: Prometheus' XOR encoding, bit for bit.
//!
//! ```text
//! chunk := count u16 BE | t0 varint | v0 64 bits | t1-t0 uvarint | value | (dod | value)*
//! dod   := 0 | 10 +14 bits | 110 +17 | 1110 +20 | 1111 +64      (delta of time deltas)
//! value := the difference to the value before, see `difference`
//! ```
//! - CHUNK-1: timestamps rise strictly; at most [`SAMPLES_MAX`] samples.
//! - CHUNK-2: the bytes of a chunk's first n samples never change, but for those of `count`.
//! - Source: Prometheus `tsdb/docs/format/chunks.md`, `tsdb/chunkenc/xor.go`. A dod of n bits lies
//!   in `-(2^(n-1) - 1) ..= 2^(n-1)`, which is not two's complement.

use model::{Sample, Timestamp};

use super::bits::{BitReader, BitWriter};
use super::difference::Window;
use crate::codec::{Decoder, put_uvarint, put_varint};

pub(crate) const SAMPLES_MAX: usize = u16::MAX as usize;
const DOD_WIDTHS: [(u32, u64, u32); 3] = [(14, 0b10, 2), (17, 0b110, 3), (20, 0b1110, 4)];

/// A chunk that is being written.
#[derive(Clone, Debug)]
pub(crate) struct XorChunk {
    /// What follows `count`.
    out: BitWriter,
    count: u16,
    last: Sample,
    delta: u64,
    window: Option<Window>,
}

impl XorChunk {
    pub(crate) fn new(first: Sample) -> Self {
        let mut bytes = Vec::with_capacity(24); // a first sample, the next time, and a word
        put_varint(&mut bytes, first.timestamp.as_millis());
        bytes.extend(first.value.to_bits().to_be_bytes());
        Self { out: BitWriter::after(bytes), count: 1, last: first, delta: 0, window: None }
    }

    /// Goes on with a chunk that was copied; gives when it starts. `None` where it does not decode.
    pub(crate) fn resume(chunk: &[u8]) -> Option<(Timestamp, Self)> {
        let (first, mut rest) = XorSamples::new(chunk).ok()?;
        let (mut last, mut count, mut has_differed) = (first, 1, false);
        while let Some(sample) = rest.next().ok()? {
            if sample.timestamp <= last.timestamp {
                return None;
            }
            has_differed |= sample.value.to_bits() != last.value.to_bits();
            (last, count) = (sample, count + 1);
        }
        let out = BitWriter::resume(chunk[size_of_val(&count)..].to_vec(), rest.bits.bits_left())?;
        let window = has_differed.then_some(rest.window);
        Some((first.timestamp, Self { out, count, last, delta: rest.delta, window }))
    }

    /// Appends a sample that is newer than the last one (CHUNK-1).
    #[inline]
    pub(crate) fn push(&mut self, sample: Sample) {
        debug_assert!(sample.timestamp > self.last.timestamp && self.len() < SAMPLES_MAX);
        let (now, before) = (sample.timestamp.as_millis(), self.last.timestamp.as_millis());
        let delta = now.wrapping_sub(before).cast_unsigned();
        if self.count == 1 {
            put_uvarint(&mut self.out.bytes, delta); // on a byte's border: only whole bytes so far
        } else {
            self.put_dod(delta.wrapping_sub(self.delta).cast_signed());
        }
        let xor = sample.value.to_bits() ^ self.last.value.to_bits();
        self.out.put_difference(xor, &mut self.window);
        self.count += 1;
        (self.last, self.delta) = (sample, delta);
    }

    pub(crate) const fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) const fn last(&self) -> Sample {
        self.last
    }

    /// Appends the chunk as it is now to `out` (CHUNK-2).
    pub(crate) fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_be_bytes());
        self.out.copy_to(out);
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.out.len());
        self.copy_to(&mut bytes);
        bytes
    }

    fn put_dod(&mut self, dod: i64) {
        if dod == 0 {
            return self.out.put(0, 1);
        }
        for (width, prefix, prefix_bits) in DOD_WIDTHS {
            let half = 1i64 << (width - 1);
            if (1 - half..=half).contains(&dod) {
                self.out.put(prefix, prefix_bits);
                return self.out.put(dod.cast_unsigned(), width);
            }
        }
        self.out.put(0b1111, 4);
        self.out.put(dod.cast_unsigned(), 64);
    }
}

/// A chunk's bytes do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

/// Decodes a chunk, sample by sample. Bench: `benches/benches/codecs.rs`.
#[derive(Clone, Debug)]
pub(crate) struct XorSamples<'a> {
    bits: BitReader<'a>,
    left: usize,
    time: i64,
    value: u64,
    delta: u64,
    window: Window,
}

impl<'a> XorSamples<'a> {
    /// Reads the first sample, so that what follows has a predecessor.
    pub(crate) fn new(chunk: &'a [u8]) -> Result<(Sample, Self), BadChunk> {
        Self::start(chunk).filter(|(_, rest)| rest.left < SAMPLES_MAX).ok_or(BadChunk)
    }

    fn start(chunk: &'a [u8]) -> Option<(Sample, Self)> {
        let mut head = Decoder::new(chunk);
        let count = u16::from_be_bytes(head.take(2)?.try_into().ok()?);
        let left = usize::from(count).checked_sub(1)?;
        let time = head.varint()?;
        let value = head.u64()?;
        let delta = if left > 0 { head.uvarint()? } else { 0 };
        let window = Window::default();
        let bits = BitReader::new(head.bytes);
        Some((sample(time, value), Self { bits, left, time, value, delta, window }))
    }

    /// The next sample; `Ok(None)` after the last.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Sample>, BadChunk> {
        if self.left == 0 {
            return Ok(None);
        }
        self.step().map(Some).ok_or(BadChunk)
    }

    #[inline]
    fn step(&mut self) -> Option<Sample> {
        self.time = self.time.wrapping_add(self.delta.cast_signed());
        self.value ^= self.bits.take_difference(&mut self.window)?;
        self.left -= 1;
        let decoded = sample(self.time, self.value);
        if self.left > 0 {
            self.delta = self.delta.wrapping_add(self.take_dod()?.cast_unsigned());
        }
        Some(decoded)
    }

    #[inline]
    fn take_dod(&mut self) -> Option<i64> {
        if !self.bits.bit()? {
            return Some(0);
        }
        for (width, ..) in DOD_WIDTHS {
            if !self.bits.bit()? {
                let bits = self.bits.take(width)?.cast_signed();
                let negative = bits > 1 << (width - 1);
                return Some(if negative { bits - (1 << width) } else { bits });
            }
        }
        self.bits.take(64).map(u64::cast_signed)
    }
}

const fn sample(time: i64, bits: u64) -> Sample {
    Sample { timestamp: Timestamp::from_millis(time), value: f64::from_bits(bits) }
}

#[cfg(test)]
#[path = "xor/tests.rs"]
mod tests;
