//! Brings a saved head back: the index on this thread, the series' data on others.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use model::{TimeRange, Timestamp};

use super::section::{Section, sections};
use super::{
    DATA, DEPARTED, FILES, HAS_DELETED_LATE, HAS_LATE, HAS_LATE_LOG, INDEX, LogEnds, Logs, NAMES,
    PAIRS, POSITION, RECORD, SavedLate,
};
use crate::codec::Decoder;
use crate::head::index::{LoadedPairs, LoadedSeries};
use crate::head::series::Series;
use crate::head::spill::SpillFiles;
use crate::head::{Head, Place, Slot};
use crate::log::LogPosition;
use crate::mapped::Mapped;

/// Of each series that is loaded: its slot is taken for the first time.
const GENERATION: u32 = 1;

#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) late: SavedLate,
    /// Where full chunks are.
    pub(crate) files: SpillFiles,
    /// Records of the log that say the rest: to be replayed before the bounds are set.
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) bounds: [i64; 4],
}

/// Why a saved head is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the log does not end where the head was saved")]
    Stale,
    #[error("it is damaged, or a chunk file is")]
    Damaged,
    #[error("read")]
    Io(#[from] io::Error),
}

/// Loads the saved head of the data directory `dir`, whose logs end at `ends`; `None` where there is
/// none.
pub(crate) fn load(
    dir: &Path,
    ends: LogEnds,
    exemplars_max: usize,
) -> Result<Option<Loaded>, Unusable> {
    let file = match Mapped::open(&super::path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let sections = sections(&file).ok_or(Unusable::Damaged)?;
    let (first, rest) = sections.split_first().ok_or(Unusable::Damaged)?;
    let position = Position::read(first, file.len()).ok_or(Unusable::Damaged)?;
    if position.logs.ends != ends {
        return Err(Unusable::Stale);
    }
    let mut files = SpillFiles::default();
    let mut tasks = Vec::new();
    for section in rest {
        match section.kind {
            FILES => open_files(section, dir, &mut files, &mut tasks)?,
            DATA => tasks.push(Task::Data(*section)),
            _ => {}
        }
    }
    let head = Head::new(exemplars_max);
    let data = Data { head: &head, files: &files, series: position.series };
    let (tasks, next) = (&tasks, &AtomicUsize::new(0));
    let records = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let work = || data.take_on(tasks, next);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let records = load_index(&head, rest, &position);
        let parts =
            workers.into_iter().map(|worker| worker.join().expect("loading does not panic"));
        let parts = parts.collect::<Option<Vec<_>>>()?.concat();
        records.filter(|_| covers(parts, position.series))
    });
    let records = records.ok_or(Unusable::Damaged)?;
    let Position { logs, bounds, .. } = position;
    Ok(Some(Loaded { head, late: logs.late, files, records, bounds }))
}

struct Position {
    logs: Logs,
    bounds: [i64; 4],
    next_number: u64,
    pairs: usize,
    series: u32,
}

impl Position {
    fn read(section: &Section<'_>, file_bytes: usize) -> Option<Self> {
        let mut data = section.check().filter(|_| section.kind == POSITION)?;
        let log = take_position(&mut data)?;
        let late_log = take_position(&mut data)?;
        let flags = data.u8()?;
        let late_log = (flags & HAS_LATE_LOG != 0).then_some(late_log);
        let (start, end) = (data.i64()?, data.i64()?);
        let times = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
        let late = SavedLate {
            times: (flags & HAS_LATE != 0).then_some(times),
            has_deleted: flags & HAS_DELETED_LATE != 0,
        };
        let bounds = [data.i64()?, data.i64()?, data.i64()?, data.i64()?];
        let (next_number, pairs, series) = (data.u64()?, data.u64()?, data.u64()?);
        // Each takes a byte or more of the file.
        let is_plausible = |count: u64| count <= file_bytes as u64;
        let is_plausible = is_plausible(pairs) && is_plausible(series);
        let series = u32::try_from(series).ok().filter(|_| is_plausible)?;
        let logs = Logs { ends: LogEnds { log, late_log }, late };
        Some(Self { logs, bounds, next_number, pairs: pairs as usize, series })
    }
}

