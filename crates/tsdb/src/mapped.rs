//! Finished files, mapped into memory: the only unsafe code of this crate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// `path` must be finished: nothing writes to it any more, it is at most removed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes stay as they are for as long as the mapping lives: blocks and saved heads
        // get their name and the head's chunk files are mapped only when they are complete, no program
        // opens them for writing afterwards (which is why what inspects a directory without its lock
        // may map a block's files and a saved head, and no others), and a removed file's bytes stay
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
