//! A block's `tombstones`: ranges of series that were deleted after it was written.
//!
//! ```text
//! tombstones := 0130BA30 | version 1 | (series uvarint | start varint | end varint)* | crc32c u32 BE
//! ```
//! The checksum covers the deletions only. Both ends of a range are deleted.
//! - Source: Prometheus `tsdb/docs/format/tombstones.md`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use model::{TimeRange, Timestamp};

use crate::codec::Decoder;

const HEADER: [u8; 5] = [0x01, 0x30, 0xBA, 0x30, 1];

pub(super) fn write_none(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&HEADER)?;
    file.write_all(&crc32c::crc32c(&[]).to_be_bytes())?;
    file.sync_all()
}

/// By series; none where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<HashMap<u64, Vec<TimeRange>>> {
    match fs::read(path) {
        Ok(bytes) => parse(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "tombstones are malformed")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8]) -> Option<HashMap<u64, Vec<TimeRange>>> {
    let (body, checksum) = bytes.strip_prefix(&HEADER)?.split_last_chunk::<4>()?;
    if crc32c::crc32c(body).to_be_bytes() != *checksum {
        return None;
    }
    let mut rest = Decoder::new(body);
    let mut deleted: HashMap<u64, Vec<TimeRange>> = HashMap::new();
    while !rest.is_empty() {
        let series = rest.uvarint()?;
        let (start, end) = (rest.varint()?, rest.varint()?);
        let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        deleted.entry(series).or_default().push(range);
    }
    Some(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{put_uvarint, put_varint};

    #[test]
    fn deletions_are_read_and_damage_is_seen() {
        let mut body = Vec::new();
        for (series, start, end) in [(7, -5, 10), (9, 0, 0), (7, 20, 30)] {
            put_uvarint(&mut body, series);
            put_varint(&mut body, start);
            put_varint(&mut body, end);
        }
        let mut file = [&HEADER[..], &body, &crc32c::crc32c(&body).to_be_bytes()].concat();
        let deleted = parse(&file).unwrap();
        let of_7: Vec<_> =
            deleted[&7].iter().map(|r| (r.start.as_millis(), r.end.as_millis())).collect();
        assert_eq!((of_7, deleted.len()), (vec![(-5, 10), (20, 30)], 2));
        file[6] ^= 1;
        assert!(parse(&file).is_none());
    }

    #[test]
    fn a_new_block_has_no_deletions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tombstones");
        assert!(read(&path).unwrap().is_empty());
        write_none(&path).unwrap();
        assert!(read(&path).unwrap().is_empty());
    }
}
