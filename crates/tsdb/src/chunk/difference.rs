//! Floats that resemble the one before them: the bits in which the two differ.
//!
//! ```text
//! value := 0 (same) | 10 bits (within the last window) | 11 leading:5 length:6 bits
//! ```
//! - Source: Prometheus `tsdb/chunkenc/xor.go`.

use super::bits::{BitReader, BitWriter};

/// More leading zeros than fit the encoding are written as this many.
const LEADING_MAX: u32 = 31;

/// The bits that the last written difference filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    leading: u8,
    trailing: u8,
}

impl Window {
    const fn width(self) -> u32 {
        64 - self.leading as u32 - self.trailing as u32
    }
}

impl BitWriter {
    /// `window`: `None` before the first difference that was written.
    #[inline]
    pub(super) fn put_difference(&mut self, xor: u64, window: &mut Option<Window>) {
        if xor == 0 {
            return self.put(0, 1);
        }
        let (leading, trailing) = (xor.leading_zeros().min(LEADING_MAX), xor.trailing_zeros());
        let used = match *window {
            Some(last)
                if leading >= u32::from(last.leading) && trailing >= u32::from(last.trailing) =>
            {
                self.put(0b10, 2);
                last
            }
            _ => {
                let new = Window { leading: leading as u8, trailing: trailing as u8 };
                self.put(0b11, 2);
                self.put(u64::from(leading), 5);
                self.put(u64::from(new.width()), 6); // 64 is written as 0
                new
            }
        };
        self.put(xor >> used.trailing, used.width());
        *window = Some(used);
    }
}

impl BitReader<'_> {
    #[inline]
    pub(super) fn take_difference(&mut self, window: &mut Window) -> Option<u64> {
        if !self.bit()? {
            return Some(0);
        }
        if self.bit()? {
            let leading = self.take(5)? as u8;
            let width = match self.take(6)? as u8 {
                0 => 64,
                width => width,
            };
            let trailing = 64u8.checked_sub(leading + width)?;
            *window = Window { leading, trailing };
        }
        Some(self.take(window.width())? << window.trailing)
    }
}
