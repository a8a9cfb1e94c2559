//! Looks into a data directory, ours or a Prometheus', and leaves it as it is.
//!
//! - INSPECT-1: nothing is locked, written or removed, so that a server may have the directory open
//!   meanwhile.
//! - INSPECT-2: memory follows the number of series and what the log has of them, never the samples in
//!   blocks.

pub mod analysis;
pub mod dump;
pub mod verify;

use std::io;
use std::path::{Path, PathBuf};

use model::Timestamp;
use storage::QueryError;

use crate::block::meta::BlockMeta;
use crate::block::{self, Block};

#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("list {dir}", dir = .dir.display())]
    List { dir: PathBuf, source: io::Error },
    #[error("open block {dir}", dir = .dir.display())]
    Open { dir: PathBuf, source: io::Error },
    #[error("read the log in {dir}", dir = .dir.display())]
    Log { dir: PathBuf, source: io::Error },
    #[error("there is no block {0}")]
    NoBlock(String),
    #[error("there are no blocks in {dir}", dir = .dir.display())]
    NoBlocks { dir: PathBuf },
    #[error(transparent)]
    Read(#[from] QueryError),
}

/// What a block's `meta.json` says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockSummary {
    pub ulid: String,
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    pub level: u32,
    pub samples: u64,
    pub chunks: u64,
    pub series: u64,
    /// Of all its files.
    pub bytes: u64,
}

/// The blocks of a directory.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Sorted by start.
    pub whole: Vec<BlockSummary>,
    /// Directories whose `meta.json` cannot be read, and why.
    pub broken: Vec<(PathBuf, io::Error)>,
}

impl Blocks {
    /// Reads nothing of the blocks but what they say of themselves.
    pub fn list(dir: &Path) -> Result<Self, InspectError> {
        let mut blocks = Self::default();
        for path in block_dirs(dir)? {
            match summary(&path) {
                Ok(summary) => blocks.whole.push(summary),
                Err(_) if !path.exists() => {} // a server removed it meanwhile
                Err(error) => blocks.broken.push((path, error)),
            }
        }
        blocks.whole.sort_by_key(|block| block.start);
        Ok(blocks)
    }
}

fn summary(dir: &Path) -> io::Result<BlockSummary> {
    let meta = BlockMeta::read(dir)?;
    Ok(BlockSummary {
        ulid: meta.ulid.as_str().to_owned(),
        start: meta.start(),
        end: meta.end(),
        level: meta.compaction.level,
        samples: meta.stats.num_samples,
        chunks: meta.stats.num_chunks,
        series: meta.stats.num_series,
        bytes: block::directory_bytes(dir)?,
    })
}

fn block_dirs(dir: &Path) -> Result<Vec<PathBuf>, InspectError> {
    block::list(dir).map_err(|source| InspectError::List { dir: dir.to_owned(), source })
}

fn open_block(dir: &Path) -> Result<Block, InspectError> {
    Block::open(dir).map_err(|source| InspectError::Open { dir: dir.to_owned(), source })
}
