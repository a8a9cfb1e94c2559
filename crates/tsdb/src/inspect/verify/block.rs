//! One block: its files fit together.
//!
//! - each chunk that the index names is there, decodes, and holds the times that the index says, within
//!   the block's; the chunks of a series follow one another;
//! - series, chunks and samples are as many as `meta.json` says;
//! - what was deleted is of series of the block.

use std::io;
use std::path::{Path, PathBuf};

use model::Timestamp;
use roaring::RoaringBitmap;

use super::index::{self, IndexedSeries};
use super::{Check, chunk_contents};
use crate::block::chunks::{ChunkReader, chunk_files};
use crate::block::meta::{BlockMeta, Stats};
use crate::block::{ChunkMeta, tombstones};

/// Gives the block's end, as far as it is known.
pub(super) fn verify(dir: &Path, check: &mut Check<'_>) -> Timestamp {
    let file = dir.join("meta.json");
    let meta = match BlockMeta::read(dir) {
        Ok(meta) => meta,
        Err(_) if !dir.exists() => return Timestamp::MIN, // a server removed it meanwhile
        Err(error) => {
            check.problem(&file, None, error.to_string());
            return Timestamp::MIN;
        }
    };
    check.verified.blocks += 1;
    let problems = check.verified.problems;
    let mut contents = Contents::open(dir, &meta, check);
    let series = index::verify(&dir.join("index"), check, |series, check| {
        contents.series(&series, check);
    });
    let found = contents.found;
    // A crash may leave the count of tombstones behind.
    let said = Stats { num_tombstones: found.num_tombstones, ..meta.stats };
    if check.verified.problems == problems && found != said {
        check.problem(&file, None, format!("the block has {found:?}, it says {said:?}"));
    }
    if let Some(series) = series {
        verify_tombstones(&dir.join("tombstones"), &series, check);
    }
    meta.end()
}

/// What the index leads to.
struct Contents<'a> {
    dir: &'a Path,
    meta: &'a BlockMeta,
    /// `None` where the files cannot be read, which has been said.
    chunks: Option<ChunkReader>,
    files: Vec<PathBuf>,
    found: Stats,
}

impl<'a> Contents<'a> {
    fn open(dir: &'a Path, meta: &'a BlockMeta, check: &mut Check<'_>) -> Self {
        let chunk_dir = dir.join("chunks");
        let opened = chunk_files(&chunk_dir).and_then(|files| {
            let gap =
                (1..).zip(&files).find(|(number, file)| !file.ends_with(format!("{number:06}")));
            match gap {
                Some((number, _)) => Err(io::Error::other(format!("{number:06} is missing"))),
                None => Ok((ChunkReader::open(&chunk_dir)?, files)),
            }
        });
        let (chunks, files) = match opened {
            Ok((chunks, files)) => (Some(chunks), files),
            Err(error) => {
                check.problem(&chunk_dir, None, error.to_string());
                (None, Vec::new())
            }
        };
        Self { dir, meta, chunks, files, found: Stats::default() }
    }

    fn series(&mut self, series: &IndexedSeries, check: &mut Check<'_>) {
        self.found.num_series += 1;
        check.verified.series += 1;
        let follow = series.chunks.windows(2).all(|pair| pair[0].end < pair[1].start);
        if !follow {
            let what = "the chunks of a series overlap";
            check.problem(&self.dir.join("index"), series.offset, what);
        }
        for chunk in &series.chunks {
            self.found.num_chunks += 1;
            check.verified.chunks += 1;
            match self.chunk(chunk, series.offset) {
                Ok(samples) => {
                    self.found.num_samples += samples;
                    check.verified.samples += samples;
                }
                Err((file, offset, what)) => check.problem(&file, offset, what),
            }
        }
    }

    /// The number of its samples, or what is wrong and where.
    fn chunk(&self, chunk: &ChunkMeta, series: u64) -> Result<u64, (PathBuf, u64, String)> {
        let Some(chunks) = &self.chunks else { return Ok(0) };
        let Some(file) = self.files.get((chunk.reference >> 32) as usize) else {
            let what =
                format!("a chunk is in file {}, which is not there", 1 + (chunk.reference >> 32));
            return Err((self.dir.join("index"), series, what));
        };
        let bad = |what: &str| (file.clone(), chunk.reference & 0xffff_ffff, what.to_owned());
        let (encoding, bytes) = chunks
            .get(chunk.reference)
            .ok_or_else(|| bad("a chunk's checksum is wrong, or it is not all there"))?;
        let contents = chunk_contents(encoding, bytes).map_err(bad)?;
        if (contents.start, contents.end) != (chunk.start, chunk.end) {
            return Err(bad("a chunk holds other times than the index says"));
        }
        if chunk.start < self.meta.start() || chunk.end >= self.meta.end() {
            return Err(bad("a chunk holds times outside the block's"));
        }
        Ok(contents.samples)
    }
}

fn verify_tombstones(file: &Path, series: &RoaringBitmap, check: &mut Check<'_>) {
    let deleted = match tombstones::read(file) {
        Ok(deleted) => deleted,
        Err(error) => return check.problem(file, None, error.to_string()),
    };
    for (id, range) in deleted {
        if !u32::try_from(id).is_ok_and(|id| series.contains(id)) {
            check.problem(file, None, format!("series {id} is not in the block"));
        }
        if range.start > range.end {
            check.problem(file, None, format!("a range of series {id} ends before it begins"));
        }
    }
}
