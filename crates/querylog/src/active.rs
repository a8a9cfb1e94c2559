//! The running queries, in a file that tells after a crash which they were.
//!
//! ```text
//! file := "[" slot*
//! slot := {"query":"…","timestamp_sec":1580000000} NUL* ","      1000 bytes, all of them NUL where free
//! ```
//! - ACTIVE-1: a query is in the file before it is evaluated: what a `write` has taken outlives a killed
//!   process. (A machine that loses its power may lose it.)
//! - ACTIVE-2: where all slots are taken, or a slot cannot be written, a query runs without one.
//! - Source: Prometheus `promql/query_logger.go`, whose format this is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use model::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

const SLOT_BYTES: usize = 1000;
/// No file of more than this is looked at: ours are far smaller.
const FILE_BYTES_MAX: u64 = 100 << 20;

/// The open file and its free slots.
#[derive(Debug)]
pub struct ActiveQueries {
    file: File,
    free: Mutex<Vec<usize>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Entry<'a> {
    #[serde(borrow)]
    query: std::borrow::Cow<'a, str>,
    timestamp_sec: i64,
}

impl ActiveQueries {
    /// Tells what the last run left in the file at `path`, and begins it anew with `slots` slots.
    pub fn open(path: &Path, slots: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let unfinished = entries(&bytes);
        if !unfinished.is_empty() {
            let queries = unfinished.join(",");
            tracing::warn!(queries, "these queries did not finish in the last run");
        }
        file.set_len(0)?;
        file.write_all_at(b"[", 0)?;
        file.set_len(1 + (slots * SLOT_BYTES) as u64)?;
        Ok(Self { file, free: Mutex::new((0..slots).rev().collect()) })
    }

    /// Puts a query in the file for as long as the value lives.
    pub(crate) fn enter(&self, query: &str, now: Timestamp) -> Active<'_> {
        let slot = self.free.lock().pop();
        let slot = slot.filter(|slot| {
            let written = self.write(*slot, &slot_text(query, now));
            if written.is_err() {
                self.free.lock().push(*slot);
            }
            written.is_ok()
        });
        Active { queries: self, slot }
    }

    fn write(&self, slot: usize, bytes: &[u8; SLOT_BYTES]) -> io::Result<()> {
        self.file.write_all_at(bytes, 1 + (slot * SLOT_BYTES) as u64)
    }
}

/// One running query.
#[derive(Debug)]
pub(crate) struct Active<'a> {
    queries: &'a ActiveQueries,
    slot: Option<usize>,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        // A slot that cannot be freed in the file is overwritten by the next query that takes it.
        let _ = self.queries.write(slot, &[0; SLOT_BYTES]);
        self.queries.free.lock().push(slot);
    }
}

/// As much of `query` as there is room for.
fn slot_text(query: &str, now: Timestamp) -> [u8; SLOT_BYTES] {
    let timestamp_sec = now.as_millis().div_euclid(1000);
    let entry = |query: &str| {
        let entry = Entry { query: query.into(), timestamp_sec };
        serde_json::to_vec(&entry).expect("a text and a number are JSON")
    };
    let room = SLOT_BYTES - 1 - entry("").len();
    let text = entry(beginning(query, room));
    let mut slot = [0; SLOT_BYTES];
    slot[..text.len()].copy_from_slice(&text);
    slot[SLOT_BYTES - 1] = b',';
    slot
}

/// What of `text` takes no more than `room` bytes in JSON.
fn beginning(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => r"\u0000".len(),
            c => c.len_utf8(),
        };
        if taken > room {
            return &text[..at];
        }
    }
    text
}

/// The entries of a file, as they are written there; a slot that does not read is left out.
fn entries(bytes: &[u8]) -> Vec<String> {
    let slots = bytes.get(1..).unwrap_or_default().chunks(SLOT_BYTES);
    let texts = slots.map(|slot| {
        let end = slot.iter().position(|byte| *byte == 0).unwrap_or(slot.len());
        std::str::from_utf8(&slot[..end]).unwrap_or_default().trim_end_matches(',')
    });
    texts
        .filter(|text| serde_json::from_str::<Entry<'_>>(text).is_ok())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_580_000_000_999);

    fn file_of(queries: &[&str]) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queries.active");
        let active = ActiveQueries::open(&path, 4).unwrap();
        let running: Vec<_> = queries.iter().map(|query| active.enter(query, NOW)).collect();
        let bytes = std::fs::read(&path).unwrap();
        drop(running);
        let after = std::fs::read(&path).unwrap();
        assert!(after[1..].iter().all(|byte| *byte == 0), "slots are free when queries ended");
        bytes
    }

    #[test]
    fn the_file_has_prometheus_format() {
        let bytes = file_of(&["up", "sum(\"é\")"]);
        assert_eq!(bytes.len(), 1 + 4 * SLOT_BYTES);
        let text = String::from_utf8(bytes).unwrap().replace('\0', "");
        // Prometheus reads it so: without the last comma, as an array.
        let array = format!("{}]", text.strip_suffix(',').unwrap());
        let expect = r#"[{"query":"up","timestamp_sec":1580000000},{"query":"sum(\"é\")","timestamp_sec":1580000000}]"#;
        assert_eq!(array, expect);
    }

    #[test]
    fn queries_that_were_running_are_told_and_any_text_fits() {
        #[track_caller]
        fn check(queries: &[&str], expect: &[&str]) {
            let found = entries(&file_of(queries));
            let shown = found.iter().map(|entry| {
                let entry: Entry<'_> = serde_json::from_str(entry).unwrap();
                entry.query.into_owned()
            });
            assert!(shown.eq(expect.iter().map(|text| (*text).to_owned())), "{found:?}");
        }
        check(&[], &[]);
        check(&["up", "1"], &["up", "1"]);
        let room = SLOT_BYTES - 1 - r#"{"query":"","timestamp_sec":1580000000}"#.len();
        let long = "a".repeat(5000);
        check(&[&long], &[&long[..room]]);
        check(&[&long[..room]], &[&long[..room]]);
        let multibyte = format!("{}éé", &long[..room - 1]);
        check(&[&multibyte], &[&long[..room - 1]]);
        // More queries than slots: the last runs without one.
        check(&["a", "b", "c", "d", "e"], &["a", "b", "c", "d"]);
        let escaped = "\u{1}".repeat(5000);
        let found = entries(&file_of(&[&escaped]));
        assert!(found.len() == 1 && found[0].len() > SLOT_BYTES - 16, "{found:?}");
    }

    #[test]
    fn what_is_damaged_is_left_out() {
        let mut bytes = file_of(&["one", "two", "three"]);
        bytes[1 + SLOT_BYTES + 3] = b'"';
        let found = entries(&bytes);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("one") && found[1].contains("three"), "{found:?}");
        for cut in 0..bytes.len() {
            entries(&bytes[..cut]);
        }
        assert!(entries(b"").is_empty());
    }
}
