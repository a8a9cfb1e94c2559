//! The blocks that are being read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use model::{TimeRange, Timestamp};
use parking_lot::RwLock;
use tracing::{error, info};

use crate::block::{self, Block};
use crate::metrics::Metrics;

/// Sorted by start. Readers take a copy of the list; it changes in one step.
#[derive(Debug)]
pub(super) struct Blocks(RwLock<Vec<Arc<Block>>>);

impl Blocks {
    /// Opens the blocks in `data`. One that cannot be opened is reported, counted and left alone; one
    /// that others replace is removed (its remover crashed).
    pub(super) fn open(data: &Path, metrics: &Metrics) -> io::Result<Self> {
        block::clean_up(data)?;
        let mut blocks: Vec<Block> = Vec::new();
        for dir in block::list(data)? {
            match Block::open(&dir) {
                Ok(block) => blocks.push(block),
                Err(error) => {
                    error!(block = %dir.display(), %error, "a block cannot be opened");
                    metrics.blocks_broken.inc();
                }
            }
        }
        let replaced: Vec<bool> = blocks
            .iter()
            .map(|old| blocks.iter().any(|new| new.meta().replaces(&old.meta().ulid)))
            .collect();
        let mut kept = Vec::new();
        for (block, replaced) in blocks.into_iter().zip(replaced) {
            if replaced {
                info!(block = block.meta().ulid.as_str(), "a block that was merged is removed");
                block.remove()?;
            } else {
                kept.push(Arc::new(block));
            }
        }
        sort(&mut kept);
        Ok(Self(RwLock::new(kept)))
    }

    pub(super) fn all(&self) -> Vec<Arc<Block>> {
        self.0.read().clone()
    }

    pub(super) fn overlapping(&self, range: TimeRange) -> Vec<Arc<Block>> {
        let blocks = self.0.read();
        blocks.iter().filter(|block| block.range().overlaps(&range)).cloned().collect()
    }

    /// From the oldest block's start to the latest end.
    pub(super) fn range(&self) -> Option<TimeRange> {
        let blocks = self.0.read();
        let end = blocks.iter().map(|block| block.range().end).max()?;
        Some(TimeRange::new(blocks.first()?.range().start, end))
    }

    /// What is in order and older is in blocks (Prometheus `tsdb/db.go`, `inOrderBlocksMaxTime`).
    pub(super) fn in_order_end(&self) -> Option<Timestamp> {
        let blocks = self.0.read();
        let in_order = blocks.iter().filter(|block| block.meta().is_in_order());
        in_order.map(|block| block.meta().end()).max()
    }

    /// Adds a block in place of those that it `replaces`.
    pub(super) fn add(&self, block: Arc<Block>, replaces: &[Arc<Block>]) {
        let mut blocks = self.0.write();
        blocks.retain(|old| !replaces.iter().any(|replaced| Arc::ptr_eq(old, replaced)));
        blocks.push(block);
        sort(&mut blocks);
    }

    pub(super) fn remove(&self, gone: &[Arc<Block>]) {
        self.0.write().retain(|block| !gone.iter().any(|other| Arc::ptr_eq(block, other)));
    }

    /// Those that retention no longer keeps: ended before `since`, or in excess of `bytes_max`,
    /// oldest first; not the last one in order (COMPACT-3).
    pub(super) fn expired(&self, since: Timestamp, bytes_max: u64) -> Vec<Arc<Block>> {
        let last = self.in_order_end();
        let blocks = self.0.read();
        let mut bytes: u64 = blocks.iter().map(|block| block.bytes()).sum();
        let mut expired = Vec::new();
        for block in blocks.iter() {
            let is_last = block.meta().is_in_order() && Some(block.meta().end()) == last;
            if !is_last && (block.meta().end() <= since || bytes > bytes_max) {
                bytes -= block.bytes();
                expired.push(Arc::clone(block));
            }
        }
        expired
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.read().iter().map(|block| block.bytes()).sum()
    }

    /// The number of deleted ranges that blocks still have the samples of.
    pub(super) fn tombstones(&self) -> u64 {
        self.0.read().iter().map(|block| block.tombstones().count()).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.0.read().len()
    }
}

fn sort(blocks: &mut [Arc<Block>]) {
    blocks.sort_by_key(|block| (block.meta().start(), block.meta().end()));
}
