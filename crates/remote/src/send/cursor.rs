//! Where a destination stands in the log, kept on disk.
//!
//! ```text
//! DATA/remote/NAME.cursor := SEGMENT ":" OFFSET "\n"      (NAME percent-encoded)
//! ```
//! - CURSOR-1: everything before the position was acknowledged or given up. The file is replaced as a
//!   whole; an old or unreadable one means that samples are sent again, never that some are not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tsdb::LogPosition;

#[derive(Clone, Debug)]
pub(super) struct Cursor {
    path: PathBuf,
}

/// What a cursor file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// There is none: the destination is new.
    Nothing,
    At(LogPosition),
    /// It does not read; start with the oldest data there is.
    Unreadable,
}

impl Cursor {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        Self { path: folder.join(format!("{name}.cursor")) }
    }

    pub(super) fn load(&self) -> io::Result<Stored> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.trim_end().parse().map_or(Stored::Unreadable, Stored::At)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::Nothing),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Stored::Unreadable),
            Err(error) => Err(error),
        }
    }

    pub(super) fn save(&self, position: LogPosition) -> io::Result<()> {
        let new = self.path.with_extension("cursor.new");
        let mut file = File::create(&new)?;
        writeln!(file, "{position}")?;
        file.sync_data()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_found_again_and_a_damaged_one_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let cursor = Cursor::new(folder.path(), "../up & away");
        assert_eq!(cursor.path.file_name().unwrap(), "%2E%2E%2Fup%20%26%20away.cursor");
        assert_eq!(cursor.load().unwrap(), Stored::Nothing);
        for position in [
            LogPosition { segment: 0, offset: 0 },
            LogPosition { segment: u32::MAX, offset: u64::MAX },
        ] {
            cursor.save(position).unwrap();
            assert_eq!(cursor.load().unwrap(), Stored::At(position));
        }
        for damaged in [&b""[..], b"12", b"1:x\n", b"\xff\xfe:1"] {
            fs::write(&cursor.path, damaged).unwrap();
            assert_eq!(cursor.load().unwrap(), Stored::Unreadable, "{damaged:?}");
        }
    }
}
