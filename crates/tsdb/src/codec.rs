//! The integers and texts that all of Prometheus' storage formats are made of: big-endian fixed
//! words, unsigned varints, zigzag varints, and texts prefixed with their length.

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Takes values off the front of `bytes`; `None` where they end early or make no sense.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (word, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u32::from_be_bytes(*word))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (word, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_be_bytes(*word))
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.u64().map(u64::cast_signed)
    }

    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (used, &byte) in self.bytes.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f).checked_shl(7 * used as u32)?;
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[used + 1..];
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn varint(&mut self) -> Option<i64> {
        let zigzag = self.uvarint()?;
        Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.uvarint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_hold_what_was_put_in(unsigned: u64, signed: i64, text: String) {
            let mut bytes = Vec::new();
            put_uvarint(&mut bytes, unsigned);
            put_varint(&mut bytes, signed);
            put_text(&mut bytes, &text);
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(decoder.uvarint(), Some(unsigned));
            prop_assert_eq!(decoder.varint(), Some(signed));
            prop_assert_eq!(decoder.text(), Some(text.as_str()));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let mut decoder = Decoder::new(&bytes);
            while decoder.text().is_some() && decoder.varint().is_some() {}
        }
    }
}
