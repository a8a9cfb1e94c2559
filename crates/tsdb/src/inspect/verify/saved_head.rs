//! The head as it was saved at shutdown: whether its sections are whole. Whether it belongs to the logs
//! is seen when it is used.

use std::io;
use std::path::Path;

use super::Check;
use crate::head::saved;
use crate::mapped::Mapped;

pub(super) fn verify(dir: &Path, check: &mut Check<'_>) {
    let path = saved::path(dir);
    match Mapped::open(&path) {
        Ok(file) if !saved::is_whole(&file) => check.problem(&path, None, "a section is damaged"),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => check.problem(&path, None, error.to_string()),
    }
}
