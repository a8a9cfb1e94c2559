//! A block's `tombstones`: ranges of series that were deleted after it was written.
//!
//! ```text
//! tombstones := 0130BA30 | version 1 | (series uvarint | start varint | end varint)* | crc32c u32 BE
//! ```
//! The checksum covers the deletions only. Both ends of a range are deleted.
//!
//! - TOMBSTONES-1: the ranges of a series are sorted, and neither overlap nor touch.
//! - Source: Prometheus `tsdb/docs/format/tombstones.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use model::{TimeRange, Timestamp};

use crate::codec::{Decoder, put_uvarint, put_varint};
use crate::replace::replace_file;

const HEADER: [u8; 5] = [0x01, 0x30, 0xBA, 0x30, 1];

/// Deleted ranges, by series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tombstones(BTreeMap<u64, Vec<TimeRange>>);

impl Tombstones {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of ranges of all series.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().map(|ranges| ranges.len() as u64).sum()
    }

    pub(crate) fn of(&self, series: u64) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// A range that ends before it starts is nothing.
    pub(crate) fn add(&mut self, series: u64, range: TimeRange) {
        if range.start > range.end {
            return;
        }
        let ranges = self.0.entry(series).or_default();
        let touches = |other: &TimeRange| {
            other.start <= range.end.plus_millis(1) && range.start <= other.end.plus_millis(1)
        };
        let from = ranges.partition_point(|other| other.end < range.start && !touches(other));
        let count = ranges[from..].iter().take_while(|other| touches(other)).count();
        let joined = ranges[from..from + count].iter().fold(range, |joined, other| {
            TimeRange::new(joined.start.min(other.start), joined.end.max(other.end))
        });
        ranges.splice(from..from + count, [joined]);
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut tombstones = Self::default();
        read(path)?.into_iter().for_each(|(series, range)| tombstones.add(series, range));
        Ok(tombstones)
    }

    /// Replaces the file whole, and brings that to the disk.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        replace_file(path, &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut file = HEADER.to_vec();
        for (&series, ranges) in &self.0 {
            for range in ranges {
                put_uvarint(&mut file, series);
                put_varint(&mut file, range.start.as_millis());
                put_varint(&mut file, range.end.as_millis());
            }
        }
        let checksum = crc32c::crc32c(&file[HEADER.len()..]);
        file.extend(checksum.to_be_bytes());
        file
    }
}

/// Series and ranges as they are in a file; none where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<(u64, TimeRange)>> {
    match fs::read(path) {
        Ok(bytes) => decode(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "tombstones are malformed")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn decode(file: &[u8]) -> Option<Vec<(u64, TimeRange)>> {
    let (body, checksum) = file.strip_prefix(&HEADER)?.split_last_chunk::<4>()?;
    if crc32c::crc32c(body).to_be_bytes() != *checksum {
        return None;
    }
    let mut rest = Decoder::new(body);
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let series = rest.uvarint()?;
        let (start, end) = (rest.varint()?, rest.varint()?);
        let (start, end) = (Timestamp::from_millis(start), Timestamp::from_millis(end));
        entries.push((series, TimeRange::new(start, end)));
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end))
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        #[track_caller]
        fn check(ranges: &[(i64, i64)], expect: &[(i64, i64)]) {
            let mut tombstones = Tombstones::default();
            ranges.iter().for_each(|&(start, end)| tombstones.add(7, range(start, end)));
            let expect: Vec<TimeRange> = expect.iter().map(|&(s, e)| range(s, e)).collect();
            assert_eq!(tombstones.of(7), expect, "{ranges:?}");
            assert_eq!(tombstones.count(), expect.len() as u64);
        }
        check(&[(20, 30), (1, 2)], &[(1, 2), (20, 30)]);
        check(&[(1, 5), (7, 9), (6, 6)], &[(1, 9)]);
        check(&[(1, 2), (10, 12), (20, 30), (5, 25)], &[(1, 2), (5, 30)]);
        check(&[(1, 30), (3, 4)], &[(1, 30)]);
        check(&[(5, 4)], &[]);
        check(&[(1, 2), (i64::MIN, i64::MAX)], &[(i64::MIN, i64::MAX)]);
    }

    #[test]
    fn damage_is_seen() {
        let mut tombstones = Tombstones::default();
        tombstones.add(7, range(-5, 10));
        let mut file = tombstones.encode();
        file[6] ^= 1;
        assert_eq!(decode(&file), None);
    }

    #[test]
    fn a_file_that_is_not_there_deletes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        assert!(Tombstones::read(&path).unwrap().is_empty());
        Tombstones::default().write(&path).unwrap();
        assert!(Tombstones::read(&path).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(ranges in vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20)) {
            let mut tombstones = Tombstones::default();
            for (series, start, end) in ranges {
                tombstones.add(series % 5, range(start, end));
                tombstones.add(series, range(start, end));
            }
            let mut decoded = Tombstones::default();
            let entries = decode(&tombstones.encode()).unwrap();
            entries.into_iter().for_each(|(series, range)| decoded.add(series, range));
            prop_assert_eq!(decoded, tombstones);
        }

        #[test]
        fn exactly_what_was_added_is_deleted(ranges in vec((0..40i64, 0..9i64), 0..12)) {
            let mut tombstones = Tombstones::default();
            ranges.iter().for_each(|&(start, length)| tombstones.add(1, range(start, start + length)));
            for at in 0..50 {
                let expect = ranges.iter().any(|&(start, length)| (start..=start + length).contains(&at));
                let found = tombstones.of(1).iter().any(|r| r.contains(Timestamp::from_millis(at)));
                prop_assert_eq!(found, expect, "{}", at);
            }
            let apart = |pair: &[TimeRange]| pair[1].start.millis_since(pair[0].end) > 1;
            prop_assert!(tombstones.of(1).windows(2).all(apart)); // TOMBSTONES-1
        }

        #[test]
        fn any_bytes_decode_or_are_refused(body: Vec<u8>) {
            decode(&[&HEADER[..], &body, &crc32c::crc32c(&body).to_be_bytes()].concat());
            decode(&body);
        }
    }
}
