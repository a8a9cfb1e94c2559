//! Protobuf's wire format, read in place and written without messages.
//!
//! ```text
//! message := field*
//! field   := key varint (number << 3 | wire type) | varint, 8 bytes, length varint + bytes, or 4 bytes
//! ```
//! - WIRE-1: whatever prost decodes, this reads: unknown fields and groups are skipped, fields come
//!   in any order, varints may be padded.
//! - WIRE-2: foreign bytes never cause a panic; an error names the byte where it stands.
//! - Source: protobuf's "Encoding" document.

use std::ops::Range;

/// Groups inside groups; no format that we read uses any.
const GROUP_DEPTH_MAX: usize = 100;

/// What is wrong with a message, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf at byte {offset}: {what}")]
pub(crate) struct Malformed {
    pub offset: usize,
    pub what: &'static str,
}

/// Reads one message field by field. The default is an empty message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` starts in the outermost message, for errors.
    base: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    value: Value<'a>,
    offset: usize,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Reader<'a>),
    Fixed32,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0 }
    }

    /// Reads `bytes` as if they stood at `offset` of the outermost message.
    pub(crate) fn at_offset(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, at: 0, base: offset }
    }

    /// The whole message, wherever reading stands.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A part of this message, to be read from its start.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Self { base: self.base + range.start, bytes: &self.bytes[range], at: 0 }
    }

    /// How far this message is read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Where this message starts in the outermost one.
    pub(crate) fn offset(&self) -> usize {
        self.base
    }

    /// The next field, or `None` at the end. Groups are skipped.
    #[inline(always)]
    pub(crate) fn field(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        loop {
            if self.at == self.bytes.len() {
                return Ok(None);
            }
            let offset = self.base + self.at;
            let (number, wire_type) = self.key()?;
            if wire_type == 3 {
                self.skip_group(number)?;
                continue;
            }
            let value = self.value(wire_type, offset)?;
            return Ok(Some(Field { number, value, offset }));
        }
    }

    /// Passes over the fields that follow with this number, below 16, and hold less than 128 bytes
    /// each: a few instructions for one, where [`Reader::field`] reads whatever may come.
    #[inline]
    pub(crate) fn skip_short(&mut self, number: u32) {
        let mut rest = &self.bytes[self.at..];
        while let Some((&[key, length], after)) = rest.split_first_chunk()
            && u32::from(key) == number << 3 | 2
            && length < 0x80
            && let Some(after) = after.get(usize::from(length)..)
        {
            rest = after;
        }
        self.at = self.bytes.len() - rest.len();
    }

    /// A bare varint, as packed fields hold them; `None` at the end.
    pub(crate) fn packed_varint(&mut self) -> Result<Option<u64>, Malformed> {
        if self.at == self.bytes.len() { Ok(None) } else { self.varint().map(Some) }
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let offset = self.base + self.at;
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >> 3 != 0 => Ok((key >> 3, (key & 7) as u8)),
            _ => Err(Malformed { offset, what: "invalid field number" }),
        }
    }

    #[inline(always)]
    fn value(&mut self, wire_type: u8, offset: usize) -> Result<Value<'a>, Malformed> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let base = self.base + self.at;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Value::Bytes(Reader { bytes: self.take(length)?, at: 0, base })
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            4 => return Err(Malformed { offset, what: "end of a group that did not start" }),
            _ => return Err(Malformed { offset, what: "invalid wire type" }),
        })
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        match self.bytes[start..] {
            [byte, ..] if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            [low, high, ..] if high < 0x80 => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let start = self.at;
        let mut value = 0u64;
        for (index, &byte) in self.bytes[start..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    break;
                }
                self.at = start + index + 1;
                return Ok(value);
            }
        }
        let what = if self.bytes.len() - start < 10 { "truncated" } else { "varint over 64 bits" };
        Err(Malformed { offset: self.base + start, what })
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        match self.bytes[self.at..].get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => Err(Malformed { offset: self.base + self.at, what: "truncated" }),
        }
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gives exactly what was asked for"))
    }

    fn skip_group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let offset = self.base + self.at;
            match self.key()? {
                (number, 3) if open.len() < GROUP_DEPTH_MAX => open.push(number),
                (_, 3) => return Err(Malformed { offset, what: "groups nested too deeply" }),
                (number, 4) if number == innermost => drop(open.pop()),
                (_, 4) => return Err(Malformed { offset, what: "end of another group" }),
                (_, wire_type) => drop(self.value(wire_type, offset)?),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    #[inline]
    pub(crate) fn message(self) -> Result<Reader<'a>, Malformed> {
        match self.value {
            Value::Bytes(reader) => Ok(reader),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        Ok(self.message()?.bytes)
    }

    #[inline]
    pub(crate) fn varint(self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline]
    pub(crate) fn double(self) -> Result<f64, Malformed> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type()),
        }
    }

    #[inline]
    pub(crate) fn sint32(self) -> Result<i32, Malformed> {
        let low = self.varint()? as u32;
        Ok(zigzag(low.into()) as i32)
    }

    /// Hands each number of a repeated `double` to `each`, packed or not.
    pub(crate) fn doubles(self, mut each: impl FnMut(f64)) -> Result<(), Malformed> {
        match self.value {
            Value::Fixed64(bits) => each(f64::from_bits(bits)),
            Value::Bytes(mut packed) => {
                while packed.at < packed.bytes.len() {
                    each(f64::from_le_bytes(packed.array()?));
                }
            }
            _ => return Err(self.wrong_type()),
        }
        Ok(())
    }

    /// Hands each number of a repeated integer field to `each`, packed or not.
    pub(crate) fn varints(self, mut each: impl FnMut(u64)) -> Result<(), Malformed> {
        match self.value {
            Value::Varint(value) => each(value),
            Value::Bytes(mut packed) => {
                while let Some(value) = packed.packed_varint()? {
                    each(value);
                }
            }
            _ => return Err(self.wrong_type()),
        }
        Ok(())
    }

    fn wrong_type(self) -> Malformed {
        Malformed { offset: self.offset, what: "field of the wrong wire type" }
    }
}

