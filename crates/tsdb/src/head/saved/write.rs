//! Writes the head down.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use model::Timestamp;

use super::section::SectionWriter;
use super::{
    DATA, DEPARTED, FILES, HAS_DELETED_LATE, HAS_LATE, HAS_LATE_LOG, INDEX, Logs, NAMES, PAIRS,
    POSITION, RECORD,
};
use crate::codec::{put_text, put_uvarint};
use crate::head::index::Index;
use crate::head::spill::SpillFiles;
use crate::head::{Head, Place};
use crate::wal::record::RecordBuilder;
use crate::wal::sync_dir;

/// A section is ended at about this size: workers load one each.
const SECTION_BYTES: usize = 1 << 20;

/// Saves `head`, whose full chunks are all in files, into the data directory `dir`. Nothing may be
/// committed meanwhile. `metadata`: as the log says it.
pub(crate) fn write(
    dir: &Path,
    logs: Logs,
    head: &Head,
    metadata: &RecordBuilder,
) -> io::Result<()> {
    let unfinished = super::unfinished(dir);
    let written = write_to(File::create(&unfinished)?, logs, head, metadata);
    let written = written.and_then(|()| fs::rename(&unfinished, super::path(dir)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished); // what stays is removed when the database opens
    }
    written.and_then(|()| sync_dir(dir))
}

fn write_to(file: File, logs: Logs, head: &Head, metadata: &RecordBuilder) -> io::Result<()> {
    let index = head.index.read();
    let is_logged = |place: &Place| head.shard_of(*place).get(*place).is_some_and(|s| s.is_logged);
    let places: Vec<Place> = index.places().filter(is_logged).collect();
    let mut out = SectionWriter::new(file)?;
    let pairs = index.save_pairs();
    out.write(POSITION, &position(logs, head, &index, pairs.pairs.len(), places.len()))?;

    let mut names = Entries::new(NAMES, &mut out);
    for name in &pairs.names {
        names.add(|data| put_text(data, name))?;
    }
    names.finish()?;
    let mut values = Entries::new(PAIRS, &mut out);
    for (name, value) in &pairs.pairs {
        values.add(|data| {
            put_uvarint(data, (*name).into());
            put_text(data, value);
        })?;
    }
    values.finish()?;
    let mut series = Entries::new(INDEX, &mut out);
    for &place in &places {
        series.add(|data| index.save_series(place, &pairs, data))?;
    }
    series.finish()?;
    let mut departed = Vec::new();
    index.save_departed(&mut departed);
    out.write(DEPARTED, &departed)?;

    let files = write_data(head, &places, &mut out)?;
    files.keep()?;
    for record in [metadata, &exemplars(head, &index)] {
        if !record.is_empty() {
            out.write(RECORD, record.bytes())?;
        }
    }
    out.finish()
}

fn position(logs: Logs, head: &Head, index: &Index, pairs: usize, series: usize) -> Vec<u8> {
    let Logs { ends, late } = logs;
    let mut data = Vec::new();
    for end in [ends.log, ends.late_log.unwrap_or_default()] {
        data.extend(end.segment.to_be_bytes());
        data.extend(end.offset.to_be_bytes());
    }
    let flags = [
        (ends.late_log.is_some(), HAS_LATE_LOG),
        (late.times.is_some(), HAS_LATE),
        (late.has_deleted, HAS_DELETED_LATE),
    ];
    data.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
    let times =
        late.times.map_or([0; 2], |times| [times.start, times.end].map(Timestamp::as_millis));
    data.extend(times.into_iter().chain(head.bounds.save()).flat_map(i64::to_be_bytes));
    let counts = [index.next_number(), pairs as u64, series as u64];
    data.extend(counts.into_iter().flat_map(u64::to_be_bytes));
    data
}

/// Gives the files that are referred to.
fn write_data(head: &Head, places: &[Place], out: &mut SectionWriter) -> io::Result<SpillFiles> {
    let (mut files, mut data) = (SpillFiles::default(), Vec::new());
    let mut first = 0u32;
    let mut written = 0u32;
    for run in places.chunk_by(|a, b| a.slot.shard() == b.slot.shard()) {
        if data.is_empty() {
            data.extend(first.to_be_bytes());
        }
        let shard = head.shard_of(run[0]);
        for &place in run {
            let series = shard.get(place).expect("the index is held, so that no series goes");
            series.save(&mut files, &mut data)?;
        }
        written += run.len() as u32;
        if data.len() >= SECTION_BYTES {
            out.write(DATA, &data)?;
            data.clear();
            first = written;
        }
    }
    if !data.is_empty() {
        out.write(DATA, &data)?;
    }
    let mut table = Vec::new();
    for (number, bytes) in files.iter() {
        put_uvarint(&mut table, number.into());
        put_uvarint(&mut table, bytes.len() as u64);
        table.extend(crc32c::crc32c(bytes).to_be_bytes());
    }
    out.write(FILES, &table)?;
    Ok(files)
}

/// Those of series that the log names.
fn exemplars(head: &Head, index: &Index) -> RecordBuilder {
    let mut record = RecordBuilder::new();
    for (labels, exemplar) in head.exemplars.read().by_arrival() {
        let place = index.find(labels);
        if let Some(number) = place.and_then(|place| index.number(place)) {
            record.exemplar(number, exemplar);
        }
    }
    record
}

/// Entries of one kind, in as many sections as it takes.
struct Entries<'a> {
    kind: u8,
    out: &'a mut SectionWriter,
    data: Vec<u8>,
}

impl<'a> Entries<'a> {
    const fn new(kind: u8, out: &'a mut SectionWriter) -> Self {
        Self { kind, out, data: Vec::new() }
    }

    fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        put(&mut self.data);
        if self.data.len() >= SECTION_BYTES {
            self.out.write(self.kind, &self.data)?;
            self.data.clear();
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        self.out.write(self.kind, &self.data)
    }
}
