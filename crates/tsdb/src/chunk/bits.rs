//! Bits within bytes, most significant first.

/// Appends to `bytes`, a word at a time: most samples of most series take a few bits, and reach no
/// other memory than what holds the writer.
#[derive(Clone, Debug)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    /// What follows `bytes`, from the highest bit on, less than 64 bits; then a one, and zeros.
    word: u64,
}

/// No bits, and the one that ends them.
const EMPTY: u64 = 1 << 63;

impl Default for BitWriter {
    fn default() -> Self {
        Self::after(Vec::new())
    }
}

impl BitWriter {
    /// Starts after whole bytes.
    pub(super) const fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, word: EMPTY }
    }

    /// Goes on behind `bytes`, of whose last one the low `free` bits are not used; `None` where they are.
    pub(super) fn resume(mut bytes: Vec<u8>, free: u64) -> Option<Self> {
        if free == 0 {
            return Some(Self::after(bytes));
        }
        let filled = 8u32.checked_sub(free.try_into().ok()?).filter(|&filled| filled > 0)?;
        let last = bytes.pop()?;
        let word = u64::from(last) << 56 | EMPTY >> filled;
        (last << filled == 0).then_some(Self { bytes, word })
    }

    /// Appends the low `count` bits of `value`; `count` is 1 to 64.
    #[inline]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let value = value & low_bits(count);
        let free = 64 - self.filled();
        let word = self.bits();
        if count < free {
            self.word = word | value << (free - count) | EMPTY >> (64 - free + count);
            return;
        }
        let left = count - free;
        if self.bytes.capacity() - self.bytes.len() < 8 {
            self.bytes.reserve_exact((self.bytes.len() / 4).max(16)); // there are many of these
        }
        self.bytes.extend_from_slice(&(word | value >> left).to_be_bytes());
        self.word = value.checked_shl(64 - left).unwrap_or(0) | EMPTY >> left;
    }

    /// How many bits follow `bytes`.
    #[inline]
    const fn filled(&self) -> u32 {
        63 - self.word.trailing_zeros()
    }

    /// The bits that follow `bytes`, and zeros.
    #[inline]
    const fn bits(&self) -> u64 {
        self.word & (self.word - 1)
    }

    /// The length of what was written, in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.filled().div_ceil(8) as usize
    }

    /// Appends what was written to `out`.
    pub(super) fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let left = self.filled().div_ceil(8) as usize;
        out.extend_from_slice(&self.bits().to_be_bytes()[..left]);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.copy_to(&mut bytes);
        bytes
    }
}

/// Takes bits off the front; `None` where there are too few.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    /// The highest `valid` bits are still to be taken. What follows them is what `rest` begins with, or
    /// zeros.
    word: u64,
    valid: u32,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, word: 0, valid: 0 }
    }

    /// How many bits are still to be taken.
    pub(super) const fn bits_left(&self) -> u64 {
        8 * self.rest.len() as u64 + self.valid as u64
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Option<bool> {
        if self.valid == 0 {
            self.refill();
        }
        self.valid = self.valid.checked_sub(1)?;
        let bit = self.word >> 63 == 1;
        self.word <<= 1;
        Some(bit)
    }

    /// Takes `count` bits, 1 to 64.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        if count > self.valid {
            self.refill();
            if count > self.valid {
                return self.take_across(count);
            }
        }
        self.valid -= count;
        let bits = self.word >> (64 - count);
        self.word = self.word << (count - 1) << 1;
        Some(bits)
    }

    /// Takes more bits than a word holds behind one that is begun.
    #[cold]
    fn take_across(&mut self, count: u32) -> Option<u64> {
        if u64::from(count) > self.bits_left() {
            return None;
        }
        let (high, missing) = (self.valid, count - self.valid);
        let high = if high == 0 { 0 } else { self.take(high)? };
        Some(high << missing | self.take(missing)?)
    }

    /// Fills the word with whole bytes: 57 bits or more are valid then, if there are so many.
    #[inline]
    fn refill(&mut self) {
        if let Some(&word) = self.rest.first_chunk() {
            self.word |= u64::from_be_bytes(word) >> self.valid;
            let bytes = (64 - self.valid) / 8;
            self.rest = &self.rest[bytes as usize..];
            self.valid += 8 * bytes;
            return;
        }
        while self.valid <= 56
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.word |= u64::from(byte) << (56 - self.valid);
            (self.rest, self.valid) = (rest, self.valid + 8);
        }
    }
}

const fn low_bits(count: u32) -> u64 {
    if count == 0 { 0 } else { u64::MAX >> (64 - count) }
}