/// What a `sint32` or `sint64` is sent as.
pub(crate) const fn zigzag(sent: u64) -> i64 {
    (sent >> 1).cast_signed() ^ -(sent & 1).cast_signed()
}

pub(crate) const fn to_zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) const fn varint_len(value: u64) -> usize {
    // 1 for 0..=127, and one more for each further 7 bits.
    (63 - (value | 1).leading_zeros() as usize) / 7 + 1
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Puts the key and length of a field of bytes, a text or a message; `length` bytes must follow.
pub(crate) fn put_length(out: &mut Vec<u8>, number: u8, length: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, length as u64);
}

/// Bytes that [`put_length`] and what follows it take; `number` is below 16.
pub(crate) const fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_double(out: &mut Vec<u8>, number: u8, value: f64) {
    out.push(number << 3 | 1);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

pub(crate) fn put_int64(out: &mut Vec<u8>, number: u8, value: i64) {
    out.push(number << 3);
    put_varint(out, value as u64);
}

/// A `sint32` or `sint64`.
pub(crate) fn put_sint(out: &mut Vec<u8>, number: u8, value: i64) {
    out.push(number << 3);
    put_varint(out, to_zigzag(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
        let (mut reader, mut numbers) = (Reader::new(bytes), Vec::new());
        while let Some(field) = reader.field()? {
            numbers.push(field.number);
        }
        Ok(numbers)
    }

    #[test]
    fn fields_and_groups_are_walked_and_errors_name_the_byte() {
        #[track_caller]
        fn check(bytes: &[u8], expect: Result<&[u32], (usize, &'static str)>) {
            let expect =
                expect.map(<[u32]>::to_vec).map_err(|(offset, what)| Malformed { offset, what });
            assert_eq!(read_all(bytes), expect, "{bytes:?}");
        }
        check(b"", Ok(&[]));
        check(b"\x08\x01\x10\x80\x00", Ok(&[1, 2])); // a padded varint
        check(b"\x09\0\0\0\0\0\0\0\0\x15\0\0\0\0\x1a\x01x", Ok(&[1, 2, 3]));
        check(b"\x0b\x13\x08\x01\x14\x0c\x08\x01", Ok(&[1])); // group 1 holds group 2 holds a varint
        check(b"\x0b\x14", Err((1, "end of another group")));
        check(b"\x0c", Err((0, "end of a group that did not start")));
        check(b"\x0e", Err((0, "invalid wire type")));
        check(b"\x00\x01", Err((0, "invalid field number")));
        check(b"\x08\x01\x0a\x05ab", Err((4, "truncated")));
        check(b"\x08\xff", Err((1, "truncated")));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Err((1, "varint over 64 bits")));
        check(&b"\x0b".repeat(200), Err((100, "groups nested too deeply")));
    }

    #[test]
    fn short_fields_of_one_number_are_passed_over() {
        #[track_caller]
        fn check(bytes: &[u8], expect: usize) {
            let mut reader = Reader::new(bytes);
            reader.skip_short(1);
            assert_eq!(reader.position(), expect, "{bytes:?}");
        }
        check(b"", 0);
        check(b"\x0a", 0);
        check(b"\x0a\x00\x0a\x02ab\x12\x00", 6); // another number
        check(b"\x0a\x01a\x0a\x80\x00", 3); // a padded length
        check(b"\x0a\x01a\x0a\x02b", 3); // cut short
        check(b"\x08\x01", 0); // another type
        let long = [&b"\x0a\x7f"[..], &[0; 127], b"\x0a\x80\x01", &[0; 128]].concat();
        check(&long, 129);
    }

    #[test]
    fn varint_lengths_are_those_that_are_written() {
        for value in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(varint_len(value), out.len(), "{value}");
            assert_eq!(Reader::new(&out).varint(), Ok(value));
        }
    }
}
