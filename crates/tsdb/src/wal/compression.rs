//! How records of the log are compressed: each for itself, told by the flags of its fragments.
//!
//! A record that would not become smaller is left as it is. Either way of compressing is read,
//! whichever is written.

use std::fmt;
use std::io;

use zstd::bulk;
use zstd::zstd_safe::get_frame_content_size;

use super::record::KIND_MAX;

const SNAPPY: u8 = 8;
const ZSTD: u8 = 16;

/// A record that says it is larger than this when decompressed is taken for damage.
const RECORD_BYTES_MAX: usize = 1 << 30;
/// Prometheus' zstd leaves the size out of frames that are much smaller than this.
const UNSIZED_BYTES_MAX: usize = 128 << 10;
/// What a byte stands for at most: snappy copies 64 bytes by three, zstd repeats one 128 Ki times by four.
const SNAPPY_EXPANSION_MAX: usize = 22;
const ZSTD_EXPANSION_MAX: usize = 32 << 10;
/// Higher levels take more time, and hardly less room: most of a record is small differences.
const ZSTD_LEVEL: i32 = 1;

/// What new records of the log are compressed with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    None,
    #[default]
    Snappy,
    Zstd,
}

pub(super) struct Compressor {
    kind: Kind,
    compressed: Vec<u8>,
}

enum Kind {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(bulk::Compressor<'static>),
}

impl Compressor {
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        let kind = match compression {
            Compression::None => Kind::None,
            Compression::Snappy => Kind::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Zstd => Kind::Zstd(bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        Ok(Self { kind, compressed: Vec::new() })
    }

    /// The flag and the bytes that stand for `record`.
    pub(super) fn compress<'a>(&'a mut self, record: &'a [u8]) -> io::Result<(u8, &'a [u8])> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(io::Error::other("a log record may not be larger than 1 GiB"));
        }
        if record.len() <= usize::from(KIND_MAX) {
            return Ok((0, record)); // without its flag it would look like a record of another kind
        }
        let room = |longest: usize, compressed: &mut Vec<u8>| {
            compressed.resize(longest.max(compressed.len()), 0);
        };
        let (flag, length) = match &mut self.kind {
            Kind::None => return Ok((0, record)),
            Kind::Snappy(encoder) => {
                room(snap::raw::max_compress_len(record.len()), &mut self.compressed);
                (SNAPPY, encoder.compress(record, &mut self.compressed)?)
            }
            Kind::Zstd(encoder) => {
                room(zstd::zstd_safe::compress_bound(record.len()), &mut self.compressed);
                (ZSTD, encoder.compress_to_buffer(record, &mut self.compressed[..])?)
            }
        };
        let is_smaller = length < record.len();
        Ok(if is_smaller { (flag, &self.compressed[..length]) } else { (0, record) })
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::None => Compression::None,
            Kind::Snappy(_) => Compression::Snappy,
            Kind::Zstd(_) => Compression::Zstd,
        };
        f.debug_struct("Compressor").field("kind", &kind).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    /// Large, and made for the first record that needs it.
    zstd: Option<bulk::Decompressor<'static>>,
    plain: Vec<u8>,
}

impl Decompressor {
    /// What `data`, whose fragments bear `flags`, stands for; otherwise why it stands for nothing.
    pub(super) fn decompress<'a>(
        &'a mut self,
        flags: u8,
        data: &'a [u8],
    ) -> Result<&'a [u8], &'static str> {
        let is_zstd = flags & ZSTD != 0;
        if !is_zstd && flags & SNAPPY == 0 {
            return Ok(data);
        }
        let broken = "a record does not decompress";
        let length = match is_zstd {
            true => zstd_length(data).ok_or(broken)?,
            false => snap::raw::decompress_len(data).map_err(|_| broken)?,
        };
        if length > RECORD_BYTES_MAX {
            return Err("a record is too large");
        }
        let expansion_max = if is_zstd { ZSTD_EXPANSION_MAX } else { SNAPPY_EXPANSION_MAX };
        if length > data.len().saturating_mul(expansion_max) {
            return Err("a record claims to be larger than it can be");
        }
        self.plain.resize(length.max(self.plain.len()), 0);
        let length = match is_zstd {
            true => self.unzstd(data).map_err(|_| broken)?,
            false => {
                snap::raw::Decoder::new().decompress(data, &mut self.plain).map_err(|_| broken)?
            }
        };
        Ok(&self.plain[..length])
    }

    fn unzstd(&mut self, data: &[u8]) -> io::Result<usize> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(bulk::Decompressor::new()?),
        };
        decoder.decompress_to_buffer(data, &mut self.plain[..])
    }
}

