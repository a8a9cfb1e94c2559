//! Reads the segments of a log on a thread of its own, ahead of whoever takes their records.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::wal::segment::{SegmentError, SegmentReader};
use crate::wal::{list_segments, segment_path};

/// A stretch is handed on at this size.
const STRETCH_BYTES: usize = 256 << 10;
/// So many of them may wait.
const AHEAD_MAX: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Segment {
    dir: PathBuf,
    pub(super) number: u32,
}

impl Segment {
    pub(super) fn path(&self) -> PathBuf {
        segment_path(&self.dir, self.number)
    }

    pub(super) fn bytes(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.path())?.len())
    }
}

/// The segments in `dir`, in order.
pub(super) fn segments_in(dir: &Path) -> io::Result<Vec<Segment>> {
    let numbers = list_segments(dir)?.into_iter();
    Ok(numbers.map(|number| Segment { dir: dir.to_owned(), number }).collect())
}

/// Why what follows in a segment is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    /// Where the first record begins that is lost.
    pub(super) start: u64,
    /// Where the damage was found.
    pub(super) offset: u64,
    pub(super) reason: &'static str,
}

/// Some records of one segment, in their order.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    /// The how manieth segment of those that are read.
    pub(super) segment: usize,
    bytes: Vec<u8>,
    /// Where each record begins in its segment, and where it ends in `bytes`.
    records: Vec<(u64, usize)>,
    /// What comes behind the last record.
    pub(super) damage: Option<Damage>,
}

impl Stretch {
    /// Each record, and where it begins in its segment.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.records.iter().map(|&(_, end)| end));
        self.records.iter().zip(starts).map(|(&(at, end), start)| (at, &self.bytes[start..end]))
    }

    fn push(&mut self, at: u64, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.records.push((at, self.bytes.len()));
    }
}

/// Gives the records of `segments` in order; an error ends them.
pub(super) fn read_ahead<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    segments: &'env [Segment],
) -> Receiver<io::Result<Stretch>> {
    let (sender, receiver) = sync_channel(AHEAD_MAX);
    scope.spawn(move || {
        for (index, segment) in segments.iter().enumerate() {
            let Ok(outcome) = read(index, segment, &sender) else { return };
            if let Err(error) = outcome {
                let _ = sender.send(Err(error)); // nobody there, nobody to be told
                return;
            }
        }
    });
    receiver
}

/// Nobody takes records any more.
struct Unwanted;

fn read(
    index: usize,
    segment: &Segment,
    sender: &SyncSender<io::Result<Stretch>>,
) -> Result<io::Result<()>, Unwanted> {
    let opened = SegmentReader::open(&segment.dir, segment.number, 0);
    let (mut reader, end) = match opened.and_then(|reader| Ok((segment.bytes()?, reader))) {
        Ok((end, reader)) => (reader, end),
        Err(error) => return Ok(Err(error)),
    };
    let new = || Stretch { segment: index, ..Stretch::default() };
    let mut stretch = new();
    loop {
        let start = reader.offset();
        match reader.next(end) {
            Ok(Some(record)) => stretch.push(start, record),
            Ok(None) => break,
            Err(SegmentError::Io(error)) => return Ok(Err(error)),
            Err(SegmentError::Damaged { offset, reason }) => {
                stretch.damage = Some(Damage { start, offset, reason });
                break;
            }
        }
        if stretch.bytes.len() >= STRETCH_BYTES {
            let full = std::mem::replace(&mut stretch, new());
            sender.send(Ok(full)).map_err(|_| Unwanted)?;
        }
    }
    sender.send(Ok(stretch)).map_err(|_| Unwanted)?;
    Ok(Ok(()))
}