fn take_position(data: &mut Decoder<'_>) -> Option<LogPosition> {
    Some(LogPosition { segment: data.u32()?, offset: data.u64()? })
}

fn open_files(
    section: &Section<'_>,
    dir: &Path,
    files: &mut SpillFiles,
    tasks: &mut Vec<Task<'_>>,
) -> Result<(), Unusable> {
    let mut data = section.check().ok_or(Unusable::Damaged)?;
    while !data.is_empty() {
        let number = data.uvarint().and_then(|number| u32::try_from(number).ok());
        let length = data.uvarint();
        let file = number.zip(length).zip(data.u32());
        let ((number, length), checksum) = file.ok_or(Unusable::Damaged)?;
        if files.open(dir, number)? != length {
            return Err(Unusable::Damaged);
        }
        tasks.push(Task::File(number, checksum));
    }
    Ok(())
}

/// Gives the records of the log among the sections; `None` where something is wrong.
fn load_index(head: &Head, sections: &[Section<'_>], position: &Position) -> Option<Vec<Vec<u8>>> {
    let mut index = head.index.write();
    index.reserve(position.pairs, position.series as usize);
    let (mut pairs, mut series) = (LoadedPairs::default(), LoadedSeries::default());
    let mut records = Vec::new();
    for section in sections {
        match section.kind {
            NAMES => pairs.load_names(section.check()?)?,
            PAIRS => index.load_pairs(section.check()?, &mut pairs)?,
            INDEX => index.load_series(section.check()?, &pairs, &mut series)?,
            DEPARTED => index.load_departed(section.check()?)?,
            RECORD => records.push(section.check()?.bytes.to_vec()),
            FILES | DATA => {} // others do that
            _ => return None,
        }
    }
    index.raise_next_number(position.next_number);
    (series.count == position.series).then_some(records)
}

/// What a thread takes on at a time.
#[derive(Clone, Copy)]
enum Task<'a> {
    /// Looking whether a chunk file has this checksum.
    File(u32, u32),
    Data(Section<'a>),
}

/// Where data goes.
#[derive(Clone, Copy)]
struct Data<'a> {
    head: &'a Head,
    files: &'a SpillFiles,
    /// So many there are.
    series: u32,
}

impl Data<'_> {
    /// Works until there is nothing left to do; gives which series were loaded. `None` where something
    /// is wrong.
    fn take_on(self, tasks: &[Task<'_>], next: &AtomicUsize) -> Option<Vec<Range<u32>>> {
        let mut loaded = Vec::new();
        while let Some(&task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match task {
                Task::File(number, checksum) => {
                    let bytes = self.files.bytes(number)?;
                    (crc32c::crc32c(bytes) == checksum).then_some(())?;
                }
                Task::Data(section) => loaded.push(self.load(section.check()?)?),
            }
        }
        Some(loaded)
    }

    fn load(self, mut section: Decoder<'_>) -> Option<Range<u32>> {
        let first = section.u32()?;
        let mut slot = first;
        while !section.is_empty() {
            if slot >= self.series {
                return None;
            }
            let place = Place { slot: Slot(slot), generation: GENERATION };
            let series = Series::load(GENERATION, self.files, &mut section)?;
            self.head.shard_of(place).put(place.slot, series);
            self.head.generations.begin(place);
            slot += 1;
        }
        Some(first..slot)
    }
}

/// Whether `parts` are all of `0..end`.
fn covers(mut parts: Vec<Range<u32>>, end: u32) -> bool {
    parts.sort_unstable_by_key(|part| part.start);
    let covered = parts.iter().try_fold(0, |end, part| (part.start == end).then_some(part.end));
    covered == Some(end)
}
