//! Blocks: what the head has written out, for good. Prometheus' format, version 2.
//!
//! ```text
//! <ULID>/meta.json  <ULID>/index  <ULID>/chunks/000001 …  <ULID>/tombstones
//! ```
//! - BLOCK-1: a block appears whole: it is written under another name, synced, then renamed; what a
//!   crash left unfinished is removed when the database opens.
//! - BLOCK-2: a finished block's index and chunks never change. A deletion replaces `tombstones`, and
//!   its count in `meta.json`, each as a whole; whoever reads the block goes on without it.
//! - Source: Prometheus `tsdb/docs/format/`.

pub(crate) mod chunks;
mod delete;
mod growing_file;
pub(crate) mod index_reader;
pub(crate) mod index_writer;
pub(crate) mod meta;
mod select;
pub(crate) mod symbols;
pub(crate) mod tombstones;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use model::{Labels, Matcher, SampleValue, TimeRange, Timestamp};
use roaring::RoaringBitmap;
use storage::QueryError;

use crate::chunk::value_at;
use crate::wal::sync_dir;
use chunks::{ChunkReader, ChunkWriter};
use index_reader::{BadIndex, IndexReader};
use index_writer::IndexWriter;
use meta::{BlockMeta, Ulid};
use symbols::Symbols;
use tombstones::Tombstones;

pub(crate) const BEING_WRITTEN: &str = ".tmp-for-creation";
const BEING_REMOVED: &str = ".tmp-for-deletion";
const TOMBSTONES: &str = "tombstones";
const CHUNKS: &str = "chunks";

/// Where a chunk is and when its samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    pub(crate) start: Timestamp,
    /// Of the last sample.
    pub(crate) end: Timestamp,
    pub(crate) reference: u64,
}

impl ChunkMeta {
    pub(crate) const fn range(&self) -> TimeRange {
        TimeRange::new(self.start, self.end)
    }
}

/// A chunk on its way into a block.
#[derive(Clone, Debug)]
pub(crate) struct ChunkData {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) encoding: u8,
    pub(crate) bytes: Arc<[u8]>,
}

/// A series of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockSeries {
    pub(crate) labels: Labels,
    /// Those of which something is left.
    pub(crate) chunks: Vec<ChunkMeta>,
    pub(crate) deleted: Vec<TimeRange>,
}

/// A finished block, open for reading.
#[derive(Debug)]
pub(crate) struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    bytes: u64,
    index: Arc<IndexReader>,
    chunks: Arc<ChunkReader>,
    tombstones: Tombstones,
}

impl Block {
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            meta: BlockMeta::read(dir)?,
            bytes: directory_bytes(dir)?,
            index: Arc::new(IndexReader::open(&dir.join("index"))?),
            chunks: Arc::new(ChunkReader::open(&dir.join(CHUNKS))?),
            tombstones: Tombstones::read(&dir.join(TOMBSTONES))?,
        })
    }

    pub(crate) const fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// The times that the block may have samples of.
    pub(crate) const fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.start(), self.meta.end().minus_millis(1))
    }

    /// The ids of the series that meet every matcher, in the order of their labels.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, QueryError> {
        self.index.select(matchers).map_err(|e| self.bad_index(e))
    }

    pub(crate) fn series(&self, id: u32) -> Result<BlockSeries, QueryError> {
        let (labels, mut chunks) = self.index.series(id).map_err(|e| self.bad_index(e))?;
        let deleted = self.tombstones.of(u64::from(id)).to_vec();
        if !deleted.is_empty() {
            let is_gone = |range: TimeRange| {
                deleted.iter().any(|d| d.contains(range.start) && d.contains(range.end))
            };
            chunks.retain(|chunk| !is_gone(chunk.range()));
        }
        Ok(BlockSeries { labels, chunks, deleted })
    }

    /// The series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Result<Option<BlockSeries>, QueryError> {
        let found = self.index.find(labels).map_err(|e| self.bad_index(e))?;
        found.map(|id| self.series(id)).transpose()
    }

    /// What the block has of a series of its own at one time.
    pub(crate) fn value_at(
        &self,
        series: &BlockSeries,
        at: Timestamp,
    ) -> Result<Option<SampleValue>, QueryError> {
        if series.deleted.iter().any(|range| range.contains(at)) {
            return Ok(None);
        }
        for chunk in series.chunks.iter().filter(|chunk| chunk.range().contains(at)) {
            let (encoding, bytes) = self.chunk(chunk)?;
            if let Some(value) = value_at(encoding, bytes, at) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    pub(crate) fn label_names(
        &self,
        among: Option<&RoaringBitmap>,
    ) -> Result<Vec<&str>, QueryError> {
        let mut names = Vec::new();
        for name in self.index.label_names() {
            if among.is_none() || !self.label_values(name, among)?.is_empty() {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub(crate) fn label_values(
        &self,
        name: &str,
        among: Option<&RoaringBitmap>,
    ) -> Result<Vec<&str>, QueryError> {
        let mut values = Vec::new();
        for entry in self.index.values(name) {
            let (value, postings) = entry.map_err(|e| self.bad_index(e))?;
            let counts = match among {
                None => true,
                Some(among) => {
                    let postings = self.index.postings(postings).map_err(|e| self.bad_index(e))?;
                    !postings.is_disjoint(among)
                }
            };
            values.extend(counts.then_some(value));
        }
        Ok(values)
    }

    /// The values of `name`, in order, each with the series that have it.
    pub(crate) fn postings_of(
        &self,
        name: &str,
    ) -> impl Iterator<Item = Result<(&str, RoaringBitmap), QueryError>> {
        self.index.values(name).map(|entry| {
            let (value, postings) = entry.map_err(|e| self.bad_index(e))?;
            Ok((value, self.index.postings(postings).map_err(|e| self.bad_index(e))?))
        })
    }

    /// In their order.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = Result<&str, QueryError>> {
        self.index.symbols().map(|symbol| symbol.map_err(|e| self.bad_index(e)))
    }

    /// Encoding and bytes.
    pub(crate) fn chunk(&self, chunk: &ChunkMeta) -> Result<(u8, &[u8]), QueryError> {
        self.chunks.get(chunk.reference).ok_or_else(|| QueryError::Corrupt {
            place: format!("chunk {:#x} of block {}", chunk.reference, self.meta.ulid.as_str()),
            reason: "the checksum is wrong, or nothing is there".to_owned(),
        })
    }

    fn bad_index(&self, _: BadIndex) -> QueryError {
        QueryError::Corrupt {
            place: format!("the index of block {}", self.meta.ulid.as_str()),
            reason: "it does not decode, or a checksum is wrong".to_owned(),
        }
    }

    /// Makes the same block appear in another data directory of the same file system. The files are
    /// shared: none of them is ever written again (BLOCK-2).
    pub(crate) fn link_into(&self, data: &Path) -> io::Result<()> {
        let to = data.join(self.meta.ulid.as_str());
        fs::create_dir_all(to.join(CHUNKS))?;
        for dir in ["", CHUNKS] {
            let (from, to) = (self.dir.join(dir), to.join(dir));
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::hard_link(entry.path(), to.join(entry.file_name()))?;
                }
            }
            sync_dir(&to)?;
        }
        Ok(())
    }

    /// Takes the block off the disk. Whoever is reading it may go on.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove_block(&self.dir)
    }
}

