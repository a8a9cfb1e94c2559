use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wal::list_segments;
use crate::wal::segment::{SegmentError, SegmentReader};

fn create(dir: &Path, segment_bytes_max: u64) -> LogWriter {
    LogWriter::create(dir, 0, segment_bytes_max, Compression::Snappy).unwrap()
}

/// All records of all segments, and the first damage of each segment that has some.
fn read_all(dir: &Path) -> (Vec<Vec<u8>>, Vec<u64>) {
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    for segment in list_segments(dir).unwrap() {
        let mut reader = SegmentReader::open(dir, segment, 0).unwrap();
        let end = reader.file_bytes().unwrap();
        loop {
            match reader.next(end) {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => break,
                Err(SegmentError::Damaged { offset, .. }) => {
                    damage.push(offset);
                    break;
                }
                Err(SegmentError::Io(e)) => panic!("{e}"),
            }
        }
    }
    (records, damage)
}

/// Records of bytes that compress and of bytes that do not, small and larger than a page.
fn record() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 1..100),
        (1..100_000usize).prop_map(|length| vec![7; length]),
        (1..100_000usize, any::<u64>()).prop_map(|(length, mut state)| {
            let next = |_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            };
            (0..length).map(next).collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// WAL-1, WAL-2.
    #[test]
    fn records_come_back_as_they_were_written(batches in vec(vec(record(), 1..4), 1..20)) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = create(dir.path(), 4 * PAGE_BYTES as u64);
        for batch in &batches {
            writer.write(&batch.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        }
        let (records, damage) = read_all(dir.path());
        prop_assert_eq!(damage, Vec::<u64>::new());
        prop_assert!(records == batches.concat());
    }

    /// WAL-3: what precedes the damage is read, nothing wrong is.
    #[test]
    fn a_flipped_or_missing_byte_ends_the_segment_there(
        written in vec(record(), 1..10), at in any::<prop::sample::Index>(), cut: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = create(dir.path(), u64::MAX);
        let mut ends = Vec::new();
        for record in &written {
            writer.write(&[record]).unwrap();
            ends.push(writer.position().offset);
        }
        let path = segment_path(dir.path(), 0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 0x40 }
        fs::write(&path, bytes).unwrap();

        let (records, damage) = read_all(dir.path());
        let whole = ends.iter().filter(|&&end| end <= at as u64).count();
        prop_assert!(records.len() >= whole, "{} of {whole}", records.len());
        prop_assert!(records[..] == written[..records.len()]);
        prop_assert!(records.len() < written.len() || damage.is_empty());
    }
}

/// WRITER-1.
#[test]
fn what_was_taken_back_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path(), u64::MAX);
    writer.write(&[b"kept"]).unwrap();
    let position = writer.write(&[&[1; 70_000]]).unwrap();
    writer.rewind(position);
    writer.write(&[b"next"]).unwrap();
    assert_eq!(read_all(dir.path()), (vec![b"kept".to_vec(), b"next".to_vec()], vec![]));
}

/// SYNC-2.
#[test]
fn what_a_failed_sync_left_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path(), u64::MAX);
    writer.write(&[&[1; 70_000]]).unwrap();
    let path = segment_path(dir.path(), 0);
    let written_since = |writer: &mut LogWriter| {
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let tails = writer.take_unsynced().unwrap();
        (tails, file.metadata().unwrap().modified().unwrap() != std::time::UNIX_EPOCH)
    };
    let (tails, written) = written_since(&mut writer);
    assert!(tails.len() == 1 && !written);
    writer.still_unsynced(tails);
    let (tails, written) = written_since(&mut writer);
    assert!(tails.len() == 1 && written);
    assert_eq!(read_all(dir.path()), (vec![vec![1; 70_000]], vec![]));
    let (tails, written) = written_since(&mut writer);
    assert!(tails.is_empty() && !written);
}

/// REPLAY-1.
#[test]
fn lost_records_are_counted() {
    #[track_caller]
    fn check(damaged: usize, cut: bool, expect: u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = create(dir.path(), u64::MAX);
        let mut starts = Vec::new();
        for length in [10, 10, 100_000, 10, 40_000, 10] {
            let noise = (0..length).map(|i: u32| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8);
            starts.push(writer.write(&[&noise.collect::<Vec<u8>>()]).unwrap().offset);
        }
        let path = segment_path(dir.path(), 0);
        let mut bytes = fs::read(&path).unwrap();
        let at = starts[damaged] as usize + HEADER_BYTES + 2;
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1;
        }
        fs::write(&path, &bytes).unwrap();
        let mut reader = SegmentReader::open(dir.path(), 0, 0).unwrap();
        let end = bytes.len() as u64;
        while let Ok(Some(_)) = reader.next(end) {}
        assert_eq!(reader.offset(), starts[damaged]);
        assert_eq!(reader.lost_records(starts[damaged], end).unwrap(), expect, "{damaged}");
    }
    for damaged in 0..6 {
        check(damaged, false, 6 - damaged as u64);
        check(damaged, true, 1);
    }
}
