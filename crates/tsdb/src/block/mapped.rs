//! Files of finished blocks, mapped into memory: the only unsafe code of this crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

#[derive(Debug)]
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// `path` must belong to a finished block: those are never written to, only removed as a whole.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes stay as they are for as long as the mapping lives: files of blocks are
        // complete before they get their name, nothing in this process opens them for writing, the
        // lock on the data directory keeps other databases out, and a removed file's bytes stay
        // until the mapping goes.
        unsafe { Mmap::map(&file) }.map(Self)
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
