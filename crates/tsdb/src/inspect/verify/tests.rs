use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, Sample};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::*;
use crate::block::meta::BlockMeta;
use crate::block::symbols::Texts;
use crate::block::{BlockWriter, ChunkData};
use crate::chunk::{XOR, XorChunk};
use crate::interop::{files, leave_chunks_of_the_head, open, write_directory};
use crate::log::{LogSeries, LoggedSample};
use crate::wal::compression::Compression;
use crate::wal::record::RecordBuilder;
use crate::wal::writer::LogWriter;

fn problems(dir: &Path) -> (Verified, Vec<Problem>) {
    let mut found = Vec::new();
    let verified = verify(dir, &mut |problem| found.push(problem)).unwrap();
    assert_eq!(verified.problems, found.len() as u64);
    (verified, found)
}

/// A directory with files of every kind, whose server was killed.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_directory(dir.path());
    leave_chunks_of_the_head(dir.path());
    dir
}

/// INSPECT-1.
#[test]
fn a_directory_is_sound_while_it_is_open_and_when_its_server_was_killed_and_stays_as_it_is() {
    let dir = directory();
    let before = files(dir.path());
    let (verified, found) = problems(dir.path());
    assert_eq!(found, []);
    let all = [verified.chunks, verified.log_records, verified.head_chunks];
    assert!(verified.blocks > 1 && all.iter().all(|&count| count >= 40), "{verified:?}");
    assert_eq!(files(dir.path()), before);

    let _server = open(dir.path());
    assert_eq!(problems(dir.path()).1, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn a_changed_byte_is_found_in_its_file(picks: [(Index, Index, u8); 40]) {
        let dir = directory();
        let mut files = files(dir.path());
        files.retain(|path, _| !path.ends_with("meta.json") && !path.ends_with("lock"));
        files.retain(|_, bytes| !bytes.is_empty());
        for (file, at, change) in picks {
            let (path, bytes) = files.iter().nth(file.index(files.len())).unwrap();
            let at = at.index(bytes.len());
            let is_padding = bytes[at] == 0;
            if is_padding || change == 0 {
                continue;
            }
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[bytes[at] ^ change], at as u64).unwrap();
            let found = problems(dir.path()).1;
            prop_assert!(found.iter().any(|problem| problem.file == *path || path.starts_with(&problem.file)),
                "{} byte {at} ^ {change}: {found:?}", path.display());
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        prop_assert_eq!(problems(dir.path()).1, []);
    }
}

fn chunk(times: &[i64]) -> ChunkData {
    let sample = |&time| Sample { timestamp: Timestamp::from_millis(time), value: 1.0 };
    let mut chunk = XorChunk::new(sample(&times[0]));
    times[1..].iter().for_each(|time| chunk.push(sample(time)));
    let at = |time: Option<&i64>| Timestamp::from_millis(*time.unwrap());
    ChunkData {
        start: at(times.first()),
        end: at(times.last()),
        encoding: XOR,
        bytes: chunk.to_bytes().into(),
    }
}

fn labels(name: &str) -> Labels {
    [("__name__", name)].into_iter().collect()
}

/// A block from 0 to 100 with these series.
fn write_block(dir: &Path, series: &[(&str, Vec<ChunkData>)]) -> PathBuf {
    let meta = BlockMeta::new(Timestamp::from_millis(0), Timestamp::from_millis(100), &[]);
    let block = dir.join(meta.ulid.as_str());
    let symbols = ["__name__", "a", "b"].into_iter().collect::<Texts>().into_symbols();
    let mut writer = BlockWriter::create(dir, meta, Arc::new(symbols)).unwrap();
    for (name, chunks) in series {
        writer.series(&labels(name), chunks).unwrap();
    }
    writer.finish().unwrap();
    block
}

#[test]
fn parts_of_a_block_that_do_not_agree_are_named() {
    #[track_caller]
    fn check(series: &[(&str, Vec<ChunkData>)], damage: impl Fn(&Path), expect: &[(&str, &str)]) {
        let dir = tempfile::tempdir().unwrap();
        let block = write_block(dir.path(), series);
        damage(&block);
        let found = problems(dir.path()).1;
        let file = |problem: &Problem| {
            let file = problem.file.strip_prefix(&block).unwrap();
            file.display().to_string()
        };
        let said: Vec<_> = found.iter().map(|p| (file(p), p.what.as_str())).collect();
        let said: Vec<_> = said.iter().map(|(file, what)| (file.as_str(), *what)).collect();
        assert_eq!(said, expect);
    }
    let sound = [("a", vec![chunk(&[0, 1]), chunk(&[2, 99])]), ("b", vec![chunk(&[5])])];
    let nothing = |_: &Path| {};
    check(&sound, nothing, &[]);
    check(
        &[("b", vec![chunk(&[5])]), ("a", vec![chunk(&[5])])],
        nothing,
        &[("index", "a series is not sorted behind the one before")],
    );
    check(
        &[("a", vec![chunk(&[0, 5]), chunk(&[5, 9])])],
        nothing,
        &[("index", "the chunks of a series overlap")],
    );
    check(
        &[("a", vec![chunk(&[5, 100])])],
        nothing,
        &[("chunks/000001", "a chunk holds times outside the block's")],
    );
    check(
        &[("a", vec![ChunkData { end: Timestamp::from_millis(8), ..chunk(&[5, 9]) }])],
        nothing,
        &[("chunks/000001", "a chunk holds other times than the index says")],
    );
    check(
        &[("a", vec![ChunkData { bytes: (*b"\x00\x02\x0a").into(), ..chunk(&[5, 9]) }])],
        nothing,
        &[("chunks/000001", "a chunk does not decode")],
    );
    let replace = |file: &'static str, from: &'static str, to: &'static str| {
        move |block: &Path| {
            let text = fs::read_to_string(block.join(file)).unwrap();
            fs::write(block.join(file), text.replace(from, to)).unwrap();
        }
    };
    check(
        &sound,
        replace("meta.json", "\"numSamples\": 5", "\"numSamples\": 6"),
        &[(
            "meta.json",
            "the block has Stats { num_samples: 5, num_series: 2, num_chunks: 3, num_tombstones: 0 }, \
             it says Stats { num_samples: 6, num_series: 2, num_chunks: 3, num_tombstones: 0 }",
        )],
    );
    check(
        &sound,
        |block| fs::write(block.join("index"), "short").unwrap(),
        &[("index", "this is no index of version 2")],
    );
    check(
        &sound,
        |block| fs::rename(block.join("chunks/000001"), block.join("chunks/000002")).unwrap(),
        &[("chunks", "000001 is missing")],
    );
    check(
        &sound,
        |block| {
            let body = [0x7f, 2, 4];
            let header = [0x01, 0x30, 0xBA, 0x30, 1];
            let file = [&header[..], &body, &crc32c::crc32c(&body).to_be_bytes()].concat();
            fs::write(block.join("tombstones"), file).unwrap();
        },
        &[("tombstones", "series 127 is not in the block")],
    );
}

