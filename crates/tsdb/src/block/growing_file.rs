//! A file that is written once, from its start to its end, and reaches the disk as it grows.
//!
//! - GROWING-1: no more than [`UNSYNCED_MAX`] of it waits in memory for the disk. Otherwise the sync at
//!   its end would be one of hundreds of megabytes, and the log's would have to wait behind that.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

const BUFFER_BYTES: usize = 1 << 20;
const UNSYNCED_MAX: u64 = 16 << 20;

#[derive(Debug)]
pub(super) struct GrowingFile {
    out: BufWriter<File>,
    bytes: u64,
    unsynced: u64,
}

impl GrowingFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
        Ok(Self { out, bytes: 0, unsynced: 0 })
    }

    /// As long as it is so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= UNSYNCED_MAX {
            self.out.flush()?;
            self.out.get_ref().sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Brings what is left to the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}
