//! One number of one histogram after the other.
//!
//! ```text
//! sum, fractional count, fractional bucket := 64 bits, then differences, see `difference`
//! whole count                              := unsigned, then dod signed
//! time, whole bucket                       := signed, then dod signed
//! ```
//! `dod` is the delta of deltas; the first delta is taken for 0.

use std::fmt;

use crate::chunk::bits::{BitReader, BitWriter};
use crate::chunk::difference::Window;

/// A number, as it was in the last histogram, and what is needed to write the next one.
pub(super) trait Running: Copy + fmt::Debug {
    fn put_first_count(out: &mut BitWriter, word: u64) -> Self;
    fn put_first_bucket(out: &mut BitWriter, word: u64) -> Self;
    fn put(&mut self, out: &mut BitWriter, word: u64);
    /// Writes a count of a staleness marker. Nothing but such markers follows.
    fn put_stale(&mut self, out: &mut BitWriter);

    fn take_first_count(bits: &mut BitReader<'_>) -> Option<Self>;
    fn take_first_bucket(bits: &mut BitReader<'_>) -> Option<Self>;
    fn take(&mut self, bits: &mut BitReader<'_>) -> Option<()>;
    fn word(self) -> u64;
}

/// By deltas of deltas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dod {
    word: u64,
    delta: i64,
}

/// By the bits that differ.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xor {
    word: u64,
    window: Option<Window>,
}

impl Running for Dod {
    fn put_first_count(out: &mut BitWriter, word: u64) -> Self {
        out.put_unsigned(word);
        Self { word, delta: 0 }
    }

    fn put_first_bucket(out: &mut BitWriter, word: u64) -> Self {
        out.put_signed(word.cast_signed());
        Self { word, delta: 0 }
    }

    fn put(&mut self, out: &mut BitWriter, word: u64) {
        let delta = word.wrapping_sub(self.word).cast_signed();
        out.put_signed(delta.wrapping_sub(self.delta));
        *self = Self { word, delta };
    }

    fn put_stale(&mut self, out: &mut BitWriter) {
        out.put_signed(0);
    }

    fn take_first_count(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self { word: bits.take_unsigned()?, delta: 0 })
    }

    fn take_first_bucket(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self { word: bits.take_signed()?.cast_unsigned(), delta: 0 })
    }

    fn take(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.delta = self.delta.wrapping_add(bits.take_signed()?);
        self.word = self.word.wrapping_add_signed(self.delta);
        Some(())
    }

    fn word(self) -> u64 {
        self.word
    }
}

impl Running for Xor {
    fn put_first_count(out: &mut BitWriter, word: u64) -> Self {
        out.put(word, 64);
        Self { word, window: None }
    }

    fn put_first_bucket(out: &mut BitWriter, word: u64) -> Self {
        Self::put_first_count(out, word)
    }

    fn put(&mut self, out: &mut BitWriter, word: u64) {
        out.put_difference(word ^ self.word, &mut self.window);
        self.word = word;
    }

    fn put_stale(&mut self, out: &mut BitWriter) {
        self.put(out, 0f64.to_bits());
    }

    fn take_first_count(bits: &mut BitReader<'_>) -> Option<Self> {
        Some(Self { word: bits.take(64)?, window: None })
    }

    fn take_first_bucket(bits: &mut BitReader<'_>) -> Option<Self> {
        Self::take_first_count(bits)
    }

    fn take(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let mut window = self.window.unwrap_or_default();
        self.word ^= bits.take_difference(&mut window)?;
        self.window = Some(window);
        Some(())
    }

    fn word(self) -> u64 {
        self.word
    }
}