#[test]
fn what_a_log_lacks_is_named() {
    #[track_caller]
    fn check(name: &str, write: impl Fn(&Path), expect: &[(&str, &str)]) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(name);
        fs::create_dir(&log).unwrap();
        write(&log);
        let found = problems(dir.path()).1;
        let said: Vec<_> = found
            .iter()
            .map(|p| (p.file.strip_prefix(&log).unwrap().to_str().unwrap(), p.what.as_str()))
            .collect();
        assert_eq!(said, expect);
    }
    let segment = |dir: &Path, number: u32, names: u64, has_samples: u64| {
        let mut writer = LogWriter::create(dir, number, 1 << 20, Compression::Snappy).unwrap();
        let (mut series, mut samples) = (RecordBuilder::new(), RecordBuilder::new());
        series.series(LogSeries(names), [("__name__", "a")].into_iter());
        let sample = Sample { timestamp: Timestamp::from_millis(1), value: 1.0 };
        samples.sample(LoggedSample { series: LogSeries(has_samples), sample });
        writer.write(&[series.bytes(), samples.bytes()]).unwrap();
    };
    check("wal", |log| segment(log, 0, 1, 1), &[]);
    check(
        "wal",
        |log| segment(log, 0, 1, 2),
        &[("00000000", "1 samples are of series that the log does not name")],
    );
    check("wbl", |log| segment(log, 0, 1, 2), &[]);
    let with_gap = |log: &Path| [0, 2].into_iter().for_each(|number| segment(log, number, 1, 1));
    check("wal", with_gap, &[("00000002", "the segment before it is missing")]);
    let torn = |log: &Path| {
        segment(log, 0, 1, 1);
        let file = fs::OpenOptions::new().write(true).open(log.join("00000000")).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    };
    check("wal", torn, &[("00000000", "a fragment breaks off")]);
    let unknown = |log: &Path| {
        let mut writer = LogWriter::create(log, 0, 1 << 20, Compression::Snappy).unwrap();
        writer.write(&[&[77]]).unwrap();
    };
    check("wal", unknown, &[("00000000", "a record does not decode")]);
}
