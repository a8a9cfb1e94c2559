//! Checks all of a data directory: every checksum, every structure, and whether they agree.
//!
//! | files | what is checked besides checksums |
//! | --- | --- |
//! | blocks | see `verify/block.rs` and `verify/index.rs` |
//! | `wal/`, its newest checkpoint, `wbl/` | segments follow one another, records decode, samples have series |
//! | `chunk_snapshot.*` | records are whole |
//! | `saved_head` | sections are whole |
//! | `chunks_head/` | chunks decode, and hold the times that they say |
//!
//! What a crash or a server at work leaves unfinished is no problem where a start expects it:
//! directories under names of their own, the end of the newest file in `chunks_head/`.

mod block;
mod head_chunks;
mod index;
mod log;
mod saved_head;

use std::fmt;
use std::path::{Path, PathBuf};

use model::Timestamp;

use super::{InspectError, block_dirs};
use crate::chunk::Points;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// Where in the file, in bytes; `None` where it is about all of it.
    pub offset: Option<u64>,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, "byte {offset}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub blocks: u64,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
    pub log_segments: u64,
    pub log_records: u64,
    pub head_chunks: u64,
    pub problems: u64,
}

/// Calls `found` for each problem, as they are met.
pub fn verify(dir: &Path, found: &mut dyn FnMut(Problem)) -> Result<Verified, InspectError> {
    let mut check = Check { found, verified: Verified::default() };
    let mut written_until = Timestamp::MIN;
    for block in block_dirs(dir)? {
        written_until = written_until.max(block::verify(&block, &mut check));
    }
    log::verify(dir, written_until, &mut check)?;
    head_chunks::verify(&dir.join("chunks_head"), &mut check)?;
    saved_head::verify(dir, &mut check);
    Ok(check.verified)
}

/// A verification under way.
struct Check<'a> {
    found: &'a mut dyn FnMut(Problem),
    verified: Verified,
}

impl Check<'_> {
    fn problem(&mut self, file: &Path, offset: impl Into<Option<u64>>, what: impl Into<String>) {
        self.verified.problems += 1;
        (self.found)(Problem { file: file.to_owned(), offset: offset.into(), what: what.into() });
    }
}

/// What a chunk holds, once all of it was decoded.
struct ChunkContents {
    samples: u64,
    start: Timestamp,
    end: Timestamp,
}

/// Decodes all of a chunk; an error says what is wrong with it.
fn chunk_contents(encoding: u8, bytes: &[u8]) -> Result<ChunkContents, &'static str> {
    let bad = |_| "a chunk does not decode";
    let mut points = Points::new(encoding, bytes).map_err(bad)?;
    let mut contents: Option<ChunkContents> = None;
    while let Some(point) = points.next().map_err(bad)? {
        let at = point.timestamp;
        match &mut contents {
            None => contents = Some(ChunkContents { samples: 1, start: at, end: at }),
            Some(contents) if at <= contents.end => return Err("times in a chunk do not rise"),
            Some(contents) => {
                contents.samples += 1;
                contents.end = at;
            }
        }
    }
    contents.ok_or("a chunk is empty")
}

#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;
