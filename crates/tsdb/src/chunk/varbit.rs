//! Small integers in few bits.
//!
//! ```text
//! integer := 0 | 10 +3 bits | 110 +6 | 1110 +9 | 11110 +12 | 111110 +18 | 1111110 +25
//!          | 11111110 +56 | 11111111 +64
//! ```
//! - Source: Prometheus `tsdb/chunkenc/varbit.go`. A signed integer of n bits lies in
//!   `-(2^(n-1) - 1) ..= 2^(n-1)`, which is not two's complement; one of 64 bits does not.

use super::bits::{BitReader, BitWriter};

/// What is wider takes 64 bits.
const WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

impl BitWriter {
    pub(super) fn put_signed(&mut self, value: i64) {
        self.put_class(value.cast_unsigned(), |width| {
            let half = 1i64 << (width - 1);
            (1 - half..=half).contains(&value)
        });
    }

    pub(super) fn put_unsigned(&mut self, value: u64) {
        self.put_class(value, |width| value >> width == 0);
    }

    fn put_class(&mut self, value: u64, fits: impl Fn(u32) -> bool) {
        if value == 0 {
            return self.put(0, 1);
        }
        match (0..).zip(WIDTHS).find(|&(_, width)| fits(width)) {
            Some((class, width)) => {
                self.put((1 << (class + 2)) - 2, class + 2);
                self.put(value, width);
            }
            None => {
                self.put(0xff, 8);
                self.put(value, 64);
            }
        }
    }
}

impl BitReader<'_> {
    pub(super) fn take_signed(&mut self) -> Option<i64> {
        let width = self.take_width()?;
        let bits = self.take_wide(width)?.cast_signed();
        let is_negative = (1..64).contains(&width) && bits > 1 << (width - 1);
        Some(if is_negative { bits - (1 << width) } else { bits })
    }

    pub(super) fn take_unsigned(&mut self) -> Option<u64> {
        let width = self.take_width()?;
        self.take_wide(width)
    }

    fn take_width(&mut self) -> Option<u32> {
        for width in [0].into_iter().chain(WIDTHS) {
            if !self.bit()? {
                return Some(width);
            }
        }
        Some(64)
    }

    fn take_wide(&mut self, width: u32) -> Option<u64> {
        if width == 0 { Some(0) } else { self.take(width) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_integers_take_few_bits() {
        #[track_caller]
        fn check(value: i64, bits: u64) {
            let (mut signed, mut unsigned) = (BitWriter::default(), BitWriter::default());
            signed.put_signed(value);
            unsigned.put_unsigned(value.cast_unsigned());
            let (signed, unsigned) = (signed.to_bytes(), unsigned.to_bytes());
            let mut reader = BitReader::new(&signed);
            assert_eq!(reader.take_signed(), Some(value));
            assert_eq!(8 * signed.len() as u64 - reader.bits_left(), bits, "{value}");
            if value > 0 {
                assert!(unsigned.len() <= signed.len());
            }
        }
        check(0, 1);
        for (value, bits) in [(3, 5), (31, 9), (255, 13), (2047, 17), (131_071, 24)] {
            check(value, bits);
            check(-value, bits);
            check(value + 1, bits);
        }
        check(-4, 9);
        check(5, 9);
        check((1 << 24) + 1, 64);
        check(1 << 55, 64);
        check((1 << 55) + 1, 72);
        check(i64::MIN, 72);
    }

    proptest! {
        #[test]
        fn integers_of_every_size_are_read_back(signed: i64, unsigned: u64, shift in 0..64u32) {
            let (signed, unsigned) = (signed >> shift, unsigned >> shift);
            let mut writer = BitWriter::default();
            writer.put_signed(signed);
            writer.put_unsigned(unsigned);
            let bytes = writer.to_bytes();
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(reader.take_signed(), Some(signed));
            prop_assert_eq!(reader.take_unsigned(), Some(unsigned));
            prop_assert!(reader.bits_left() < 8);
        }
    }
}
