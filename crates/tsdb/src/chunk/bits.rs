//! Bits within bytes, most significant first.

/// Appends to `bytes`; the last byte has `free` unused low bits.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    free: u8,
}

impl BitWriter {
    /// Starts after whole bytes.
    pub(super) const fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// Appends the low `count` bits of `value`; `count` is 1 to 64.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(u32::from(self.free));
            let bits = ((value >> (left - taken)) & low_bits(taken)) as u8;
            self.free -= taken as u8;
            *self.bytes.last_mut().expect("a byte was pushed") |= bits << self.free;
            left -= taken;
        }
    }
}

/// Takes bits off the front; `None` where there are too few.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    word: u64,
    valid: u32, // the low `valid` bits of `word` are still to be taken
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, word: 0, valid: 0 }
    }

    /// How many bits are still to be taken.
    pub(super) const fn bits_left(&self) -> u64 {
        8 * self.rest.len() as u64 + self.valid as u64
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Takes `count` bits, 1 to 64.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        if count <= self.valid {
            self.valid -= count;
            return Some((self.word >> self.valid) & low_bits(count));
        }
        let missing = count - self.valid;
        let high = self.word & low_bits(self.valid);
        self.refill();
        self.valid = self.valid.checked_sub(missing)?;
        let low = (self.word >> self.valid) & low_bits(missing);
        Some(high.checked_shl(missing).unwrap_or(0) | low)
    }

    fn refill(&mut self) {
        if let Some((word, rest)) = self.rest.split_first_chunk() {
            (self.word, self.valid, self.rest) = (u64::from_be_bytes(*word), 64, rest);
        } else {
            self.word = self.rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.valid = 8 * self.rest.len() as u32;
            self.rest = &[];
        }
    }
}

const fn low_bits(count: u32) -> u64 {
    if count == 0 { 0 } else { u64::MAX >> (64 - count) }
}