/// What the frame says of its size when decompressed, or the most that a frame without may have.
fn zstd_length(data: &[u8]) -> Option<usize> {
    let size = get_frame_content_size(data).ok()?;
    size.map_or(Some(UNSIZED_BYTES_MAX), |size| usize::try_from(size).ok())
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::wal::record::Record;

    fn compression() -> impl Strategy<Value = Compression> {
        prop::sample::select(vec![Compression::None, Compression::Snappy, Compression::Zstd])
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            compression in compression(),
            records in vec(prop_oneof![vec(any::<u8>(), 0..200), vec(0..2u8, 0..50_000)], 1..4),
        ) {
            let mut compressor = Compressor::new(compression).unwrap();
            let mut decompressor = Decompressor::default();
            for record in records {
                let (flags, data) = compressor.compress(&record).unwrap();
                prop_assert!(data.len() <= record.len());
                prop_assert_eq!(decompressor.decompress(flags, data), Ok(&record[..]));
            }
        }

        #[test]
        fn any_bytes_decompress_or_are_refused(flags: u8, bytes: Vec<u8>) {
            let _ = Decompressor::default().decompress(flags, &bytes);
        }
    }

    /// No checksum covers the flag.
    #[test]
    fn a_compressed_record_that_lost_its_flag_is_no_record() {
        for compression in [Compression::Snappy, Compression::Zstd] {
            let mut compressor = Compressor::new(compression).unwrap();
            let compressed = (1..1000).filter(|&length| {
                let record = vec![0; length];
                let (flag, data) = compressor.compress(&record).unwrap();
                let is_record = Record::parse(data).is_ok();
                assert!(flag == 0 || !is_record, "{compression:?} of {length} bytes");
                flag != 0
            });
            assert!(compressed.count() > 900);
        }
    }

    #[test]
    fn a_size_beyond_all_bounds_is_refused_before_it_is_allocated() {
        #[track_caller]
        fn check(flags: u8, data: &[u8], expect: &'static str) {
            let mut decompressor = Decompressor::default();
            assert_eq!(decompressor.decompress(flags, data), Err(expect));
            assert_eq!(decompressor.plain.capacity(), 0);
        }
        let zstd_of =
            |size: u64| [&0xfd2f_b528_u32.to_le_bytes()[..], &[0xe0], &size.to_le_bytes()].concat();
        let too_large = "a record is too large";
        check(SNAPPY, &[0x81, 0x80, 0x80, 0x80, 0x04, 0, 0], too_large);
        check(ZSTD, &zstd_of(1 << 40), too_large);
        let more_than_can_be = "a record claims to be larger than it can be";
        check(SNAPPY, &[0x80, 0x80, 0x80, 0x80, 0x04, 0, 0], more_than_can_be);
        check(ZSTD, &zstd_of(1 << 30), more_than_can_be);
    }

    #[test]
    fn a_record_of_one_byte_again_and_again_comes_back() {
        for compression in [Compression::Snappy, Compression::Zstd] {
            let record = vec![7; 64 << 20];
            let mut compressor = Compressor::new(compression).unwrap();
            let (flags, data) = compressor.compress(&record).unwrap();
            assert!(Decompressor::default().decompress(flags, data) == Ok(&record[..]));
        }
    }

    /// As Prometheus' encoder writes frames of up to 255 bytes.
    #[test]
    fn a_zstd_frame_may_leave_out_its_size() {
        let mut encoder = bulk::Compressor::new(ZSTD_LEVEL).unwrap();
        encoder.include_contentsize(false).unwrap();
        let record = [7; 200];
        let data = encoder.compress(&record).unwrap();
        assert_eq!(get_frame_content_size(&data).unwrap(), None);
        assert_eq!(Decompressor::default().decompress(ZSTD, &data), Ok(&record[..]));
    }
}
