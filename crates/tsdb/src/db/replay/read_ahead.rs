//! Reads the segments of a log on a thread of its own, ahead of whoever takes their records.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::segments::Segment;
use crate::wal::segment::{SegmentError, SegmentReader};

/// A stretch is handed on at this size.
const STRETCH_BYTES: usize = 256 << 10;
/// So many of them may wait.
const AHEAD_MAX: usize = 4;

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
    /// Where in the segment the last record ends.
    pub(super) end: u64,
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
    let mut reader = match SegmentReader::open(&segment.dir, segment.number, 0) {
        Ok(reader) => reader,
        Err(error) => return Ok(Err(error)),
    };
    let new = || Stretch { segment: index, ..Stretch::default() };
    let mut stretch = new();
    loop {
        let start = reader.offset();
        match reader.next(segment.bytes) {
            Ok(Some(record)) => stretch.push(start, record),
            Ok(None) => break,
            Err(SegmentError::Io(error)) => return Ok(Err(error)),
            Err(SegmentError::Damaged { offset, reason }) => {
                stretch.damage = Some(Damage { start, offset, reason });
                break;
            }
        }
        stretch.end = reader.offset();
        if stretch.bytes.len() >= STRETCH_BYTES {
            let full = std::mem::replace(&mut stretch, new());
            sender.send(Ok(full)).map_err(|_| Unwanted)?;
        }
    }
    sender.send(Ok(stretch)).map_err(|_| Unwanted)?;
    Ok(Ok(()))
}