/// A block that is being written. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    dir: Unfinished,
    finished: PathBuf,
    meta: BlockMeta,
    index: IndexWriter,
    chunks: ChunkWriter,
}

/// A directory until it is renamed.
#[derive(Debug)]
pub(crate) struct Unfinished(pub(crate) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // what stays is removed when the database opens
    }
}

impl BlockWriter {
    /// `symbols`: every label name and value that is to come.
    pub(crate) fn create(data: &Path, meta: BlockMeta, symbols: Arc<Symbols>) -> io::Result<Self> {
        let finished = data.join(meta.ulid.as_str());
        let dir = Unfinished(data.join(format!("{}{BEING_WRITTEN}", meta.ulid.as_str())));
        fs::create_dir(&dir.0)?;
        let index = IndexWriter::create(&dir.0.join("index"), symbols)?;
        let chunks = ChunkWriter::create(dir.0.join(CHUNKS))?;
        Ok(Self { dir, finished, meta, index, chunks })
    }

    /// Series come sorted by labels, their chunks by time. A series without chunks is left out.
    pub(crate) fn series(&mut self, labels: &Labels, chunks: &[ChunkData]) -> io::Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let mut metas = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let reference = self.chunks.write(chunk.encoding, &chunk.bytes)?;
            metas.push(ChunkMeta { start: chunk.start, end: chunk.end, reference });
            self.meta.stats.num_samples += samples_in(&chunk.bytes);
        }
        self.meta.stats.num_chunks += chunks.len() as u64;
        self.meta.stats.num_series += 1;
        self.index.series(labels, &metas)
    }

    /// Makes the block appear, and opens it; `None` where it has no series.
    pub(crate) fn finish(mut self) -> io::Result<Option<Block>> {
        if self.meta.stats.num_series == 0 {
            return Ok(None);
        }
        let dir = &self.dir.0;
        self.chunks.close()?;
        self.index.finish()?;
        Tombstones::default().write(&dir.join(TOMBSTONES))?;
        self.meta.write(dir)?;
        sync_dir(&dir.join(CHUNKS))?;
        sync_dir(dir)?;
        fs::rename(dir, &self.finished)?;
        sync_dir(self.finished.parent().unwrap_or(Path::new(".")))?;
        Block::open(&self.finished).map(Some)
    }
}

/// Every chunk encoding begins with the number of samples.
fn samples_in(chunk: &[u8]) -> u64 {
    chunk.first_chunk().map_or(0, |&count| u64::from(u16::from_be_bytes(count)))
}

/// The directories of finished blocks.
pub(crate) fn list(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut blocks = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(Ulid::parse).is_some() {
            blocks.push(entry.path());
        }
    }
    blocks.sort();
    Ok(blocks)
}

/// Removes what a crash left of blocks that were being written or removed.
pub(crate) fn clean_up(data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = |name: &str| name.ends_with(BEING_WRITTEN) || name.ends_with(BEING_REMOVED);
        if name.to_str().is_some_and(is_part) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

pub(crate) fn remove_block(dir: &Path) -> io::Result<()> {
    let mut going = dir.as_os_str().to_owned();
    going.push(BEING_REMOVED);
    fs::rename(dir, &going)?;
    fs::remove_dir_all(going)
}

pub(crate) fn directory_bytes(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { directory_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
