//! Keeps a second process out of a data directory: an advisory lock on its file `lock`, which
//! Prometheus takes too. The operating system lets go of it when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Somebody who starts a program has all our files open for an instant, and with them the lock: so
/// often, and so long apart, it is tried before it counts as taken.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// `None` where another process has it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if !lock(&file)? {
            return Ok(None);
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Some(Self { _file: file }))
    }
}

/// Whether it could be had.
fn lock(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(e)) => return Err(e),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_lock_for_an_instant_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DirLock::take(&path).unwrap().expect("nobody has it");
        assert!(DirLock::take(&path).unwrap().is_none());
        let leaving = thread::spawn(move || {
            thread::sleep(PAUSE * 10);
            drop(first);
        });
        assert!(DirLock::take(&path).unwrap().is_some());
        leaving.join().unwrap();
    }
}
