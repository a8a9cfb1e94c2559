//! Which labels a block's series have, and which of them come and go: what its size is spent on.
//!
//! A series churns by the part of the block's time that lies before its first sample or after its
//! last; a label by the sum over its series. These are the figures of `promtool tsdb analyze`.

use std::path::Path;
use std::time::Duration;

use model::METRIC_NAME;
use roaring::RoaringBitmap;

use super::{Blocks, InspectError, open_block};
use crate::block::Block;
use crate::ranking::{Ranked, Ranking};

/// Rankings begin with the largest figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    pub block: String,
    pub duration: Duration,
    pub series: u64,
    pub label_names: u64,
    /// Different pairs of name and value.
    pub label_pairs: u64,
    /// The labels of all series, counted each time.
    pub label_pair_uses: u64,
    /// By how many series' worth of time is missing.
    pub churning_pairs: Vec<Ranked>,
    pub churning_names: Vec<Ranked>,
    /// By the number of series.
    pub common_pairs: Vec<Ranked>,
    /// By the bytes of all their values.
    pub longest_names: Vec<Ranked>,
    /// By the number of their values.
    pub widest_names: Vec<Ranked>,
    /// By the number of series.
    pub metrics: Vec<Ranked>,
}

impl Analysis {
    /// Of one block, or else of that which begins last; with so many entries in each ranking.
    pub fn of_block(dir: &Path, ulid: Option<&str>, limit: usize) -> Result<Self, InspectError> {
        let blocks = Blocks::list(dir)?.whole;
        let picked = match ulid {
            Some(ulid) => blocks.iter().find(|block| block.ulid == ulid),
            None => blocks.last(),
        };
        let picked = picked.ok_or_else(|| match ulid {
            Some(ulid) => InspectError::NoBlock(ulid.to_owned()),
            None => InspectError::NoBlocks { dir: dir.to_owned() },
        })?;
        analyze(&open_block(&dir.join(&picked.ulid))?, limit)
    }
}

fn analyze(block: &Block, limit: usize) -> Result<Analysis, InspectError> {
    let meta = block.meta();
    let missing = MissingTimes::of(block)?;
    let length = meta.end().millis_since(meta.start());
    let in_series = |millis: u64| (millis as f64 / length as f64) as u64;
    let rank = || Ranking::new(limit);
    let (mut churning_pairs, mut churning_names, mut common_pairs) = (rank(), rank(), rank());
    let (mut longest_names, mut widest_names, mut metrics) = (rank(), rank(), rank());
    let (mut label_names, mut label_pairs, mut label_pair_uses) = (0, 0, 0);
    for name in block.label_names(None)? {
        let (mut values, mut values_bytes, mut missing_of_name) = (0, 0, 0);
        for entry in block.postings_of(name) {
            let (value, series) = entry?;
            let missing_of_pair = missing.sum(&series);
            missing_of_name += missing_of_pair;
            values += 1;
            values_bytes += value.len() as u64;
            label_pair_uses += series.len();
            if name == METRIC_NAME {
                metrics.offer(series.len(), || value.to_owned());
            }
            let pair = || format!("{name}={value}");
            churning_pairs.offer(in_series(missing_of_pair), pair);
            common_pairs.offer(series.len(), pair);
        }
        label_names += 1;
        label_pairs += values;
        churning_names.offer(in_series(missing_of_name), || name.to_owned());
        longest_names.offer(values_bytes, || name.to_owned());
        widest_names.offer(values, || name.to_owned());
    }
    Ok(Analysis {
        block: meta.ulid.as_str().to_owned(),
        duration: Duration::from_millis(length.max(0).cast_unsigned()),
        series: meta.stats.num_series,
        label_names,
        label_pairs,
        label_pair_uses,
        churning_pairs: churning_pairs.finish(),
        churning_names: churning_names.finish(),
        common_pairs: common_pairs.finish(),
        longest_names: longest_names.finish(),
        widest_names: widest_names.finish(),
        metrics: metrics.finish(),
    })
}

/// By series: how many milliseconds of the block it has not.
struct MissingTimes {
    series: RoaringBitmap,
    millis: Vec<u64>,
}

impl MissingTimes {
    fn of(block: &Block) -> Result<Self, InspectError> {
        let series = block.select(&[])?;
        let length = block.meta().end().millis_since(block.meta().start());
        let mut millis = Vec::with_capacity(series.len() as usize);
        for id in &series {
            let chunks = block.series(id)?.chunks;
            let covered = chunks
                .first()
                .zip(chunks.last())
                .map_or(0, |(first, last)| last.end.millis_since(first.start));
            millis.push(length.saturating_sub(covered).max(0).cast_unsigned());
        }
        Ok(Self { series, millis })
    }

    fn sum(&self, series: &RoaringBitmap) -> u64 {
        let at =
            |id| self.series.rank(id).checked_sub(1).and_then(|at| self.millis.get(at as usize));
        series.iter().filter_map(at).sum()
    }
}
