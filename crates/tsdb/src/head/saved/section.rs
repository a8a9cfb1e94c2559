//! The sections of a saved head.
//!
//! ```text
//! section := kind u8 | length u32 | crc32c u32 | data        the checksum is of kind, length and data
//! end     := the section of kind 0, whose data is the number of sections before it, u64
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::MAGIC;
use crate::codec::Decoder;

const END: u8 = 0;

#[derive(Debug)]
pub(super) struct SectionWriter {
    out: BufWriter<File>,
    sections: u64,
}

impl SectionWriter {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&MAGIC)?;
        Ok(Self { out, sections: 0 })
    }

    pub(super) fn write(&mut self, kind: u8, data: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::other("a section may not be larger than 4 GiB");
        let length = u32::try_from(data.len()).map_err(too_large)?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&checksum(kind, data).to_be_bytes())?;
        self.out.write_all(data)?;
        self.sections += 1;
        Ok(())
    }

    /// Ends the file and brings it to the disk.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write(END, &self.sections.to_be_bytes())?;
        self.out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

fn checksum(kind: u8, data: &[u8]) -> u32 {
    let mut header = [kind, 0, 0, 0, 0];
    header[1..].copy_from_slice(&(data.len() as u32).to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&header), data)
}

/// A section whose checksum has not been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) kind: u8,
    checksum: u32,
    data: &'a [u8],
}

impl<'a> Section<'a> {
    /// The data; `None` where it is damaged.
    pub(super) fn check(&self) -> Option<Decoder<'a>> {
        (checksum(self.kind, self.data) == self.checksum).then(|| Decoder::new(self.data))
    }
}

/// The sections before the end, if there is one and as many as it says.
pub(super) fn sections(file: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut rest = Decoder::new(file.strip_prefix(&MAGIC)?);
    let mut sections = Vec::new();
    loop {
        let (kind, length) = (rest.u8()?, rest.u32()?);
        let checksum = rest.u32()?;
        let section = Section { kind, checksum, data: rest.take(length as usize)? };
        if kind == END {
            let count = section.check()?.u64()?;
            return (rest.is_empty() && count == sections.len() as u64).then_some(sections);
        }
        sections.push(section);
    }
}

/// Whether no section of a file is damaged.
pub(crate) fn is_whole(file: &[u8]) -> bool {
    sections(file).is_some_and(|sections| sections.iter().all(|one| one.check().is_some()))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sections_come_back_whole_or_not_at_all(
            given in vec((1..9u8, any::<Vec<u8>>()), 0..6), at in any::<prop::sample::Index>(),
            bit in 0..9u8,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            let mut writer = SectionWriter::new(File::create(&path).unwrap()).unwrap();
            for (kind, data) in &given {
                writer.write(*kind, data).unwrap();
            }
            writer.finish().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let read = |bytes: &[u8]| -> Option<Vec<(u8, Vec<u8>)>> {
                let checked = |section: &Section<'_>| {
                    Some((section.kind, section.check()?.bytes.to_vec()))
                };
                sections(bytes)?.iter().map(checked).collect()
            };
            prop_assert_eq!(read(&bytes), Some(given));
            let at = at.index(bytes.len());
            if bit == 8 { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            prop_assert_eq!(read(&bytes), None);
        }
    }
}
