//! Puts a new file in the place of an old one: whoever opens it finds the one or the other, whole,
//! after a crash too.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::wal::sync_dir;

const UNFINISHED: &str = ".tmp";

/// Writes `bytes` aside, brings them to the disk, and renames. What a crash leaves aside is written
/// over the next time.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(UNFINISHED);
    let aside = PathBuf::from(aside);
    let written = write(&aside, bytes).and_then(|()| fs::rename(&aside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&aside); // on a full disk it would only make that worse
        return Err(error);
    }
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
